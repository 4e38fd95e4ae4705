//! Markup that is safe by its type. In: texts, and templates that are part of this program. Out: [`Html`].
//!
//! There is no way from a text that came from elsewhere to [`Html`] but [`Html::text`], which escapes it for elements
//! and for quoted attributes (<https://html.spec.whatwg.org/multipage/syntax.html#attributes-2>).

use crate::protocol::html_escape::escaped;

/// Markup, everything foreign in it escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::local) struct Html(String);

impl Html {
    /// A text as it is to be read.
    pub(in crate::local) fn text(text: &str) -> Self {
        Self(escaped(text))
    }

    /// Markup of this program.
    pub(in crate::local) fn fixed(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    /// A template with each `{{name}}` replaced, in one pass: what was filled in is not read again.
    pub(in crate::local) fn fill(template: &'static str, values: &[(&str, Self)]) -> Self {
        let mut filled = String::with_capacity(template.len() * 2);
        let mut rest = template;
        // One pass from left to right: braces in what was filled in are never taken for a name.
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let (name, after) = after.split_once("}}").unwrap_or((after, ""));
            let value = values.iter().find(|(known, _)| *known == name);
            debug_assert!(value.is_some(), "nothing to fill in for {name}");
            filled.push_str(value.map_or("", |(_, value)| &value.0));
            rest = after;
        }
        filled.push_str(rest);
        Self(filled)
    }

    pub(in crate::local) fn as_str(&self) -> &str {
        &self.0
    }

    pub(in crate::local) fn into_string(self) -> String {
        self.0
    }
}

impl FromIterator<Self> for Html {
    fn from_iter<I: IntoIterator<Item = Self>>(parts: I) -> Self {
        Self(parts.into_iter().map(Self::into_string).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_neither_markup_nor_the_end_of_an_attribute() {
        let text = Html::text("<b title=\"x\" id='y'>&amp;");
        assert_eq!(
            text.as_str(),
            "&lt;b title=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;"
        );
    }

    #[test]
    fn what_is_filled_in_is_no_place_to_fill() {
        let page = Html::fill(
            "<a>{{one}}</a>{{two}}",
            &[("one", Html::text("{{two}}")), ("two", Html::text("2"))],
        );
        assert_eq!(page.as_str(), "<a>{{two}}</a>2");
    }
}
