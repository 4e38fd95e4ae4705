//! The envelope between `throughway local` and the server: wrapping and unwrapping are inverse, and nothing comes out
//! that was not put in.
//!
//! An input is lines of headers, which are a request's and a response's at once: first as a browser or a backend sends
//! them, then as if they arrived at the other end, made up by somebody on the way.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::lines::{Lines, headers, sorted};
use crate::protocol::envelope::{
    ORIGIN, TargetOrigin, unwrap_request, unwrap_response, wrap_request, wrap_response,
};

const SEEN_AT: &str = "http://grafana.monitoring.svc.localhost:8001";

/// RFC 9110 section 7.6.1, what frames a body (RFC 9112 section 6), and what is said to the next server alone.
const OF_A_CONNECTION: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const FOR_A_PROXY: [&str; 4] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
];

pub(super) fn check(input: &[u8]) {
    let sent = headers(input);
    request(&sent);
    respond(&sent);
}

/// What of these lines the other end is to get.
fn carried(lines: Lines) -> Lines {
    let is_kept = |name: &str| !FOR_A_PROXY.contains(&name) && !name.starts_with("throughway-");
    lines
        .into_iter()
        .filter(|(name, _)| is_kept(name))
        .collect()
}

fn without(lines: Lines, names: &[&str]) -> Lines {
    let is_other = |name: &str| !names.contains(&name);
    lines
        .into_iter()
        .filter(|(name, _)| is_other(name))
        .collect()
}

fn request(sent: &HeaderMap) {
    let mut carrier = wrap_request(sent.clone(), HeaderValue::from_static(SEEN_AT));
    for (name, value) in sorted(&carrier) {
        let is_outside = OF_A_CONNECTION.contains(&&*name);
        let is_inside = name.starts_with("throughway-request-");
        assert!(
            is_outside || is_inside || name == "throughway-origin",
            "{name} is neither inside nor of the connection: {value:?}"
        );
    }
    // What kube-apiserver and kube-aggregator add and change.
    carrier.append("x-forwarded-for", HeaderValue::from_static("10.0.0.1"));
    carrier.append("x-remote-user", HeaderValue::from_static("somebody"));
    carrier.append("accept-encoding", HeaderValue::from_static("gzip"));
    let origin = unwrap_request(&mut carrier).expect("it is an origin");
    assert_eq!(origin.expect("it is in an envelope").to_string(), SEEN_AT);
    let mut expected = carried(sorted(sent));
    expected.push(("x-forwarded-for".into(), b"10.0.0.1".into()));
    expected.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(sorted(&carrier), expected);
    made_up(
        sent,
        "throughway-request-",
        &["x-forwarded-for"],
        |headers| match unwrap_request(headers) {
            Ok(origin) => origin.is_some(),
            Err(_) => false,
        },
    );
}

fn respond(sent: &HeaderMap) {
    let mut carrier = sent.clone();
    wrap_response(&mut carrier, &target_origin());
    let ours = [
        "throughway-origin",
        "content-type",
        "x-content-type-options",
        "cache-control",
    ];
    for (name, _) in without(sorted(&carrier), &ours) {
        let is_outside = OF_A_CONNECTION.contains(&&*name);
        assert!(
            is_outside || name.starts_with("throughway-response-"),
            "{name} means something to a browser on the way"
        );
    }
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ] {
        let found: Vec<_> = carrier.get_all(name).iter().collect();
        assert_eq!(found, [value], "{name}");
    }
    carrier.append("audit-id", HeaderValue::from_static("1"));
    assert!(unwrap_response(&mut carrier), "it is in an envelope");
    assert_eq!(sorted(&carrier), carried(sorted(sent)));
    made_up(sent, "throughway-response-", &[], unwrap_response);
}

fn target_origin() -> TargetOrigin {
    let mut arriving = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(SEEN_AT))]);
    unwrap_request(&mut arriving).unwrap().unwrap()
}

/// Whatever arrives: without an origin it stays as it is, otherwise out comes what was wrapped, and of the rest what
/// belongs to the connection.
fn made_up(sent: &HeaderMap, prefix: &str, kept: &[&str], open: impl Fn(&mut HeaderMap) -> bool) {
    let mut arriving = sent.clone();
    let is_opened = open(&mut arriving);
    if !is_opened {
        assert_eq!(sorted(&arriving), sorted(sent), "it is in no envelope");
        return;
    }
    assert!(sent.contains_key(ORIGIN));
    let mut expected = Lines::new();
    for (name, value) in sorted(sent) {
        match name.strip_prefix(prefix) {
            Some(inside) => {
                let is_barred = OF_A_CONNECTION.contains(&inside)
                    || FOR_A_PROXY.contains(&inside)
                    || inside.starts_with("throughway-")
                    || HeaderName::from_bytes(inside.as_bytes()).is_err();
                if !is_barred {
                    expected.push((inside.to_owned(), value));
                }
            }
            None if OF_A_CONNECTION.contains(&&*name) || kept.contains(&&*name) => {
                expected.push((name, value));
            }
            None => {}
        }
    }
    let (mut expected, mut came) = (expected, sorted(&arriving));
    // Lines of one name may come from inside and from outside.
    expected.sort();
    came.sort();
    assert_eq!(came, expected);
}
