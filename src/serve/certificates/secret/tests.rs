//! The Secret, with the API server played by the test.

use axum::body::Body;
use http::{Request, Response};
use tower_test::mock;

use super::*;

type Handle = mock::Handle<Request<kube::client::Body>, Response<Body>>;

fn secret() -> (ServingSecret, Handle) {
    let (service, handle) = mock::pair::<Request<kube::client::Body>, Response<Body>>();
    let client = kube::Client::new(service, "default");
    let group = ApiGroup::for_tests();
    let named = |name: &str| NamespacedName {
        namespace: "throughway".into(),
        name: name.into(),
    };
    let (secret, service) = (named("serving"), named("throughway"));
    (
        ServingSecret::new(client, &group, &secret, &service),
        handle,
    )
}

async fn respond(handle: &mut Handle, code: u16, body: &impl serde::Serialize) -> (String, String) {
    let (request, send) = handle.next_request().await.expect("a request");
    let seen = (
        request.method().to_string(),
        request.uri().path().to_owned(),
    );
    let body = Body::from(serde_json::to_vec(body).unwrap());
    send.send_response(Response::builder().status(code).body(body).unwrap());
    seen
}

fn status(code: u16, reason: &str) -> serde_json::Value {
    serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": reason, "code": code})
}

#[tokio::test]
async fn a_missing_secret_is_made() {
    let (secret, mut handle) = secret();
    let (content, seen) = tokio::join!(secret.up_to_date(), async {
        [
            respond(&mut handle, 404, &status(404, "NotFound")).await,
            respond(&mut handle, 201, &Secret::default()).await,
        ]
    });
    let content = content.unwrap();
    assert!(is_valid(&content.certificate, SystemTime::now()));
    assert!(secret.names_all(&content.certificate));
    let path = "/api/v1/namespaces/throughway/secrets";
    assert_eq!(seen[0], ("GET".into(), format!("{path}/serving")));
    assert_eq!(seen[1], ("POST".into(), path.into()));
}

#[tokio::test]
async fn an_empty_secret_is_filled_and_a_race_is_lost_without_harm() {
    let (secret, mut handle) = secret();
    let (content, seen) = tokio::join!(secret.up_to_date(), async {
        [
            respond(&mut handle, 200, &Secret::default()).await,
            respond(&mut handle, 409, &status(409, "Conflict")).await,
        ]
    });
    assert!(matches!(content, Err(SecretError::Raced)));
    assert_eq!(seen[1].0, "PUT");
}

#[tokio::test]
async fn what_another_replica_wrote_is_used_as_it_is() {
    let (secret, mut handle) = secret();
    let theirs = secret.first(None).unwrap();
    let written = theirs.write("serving", Some("7".into()));
    let (content, _) = tokio::join!(secret.up_to_date(), respond(&mut handle, 200, &written));
    assert!(content.unwrap() == theirs);
}

#[tokio::test]
async fn a_secret_without_a_key_of_logins_gets_one_and_nothing_else() {
    let (secret, mut handle) = secret();
    let theirs = SecretContent {
        session_key: None,
        ..secret.first(None).unwrap()
    };
    let written = theirs.write("serving", Some("7".into()));
    assert!(!written.data.as_ref().unwrap().contains_key("session.key"));
    let (content, seen) = tokio::join!(secret.up_to_date(), async {
        [
            respond(&mut handle, 200, &written).await,
            respond(&mut handle, 200, &Secret::default()).await,
        ]
    });
    let content = content.unwrap();
    assert!(
        content
            .session_key
            .as_deref()
            .and_then(session::parse)
            .is_some()
    );
    assert!(
        theirs
            == SecretContent {
                session_key: None,
                ..content
            }
    );
    assert_eq!(seen[1].0, "PUT");
}

#[tokio::test]
async fn a_key_of_logins_goes_with_the_leaf_and_opens_until_what_it_sealed_is_over() {
    let (secret, _handle) = secret();
    let content = secret.first(None).unwrap();
    let (made, key) = (SystemTime::now(), session::parse);
    let old = key(content.session_key.as_deref().unwrap()).unwrap();
    let keys = |content: &SecretContent, at| {
        let keys = content.session_keys(at).unwrap();
        (keys.sealing, keys.other)
    };
    assert!(keys(&content, made) == (old, None));
    let authority = secret.renewed(&content, made + AUTHORITY_LIFETIME * 3 / 4);
    assert!(authority.unwrap().unwrap().session_key == content.session_key);

    // The new leaf says that it was made now, whatever time the renewal was told.
    let due = made + LEAF_LIFETIME * 3 / 4;
    let renewed = secret.renewed(&content, due).unwrap().unwrap();
    let new = key(renewed.session_key.as_deref().unwrap()).unwrap();
    assert!(new != old);
    let minute = Duration::from_secs(60);
    assert!(
        keys(&renewed, made + minute) == (old, Some(new)),
        "others don't know the new one yet"
    );
    let spread = made + content::KEY_SPREAD_TIME + minute;
    assert!(keys(&renewed, spread) == (new, Some(old)));
    let end = made + content::PREVIOUS_KEY_LIFETIME;
    assert!(secret.renewed(&renewed, end - minute).unwrap().is_none());
    let after = secret.renewed(&renewed, end + minute).unwrap().unwrap();
    assert!(keys(&after, end + minute) == (new, None));
    assert!(after.certificate == renewed.certificate);
    let written = after.write("serving", None);
    assert!(!written.data.unwrap().contains_key("session-previous.key"));
    let read = SecretContent::read(&renewed.write("serving", None)).unwrap();
    assert!(read == renewed);
}

