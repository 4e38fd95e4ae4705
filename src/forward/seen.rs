//! How a browser sees a target: origin and path, which never arrive as such through kube-apiserver.
//!
//! A page of the target says both in `Referer`, and the origin in `Origin`; the second is all that a WebSocket has. They are
//! believed where the browser itself says that the request comes from the same origin (`Sec-Fetch-Site`, which no page can
//! set), or where they name an origin that the administrator's users are known to see: `--external-origin`, or loopback,
//! where `kubectl proxy` listens. A page of another target on that origin is none of this one's, and changes nothing.
//!
//! <https://www.w3.org/TR/fetch-metadata/>; the WebSocket handshake has no `Sec-Fetch-*`.

use http::{HeaderMap, HeaderName, header};

use crate::envelope::OwnOrigin;
use crate::host::is_loopback;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What is known of the browser's view. Nothing is known of a tool's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The target is seen at the root of an origin of its own, so nothing of it needs to be mapped.
    pub own: Option<OwnOrigin>,
    /// Where the request comes from, if that is the origin that the target is seen at.
    pub origin: Option<Origin>,
    /// The path of the target, up to and with `…/proxy`, as the browser has it.
    pub prefix: Option<String>,
    /// The path and query of the referring page below that.
    pub page: Option<String>,
}

/// Scheme and host of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// With the port where it is not the scheme's own.
    pub host: String,
}

impl Seen {
    /// At the root of an origin of its own.
    pub fn at(own: OwnOrigin) -> Self {
        Self {
            own: Some(own),
            ..Self::default()
        }
    }

    /// `prefix` is the target's path as it arrived here, `listed` are the administrator's origins.
    pub fn of(headers: &HeaderMap, prefix: &str, listed: &[String]) -> Self {
        Self::read(headers, prefix, listed).unwrap_or_default()
    }

    fn read(headers: &HeaderMap, prefix: &str, listed: &[String]) -> Option<Self> {
        let referer = text(headers, &header::REFERER).and_then(split);
        let from = if headers.contains_key(header::ORIGIN) {
            // `null` is nobody's origin, whatever `Referer` says beside it: a sandboxed page sends both.
            text(headers, &header::ORIGIN).and_then(split)?.0
        } else {
            referer.as_ref()?.0.clone()
        };
        if !is_same(headers, &from, listed) {
            return None;
        }
        let (prefix, page) = match referer {
            None => (None, None),
            Some((site, _)) if site != from => return None,
            // `Referrer-Policy: origin`: the page keeps its path to itself, which says no more than no `Referer`.
            Some((_, "/")) => (None, Some("/".to_owned())),
            Some((_, path)) => {
                let (prefix, page) = below(path, prefix)?;
                (Some(prefix.to_owned()), Some(page.to_owned()))
            }
        };
        Some(Self {
            own: None,
            origin: Some(from),
            prefix,
            page,
        })
    }
}

/// Whether a request is known to come from the origin that the target is seen at.
fn is_same(headers: &HeaderMap, from: &Origin, listed: &[String]) -> bool {
    match text(headers, &SEC_FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => is_loopback(&from.host) || listed.iter().any(|origin| from.is(origin)),
    }
}

impl Origin {
    fn is(&self, text: &str) -> bool {
        let rest = text.strip_prefix(self.scheme);
        rest.and_then(|rest| rest.strip_prefix("://"))
            .is_some_and(|host| host.eq_ignore_ascii_case(&self.host))
    }
}

/// Origin and the rest of a web URL.
fn split(url: &str) -> Option<(Origin, &str)> {
    let (scheme, rest) = ["http", "https"]
        .into_iter()
        .find_map(|scheme| Some((scheme, url.strip_prefix(scheme)?.strip_prefix("://")?)))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let is_plain = !host.is_empty() && !host.contains(['@', '\\']);
    is_plain.then(|| {
        let host = host.to_ascii_lowercase();
        (Origin { scheme, host }, path)
    })
}

/// The path up to and with the prefix, and what follows it.
fn below<'p>(path: &'p str, prefix: &str) -> Option<(&'p str, &'p str)> {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let start = path[..end].find(prefix)?;
    let (seen, rest) = path.split_at(start + prefix.len());
    let rest = rest.split('#').next().unwrap_or_default();
    let is_whole = rest.is_empty() || rest.starts_with(['/', '?']);
    (is_whole && is_a_servers(&path[..start])).then_some((seen, rest))
}

