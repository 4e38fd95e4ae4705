//! Paths: below which prefix they are, how one leads to another, and without dot segments.

use std::borrow::Cow;

use super::reference::SLASHES;

/// What follows a prefix of whole segments, if a path starts with it. An escape equals the character it stands for, as
/// some front ends write `:` as `%3A`.
pub(super) fn after<'u>(path: &'u str, prefix: &str) -> Option<&'u str> {
    let mut path_bytes = decoded(path);
    for (_, byte) in decoded(prefix) {
        // Compared decoded, as some front ends write a colon as `%3A`.
        (path_bytes.next()?.1 == byte).then_some(())?;
    }
    let end = path_bytes.next().map_or(path.len(), |(at, _)| at);
    let rest = path.get(end..)?;
    (rest.is_empty() || rest.starts_with(['/', '\\', '?', '#'])).then_some(rest)
}

/// The bytes that a path stands for, and where each of them begins.
fn decoded(path: &str) -> impl Iterator<Item = (usize, u8)> {
    let bytes = path.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at;
        let byte = *bytes.get(at)?;
        let hex = |offset| {
            bytes
                .get(begin + offset)
                .and_then(|digit| (*digit as char).to_digit(16))
        };
        if byte == b'%'
            && let (Some(high), Some(low)) = (hex(1), hex(2))
        {
            at += 3;
            let escaped = u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte");
            return Some((begin, escaped));
        }
        at += 1;
        Some((begin, byte))
    })
}

/// The relative reference from `base`, a whole path, to the root of the target below `prefix`.
pub(crate) fn to_root(prefix: &str, base: &str) -> String {
    let folder = base.rfind('/').map_or("", |slash| &base[..slash]);
    let from: Vec<&str> = folder.split('/').collect();
    let to: Vec<&str> = prefix.split('/').collect();
    // Where the two paths part, the way goes up and then down again.
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut reference = "../".repeat(from.len() - common);
    let down = &to[common..];
    // A colon in the first segment would make it a scheme.
    if reference.is_empty() && down.first().is_none_or(|first| first.contains(':')) {
        reference.push_str("./");
    }
    for segment in down {
        reference.push_str(segment);
        reference.push('/');
    }
    reference
}

/// RFC 3986 section 5.2.4, with `%2e` for a dot and a backslash for a slash, as browsers read them. Starts with a
/// slash.
pub(crate) fn without_dots(path: &str) -> Cow<'_, str> {
    // Almost all paths are plain, and are not copied.
    let plain = path.starts_with('/')
        && !path.contains("/.")
        && !path.bytes().any(|byte| matches!(byte, b'%' | b'\\'));
    if plain {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_dots = false;
    for segment in path.strip_prefix(SLASHES).unwrap_or(path).split(SLASHES) {
        ends_in_dots = true;
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                ends_in_dots = false;
                kept.push(segment);
            }
        }
    }
    let slash = if ends_in_dots && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    Cow::Owned(format!("/{}{slash}", kept.join("/")))
}
