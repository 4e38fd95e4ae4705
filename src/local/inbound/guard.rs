//! Where a browser's request comes from. In: the head of a request and the Host that it names. Out: nothing, or a
//! refusal.
//!
//! | asked by | response |
//! |---|---|
//! | a page of the same origin, the user (address bar, bookmark), a program | yes |
//! | a page of another origin, another target's among them: a link or redirect that shows a page of a target, or the start page | yes, GET and HEAD |
//! | the same: a link to a target's page below `/proxy` at the API's origin, which `inert` leads to the target's own | yes |
//! | the same: a link to the rest of the API's origin | 403 |
//! | the same: scripts, forms that post, frames, images, WebSockets, preflights | 403 |
//!
//! Browsers say it in `Sec-Fetch-Site` (<https://www.w3.org/TR/fetch-metadata/>); of a WebSocket, and of old browsers,
//! only `Origin` is there. A name that another site made to resolve to loopback (DNS rebinding) is refused by its Host
//! before.

use http::{HeaderMap, HeaderValue, header};

use crate::local::problem::{Advice, Problem};
use crate::protocol::fetch_metadata::{SEC_FETCH_SITE, Site, is_link};
use crate::protocol::status::{Request, Status};

/// A request that a page of another origin makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a page of another origin may only link here")]
pub(in crate::local) struct CrossSiteRefusal;

/// What pages of other origins may link to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum LinkPolicy {
    Pages,
    Nothing,
}

/// Refuses what a page of another origin may not ask for.
pub(in crate::local) fn check(
    request: &Request,
    host: &str,
    links: LinkPolicy,
) -> Result<(), CrossSiteRefusal> {
    let headers = request.headers();
    // The browser's own word counts before `Origin`, as no page can set it.
    let is_allowed = match Site::of(headers) {
        Site::SameOrigin | Site::User => true,
        Site::Other => links == LinkPolicy::Pages && is_link(request.method(), headers),
        Site::Unsaid => is_of(headers, host),
    };
    if is_allowed {
        Ok(())
    } else {
        Err(CrossSiteRefusal)
    }
}

/// Says to a Throughway in the cluster what only this program can know. The handshake of a WebSocket has no
/// `Sec-Fetch-Site`, and behind kube-apiserver nobody knows the Host that its `Origin` was found to agree with.
pub(in crate::local) fn vouch(request: &mut Request) {
    let is_for_aggregated = request.uri().path().starts_with("/apis/");
    let headers = request.headers_mut();
    if is_for_aggregated
        && headers.contains_key(header::ORIGIN)
        && Site::of(headers) == Site::Unsaid
    {
        // After the check: only what was found to be this origin's is vouched for.
        headers.insert(SEC_FETCH_SITE, HeaderValue::from_static("same-origin"));
    }
}

/// Whether `Origin`, if there is one, is that of the host.
fn is_of(headers: &HeaderMap, host: &str) -> bool {
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().ok();
        origin
            .and_then(|origin| origin.strip_prefix("http://"))
            .is_some_and(|named| named.eq_ignore_ascii_case(host))
    })
}

