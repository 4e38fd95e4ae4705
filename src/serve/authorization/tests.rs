//! May they: what is asked, what holds how long, and that nothing passes without a yes.

use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tower_test::mock;

use super::*;
use crate::serve::authentication::{self, User};
use crate::serve::refusal::Refuse;

type Handle = mock::Handle<http::Request<kube::client::Body>, http::Response<Body>>;

fn group() -> ApiGroup {
    ApiGroup::for_tests()
}

fn authorization(lifetime: Duration) -> (Authorization, Handle) {
    let (service, handle) = mock::pair();
    let config = AuthorizationConfig {
        allowed_lifetime: lifetime,
        denied_lifetime: lifetime,
    };
    (
        Authorization::new(
            group(),
            &config,
            kube::Client::new(service, "default"),
            Arc::default(),
        ),
        handle,
    )
}

fn caller(name: &str, groups: &[&str]) -> Caller {
    let user = User {
        name: name.into(),
        uid: Some("u-1".into()),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        extra: [("scopes".to_owned(), vec!["view".to_owned()])].into(),
    };
    Caller {
        user: Arc::new(user),
        method: authentication::Method::BearerToken,
    }
}

fn asked(method: &Method, path: &str) -> RequestInfo {
    let uri = format!("/apis/throughway.dev/v1{path}").parse().unwrap();
    RequestInfo::read(&group(), method, &uri).unwrap()
}

fn service() -> RequestInfo {
    asked(
        &Method::GET,
        "/namespaces/demo/services/https:web:8443/proxy/a",
    )
}

/// Answers one review with `status` and returns what was asked.
async fn review(handle: &mut Handle, status: Value) -> Value {
    let (request, send) = handle.next_request().await.expect("a SubjectAccessReview");
    let body = request.into_body().collect_bytes().await.unwrap();
    let response = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "metadata": {}, "spec": {}, "status": status});
    send.send_response(http::Response::new(Body::from(response.to_string())));
    serde_json::from_slice::<Value>(&body).unwrap()["spec"].clone()
}

#[tokio::test]
async fn the_review_names_user_and_target_exactly() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let (permit, spec) = tokio::join!(
        authorization.authorize_again(caller("alice", &["team"]), service()),
        review(&mut handle, json!({"allowed": true})),
    );
    assert_eq!(&*permit.unwrap().info().name, "https:web:8443");
    assert_eq!(
        spec,
        json!({
            "user": "alice", "uid": "u-1", "groups": ["team"], "extra": {"scopes": ["view"]},
            "resourceAttributes": {"verb": "get", "group": "throughway.dev", "version": "v1",
                "resource": "services", "subresource": "proxy", "namespace": "demo", "name": "https:web:8443"},
        })
    );
}

#[tokio::test]
async fn options_is_asked_with_the_empty_verb() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let (_, spec) = tokio::join!(
        authorization.authorize_again(
            caller("alice", &[]),
            asked(&Method::OPTIONS, "/nodes/n1/proxy/")
        ),
        review(&mut handle, json!({"allowed": false})),
    );
    let attributes = spec["resourceAttributes"].as_object().unwrap();
    assert!(!attributes.contains_key("verb") && !attributes.contains_key("namespace"));
}

#[tokio::test]
async fn a_no_reads_as_from_kubernetes() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    for (what, said, message) in [
        (
            service(),
            json!({"allowed": false}),
            r#"services.throughway.dev "https:web:8443" is forbidden: User "alice" cannot get resource "services/proxy" in API group "throughway.dev" in the namespace "demo""#,
        ),
        (
            asked(&Method::POST, "/nodes/n1/proxy/x"),
            json!({"allowed": false, "reason": "not yours"}),
            r#"nodes.throughway.dev "n1" is forbidden: User "alice" cannot create resource "nodes/proxy" in API group "throughway.dev" at the cluster scope: not yours"#,
        ),
    ] {
        let (refused, _) = tokio::join!(
            authorization.authorize_again(caller("alice", &[]), what),
            review(&mut handle, said),
        );
        let status = refused.unwrap_err().status();
        assert_eq!(
            (status.code, status.message.as_str()),
            (StatusCode::FORBIDDEN, message)
        );
        assert_eq!(status.subject.unwrap().group, "throughway.dev");
    }
}

