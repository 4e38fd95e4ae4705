//! Who asks, from the handshake's certificates to the caller: the combinations that may and may not be believed.

mod certificates;
mod effort;
mod handshakes;
mod storm;
mod tokens;
mod trailers;

use std::time::{Duration, SystemTime};

use axum::body::Body;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::CertificateDer;
use tower_test::mock;

use super::user::AUTHENTICATED;
use super::*;
use crate::protocol::status::Status;
use crate::serve::certificates::in_version_one;
use crate::serve::certificates::{RequestHeader, Roots};
use crate::serve::config::{AuthenticationLookup, RequestHeaderNames};
use crate::serve::refusal::Refuse;

type Handle = mock::Handle<http::Request<kube::client::Body>, http::Response<Body>>;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority {
        pem,
        issuer: Issuer::new(params, key),
    }
}

pub(super) fn authority_pem() -> String {
    authority().pem
}

/// What a client's certificate may get wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Expired,
    ForServers,
    /// No fault to us: MicroK8s and others who sign with OpenSSL's defaults give such certificates out.
    OfVersionOne,
}

impl Authority {
    fn client(&self, name: &str, group: &str, fault: Fault) -> Vec<CertificateDer<'static>> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![match fault {
            Fault::ForServers => ExtendedKeyUsagePurpose::ServerAuth,
            Fault::None | Fault::Expired | Fault::OfVersionOne => {
                ExtendedKeyUsagePurpose::ClientAuth
            }
        }];
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        params.not_before = (now - 3 * hour).into();
        params.not_after = (if fault == Fault::Expired {
            now - hour
        } else {
            now + hour
        })
        .into();
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        match fault {
            Fault::OfVersionOne => vec![in_version_one(signed.der(), self.issuer.key())],
            Fault::None | Fault::Expired | Fault::ForServers => vec![signed.der().clone()],
        }
    }

    fn request_header(&self, allowed_names: &[&str]) -> Arc<RequestHeader> {
        let names = RequestHeaderNames {
            allowed_names: allowed_names
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            username_headers: vec!["X-Remote-User".into()],
            uid_headers: Vec::new(),
            group_headers: vec!["X-Remote-Group".into()],
            extra_header_prefixes: vec!["X-Remote-Extra-".into()],
        };
        Arc::new(RequestHeader::compile(self.pem.as_bytes(), &names).unwrap())
    }
}

struct Setting {
    front_proxy: Authority,
    cluster: Authority,
    trust: Arc<Trust>,
    authentication: Authentication,
    reviews: Handle,
}

fn setting() -> Setting {
    setting_with(AnonymousAuth::Refused)
}

fn setting_with(anonymous: AnonymousAuth) -> Setting {
    setting_of(anonymous, Duration::from_secs(10))
}

/// What was said of a token is forgotten at once.
fn setting_without_memory() -> Setting {
    setting_of(AnonymousAuth::Refused, Duration::ZERO)
}

fn setting_of(anonymous: AnonymousAuth, token_cache_lifetime: Duration) -> Setting {
    let (front_proxy, cluster) = (authority(), authority());
    let trust = Arc::new(Trust::default());
    trust
        .request_header
        .store(Some(front_proxy.request_header(&["front-proxy-client"])));
    trust.client.store(Some(Arc::new(
        Roots::parse(cluster.pem.as_bytes()).unwrap(),
    )));
    let (service, reviews) = mock::pair();
    let config = AuthenticationConfig {
        client_ca_file: None,
        request_header: None,
        lookup: AuthenticationLookup::Required,
        anonymous,
        token_cache_lifetime,
        audiences: Vec::new(),
    };
    let client = kube::Client::new(service, "default");
    let authentication = Authentication::new(&config, Arc::clone(&trust), client, Arc::default());
    Setting {
        front_proxy,
        cluster,
        trust,
        authentication,
        reviews,
    }
}

fn is_retired(peer: &Peer) -> bool {
    peer.retired().now_or_never().is_some()
}

fn peer(chain: Vec<CertificateDer<'static>>) -> Peer {
    Peer::new(([192, 0, 2, 1], 4711).into(), chain)
}

