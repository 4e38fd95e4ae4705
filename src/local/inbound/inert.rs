//! What comes from the cluster is no page at the API's origin, where a page could do all that the user can.
//!
//! In: a request to the API, and the API server's response. Out:
//!
//! | a browser | gets |
//! |---|---|
//! | navigates to a target's path below `/proxy`, or frames it | a redirect to the target's own origin |
//! | asks for the script of a worker | 403 |
//! | gets a response that it could show as a page | the response in a sandbox, which has no origin |
//!
//! It does not matter who began a navigation: a redirect keeps `Sec-Fetch-Site: none` of an address that a person
//! typed, so that header says nothing about who chose the target (`GetInitiatorRelation` in
//! services/network/sec_header_helpers.cc of Chromium). The sandbox is on every such response, whoever asked, as
//! browsers keep responses and show them later.
//!
//! `--cross-site=allow` is kubectl proxy's way, without any of this.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::proxy_path::ProxyPath;
use crate::local::inbound::client_kind::ClientKind;
use crate::local::problem::{Advice, Problem};
use crate::protocol::fetch_metadata::{SEC_FETCH_DEST, line};
use crate::protocol::host::{is_loopback, without_port};
use crate::protocol::status::{Request, Response, Status};

const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// Types that no browser shows as a page with scripts, or takes for one.
const INERT_TYPES: [&str; 10] = [
    "application/json",
    "text/plain",
    "application/vnd.kubernetes.protobuf",
    "application/yaml",
    "application/cbor",
    "application/octet-stream",
    "application/javascript",
    "text/javascript",
    "text/css",
    "application/grpc",
];
const INERT_KINDS: [&str; 4] = ["image/", "font/", "audio/", "video/"];
const SVG: &str = "image/svg+xml";

/// What a browser gets that wants to show a target's page; `None` for every other request. `path` is the one in the
/// API, `api_group` the group of Throughway.
pub(in crate::local) fn redirect_documents(
    host: &str,
    path: &str,
    api_group: &str,
    request: &Request,
) -> Option<Result<Response, Problem>> {
    if !is_document(request) {
        return None;
    }
    // A path that leads to no target with an origin of its own is the API's, and is disarmed instead.
    let proxy_path = ProxyPath::parse(path, api_group)?;
    // A POST would lose its body by the redirect, and from another machine the origin leads elsewhere.
    Some(if is_loopback(host) && is_get(request.method()) {
        redirect(host, &proxy_path, request.uri().query())
    } else {
        Err(not_served_here())
    })
}

/// Refuses the scripts of workers, which outlive the page that starts them.
pub(in crate::local) fn refuse_worker(headers: &HeaderMap) -> Result<(), Problem> {
    let is_workers = matches!(
        line(headers, &SEC_FETCH_DEST),
        Some("serviceworker" | "worker" | "sharedworker" | "audioworklet" | "paintworklet")
    );
    // Old browsers say it only by this header (Service Workers, "Service-Worker request header").
    if is_workers || headers.contains_key(SERVICE_WORKER) {
        return Err(not_served_here());
    }
    Ok(())
}

/// Takes from a response of the API server what would make a browser do something at this origin.
pub(in crate::local) fn disarm(response: &mut Response) {
    let status = response.status();
    let headers = response.headers_mut();
    // Taken always: a worker that is allowed more than its folder would rule the API's origin.
    headers.remove(SERVICE_WORKER_ALLOWED);
    let is_empty = matches!(
        status,
        // A 304 brings back what the browser has, and that was disarmed when it came.
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let is_empty = is_empty
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length == "0");
    if !is_empty && !is_inert(headers) {
        // Beside a policy of the target's own both are in force.
        headers.append(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox"),
        );
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
    }
}

/// Whether a browser asks for what it shows as a page, in a window or in a frame.
fn is_document(request: &Request) -> bool {
    match line(request.headers(), &SEC_FETCH_DEST) {
        // An empty or unknown destination is taken for the worst.
        Some("document" | "iframe" | "frame" | "object" | "embed" | "fencedframe" | "") => true,
        Some(_) => false,
        None => ClientKind::of(request.method(), request.headers()) == ClientKind::Navigation,
    }
}