#[tokio::test]
async fn yes_and_no_together_are_an_error_and_not_a_pass() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let (refused, _) = tokio::join!(
        authorization.authorize_again(caller("alice", &[]), service()),
        review(&mut handle, json!({"allowed": true, "denied": true})),
    );
    assert_eq!(
        refused.unwrap_err().status().code,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn masters_pass_without_a_question() {
    let (authorization, _handle) = authorization(Duration::from_secs(10));
    authorization
        .authorize_again(caller("root", &["system:masters"]), service())
        .await
        .unwrap();
    assert_eq!(authorization.reviews.asked(), 0);
}

#[tokio::test]
async fn a_burst_is_one_review_and_its_response_holds() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let burst = futures_util::future::join_all(
        (0..50).map(|_| authorization.authorize_again(caller("alice", &[]), service())),
    );
    let (permits, _) = tokio::join!(burst, review(&mut handle, json!({"allowed": true})));
    assert!(permits.into_iter().all(|permit| permit.is_ok()));
    authorization
        .authorize_again(caller("alice", &[]), service())
        .await
        .unwrap();
    assert_eq!(authorization.reviews.asked(), 1);
}

#[tokio::test]
async fn another_user_group_uid_or_name_is_another_question() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let mut other_uid = caller("alice", &[]);
    other_uid.user = Arc::new(User {
        uid: None,
        ..(*other_uid.user).clone()
    });
    let questions = [
        (caller("alice", &[]), service()),
        (caller("bob", &[]), service()),
        (caller("alice", &["team"]), service()),
        (other_uid, service()),
        (
            caller("alice", &[]),
            asked(&Method::GET, "/namespaces/demo/services/web/proxy/"),
        ),
        (
            caller("alice", &[]),
            asked(
                &Method::GET,
                "/namespaces/other/services/https:web:8443/proxy/",
            ),
        ),
        (
            caller("alice", &[]),
            asked(&Method::GET, "/namespaces/demo/pods/https:web:8443/proxy/"),
        ),
        (
            caller("alice", &[]),
            asked(
                &Method::PUT,
                "/namespaces/demo/services/https:web:8443/proxy/",
            ),
        ),
    ];
    let count = questions.len() as u64;
    for (caller, asked) in questions {
        let (permit, _) = tokio::join!(
            authorization.authorize_again(caller, asked),
            review(&mut handle, json!({"allowed": true}))
        );
        permit.unwrap();
    }
    assert_eq!(authorization.reviews.asked(), count);
}

#[tokio::test]
async fn a_response_without_lifetime_is_asked_again() {
    let (authorization, mut handle) = authorization(Duration::ZERO);
    for _ in 0..2 {
        let (permit, _) = tokio::join!(
            authorization.authorize_again(caller("alice", &[]), service()),
            review(&mut handle, json!({"allowed": true})),
        );
        permit.unwrap();
    }
    assert_eq!(authorization.reviews.asked(), 2);
}

#[tokio::test]
async fn a_huge_question_is_not_remembered() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let groups: Vec<String> = (0..1000).map(|at| format!("{at:0100}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    for _ in 0..2 {
        let (refused, _) = tokio::join!(
            authorization.authorize_again(caller("alice", &groups), service()),
            review(&mut handle, json!({"allowed": false})),
        );
        assert!(refused.is_err());
    }
    assert_eq!(authorization.reviews.asked(), 2);
}

fn anonymous() -> Caller {
    Caller {
        method: authentication::Method::Anonymous,
        ..caller("system:anonymous", &["system:unauthenticated"])
    }
}

