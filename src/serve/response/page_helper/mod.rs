//! The page helper: a script in documents, and a service worker, that lead URLs which scripts build into the prefix.
//!
//! In: a path inside the target. Out: one of the scripts, for whoever opens `/.throughway/page.js`, `page-router.js` or
//! `worker.js` below any target; a new token of the page's target at `/.throughway/page-token`, which only pages of the
//! same origin can read; and the tag that puts the first script into a document. Every other path is refused with
//! `None`. `page.js` says what it guards, and `router.js` what goes before it in `page-router.js`; the rest of this
//! folder only hands them out.
//!
//! A service worker may not control more than its own folder, unless its response says so:
//! <https://w3c.github.io/ServiceWorker/#service-worker-allowed>

mod served;

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};

use crate::protocol::html_escape::escaped;
use crate::protocol::status::Response;
use crate::serve::cluster::ClientRouter;
use served::served;

/// The folder of the target that Throughway serves itself.
pub(super) const OWN: &str = "/.throughway/";

/// How long a browser uses a script without asking again; a new version of this server is in use after that.
const LIFETIME: HeaderValue = HeaderValue::from_static("max-age=600");

const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

/// The worker's scope is the whole target. Relative, as only the browser knows what stands before it.
const WHOLE_TARGET: HeaderValue = HeaderValue::from_static("../");

static PAGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("page.js")));
// The router's part comes first: it needs the browser's own history.
static PAGE_ROUTER: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("router.js"), include_str!("page.js"))));
static SOCKETS: LazyLock<String> = LazyLock::new(|| served(include_str!("sockets.js")));
static WORKER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("worker.js")));

struct Script {
    program: String,
    tag: HeaderValue,
}

impl Script {
    fn new(source: &str) -> Self {
        let program = served(source);
        // The tag changes with the program, so that a new version of this server is noticed when the lifetime is over.
        let hash = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, program.as_bytes()));
        let tag = HeaderValue::try_from(format!("\"{hash}\"")).expect("base64 is plain ASCII");
        Self { program, tag }
    }

    fn response(&'static self) -> Response {
        let mut response = Response::new(Body::from(self.program.as_str()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JAVASCRIPT);
        // No page can then use a script of ours as another kind of thing.
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, LIFETIME);
        headers.insert(ETAG, self.tag.clone());
        response
    }
}

/// The script that a path inside the target (without its query) names.
pub fn script(inside: &str) -> Option<Response> {
    match inside.strip_prefix(OWN)? {
        "page.js" => Some(PAGE.response()),
        "page-router.js" => Some(PAGE_ROUTER.response()),
        "worker.js" => {
            let mut response = WORKER.response();
            let allowed = HeaderName::from_static("service-worker-allowed");
            // Only for the worker, whose scope is otherwise its own folder.
            response.headers_mut().insert(allowed, WHOLE_TARGET);
            Some(response)
        }
        _ => None,
    }
}

/// A token for pages that are open longer than theirs is good. No page of another origin can read it, in whatever form
/// it includes it: it is no script, no style, and has no `Access-Control-Allow-Origin`.
pub(super) fn token(inside: &str, issue: impl FnOnce() -> String) -> Option<Response> {
    if inside.strip_prefix(OWN)? != "page-token" {
        return None;
    }
    let mut response = Response::new(Body::from(issue()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // It is one user's and for a day; a cache could give it to another.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    Some(response)
}

/// What scripts of workers begin with, so that their WebSockets are known like those of pages.
pub(super) fn worker_prologue() -> &'static str {
    &SOCKETS
}

/// The path inside the target of the script for documents.
pub(super) fn path(router: ClientRouter) -> &'static str {
    match router {
        ClientRouter::Off => "/.throughway/page.js",
        ClientRouter::On => "/.throughway/page-router.js",
    }
}

/// What the helper is told of the document that it stands in.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// Whether the app's router is helped.
    pub(super) router: ClientRouter,
    /// The URL of the script relative to the document.
    pub(super) source: &'a str,
    /// The backend's own names with their ports.
    pub(super) hosts: &'a [&'a str],
    /// What shows to this server that a WebSocket is the page's.
    pub(super) token: &'a str,
    /// Names of cookies that do not come back to the target unless they travel under another:
    /// `--never-forward-cookies`.
    pub(super) cookies: &'a str,
}

/// The tag that loads the helper into a document.
pub(super) fn tag(nonce: &str, about: About<'_>) -> String {
    let mut tag = String::from("<script");
    attribute(&mut tag, "src", about.source);
    attribute(&mut tag, "nonce", nonce);
    ending(&mut tag, about);
    tag.push_str("</script>");
    tag
}

/// The same where the document's policy allows only scripts that stand in it.
pub(super) fn inline_tag(about: About<'_>) -> String {
    let mut tag = String::from("<script");
    attribute(&mut tag, "data-prefix", about.source);
    ending(&mut tag, about);
    // Not escaped, as a hash in a policy is of these very bytes; the program itself holds no end of a script.
    tag.push_str(inline_program(about.router));
    tag.push_str("</script>");
    tag
}