fn is_get(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn redirect(
    host: &str,
    proxy_path: &ProxyPath<'_>,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let port = &host[without_port(host).len()..];
    let mut location = format!(
        "http://{}{port}{}",
        proxy_path.target.host(),
        proxy_path.inside
    );
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let location = HeaderValue::try_from(location).map_err(|_| not_served_here())?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Whether nothing comes of it that a browser shows it as a page.
fn is_inert(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    // Two types, or none, leave it to the browser to guess.
    let (Some(kind), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let kind = kind.as_bytes();
    let end = kind.iter().position(|byte| *byte == b';');
    let kind = kind[..end.unwrap_or(kind.len())].trim_ascii();
    let starts = |start: &&str| {
        let beginning = kind.get(..start.len());
        beginning.is_some_and(|found| found.eq_ignore_ascii_case(start.as_bytes()))
    };
    let is = |whole: &&str| kind.eq_ignore_ascii_case(whole.as_bytes());
    INERT_TYPES.iter().any(is) || (INERT_KINDS.iter().any(starts) && !is(&SVG))
}

fn not_served_here() -> Problem {
    let status = Status::forbidden("no page and no worker of the cluster runs at the API's origin");
    Problem::new(status, "Refused").advise(Advice::Sentence(
        "A Service grafana in the namespace monitoring is at grafana.monitoring.svc.localhost; \
         --cross-site=allow shows it here, as kubectl proxy does."
            .to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "localhost:8001";
    const PATH: &str = "/api/v1/namespaces/demo/services/evil:80/proxy/x";

    fn request(method: &str, lines: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::default();
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = format!("{PATH}?a=b&c").parse().unwrap();
        for (name, value) in lines {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(*name, value);
        }
        request
    }

    /// Where a browser is led, or the code that it gets.
    fn outcome(host: &str, request: &Request) -> Option<Result<String, u16>> {
        let led = redirect_documents(host, request.uri().path(), "throughway.dev", request)?;
        Some(match led {
            Ok(response) => Ok(response.headers()["location"].to_str().unwrap().to_owned()),
            Err(problem) => Err(problem.status.code.as_u16()),
        })
    }

    #[test]
    fn a_page_of_a_target_is_at_its_own_origin_whoever_asked() {
        let own = "http://80.evil.demo.svc.localhost:8001/x?a=b&c".to_owned();
        for site in ["none", "same-origin", "cross-site"] {
            for dest in ["document", "iframe", "frame", "object", "embed"] {
                let lines = [
                    ("sec-fetch-site", site),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", dest),
                ];
                let led = outcome(HOST, &request("GET", &lines));
                assert_eq!(led, Some(Ok(own.clone())), "{site} {dest}");
            }
        }
        let old = request("HEAD", &[("accept", "text/html,*/*")]);
        assert_eq!(outcome(HOST, &old), Some(Ok(own)));
        let twice = [("sec-fetch-dest", "empty"), ("sec-fetch-dest", "document")];
        assert!(matches!(
            outcome(HOST, &request("GET", &twice)),
            Some(Ok(_))
        ));
        let form = [("sec-fetch-dest", "document")];
        assert_eq!(outcome(HOST, &request("POST", &form)), Some(Err(403)));
    }

    #[test]
    fn where_no_target_has_an_origin_there_is_not_served_here() {
        let typed = request("GET", &[("accept", "text/html")]);
        assert_eq!(outcome("192.168.1.5:8001", &typed), Some(Err(403)));
    }

    #[test]
    fn programs_and_scripts_get_what_they_ask_for() {
        for lines in [
            &[][..],
            &[("accept", "*/*")],
            &[("sec-fetch-dest", "empty"), ("accept", "text/html")],
            &[("sec-fetch-dest", "image")],
        ] {
            assert_eq!(outcome(HOST, &request("GET", lines)), None, "{lines:?}");
        }
    }

    #[test]
    fn no_script_of_a_worker_comes_from_the_cluster() {
        let refused = |lines| refuse_worker(request("GET", lines).headers()).is_err();
        assert!(refused(&[("service-worker", "script")]));
        for dest in ["serviceworker", "worker", "sharedworker"] {
            let mut headers = HeaderMap::new();
            headers.insert(SEC_FETCH_DEST, HeaderValue::from_static(dest));
            assert!(refuse_worker(&headers).is_err(), "{dest}");
        }
        assert!(!refused(&[("sec-fetch-dest", "script")]));
        assert!(!refused(&[]));
    }

    fn disarmed(code: u16, kinds: &[&'static str]) -> Vec<(String, String)> {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        let headers = response.headers_mut();
        headers.insert(SERVICE_WORKER_ALLOWED, HeaderValue::from_static("/"));
        for kind in kinds {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        disarm(&mut response);
        let left = response.headers().iter();
        let left = left.filter(|(name, _)| *name != header::CONTENT_TYPE);
        left.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn an_response_that_could_be_a_page_is_one_without_an_origin() {
        let sandboxed = [
            ("content-security-policy", "sandbox"),
            ("x-content-type-options", "nosniff"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        for kinds in [
            &["text/html"][..],
            &["Text/HTML; charset=utf-8"],
            &["application/xhtml+xml"],
            &["image/svg+xml"],
            &["IMAGE/SVG+XML ;x"],
            &["text/xml"],
            &["multipart/x-mixed-replace;boundary=x"],
            &["application/json", "text/html"],
            &["application/jsonx"],
            &["*/*"],
            &[""],
            &[],
        ] {
            for code in [200, 302, 404] {
                assert_eq!(disarmed(code, kinds), sandboxed, "{kinds:?}");
            }
        }
    }

    #[test]
    fn data_is_given_out_as_it_came_but_for_the_reach_of_workers() {
        for kind in [
            "application/json",
            "application/json;stream=watch",
            "text/plain; charset=utf-8",
            "application/vnd.kubernetes.protobuf;as=Table",
            "image/png",
            "text/css",
        ] {
            assert_eq!(disarmed(200, &[kind]), [], "{kind}");
        }
        for code in [101, 204, 304] {
            assert_eq!(disarmed(code, &[]), [], "{code}");
        }
        let mut response = Response::default();
        let nothing = HeaderValue::from_static("0");
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, nothing);
        disarm(&mut response);
        assert_eq!(response.headers().len(), 1);
    }
}
