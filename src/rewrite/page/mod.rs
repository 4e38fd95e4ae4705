//! Pages.

mod attributes;
mod charset;
mod css;
mod html;
mod json;
mod splice;
mod value;

/// The charset that a media type names.
fn charset_of(media_type: &[u8]) -> Option<&[u8]> {
    media_type.split(|byte| *byte == b';').skip(1).find_map(|parameter| {
        let parameter = parameter.trim_ascii();
        let (name, value) = parameter.split_at(parameter.iter().position(|byte| *byte == b'=')?);
        name.trim_ascii()
            .eq_ignore_ascii_case(b"charset")
            .then(|| value[1..].trim_ascii())
            .map(|value| {
                value
                    .strip_prefix(b"\"")
                    .and_then(|value| value.strip_suffix(b"\""))
                    .unwrap_or(value)
            })
    })
}