#[tokio::test]
async fn certificates_that_were_taken_out_are_made_anew_and_the_key_of_logins_stays() {
    let (secret, mut handle) = secret();
    let content = secret.first(None).unwrap();
    let key = content.session_key.clone();
    let mut written = content.write("serving", Some("7".into()));
    written.data.as_mut().unwrap().remove("tls.crt");
    let (filled, _) = tokio::join!(secret.up_to_date(), async {
        respond(&mut handle, 200, &written).await;
        respond(&mut handle, 200, &Secret::default()).await
    });
    assert!(filled.unwrap().session_key == key);
}

#[tokio::test]
async fn replicas_that_share_the_secret_share_the_key_of_logins() {
    let (secret, mut handle) = secret();
    let content = secret.first(None).unwrap();
    let written = content.write("serving", Some("7".into()));
    let keys = [SessionKey::random(), SessionKey::random()];
    for key in &keys {
        let (serving, mut served) = (Serving::default(), None);
        let (done, _) = tokio::join!(
            secret.serve(&serving, key, &mut served),
            respond(&mut handle, 200, &written)
        );
        done.unwrap();
    }
    assert_eq!(keys[0].sealing(), keys[1].sealing());
    let kept = content.session_key.as_deref().and_then(session::parse);
    assert_eq!(Some(keys[0].sealing()), kept);
}

#[tokio::test]
async fn a_leaf_is_renewed_in_its_last_third_by_the_same_authority() {
    let (secret, _handle) = secret();
    let content = secret.first(None).unwrap();
    let now = SystemTime::now();
    assert!(secret.renewed(&content, now).unwrap().is_none());
    let later = now + LEAF_LIFETIME * 3 / 4;
    let renewed = secret.renewed(&content, later).unwrap().unwrap();
    assert!(renewed.certificate != content.certificate && renewed.bundle == content.bundle);
}

#[tokio::test]
async fn a_new_authority_joins_the_bundle_before_it_signs() {
    let (secret, _handle) = secret();
    let content = secret.first(None).unwrap();
    let later = SystemTime::now() + AUTHORITY_LIFETIME * 3 / 4;
    let renewed = secret.renewed(&content, later).unwrap().unwrap();
    assert_eq!(renewed.authorities().len(), 2);
    assert!(renewed.bundle.ends_with(&content.bundle));
    assert!(renewed.certificate == content.certificate);
}

/// An APIService with the bundle "other", for a Service of this name.
fn registered_for(service: &str) -> serde_json::Value {
    serde_json::json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.throughway.dev", "resourceVersion": "7"},
        "spec": {"groupPriorityMinimum": 1, "versionPriority": 1, "caBundle": "b3RoZXI=",
            "service": {"namespace": "throughway", "name": service}}})
}

#[tokio::test]
async fn an_api_service_of_another_server_is_left_alone() {
    let (secret, mut handle) = secret();
    let registered = registered_for("another");
    let (done, _) = tokio::join!(
        secret.trust("bundle"),
        respond(&mut handle, 200, &registered)
    );
    assert!(matches!(done, Err(SecretError::Foreign { name, .. }) if name == "another"));
    drop(secret);
    assert!(handle.next_request().await.is_none(), "nothing was written");
}

#[tokio::test]
async fn an_api_service_that_trusts_something_else_is_put_right() {
    let (secret, mut handle) = secret();
    let registered = registered_for("throughway");
    let (done, seen) = tokio::join!(secret.trust("bundle"), async {
        [
            respond(&mut handle, 200, &registered).await,
            respond(&mut handle, 200, &registered).await,
        ]
    });
    done.unwrap();
    assert_eq!(seen[1].0, "PATCH");
    assert!(seen[1].1.ends_with("/apiservices/v1.throughway.dev"));
    let (done, _) = tokio::join!(
        secret.trust("other"),
        respond(&mut handle, 200, &registered)
    );
    done.unwrap();
}