/// Whether a path can be that of a server in front, and is not that of another target, one of whose pages would otherwise
/// get the cookies that are set for this one. It goes into `Set-Cookie`, so nothing in it may mean something there, or stand
/// for something else.
fn is_a_servers(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte);
    let segments: Vec<&str> = path.split('/').collect();
    let leads_to_a_target = segments
        .windows(3)
        .any(|part| matches!(part[0], "services" | "pods" | "nodes") && part[2] == "proxy");
    path.bytes().all(is_plain) && !leads_to_a_target
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy";
    const OTHER: &str = "/apis/throughway.dev/v1/namespaces/demo/services/other:80/proxy";

    fn seen(lines: &[(&'static str, &str)]) -> Seen {
        let headers = lines.iter().map(|(name, value)| {
            let value = value.replace("PREFIX", PREFIX).replace("OTHER", OTHER);
            (HeaderName::from_static(name), value.parse().unwrap())
        });
        let listed = ["https://rancher.example.com".to_owned()];
        Seen::of(&headers.collect(), PREFIX, &listed)
    }

    fn known(scheme: &'static str, host: &str, prefix: Option<&str>, page: Option<&str>) -> Seen {
        Seen {
            own: None,
            origin: Some(Origin {
                scheme,
                host: host.to_owned(),
            }),
            prefix: prefix.map(|prefix| prefix.replace("PREFIX", PREFIX)),
            page: page.map(str::to_owned),
        }
    }

    const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

    #[test]
    fn a_page_of_the_target_says_how_it_is_seen() {
        let referer = |value| seen(&[SAME, ("referer", value)]);
        assert_eq!(
            referer("http://127.0.0.1:8001PREFIX/a?b#c"),
            known("http", "127.0.0.1:8001", Some("PREFIX"), Some("/a?b"))
        );
        assert_eq!(
            referer("https://rancher.example.com/k8s/clusters/c-1PREFIX/"),
            known(
                "https",
                "rancher.example.com",
                Some("/k8s/clusters/c-1PREFIX"),
                Some("/")
            )
        );
    }

    #[test]
    fn a_page_that_keeps_its_path_to_itself_is_known_by_its_origin() {
        assert_eq!(
            seen(&[SAME, ("referer", "http://127.0.0.1:8001/")]),
            known("http", "127.0.0.1:8001", None, Some("/"))
        );
        assert_eq!(
            seen(&[SAME, ("origin", "http://127.0.0.1:8001")]),
            known("http", "127.0.0.1:8001", None, None)
        );
    }

    #[test]
    fn another_proxy_in_front_is_no_target() {
        let referer = "https://hub.example/user/x/proxy/8001PREFIX/a";
        assert_eq!(
            seen(&[SAME, ("referer", referer)]),
            known(
                "https",
                "hub.example",
                Some("/user/x/proxy/8001PREFIX"),
                Some("/a")
            )
        );
    }

    #[test]
    fn a_websocket_is_known_by_loopback_and_listed_origins() {
        for origin in [
            "http://127.0.0.1:8001",
            "http://localhost:8001",
            "http://web.demo.svc.localhost:8001",
            "http://[::1]:8001",
            "https://rancher.example.com",
        ] {
            assert!(seen(&[("origin", origin)]).origin.is_some(), "{origin}");
        }
    }

    #[test]
    fn nothing_is_known_of_strangers() {
        for lines in [
            &[][..],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://rancher.example.com")],
            &[("origin", "https://rancher.example.com.evil.example")],
            &[("origin", "https://rancher.example.com@evil.example")],
            &[("origin", "http://127.0.0.1.evil.example")],
            &[("origin", "http://localhost.evil.example")],
            &[
                ("origin", "http://127.0.0.1:8001"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[
                ("origin", "http://127.0.0.1:8001"),
                ("sec-fetch-site", "same-site"),
            ],
            &[
                ("origin", "http://127.0.0.1:8001"),
                ("sec-fetch-site", "none"),
            ],
            &[
                ("origin", "https://evil.example"),
                ("referer", "http://127.0.0.1:8001PREFIX/"),
            ],
            // A sandboxed page of the target's own.
            &[
                ("origin", "null"),
                ("referer", "http://127.0.0.1:8001PREFIX/"),
            ],
            &[
                SAME,
                ("origin", "null"),
                ("referer", "http://127.0.0.1:8001PREFIX/"),
            ],
            &[
                ("origin", "chrome-extension://abc"),
                ("referer", "http://127.0.0.1:8001PREFIX/"),
            ],
            // No browser sends two origins.
            &[
                ("origin", "http://127.0.0.1:8001"),
                ("referer", "http://evil.examplePREFIX/"),
            ],
        ] {
            assert_eq!(seen(lines), Seen::default(), "{lines:?}");
        }
    }

    #[test]
    fn a_page_of_another_app_on_the_same_origin_is_none_of_the_targets() {
        for lines in [
            &[
                SAME,
                ("origin", "http://127.0.0.1:8001"),
                ("referer", "http://127.0.0.1:8001OTHER/"),
            ][..],
            &[
                ("origin", "http://127.0.0.1:8001"),
                ("referer", "http://127.0.0.1:8001OTHER/?PREFIX/"),
            ],
            &[SAME, ("referer", "http://127.0.0.1:8001PREFIXED/")],
            // A page of another app whose own path ends in this target's, to have its cookies set there.
            &[SAME, ("referer", "http://127.0.0.1:8001OTHERPREFIX/")],
            &[
                SAME,
                (
                    "referer",
                    "http://127.0.0.1:8001/api/v1/nodes/n/proxyPREFIX/",
                ),
            ],
            // Paths that a script gave itself, and that would mean something in a cookie's path, or hide something.
            &[
                SAME,
                ("referer", "http://127.0.0.1:8001/x;SameSite=NonePREFIX/"),
            ],
            &[SAME, ("referer", "http://127.0.0.1:8001/%70roxyPREFIX/")],
        ] {
            assert_eq!(seen(lines), Seen::default(), "{lines:?}");
        }
    }
}
