//! The credential for kubelets, with the API server played by the test and a clock that stands still.

use axum::body::Body;
use http::{Request, Response};
use serde_json::{Value, json};
use tower_test::mock;

use super::*;

type Handle = mock::Handle<Request<kube::client::Body>, Response<Body>>;

/// A credential of ServiceAccount throughway/kubelet, whose tokens the test gives out.
async fn of_account() -> (Arc<CurrentCredential>, Handle, Tasks) {
    let (service, handle) = mock::pair::<Request<kube::client::Body>, Response<Body>>();
    let (tasks, account) = (Tasks::new(), "kubelet".to_owned());
    let source = KubeletCredentialSource::ServiceAccount {
        client: kube::Client::new(service, "default"),
        account: NamespacedName {
            namespace: "throughway".into(),
            name: account,
        },
    };
    (
        CurrentCredential::start(source, &tasks).await.unwrap(),
        handle,
        tasks,
    )
}

/// Answers one TokenRequest, and returns what was asked and of whom.
async fn respond(handle: &mut Handle, code: u16, body: &Value) -> (String, Value) {
    let (request, send) = handle.next_request().await.expect("a TokenRequest");
    let path = request.uri().path().to_owned();
    let asked = request.into_body().collect_bytes().await.unwrap();
    let response = Response::builder().status(code);
    send.send_response(response.body(Body::from(body.to_string())).unwrap());
    (path, serde_json::from_slice(&asked).unwrap())
}

fn granted(token: &str, seconds: i64) -> Value {
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {},
        "spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": seconds},
        "status": {"token": token, "expirationTimestamp": "2030-01-01T00:00:00Z"}})
}

fn forbidden() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "serviceaccounts \"kubelet\" is forbidden"})
}