fn request(lines: &[(&str, &str)]) -> Box<Request> {
    let mut request = Box::new(Request::new(Body::empty()));
    for (name, value) in lines {
        let name = HeaderName::try_from(*name).unwrap();
        request
            .headers_mut()
            .append(name, HeaderValue::try_from(*value).unwrap());
    }
    request
}

const SPOKEN_FOR: [(&str, &str); 4] = [
    ("X-Remote-User", "alice"),
    ("X-Remote-Group", "team"),
    ("X-Remote-Uid", "42"),
    ("X-Remote-Extra-Scopes%2fa", "view"),
];

/// What is said of a token: `name` is who it belongs to, `None` makes it nobody's.
fn token_review(name: Option<&str>) -> http::Response<Body> {
    let status = serde_json::json!({
        "authenticated": name.is_some(),
        "user": {"username": name.unwrap_or_default(), "groups": ["from-token"]},
    });
    let body = serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "metadata": {}, "spec": {}, "status": status});
    http::Response::new(Body::from(body.to_string()))
}

/// Answers one TokenReview.
async fn review(reviews: &mut Handle, name: Option<&str>) {
    let (_, send) = reviews.next_request().await.expect("a TokenReview");
    send.send_response(token_review(name));
}

#[tokio::test]
async fn direct_impersonation_is_400() {
    let s = setting();
    for name in [
        "Impersonate-User",
        "impersonate_user",
        "Impersonate-Extra-Scopes",
    ] {
        let peer = peer(s.cluster.client("bob", "ops", Fault::None));
        let refused = s
            .authentication
            .identify_reader(&peer, request(&[(name, "root")]))
            .await;
        let status = refused.map(|(caller, _)| caller).expect_err(name).status();
        assert_eq!(status.code, http::StatusCode::BAD_REQUEST, "{name}");
    }
}

#[tokio::test]
async fn a_stranger_on_http2_loses_the_connection_after_the_response() {
    let s = setting();
    let stranger = peer(Vec::new());
    let mut asked = request(&[]);
    *asked.version_mut() = http::Version::HTTP_2;
    let refused = s.authentication.identify_reader(&stranger, asked).await;
    assert!(matches!(refused, Err(AuthenticationError::Anonymous)));
    assert!(is_retired(&stranger));
}

/// Many users share it: it does not end because of one request that names nobody.
#[tokio::test]
async fn the_front_proxys_connection_goes_on_whoever_is_refused() {
    let s = setting();
    let peer = peer(s.front_proxy.client("front-proxy-client", "", Fault::None));
    let mut asked = request(&[]);
    *asked.version_mut() = http::Version::HTTP_2;
    let refused = s.authentication.identify_reader(&peer, asked).await;
    assert!(refused.is_err());
    assert!(!is_retired(&peer));
}

#[tokio::test]
async fn a_direct_caller_without_a_credential_is_refused_and_nobody_is_asked() {
    let mut s = setting();
    let refused = s
        .authentication
        .identify_reader(&peer(Vec::new()), request(&SPOKEN_FOR))
        .await
        .map(|(caller, _)| caller);
    assert_eq!(refused.unwrap_err().status(), Status::unauthorized());
    assert_eq!(s.authentication.reviews(), 0);
    drop(s.authentication);
    assert!(s.reviews.next_request().await.is_none());
}

#[tokio::test]
async fn a_chain_with_a_certificate_that_can_not_be_read_is_verified_once() {
    let s = setting();
    let mut chain = s.front_proxy.client("front-proxy-client", "", Fault::None);
    chain.push(CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]));
    let peer = peer(chain);
    s.authentication
        .identify_reader(&peer, request(&SPOKEN_FOR))
        .await
        .unwrap();
    let first = peer.front_proxy_verification().load_full().unwrap();
    s.authentication
        .identify_reader(&peer, request(&SPOKEN_FOR))
        .await
        .unwrap();
    let second = peer.front_proxy_verification().load_full().unwrap();
    assert!(Arc::ptr_eq(&first, &second), "it was verified again");
    assert!(first.until <= SystemTime::now() + Duration::from_secs(10));
}
