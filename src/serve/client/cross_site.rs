//! The guard against requests that a page of another site makes with its user's credentials: `kubectl proxy`'s
//! kubeconfig, a client certificate, a session at a proxy in front.
//!
//! In: the head of a request, what is known of the browser's view, and the target's isolation. Out: nothing, or a
//! refusal. It stands behind authorization, so it tells nothing to those who may not know, and before anything is sent
//! on.
//!
//! | asked by | response |
//! |---|---|
//! | a page of the same origin, the user, a program (neither `Sec-Fetch-Site` nor `Origin`) | yes |
//! | a link or redirect of another site that shows a page in a window of its own | yes, GET and HEAD |
//! | a WebSocket, or a browser that says `Origin` alone: from an origin that is known to be this one (see [`KnownOrigins`]) | yes |
//! | a WebSocket of a page that shows the target's token ([`super::page_token`]) | yes |
//! | anything but a WebSocket, to a target whose pages are sandboxed: their own requests look like another site's | yes |
//! | all others: forms, `fetch`, frames, scripts, images, preflights, WebSockets of other sites | 403 |
//!
//! <https://www.w3.org/TR/fetch-metadata/>, and for sites that are named by their origin RFC 6454 section 7.

use http::{HeaderMap, header};

use super::external_url::KnownOrigins;
use super::info::ClientInfo;
use crate::protocol::fetch_metadata::{Site, is_link};
use crate::protocol::status::{Request, Status};
use crate::serve::cluster::Isolation;
use crate::serve::refusal::Refuse;

/// A request that a page of another site makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CrossSite {
    #[error(
        "a page of another site tried to use this one with your credentials; pages of other sites may only link here. \
         Open the address in a window of its own, or see --cross-site"
    )]
    Page,
    #[error(
        "a request with an Origin that is not known to be the origin of the target's own pages; if it is, \
         --external-origin should name it, such as http://localhost:8001"
    )]
    Origin,
}

impl Refuse for CrossSite {
    fn status(&self) -> Status {
        Status::forbidden(self.to_string())
    }

    fn reason(&self) -> &'static str {
        "cross_site"
    }
}

/// Refuses what a page of another site may not ask for.
pub(super) fn check(
    request: &Request,
    client: &ClientInfo,
    known: &KnownOrigins<'_>,
    isolation: Isolation,
) -> Result<(), CrossSite> {
    let headers = request.headers();
    // A good token was read from a page of the target, which no other origin can do; so it counts before any header.
    if client.page_token.is_good {
        return Ok(());
    }
    // A WebSocket is never taken for the sandboxed page's: its handshake is the one request that any page may send with
    // cookies and read.
    let is_of_sandboxed_pages =
        isolation == Isolation::Sandbox && !headers.contains_key(header::UPGRADE);
    match Site::of(headers) {
        Site::SameOrigin | Site::User => Ok(()),
        Site::Other if is_of_sandboxed_pages || is_link(request.method(), headers) => Ok(()),
        Site::Other => Err(CrossSite::Page),
        // Without `Sec-Fetch-Site` only `Origin` is left, and a program has neither.
        Site::Unsaid if is_of_sandboxed_pages || is_known(headers, known) => Ok(()),
        Site::Unsaid => Err(CrossSite::Origin),
    }
}

