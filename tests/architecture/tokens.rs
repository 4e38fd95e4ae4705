//! Rust source as tokens: names, numbers and signs, each with its line. Comments and literal texts are left out.
//!
//! Enough to count, to name and to match brackets; nothing here knows the grammar.

/// A name, a number, or one sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// From 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    pub(crate) fn is_name(&self) -> bool {
        self.text
            .starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    }
}

pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut found, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let passed_over = comment(rest)
            .or_else(|| literal_text(rest))
            .or_else(|| character_or_lifetime(rest));
        let length = passed_over.unwrap_or_else(|| match length_of_name(rest) {
            0 => first.len_utf8(),
            name => name,
        });
        let (one, behind) = rest.split_at(length);
        if passed_over.is_none() && !first.is_whitespace() {
            found.push(Token { text: one, line });
        }
        line += one.matches('\n').count();
        rest = behind;
    }
    found
}

/// The bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

fn length_of_name(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let inner = text.strip_prefix("/*")?;
    Some(inner.find("*/").map_or(text.len(), |end| end + 4))
}

/// The length of a string of any kind, with its prefix and quotes.
fn literal_text(text: &str) -> Option<usize> {
    let prefix = length_of_name(text);
    let inner = &text[prefix..];
    match &text[..prefix] {
        "" | "b" | "c" => Some(prefix + quoted(inner, '"')?),
        "r" | "br" | "cr" => {
            let hashes = inner.len() - inner.trim_start_matches('#').len();
            let inner = inner[hashes..].strip_prefix('"')?;
            let end = format!("\"{}", "#".repeat(hashes));
            Some(prefix + hashes + 1 + inner.find(&end)? + end.len())
        }
        _ => None,
    }
}

/// The length of what stands between two of this quote, with both.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let inner = text.strip_prefix(quote)?;
    let mut is_escaped = false;
    let end = inner.find(|c| {
        let ends = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    Some(end + 2)
}

fn character_or_lifetime(text: &str) -> Option<usize> {
    let prefix = usize::from(text.starts_with("b'"));
    let inner = text[prefix..].strip_prefix('\'')?;
    let first = inner.chars().next()?;
    if first == '\\' || inner[first.len_utf8()..].starts_with('\'') {
        return Some(prefix + quoted(&text[prefix..], '\'')?);
    }
    Some(1 + length_of_name(inner))
}

#[test]
fn texts_comments_characters_and_lifetimes_are_no_tokens() {
    let text = "// a {\nlet one = \"b \\\" { c\"; /* d\n{ */ r#\"e \" {\"# b'\\'' '\"' 'f' '{' '\\u{1F}' b\"g\" b'{'\n\
                fn two<'h>(three: &'h str) { br\"i\\\" }";
    let found: Vec<_> = tokens(text)
        .into_iter()
        .map(|token| (token.text, token.line))
        .collect();
    let mut expected = vec![("let", 2), ("one", 2), ("=", 2), (";", 2)];
    let last = [
        "fn", "two", "<", ">", "(", "three", ":", "&", "str", ")", "{", "}",
    ];
    expected.extend(last.map(|token| (token, 4)));
    assert_eq!(found, expected);
}

#[test]
fn a_bracket_closes_where_its_own_ends() {
    let tokens = tokens("a { b(\"}\") [c] { } } d");
    assert_eq!(tokens[closing(&tokens, 1) + 1].text, "d");
}