/// Waits until the credential shows this token.
async fn shows(credential: &CurrentCredential, token: &str) {
    let expected = format!("Bearer {token}");
    loop {
        let shown = credential.authorization();
        if shown.is_ok_and(|shown| shown.as_bytes() == expected.as_bytes()) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn missing() -> NoKubeletCredential {
    NoKubeletCredential::NoToken("throughway/kubelet".into())
}

#[tokio::test(start_paused = true)]
async fn a_token_of_ten_minutes_is_asked_for_and_renewed_in_the_middle_of_its_life() {
    let (credential, mut handle, _tasks) = of_account().await;
    assert_eq!(
        credential.authorization(),
        Err(missing()),
        "before the response"
    );
    let start = Instant::now();
    let (path, asked) = respond(&mut handle, 201, &granted("one", 600)).await;
    assert_eq!(
        path,
        "/api/v1/namespaces/throughway/serviceaccounts/kubelet/token"
    );
    assert_eq!(asked["spec"]["expirationSeconds"], 600);
    shows(&credential, "one").await;
    assert!(credential.authorization().unwrap().is_sensitive());
    for (round, token) in [(1, "two"), (2, "three")] {
        respond(&mut handle, 201, &granted(token, 600)).await;
        assert_eq!(start.elapsed().as_secs(), round * 300, "{token}");
        shows(&credential, token).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_can_not_be_renewed_is_not_shown_past_its_end() {
    let (credential, mut handle, _tasks) = of_account().await;
    let start = Instant::now();
    respond(&mut handle, 201, &granted("one", 600)).await;
    shows(&credential, "one").await;
    let last = TOKEN_LIFETIME - EXPIRY_SKEW;
    let mut tries = 0;
    while start.elapsed() < last {
        assert!(credential.authorization().is_ok(), "{:?}", start.elapsed());
        respond(&mut handle, 403, &forbidden()).await;
        tries += 1;
    }
    assert_eq!(credential.authorization(), Err(missing()));
    assert!(
        (8..20).contains(&tries),
        "{tries} tries in five minutes: no fewer, and no flood"
    );
    respond(&mut handle, 201, &granted("two", 600)).await;
    shows(&credential, "two").await;
}

/// The kubelet's clock may be ahead.
#[tokio::test(start_paused = true)]
async fn a_token_is_not_shown_in_the_last_ten_seconds_of_its_life() {
    let (credential, mut handle, _tasks) = of_account().await;
    let start = Instant::now();
    respond(&mut handle, 201, &granted("one", 600)).await;
    shows(&credential, "one").await;
    let _pending = handle.next_request().await.expect("its renewal");
    for (second, is_shown) in [(589, true), (591, false)] {
        tokio::time::sleep_until(start + Duration::from_secs(second)).await;
        assert_eq!(credential.authorization().is_ok(), is_shown, "{second}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_api_server_may_grant_less_but_a_longer_life_is_not_used() {
    for (seconds, renewed_after) in [(60, 30), (7200, 300), (0, 2), (-5, 2)] {
        let (credential, mut handle, _tasks) = of_account().await;
        let start = Instant::now();
        respond(&mut handle, 201, &granted("one", seconds)).await;
        respond(&mut handle, 201, &granted("two", 600)).await;
        assert_eq!(start.elapsed().as_secs(), renewed_after, "{seconds}");
        shows(&credential, "two").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_api_server_and_an_empty_token_are_asked_again() {
    let (credential, mut handle, _tasks) = of_account().await;
    let start = Instant::now();
    let pending = handle.next_request().await.expect("a TokenRequest");
    respond(&mut handle, 201, &granted(" \n", 600)).await;
    assert_eq!(start.elapsed(), REQUEST_TIMEOUT + RETRY_BACKOFF);
    drop(pending);
    respond(&mut handle, 201, &granted("one", 600)).await;
    assert_eq!(start.elapsed(), REQUEST_TIMEOUT + 3 * RETRY_BACKOFF);
    shows(&credential, "one").await;
}

#[tokio::test]
async fn without_a_flag_there_is_no_credential_and_the_reason_names_the_flags() {
    let credential = CurrentCredential::start(KubeletCredentialSource::Nothing, &Tasks::new())
        .await
        .unwrap();
    let reason = credential.authorization().unwrap_err().to_string();
    assert!(reason.contains("--kubelet-service-account"), "{reason}");
}

/// A JWT whose signature nobody looks at.
fn token(subject: &str, issued: u32) -> String {
    let claims = json!({"iss": "https://kubernetes.default.svc", "sub": subject, "iat": issued});
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[test]
fn a_file_may_hold_any_account_but_this_servers_own() {
    let own = "system:serviceaccount:throughway:throughway";
    let known = OwnToken(Some(token(own, 1).into_bytes()));
    let credential = CurrentCredential::none(NoKubeletCredential::NotConfigured);
    for same in [
        token(own, 1),
        format!(" {}\n", token(own, 1)),
        token(own, 2),
    ] {
        let refused = credential.show_file(same.as_bytes(), &known);
        assert!(
            matches!(refused, Err(CertificateError::OwnToken)),
            "{same:?}"
        );
        assert!(credential.authorization().is_err());
    }
    let empty = credential.show_file(b" \n", &known);
    assert!(matches!(empty, Err(CertificateError::NoToken)));
    for other in [token("system:serviceaccount:a:b", 1), "opaque".to_owned()] {
        credential.show_file(other.as_bytes(), &known).unwrap();
        let shown = credential.authorization().unwrap();
        assert_eq!(shown.as_bytes(), format!("Bearer {other}").as_bytes());
    }
    let opaque = OwnToken(Some(b"opaque\n".to_vec()));
    assert!(credential.show_file(b"opaque", &opaque).is_err());
}

#[test]
fn a_token_is_never_shown_in_debug_output() {
    let value = bearer(b" secret-token\n").unwrap();
    assert_eq!(value.as_bytes(), b"Bearer secret-token");
    assert!(!format!("{value:?}").contains("secret"));
    assert!(bearer(b"a\nb").is_none());
    assert!(!format!("{:?}", CredentialSource::Fixed(b"secret".to_vec())).contains("secret"));
}