/// Whether each `Origin` is known; there is none in a program's request.
fn is_known(headers: &HeaderMap, known: &KnownOrigins<'_>) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.all(|origin| origin.to_str().is_ok_and(|origin| known.holds(origin)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::tests::program;
    use super::*;
    use crate::serve::config::ExternalOrigin;

    fn listed() -> [ExternalOrigin; 1] {
        [ExternalOrigin {
            scheme: "https",
            host: "rancher.example.com".into(),
            path: "/k8s/clusters/c-1".into(),
        }]
    }

    fn request(method: &str, lines: &[(&'static str, &str)]) -> Request {
        let mut request = Request::default();
        *request.method_mut() = method.parse().unwrap();
        for (name, value) in lines {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(*name, value);
        }
        request
    }

    fn outcome(method: &str, lines: &[(&'static str, &str)]) -> Result<(), CrossSite> {
        let known = KnownOrigins {
            listed: &listed(),
            own: Some("https://throughway.example".into()),
        };
        let request = request(method, lines);
        check(&request, &program(), &known, Isolation::None)
    }

    fn fetched(
        site: &'static str,
        mode: &'static str,
        dest: &'static str,
    ) -> [(&'static str, &'static str); 3] {
        [
            ("sec-fetch-site", site),
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", dest),
        ]
    }

    #[test]
    fn programs_are_not_touched() {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "PROPFIND"] {
            assert_eq!(outcome(method, &[]), Ok(()), "{method}");
        }
        let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(outcome("GET", &upgrade), Ok(()));
    }

    #[test]
    fn pages_of_the_same_origin_and_the_user_are_welcome() {
        for site in ["same-origin", "none"] {
            for (method, mode, dest) in [
                ("GET", "navigate", "document"),
                ("POST", "navigate", "document"),
                ("GET", "navigate", "iframe"),
                ("GET", "no-cors", "image"),
                ("POST", "cors", "empty"),
                ("GET", "websocket", "websocket"),
            ] {
                assert_eq!(outcome(method, &fetched(site, mode, dest)), Ok(()));
            }
        }
    }

    #[test]
    fn other_sites_may_only_link() {
        for site in ["cross-site", "same-site", "", "what-comes-next"] {
            for method in ["GET", "HEAD"] {
                let link = fetched(site, "navigate", "document");
                assert_eq!(outcome(method, &link), Ok(()), "{site}");
            }
            for (method, mode, dest) in [
                ("POST", "navigate", "document"),
                ("GET", "navigate", "iframe"),
                ("GET", "navigate", "frame"),
                ("GET", "navigate", "embed"),
                ("GET", "navigate", "object"),
                ("GET", "no-cors", "image"),
                ("GET", "no-cors", "script"),
                ("GET", "no-cors", "style"),
                ("POST", "no-cors", "empty"),
                ("GET", "cors", "empty"),
                ("OPTIONS", "cors", "empty"),
                ("GET", "websocket", "websocket"),
            ] {
                let asked = fetched(site, mode, dest);
                assert_eq!(
                    outcome(method, &asked),
                    Err(CrossSite::Page),
                    "{site} {method} {mode} {dest}"
                );
            }
        }
    }

    #[test]
    fn a_websocket_is_known_by_a_listed_origin_or_its_own_host() {
        let socket = |origin| outcome("GET", &[("origin", origin), ("upgrade", "websocket")]);
        assert_eq!(socket("https://rancher.example.com"), Ok(()));
        assert_eq!(socket("https://Throughway.example"), Ok(()));
        for origin in [
            "http://localhost:9999",
            "http://127.0.0.1:8001",
            "http://localhost",
            "http://web.demo.svc.localhost:8001",
            "http://rancher.example.com",
            "https://rancher.example.com:8443",
            "https://rancher.example.com.evil.example",
            "https://rancher.example.com@evil.example",
            "https://rancher.example.com/k8s/clusters/c-1",
            "https://evil.example",
            "null",
            "",
        ] {
            assert_eq!(socket(origin), Err(CrossSite::Origin), "{origin}");
        }
    }

    #[test]
    fn an_origin_alone_counts_for_every_method_and_each_of_several() {
        for method in ["GET", "POST"] {
            let refused = outcome(method, &[("origin", "http://192.0.2.1:8001")]);
            assert_eq!(refused, Err(CrossSite::Origin), "{method}");
        }
        let both = [
            ("origin", "https://rancher.example.com"),
            ("origin", "https://evil.example"),
        ];
        assert_eq!(outcome("POST", &both), Err(CrossSite::Origin));
    }

    #[test]
    fn two_responses_to_one_question_are_none() {
        let lines = [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert_eq!(outcome("POST", &lines), Err(CrossSite::Page));
    }

    #[test]
    fn sandboxed_pages_ask_like_another_site_and_open_no_sockets_by_that() {
        let known = KnownOrigins {
            listed: &[],
            own: None,
        };
        let isolated = |lines: &[(&'static str, &str)]| {
            let request = request("GET", lines);
            check(&request, &program(), &known, Isolation::Sandbox)
        };
        assert_eq!(
            isolated(&fetched("cross-site", "no-cors", "script")),
            Ok(())
        );
        assert_eq!(isolated(&[("origin", "null")]), Ok(()));
        let socket = [("origin", "null"), ("upgrade", "websocket")];
        assert_eq!(isolated(&socket), Err(CrossSite::Origin));
    }
}