/// What stands between the inline form's tags, byte for byte: a policy may name its hash.
pub(super) fn inline_program(router: ClientRouter) -> &'static str {
    match router {
        ClientRouter::Off => &PAGE.program,
        ClientRouter::On => &PAGE_ROUTER.program,
    }
}

fn ending(tag: &mut String, about: About<'_>) {
    attribute(tag, "data-host", &about.hosts.join(" "));
    attribute(tag, "data-token", about.token);
    attribute(tag, "data-cookies", about.cookies);
    tag.push('>');
}

fn attribute(tag: &mut String, name: &str, value: &str) {
    write!(tag, " {name}=\"{}\"", escaped(value)).expect("writing to a string can't fail");
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// Every document loads it before anything else.
    #[test]
    fn the_helper_is_at_most_eleven_kilobytes() {
        let bytes = PAGE.program.len();
        assert!(bytes <= 11_264, "{bytes} bytes");
    }

    #[test]
    fn helping_a_router_takes_three_kilobytes_more_and_is_a_statement_of_its_own() {
        let bytes = PAGE_ROUTER.program.len() - PAGE.program.len();
        assert!(bytes <= 3072, "{bytes} bytes");
        let router = PAGE_ROUTER.program.strip_suffix(PAGE.program.as_str());
        assert!(router.is_some_and(|part| part.starts_with("(()=>{") && part.ends_with("})();")));
    }

    /// It stands before the first line of another script, whose lines keep their numbers.
    #[test]
    fn a_workers_prologue_is_a_line_of_at_most_two_kilobytes_and_ends_its_statement() {
        let prologue = worker_prologue();
        assert!(prologue.len() <= 2048, "{} bytes", prologue.len());
        assert!(prologue.starts_with("(()=>{") && prologue.ends_with("})();"));
        assert!(!prologue.contains('\n') && prologue.is_ascii());
    }

    #[test]
    fn no_script_can_end_the_tag_that_it_stands_in() {
        for router in [ClientRouter::Off, ClientRouter::On] {
            let program = inline_program(router).to_ascii_lowercase();
            assert!(!program.contains("</script") && !program.contains("<!--"));
        }
    }

    #[tokio::test]
    async fn three_scripts_are_served_and_nothing_else() {
        for (name, allowed) in [
            ("page.js", None),
            ("page-router.js", None),
            ("worker.js", Some("../")),
        ] {
            let (parts, body) = script(&format!("/.throughway/{name}"))
                .unwrap()
                .into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            assert!(body.len() > 500);
            let mut headers: Vec<_> = parts
                .headers
                .iter()
                .filter(|(name, _)| *name != ETAG)
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
                .collect();
            headers.sort_unstable();
            let mut expected = vec![
                ("cache-control", "max-age=600"),
                ("content-type", "text/javascript; charset=utf-8"),
                ("x-content-type-options", "nosniff"),
            ];
            if let Some(allowed) = allowed {
                expected.insert(2, ("service-worker-allowed", allowed));
            }
            assert_eq!(headers, expected);
        }
        for other in [
            "/page.js",
            "/.throughway/",
            "/.throughway/page.js/",
            "/x/.throughway/page.js",
        ] {
            assert!(script(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_token_is_for_pages_of_the_same_origin() {
        let response = token("/.throughway/page-token", || "t".to_owned()).unwrap();
        let headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let expected = [
            ("content-type", "text/plain"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ];
        assert_eq!(headers, expected);
        for other in ["/page-token", "/.throughway/page-token/", "/.throughway/"] {
            assert!(token(other, String::new).is_none(), "{other}");
        }
    }

    #[test]
    fn scripts_have_validators_of_their_own() {
        let tag = |name| script(name).unwrap().headers()[ETAG].clone();
        assert_ne!(tag("/.throughway/page.js"), tag("/.throughway/worker.js"));
    }

    #[test]
    fn tags_escape_what_they_are_given() {
        assert_eq!(
            tag(
                "a\"b",
                About {
                    router: ClientRouter::Off,
                    source: "././.throughway/page.js",
                    hosts: &["web.demo.svc:80", "10.0.0.1:80"],
                    token: "t\"",
                    cookies: "a* b",
                },
            ),
            "<script src=\"././.throughway/page.js\" nonce=\"a&quot;b\" data-host=\"web.demo.svc:80 10.0.0.1:80\" data-token=\"t&quot;\" data-cookies=\"a* b\"></script>"
        );
        let about = About {
            router: ClientRouter::On,
            source: "<&",
            hosts: &["h:1"],
            token: "t",
            cookies: "",
        };
        let inline = inline_tag(about);
        let start = "<script data-prefix=\"&lt;&amp;\" data-host=\"h:1\" data-token=\"t\" data-cookies=\"\">(()=>{";
        assert!(inline.starts_with(start), "{inline}");
        assert!(inline.ends_with("})();</script>"));
    }
}