impl CrossSiteRefusal {
    pub(in crate::local) fn problem(self) -> Problem {
        Problem::new(Status::forbidden(self.to_string()), "Refused").advise(Advice::Sentence(
            "Another page tried to use this one behind your back. Open it in the address bar if you want to see it.".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "grafana.monitoring.svc.localhost:8001";

    fn outcome(method: &str, lines: &[(&'static str, &str)]) -> bool {
        checked(method, lines, LinkPolicy::Pages)
    }

    fn checked(method: &str, lines: &[(&'static str, &str)], links: LinkPolicy) -> bool {
        let mut request = Request::default();
        *request.method_mut() = method.parse().unwrap();
        for (name, value) in lines {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(*name, value);
        }
        check(&request, HOST, links).is_ok()
    }

    #[test]
    fn a_link_to_where_a_page_could_do_all_that_the_user_can_is_refused() {
        for site in ["cross-site", "same-site"] {
            let lines = fetched(site, "navigate", "document");
            assert!(!checked("GET", &lines, LinkPolicy::Nothing), "{site}");
        }
        let typed = fetched("none", "navigate", "document");
        assert!(checked("GET", &typed, LinkPolicy::Nothing));
    }

    fn fetched(
        site: &'static str,
        mode: &'static str,
        dest: &'static str,
    ) -> Vec<(&'static str, &'static str)> {
        vec![
            ("sec-fetch-site", site),
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", dest),
        ]
    }

    #[test]
    fn its_own_pages_its_user_and_programs_are_welcome() {
        assert!(outcome("GET", &[]));
        assert!(outcome("DELETE", &[]));
        assert!(outcome(
            "POST",
            &[("origin", "http://grafana.monitoring.svc.localhost:8001")]
        ));
        assert!(outcome(
            "GET",
            &[
                ("origin", "http://Grafana.monitoring.svc.localhost:8001"),
                ("upgrade", "websocket")
            ]
        ));
        for site in ["same-origin", "none"] {
            assert!(outcome("POST", &fetched(site, "cors", "empty")));
            assert!(outcome("GET", &fetched(site, "navigate", "iframe")));
        }
    }

    #[test]
    fn other_pages_may_only_link() {
        for site in ["cross-site", "same-site", "", "what-comes-next"] {
            assert!(
                outcome("GET", &fetched(site, "navigate", "document")),
                "{site}"
            );
            assert!(outcome("HEAD", &fetched(site, "navigate", "document")));
            for (method, mode, dest) in [
                ("POST", "navigate", "document"),
                ("GET", "navigate", "iframe"),
                ("GET", "navigate", "embed"),
                ("GET", "no-cors", "image"),
                ("GET", "no-cors", "script"),
                ("GET", "cors", "empty"),
                ("OPTIONS", "cors", "empty"),
                ("GET", "websocket", "websocket"),
                ("PUT", "same-origin", "empty"),
            ] {
                assert!(
                    !outcome(method, &fetched(site, mode, dest)),
                    "{site} {method} {mode} {dest}"
                );
            }
        }
    }

    #[test]
    fn a_websocket_and_an_old_browser_are_known_by_their_origin() {
        for origin in [
            "null",
            "http://evil.example",
            "http://grafana.monitoring.svc.localhost",
            "http://localhost:8001",
            "https://grafana.monitoring.svc.localhost:8001",
            "http://loki.monitoring.svc.localhost:8001",
            "",
        ] {
            assert!(
                !outcome("GET", &[("origin", origin), ("upgrade", "websocket")]),
                "{origin}"
            );
            assert!(!outcome("POST", &[("origin", origin)]), "{origin}");
        }
        let both = [
            ("origin", "http://grafana.monitoring.svc.localhost:8001"),
            ("origin", "http://evil.example"),
        ];
        assert!(!outcome("POST", &both));
    }

    #[test]
    fn what_agrees_with_its_host_is_said_to_be_of_the_same_origin() {
        let vouched = |path: &'static str, lines: &[(&'static str, &'static str)]| {
            let mut request = Request::default();
            *request.uri_mut() = http::Uri::from_static(path);
            for (name, value) in lines {
                let value = HeaderValue::from_static(value);
                request.headers_mut().append(*name, value);
            }
            vouch(&mut request);
            Site::of(request.headers())
        };
        let own = ("origin", "http://localhost:8001");
        assert_eq!(
            vouched("/apis/throughway.dev/v1/x", &[own]),
            Site::SameOrigin
        );
        assert_eq!(vouched("/apis/throughway.dev/v1/x", &[]), Site::Unsaid);
        assert_eq!(vouched("/api/v1/x", &[own]), Site::Unsaid);
        let other = [own, ("sec-fetch-site", "cross-site")];
        assert_eq!(vouched("/apis/throughway.dev/v1/x", &other), Site::Other);
    }

    #[test]
    fn two_responses_to_one_question_are_none() {
        let lines = [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(!outcome("POST", &lines));
    }
}
