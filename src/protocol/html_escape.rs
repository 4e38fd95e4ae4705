//! Text inside HTML. Pure.

/// Text that can stand between tags and within either kind of quotes
/// (<https://html.spec.whatwg.org/multipage/syntax.html#attributes-2>).
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            plain => safe.push(plain),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_an_element_or_an_attribute() {
        assert_eq!(
            escaped("<b title=\"x\" id='y'>&amp; é"),
            "&lt;b title=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp; é"
        );
    }
}
