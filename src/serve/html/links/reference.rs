//! A URL, taken apart as browsers do.
//!
//! The URL standard, "URL parsing"; only its first steps, as nothing else matters here.

use std::borrow::Cow;

/// A URL, taken apart as far as it matters here.
pub(super) enum UrlReference<'u> {
    /// Root-absolute: a path, query and fragment.
    Path(&'u str),
    /// With an authority; without a scheme of its own there is no default port.
    Authority {
        authority: &'u str,
        path: &'u str,
        default_port: Option<u16>,
    },
    Relative(&'u str),
    OtherScheme,
}

impl<'u> UrlReference<'u> {
    pub(super) fn read(url: &'u str) -> Self {
        // Before a single slash: two begin a host.
        if let Some(rest) = after_slashes(url) {
            return Self::authority(rest, None);
        }
        if url.starts_with(SLASHES) {
            return Self::Path(url);
        }
        // A colon behind a slash is part of a path and no scheme.
        let Some(colon) = url.find([':', '/', '\\', '?', '#']) else {
            return Self::Relative(url);
        };
        let (scheme, rest) = url.split_at(colon);
        if !rest.starts_with(':') || !is_scheme(scheme) {
            return Self::Relative(url);
        }
        let default_port = match scheme {
            http if http.eq_ignore_ascii_case("http") => 80,
            https if https.eq_ignore_ascii_case("https") => 443,
            _ => return Self::OtherScheme,
        };
        match after_slashes(&rest[1..]) {
            Some(rest) => Self::authority(rest, Some(default_port)),
            // `http:x` without slashes depends on the page's own scheme, so it is none of ours.
            None => Self::OtherScheme,
        }
    }

    /// That of its scheme, if it names one that has one.
    pub(super) fn default_port(&self) -> Option<u16> {
        match self {
            Self::Authority { default_port, .. } => *default_port,
            Self::Path(_) | Self::Relative(_) | Self::OtherScheme => None,
        }
    }

    fn authority(rest: &'u str, default_port: Option<u16>) -> Self {
        let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // An empty name with an empty password is none.
        let authority = [":@", "@"]
            .iter()
            .find_map(|nobody| authority.strip_prefix(nobody))
            .unwrap_or(authority);
        Self::Authority {
            authority,
            path,
            default_port,
        }
    }
}

/// Browsers take a backslash for a slash.
pub(super) const SLASHES: [char; 2] = ['/', '\\'];

/// What follows two slashes, where a host begins. Browsers pass over all further ones.
fn after_slashes(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(SLASHES);
    (text.len() - rest.len() >= 2).then_some(rest)
}

pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Without control characters and spaces around it, and without tabs and line ends within.
pub(crate) fn as_browsers_read(url: &str) -> Cow<'_, str> {
    let url = url.trim_matches(|c: char| c <= ' ');
    if url
        .bytes()
        .any(|byte| matches!(byte, b'\t' | b'\n' | b'\r'))
    {
        return Cow::Owned(url.replace(['\t', '\n', '\r'], ""));
    }
    Cow::Borrowed(url)
}
