//! The page helper: a script that makes the URLs which other scripts build lead into the target, and its service worker.
//!
//! `page.js` runs first in every document and does the work; `worker.js` catches what no script sees. Both are served below
//! each target, at `…/proxy/.throughway/`, by this server: no backend is asked for that folder. What is served is what stands
//! in the two files, made dense.

mod dense;

use std::sync::LazyLock;

use axum::body::Body;
use http::{HeaderValue, header};

use super::link::Links;
use super::policy::{Admission, Form};
use crate::endpoint::Endpoint;
use crate::status::Response;
use crate::target::Scheme;

/// The folder inside every target that this server answers for.
pub(super) const FOLDER: &str = "/.throughway/";

/// A script as it is served.
struct Script {
    text: String,
    etag: HeaderValue,
}

static PAGE: LazyLock<Script> = LazyLock::new(|| Script::read(include_str!("page.js")));

static WORKER: LazyLock<Script> = LazyLock::new(|| Script::read(include_str!("worker.js")));

impl Script {
    fn read(source: &str) -> Self {
        let text = dense::dense(source);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let short = hash.as_ref()[..8].iter();
        let tag = short.fold(String::new(), |tag, byte| format!("{tag}{byte:02x}"));
        let etag = HeaderValue::try_from(format!("\"{tag}\"")).expect("digits are header text");
        Self { text, etag }
    }
}

/// The script of a path inside the target, if one is there.
pub(super) fn script(inside: &str) -> Option<Response> {
    let script = match inside.strip_prefix(FOLDER)? {
        "page.js" => &*PAGE,
        "worker.js" => &*WORKER,
        _ => return None,
    };
    let mut response = Response::new(Body::from(script.text.as_str()));
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-type", "text/javascript; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, max-age=3600"),
        // The worker lies one folder below what it is for. Relative, as nobody here knows the browser's path.
        ("service-worker-allowed", "../"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, script.etag.clone());
    Some(response)
}

/// What stands first in a document: the script, how it may run there, and the names of the backend.
pub(super) fn tag(links: &Links, endpoint: &Endpoint, admission: &Admission) -> String {
    let source = links.map_in_page(&format!("{FOLDER}page.js"));
    let source = source.unwrap_or_default();
    let nonce = admission.nonce.as_str();
    let hosts = hosts(endpoint);
    match admission.form {
        Form::External => {
            format!("<script src=\"{source}\" nonce=\"{nonce}\" data-host=\"{hosts}\"></script>")
        }
        Form::Inline => format!(
            "<script data-src=\"{source}\" data-host=\"{hosts}\">{}</script>",
            PAGE.text
        ),
    }
}

/// The authorities by which a page may name its backend, as browsers write them and with every port.
fn hosts(endpoint: &Endpoint) -> String {
    let host = endpoint.host.to_str().unwrap_or_default();
    let port = match endpoint.scheme {
        Scheme::Http => 80,
        Scheme::Https | Scheme::Kubelet => 443,
    };
    let has_port = host
        .rsplit(':')
        .next()
        .is_some_and(|port| port.parse::<u16>().is_ok());
    if has_port {
        format!("{host} {}", endpoint.address)
    } else {
        format!("{host} {host}:{port} {}", endpoint.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::link::tests::{asked, endpoint};
    use crate::rewrite::policy::admit_helper;

    #[test]
    fn the_helper_is_at_most_10_kb() {
        assert!(PAGE.text.len() <= 10 * 1024, "{} bytes", PAGE.text.len());
    }

    #[test]
    fn what_is_served_can_stand_inside_a_page() {
        assert!(!PAGE.text.contains("</script"));
        assert!(PAGE.text.is_ascii());
    }

    #[test]
    fn nothing_else_of_the_folder_is_answered_here() {
        assert!(script("/.throughway/page.js").is_some());
        for path in [
            "/page.js",
            "/.throughway/",
            "/.throughway/mod.rs",
            "/x/.throughway/page.js",
        ] {
            assert!(script(path).is_none(), "{path}");
        }
    }

    #[test]
    fn the_tag_names_the_script_from_where_the_page_is() {
        let links = Links::new(
            &asked("/a/b"),
            &endpoint(),
            crate::rewrite::link::Form::Relative,
        );
        let admission = admit_helper(&mut http::HeaderMap::new());
        let nonce = admission.nonce.as_str();
        assert_eq!(
            tag(&links, &endpoint(), &admission),
            format!(
                "<script src=\".././.throughway/page.js\" nonce=\"{nonce}\" data-host=\"web.demo.svc web.demo.svc:80 10.77.0.10:8080\"></script>"
            )
        );
    }
}
