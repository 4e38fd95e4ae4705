//! What requests cost before it is known who asks: credentials and claims, however they are filled.

use futures_util::FutureExt;

use super::*;
use crate::effort::{
    Bill, HEADER_LENGTHS, LENGTH, MAX_PASSES, NASTY, filled, headers_of_the_source,
};

/// Headers of `--requestheader-*`, and those that claim what they say.
const CLAIMS: [&str; 7] = [
    "x-remote-user",
    "x-remote-uid",
    "x-remote-group",
    "x-remote-extra-a%2fb",
    "x_remote_user",
    "impersonate-user",
    "proxy-authorization",
];

fn names() -> Vec<HeaderName> {
    let mut names = headers_of_the_source();
    names.extend(CLAIMS.map(str::to_owned));
    names
        .iter()
        .map(|name| HeaderName::try_from(name).unwrap())
        .collect()
}

/// Measures requests with these lines, of the front proxy and of a stranger.
fn measure(s: &Setting, bill: &mut Bill<1>, what: &str, name: &HeaderName, lines: &[HeaderValue]) {
    let length = lines.iter().map(HeaderValue::len).sum();
    let front_proxy = s.front_proxy.client("front-proxy-client", "", Fault::None);
    for chain in [front_proxy, Vec::new()] {
        let peer = peer(chain);
        let prepare = || {
            let mut request = request(&[("x-remote-user", "alice"), ("upgrade", "websocket")]);
            request.headers_mut().remove(name);
            for line in lines {
                request.headers_mut().append(name, line.clone());
            }
            request
        };
        let claims = ClaimFilter::new(Arc::clone(&s.trust));
        // Whether the certificate is good is remembered with the connection.
        drop(
            s.authentication
                .identify_reader(&peer, prepare())
                .now_or_never(),
        );
        bill.work(
            &format!("{name}: {what}"),
            length,
            prepare,
            |mut request| {
                claims.remove_claims(request.headers_mut());
                // What would have to be asked of the API server is not waited for.
                drop(
                    s.authentication
                        .identify_reader(&peer, request)
                        .now_or_never(),
                );
            },
        );
    }
}

#[tokio::test]
async fn a_header_costs_no_more_than_a_few_looks_before_it_is_known_who_asks() {
    let s = setting();
    let names = names();
    let mut bill = Bill::new([MAX_PASSES]);
    let begun = [
        "Bearer ",
        "base64url.bearer.authorization.k8s.io.",
        "%2f",
        "a,",
    ];
    for pattern in NASTY.into_iter().chain(begun) {
        for length in HEADER_LENGTHS {
            let value = HeaderValue::try_from(filled(pattern.as_bytes(), length)).unwrap();
            for name in &names {
                measure(&s, &mut bill, pattern, name, std::slice::from_ref(&value));
            }
        }
    }
    bill.settle();
}

#[tokio::test]
async fn many_lines_cost_no_more_than_their_number_before_it_is_known_who_asks() {
    let s = setting();
    let mut bill = Bill::new([MAX_PASSES]);
    let lines: Vec<HeaderValue> = (0..LENGTH / 64)
        .map(|at| HeaderValue::try_from(format!("a{at}, {}", "b".repeat(56))).unwrap())
        .collect();
    for name in &names() {
        measure(&s, &mut bill, "many lines", name, &lines);
    }
    bill.settle();
}
