//! The URL at which a browser sees a target: origin and path, which never arrive as such through kube-apiserver.
//!
//! A page of the target says both in `Referer`, and the origin in `Origin`; the second is all that a WebSocket has.
//!
//! | the request | its origin is believed |
//! |---|---|
//! | `Sec-Fetch-Site: same-origin`, which no page can set | yes; where `--external-origin` is set, one that it lists, or loopback |
//! | without `Sec-Fetch-Site`: an origin that `--external-origin` lists, or a direct caller's own `Host` | yes |
//! | a WebSocket that shows the token of a page of the target ([`super::page_token`]) | as the first |
//! | all others, from loopback too: any port of the machine has such an origin | no |
//!
//! What stands before the target's path in `Referer` is the path of a proxy in front, or was made up by a script: it is
//! believed where `--external-origin` lists it, as cookies are set below it. A page of another target on that origin is
//! none of this one's, and changes nothing.
//!
//! <https://www.w3.org/TR/fetch-metadata/>; the WebSocket handshake has no `Sec-Fetch-*`.

use http::{HeaderMap, HeaderName, header};

use super::page_token::OfferedToken;
use crate::protocol::fetch_metadata::{Site, line};
use crate::protocol::host::is_loopback;
use crate::serve::config::ExternalOrigin;

/// Where a browser sees the target, as far as that is known. Nothing is known of a program's view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalUrl {
    /// Where the request comes from, if that is the origin that the target is seen at.
    pub origin: Option<BrowserOrigin>,
    /// The path of the target, up to and with `…/proxy`, as the browser has it.
    pub prefix: Option<String>,
    /// The path and query of the referring page below that.
    pub page: Option<String>,
}

/// Origins that are this one's without the browser's own word for it.
#[derive(Debug, Clone)]
pub struct KnownOrigins<'a> {
    /// `--external-origin`.
    pub listed: &'a [ExternalOrigin],
    /// What the request itself was sent to, where that is known: an envelope's origin, a direct caller's `Host`.
    pub own: Option<String>,
}

/// The origin in the address bar of a browser, of which the target is a part: what its `Origin` or `Referer` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserOrigin {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// With the port where it is not the scheme's own.
    pub host: String,
}

impl ExternalUrl {
    /// `prefix` is the target's path as it arrived here.
    pub(super) fn of(
        headers: &HeaderMap,
        prefix: &str,
        known: &KnownOrigins<'_>,
        token: &OfferedToken,
    ) -> Self {
        Self::read(headers, prefix, known, token).unwrap_or_default()
    }

    fn read(
        headers: &HeaderMap,
        prefix: &str,
        known: &KnownOrigins<'_>,
        token: &OfferedToken,
    ) -> Option<Self> {
        let referer = text(headers, &header::REFERER).and_then(split);
        // `Origin` counts before `Referer`, as a page can keep the second back and not the first.
        let from = if headers.contains_key(header::ORIGIN) {
            // `null` is nobody's origin, whatever `Referer` says beside it: a sandboxed page sends both.
            text(headers, &header::ORIGIN).and_then(split)?.0
        } else {
            referer.as_ref()?.0.clone()
        };
        // Nothing of the path is read from who is not believed.
        if !is_believed(headers, &from, known, token) {
            return None;
        }
        let (prefix, page) = match referer {
            None => (None, None),
            // The two name different sites, so one of them is not the browser's own word.
            Some((site, _)) if site != from => return None,
            // `Referrer-Policy: origin`: the page keeps its path to itself, which says no more than no `Referer`.
            Some((_, "/")) => (None, Some("/".to_owned())),
            Some((_, path)) => {
                let (front, page) = below(path, prefix)?;
                // A path in front changes where cookies are set, so it is not enough that a page claims it.
                let is_real = front.is_empty() || known.lists(&from, front);
                let prefix = is_real.then(|| format!("{front}{prefix}"));
                (prefix, Some(page.to_owned()))
            }
        };
        Some(Self {
            origin: Some(from),
            prefix,
            page,
        })
    }
}

/// Whether a request is known to come from the origin that the target is seen at.
fn is_believed(
    headers: &HeaderMap,
    from: &BrowserOrigin,
    known: &KnownOrigins<'_>,
    token: &OfferedToken,
) -> bool {
    // Without a list any origin can be the one; with one, only those and loopback, which `kubectl proxy` and the
    // companion use.
    let can_be_seen = known.listed.is_empty() || is_loopback(&from.host) || known.has(from);
    match Site::of(headers) {
        Site::SameOrigin => can_be_seen,
        // The user typed the address, or another site leads here: neither origin is the target's.
        Site::User | Site::Other => false,
        Site::Unsaid => known.has(from) || (token.is_good && can_be_seen),
    }
}

impl KnownOrigins<'_> {
    /// Whether the text of an `Origin` is one of these.
    pub(super) fn holds(&self, text: &str) -> bool {
        split(text).is_some_and(|(origin, rest)| rest.is_empty() && self.has(&origin))
    }

    fn has(&self, origin: &BrowserOrigin) -> bool {
        let is_own = |own: &str| split(own).is_some_and(|(own, _)| own == *origin);
        self.own.as_deref().is_some_and(is_own) || self.of(origin).next().is_some()
    }

    /// Whether the API is known to have this path at that origin.
    fn lists(&self, origin: &BrowserOrigin, front: &str) -> bool {
        self.of(origin).any(|listed| listed.path == front)
    }

    fn of(&self, origin: &BrowserOrigin) -> impl Iterator<Item = &ExternalOrigin> {
        let is_it = move |listed: &&ExternalOrigin| {
            listed.scheme == origin.scheme && listed.host == origin.host
        };
        self.listed.iter().filter(is_it)
    }
}

/// Origin and the rest of a web URL.
fn split(url: &str) -> Option<(BrowserOrigin, &str)> {
    let (scheme, rest) = ["http", "https"]
        .into_iter()
        .find_map(|scheme| Some((scheme, url.strip_prefix(scheme)?.strip_prefix("://")?)))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    // A URL with a user name or a backslash is read in different ways, so none is read here.
    let is_plain = !host.is_empty() && !host.contains(['@', '\\']);
    is_plain.then(|| {
        let host = host.to_ascii_lowercase();
        (BrowserOrigin { scheme, host }, path)
    })
}

/// What stands before the prefix, and what follows it.
fn below<'p>(path: &'p str, prefix: &str) -> Option<(&'p str, &'p str)> {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    // The first: whatever stands before it has to be a path of a server in front.
    let start = path[..end].find(prefix)?;
    let (front, rest) = (&path[..start], &path[start + prefix.len()..]);
    let rest = rest.split('#').next().unwrap_or_default();
    // `…/proxyfoo` begins like the prefix and is another place.
    let is_whole = rest.is_empty() || rest.starts_with(['/', '?']);
    (is_whole && is_a_servers(front)).then_some((front, rest))
}

/// Whether a path can be that of a server in front, and is not that of another target, one of whose pages would
/// otherwise get the cookies that are set for this one. Nothing in it may stand for something else.
fn is_a_servers(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte);
    let segments: Vec<&str> = path.split('/').collect();
    let leads_to_a_target = segments
        // The path of another target in front would give its page the cookies of this one.
        .windows(3)
        .any(|part| matches!(part[0], "services" | "pods" | "nodes") && part[2] == "proxy");
    path.bytes().all(is_plain) && !leads_to_a_target
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    line(headers, name).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
