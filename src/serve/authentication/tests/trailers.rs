//! Trailers claim an identity as little as headers do: a backend may merge the two (RFC 9110 section 6.5.1).

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use super::*;

/// A body of one piece, with trailers.
fn body(trailers: &[(&'static str, &'static str)]) -> Body {
    let lines = trailers.iter().map(|(name, value)| {
        let name = HeaderName::try_from(*name).unwrap();
        (name, HeaderValue::from_static(value))
    });
    let frames = [
        Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"piece"))),
        Ok(Frame::trailers(lines.collect())),
    ];
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

/// What is left of a request's trailers where the front proxy has its user in `X-User`, `X_Team` and `x_more_*`.
async fn left(trailers: &[(&'static str, &'static str)]) -> Vec<String> {
    let s = setting();
    let names = RequestHeaderNames {
        allowed_names: vec!["front-proxy-client".into()],
        username_headers: vec!["X-User".into()],
        uid_headers: vec!["X-User-Id".into()],
        group_headers: vec!["X_Team".into()],
        extra_header_prefixes: vec!["X_More_".into()],
    };
    let configured = RequestHeader::compile(s.front_proxy.pem.as_bytes(), &names).unwrap();
    s.trust.request_header.store(Some(Arc::new(configured)));
    let peer = peer(s.front_proxy.client("front-proxy-client", "", Fault::None));
    let mut request = request(&[("X-User", "alice"), ("x-more-scopes", "s")]);
    *request.body_mut() = body(trailers);
    let (caller, rest) = s
        .authentication
        .identify_reader(&peer, request)
        .await
        .unwrap();
    assert_eq!(caller.user.name, "alice");
    assert!(rest.headers().is_empty(), "{:?}", rest.headers());
    let collected = rest.into_body().collect().await.unwrap();
    let left = collected.trailers().cloned().unwrap_or_default();
    assert_eq!(collected.to_bytes(), "piece");
    left.keys().map(ToString::to_string).collect()
}

#[tokio::test]
async fn trailers_with_the_names_of_this_cluster_claim_no_identity() {
    let claims = [
        ("x-user", "root"),
        ("X_User", "root"),
        ("x-user-id", "0"),
        ("x-team", "system:masters"),
        ("x_team", "system:masters"),
        ("x-more-scopes", "all"),
        ("x_more_scopes", "all"),
        ("x-remote-user", "root"),
        ("impersonate-user", "root"),
        ("x-checksum", "1"),
        ("x-users", "kept"),
    ];
    assert_eq!(left(&claims).await, ["x-checksum", "x-users"]);
}

#[tokio::test]
async fn trailers_that_claim_nothing_pass_in_their_order() {
    let plain = [("grpc-status", "0"), ("x-b", "1"), ("x-a", "2")];
    assert_eq!(left(&plain).await, ["grpc-status", "x-b", "x-a"]);
}
