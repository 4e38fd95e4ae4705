//! Headers as the lines of a text, written and read without the product and without `http`'s own reader.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Lines `name: value` as headers, in their order. What is no line of a header is left out, and so is what makes more
/// of them than a head may have.
pub(crate) fn headers(text: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// Names in small letters, with their values.
pub(crate) type Lines = Vec<(String, Vec<u8>)>;

/// All lines, sorted by name; lines of one name keep their order.
pub(crate) fn sorted(headers: &HeaderMap) -> Lines {
    let mut lines: Lines = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    lines.sort_by(|(one, _), (other, _)| one.cmp(other));
    lines
}