/// They are all one, who gets a few turns and keeps nobody else waiting.
#[tokio::test(start_paused = true)]
async fn anonymous_callers_with_thousands_of_questions_get_a_few_responses() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let mut waiting = Vec::new();
    for at in 0..1000 {
        let path = format!("/namespaces/demo/services/a{at}/proxy/");
        let asked = asked(&Method::GET, &path);
        let mut asking = Box::pin(authorization.authorize_again(anonymous(), asked));
        match futures_util::poll!(&mut asking) {
            Poll::Ready(Err(AuthorizationError::Crowded)) => {}
            Poll::Ready(other) => unreachable!("nobody has answered: {:?}", other.is_ok()),
            Poll::Pending => waiting.push(asking),
        }
    }
    assert_eq!(waiting.len(), 8);
    let mut pending = Vec::new();
    for _ in 0..8 {
        pending.push(handle.next_request().await.expect("a review"));
    }
    let (permit, spec) = tokio::join!(
        authorization.authorize_again(caller("alice", &[]), service()),
        review(&mut handle, json!({"allowed": true})),
    );
    permit.unwrap();
    assert_eq!(spec["user"], "alice");
}

#[tokio::test]
async fn a_long_reason_is_cut() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let (refused, _) = tokio::join!(
        authorization.authorize_again(caller("alice", &[]), service()),
        review(
            &mut handle,
            json!({"allowed": false, "reason": "é".repeat(1 << 20)})
        ),
    );
    assert!(refused.unwrap_err().to_string().len() < 2048);
}

#[tokio::test(start_paused = true)]
async fn an_authorizer_that_is_away_slow_or_failing_is_500_within_the_deadline() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let start = tokio::time::Instant::now();
    let silent = authorization
        .authorize_again(caller("alice", &[]), service())
        .await;
    assert_eq!(
        silent.unwrap_err().status().code,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert!(start.elapsed() <= Duration::from_secs(10));
    let _silent_request = handle.next_request().await;
    for code in [500, 429] {
        let failing = async {
            for _ in 0..5 {
                let (_, send) = handle.next_request().await.expect("a try");
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "no", "reason": "x"});
                let response = http::Response::builder()
                    .status(code)
                    .body(Body::from(status.to_string()));
                send.send_response(response.unwrap());
            }
        };
        let asking = authorization.authorize_again(caller("alice", &[]), service());
        let (refused, ()) = tokio::join!(asking, failing);
        assert_eq!(
            refused.unwrap_err().status().code,
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}

/// CVE-2020-8561: whoever answers for the API server sends this server nowhere else.
#[tokio::test(start_paused = true)]
async fn a_redirected_review_of_rights_is_not_followed() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    for code in [301, 302, 307, 308] {
        let redirecting = async {
            loop {
                let (asked, send) = handle.next_request().await.expect("a try");
                assert!(asked.uri().path().ends_with("/subjectaccessreviews"));
                assert!(asked.uri().host().is_none_or(|host| host != "evil.example"));
                let elsewhere = http::Response::builder()
                    .status(code)
                    .header("location", "https://evil.example/");
                send.send_response(elsewhere.body(Body::from("<a>Found</a>")).unwrap());
            }
        };
        let refused = tokio::select! {
            refused = authorization.authorize_again(caller("alice", &[]), service()) => refused,
            () = redirecting => unreachable!("it answers until the question is over"),
        };
        let status = refused.unwrap_err().status();
        assert_eq!(status.code, StatusCode::INTERNAL_SERVER_ERROR, "{code}");
        assert!(
            !status.message.contains("evil.example"),
            "{}",
            status.message
        );
    }
}

#[tokio::test]
async fn metrics_are_a_path_and_no_resource() {
    let (authorization, mut handle) = authorization(Duration::from_secs(10));
    let alice = caller("alice", &[]);
    let (refused, spec) = tokio::join!(
        authorization.authorize_path(&alice, "/metrics"),
        review(&mut handle, json!({"allowed": false})),
    );
    assert_eq!(
        spec["nonResourceAttributes"],
        json!({"path": "/metrics", "verb": "get"})
    );
    let status = refused.unwrap_err().status();
    assert_eq!(
        status.message,
        r#"forbidden: User "alice" cannot get path "/metrics""#
    );
}
