//! What the certificate of a connection is good for: to speak for others, to be somebody, or nothing; and for how long.

use super::*;

#[tokio::test]
async fn the_front_proxy_speaks_for_others_and_its_headers_end_here() {
    let s = setting();
    let peer = peer(s.front_proxy.client("front-proxy-client", "", Fault::None));
    let (caller, rest) = s
        .authentication
        .identify_reader(&peer, request(&SPOKEN_FOR))
        .await
        .unwrap();
    assert_eq!(caller.method, Method::FrontProxy);
    assert_eq!(caller.user.name, "alice");
    assert_eq!(caller.user.groups, ["team", AUTHENTICATED]);
    assert_eq!(caller.user.uid, None, "no UID header is configured");
    assert_eq!(caller.user.extra["scopes/a"], ["view"]);
    assert!(rest.headers().is_empty());
}

#[tokio::test]
async fn only_a_good_certificate_with_an_allowed_name_speaks_for_others() {
    let s = setting();
    let foreign = authority();
    for (what, chain) in [
        (
            "foreign CA",
            foreign.client("front-proxy-client", "", Fault::None),
        ),
        (
            "another name",
            s.front_proxy.client("kubelet", "", Fault::None),
        ),
        (
            "expired",
            s.front_proxy
                .client("front-proxy-client", "", Fault::Expired),
        ),
        (
            "for servers only",
            s.front_proxy
                .client("front-proxy-client", "", Fault::ForServers),
        ),
        (
            "the cluster's CA",
            s.cluster.client("front-proxy-client", "", Fault::Expired),
        ),
    ] {
        let refused = s
            .authentication
            .identify_reader(&peer(chain), request(&SPOKEN_FOR))
            .await;
        let status = refused.map(|(caller, _)| caller).expect_err(what).status();
        assert_eq!(status, Status::unauthorized(), "{what}");
    }
}

#[tokio::test]
async fn an_empty_list_of_names_allows_every_certificate_of_the_front_proxy_ca() {
    let s = setting();
    s.trust
        .request_header
        .store(Some(s.front_proxy.request_header(&[])));
    let peer = peer(s.front_proxy.client("anything", "", Fault::None));
    let (caller, _) = s
        .authentication
        .identify_reader(&peer, request(&SPOKEN_FOR))
        .await
        .unwrap();
    assert_eq!(caller.user.name, "alice");
}

#[tokio::test]
async fn headers_without_the_front_proxy_name_nobody() {
    let s = setting_with(AnonymousAuth::Accepted);
    let (caller, rest) = s
        .authentication
        .identify_reader(&peer(Vec::new()), request(&SPOKEN_FOR))
        .await
        .unwrap();
    assert_eq!(
        (caller.method, caller.user.name.as_str()),
        (Method::Anonymous, ANONYMOUS)
    );
    assert_eq!(caller.user.groups, [UNAUTHENTICATED]);
    assert!(rest.headers().is_empty());
}

#[tokio::test]
async fn a_certificate_of_the_cluster_names_user_and_groups_whatever_the_headers_claim() {
    let s = setting();
    let peer = peer(s.cluster.client("bob", "ops", Fault::None));
    let (caller, rest) = s
        .authentication
        .identify_reader(&peer, request(&SPOKEN_FOR))
        .await
        .unwrap();
    assert_eq!(
        (caller.method, caller.user.name.as_str()),
        (Method::ClientCertificate, "bob")
    );
    assert_eq!(caller.user.groups, ["ops", AUTHENTICATED]);
    assert!(
        caller.user.extra[&"authentication.kubernetes.io/credential-id".to_owned()][0]
            .starts_with("X509SHA256=")
    );
    assert!(rest.headers().is_empty());
}

/// What becomes of the front proxy on a connection on which it was known, once something else is configured.
async fn refused_after(
    configured: impl FnOnce(&Setting) -> Arc<RequestHeader>,
) -> Result<Caller, AuthenticationError> {
    let s = setting();
    let peer = peer(s.front_proxy.client("front-proxy-client", "", Fault::None));
    s.authentication
        .identify_reader(&peer, request(&SPOKEN_FOR))
        .await
        .unwrap();
    s.trust.request_header.store(Some(configured(&s)));
    s.authentication
        .identify_reader(&peer, request(&SPOKEN_FOR))
        .await
        .map(|(caller, _)| caller)
}

#[tokio::test]
async fn withdrawn_front_proxy_ca_is_refused_on_an_open_connection() {
    let refused = refused_after(|_| authority().request_header(&["front-proxy-client"])).await;
    assert!(matches!(refused, Err(AuthenticationError::Certificate(_))));
}

#[tokio::test]
async fn allowed_names_are_those_of_now() {
    let refused = refused_after(|s| s.front_proxy.request_header(&["another"])).await;
    assert!(matches!(
        refused,
        Err(AuthenticationError::FrontProxyName(_))
    ));
}
