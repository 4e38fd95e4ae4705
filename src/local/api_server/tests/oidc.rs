//! ID tokens, and the issuer that they are fetched from.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Response, StatusCode};

use super::certificates::Authority;
use super::server::{Arrived, Server};
use super::{Folder, Hand, load_at};
use crate::local::api_server::{ApiServer, ConfigError, CredentialError};

fn id_token(name: &str, end: SystemTime) -> String {
    let end = end
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let payload = serde_json::json!({"sub": name, "exp": end}).to_string();
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

fn response(status: StatusCode, json: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(json.to_string()));
    *response.status_mut() = status;
    response
}

/// An issuer that knows refresh tokens `refresh-token-0`, `refresh-token-1` …, each once, and wants the client's secret
/// in the form.
async fn issuer(authority: &Authority, hand: &Hand) -> Server {
    issuer_of(authority, hand, |_, token| token).await
}

/// The same, where what it gives out for the refresh token of a number is changed.
async fn issuer_of(
    authority: &Authority,
    hand: &Hand,
    given: fn(usize, String) -> String,
) -> Server {
    let hand = hand.clone();
    let used = Arc::new(AtomicUsize::new(0));
    let certificate = authority.issue("issuer", &["127.0.0.1"]);
    Server::responding(&certificate, authority, move |arrived: &Arrived| {
        let host = arrived.headers["host"].to_str().unwrap();
        if arrived.path == "/dex/.well-known/openid-configuration" {
            let endpoint = format!("https://{host}/dex/token");
            return response(
                StatusCode::OK,
                &serde_json::json!({"token_endpoint": endpoint}),
            );
        }
        let number = used.load(Ordering::SeqCst);
        let expected = format!(
            "grant_type=refresh_token&refresh_token=refresh%2Dtoken%2D{number}&client_id=me&client_secret=s%20cret"
        );
        if arrived.path != "/dex/token" || arrived.body != expected {
            return response(
                StatusCode::UNAUTHORIZED,
                &serde_json::json!({"error": "invalid_client"}),
            );
        }
        used.fetch_add(1, Ordering::SeqCst);
        let token = id_token(
            &format!("fetched-{number}"),
            hand.now() + Duration::from_secs(100),
        );
        let next = format!("refresh-token-{}", number + 1);
        let tokens = serde_json::json!({"id_token": given(number, token), "refresh_token": next});
        response(StatusCode::OK, &tokens)
    })
    .await
}

fn user(issuer: &Server, authority: &Authority, id_token: &str, refresh_token: &str) -> String {
    format!(
        "{{auth-provider: {{name: oidc, config: {{idp-issuer-url: '{}/dex', client-id: me, client-secret: s cret, idp-certificate-authority-data: {}, id-token: {id_token}, refresh-token: {refresh_token}}}}}}}",
        issuer.url(),
        authority.data(),
    )
}

const CLUSTER: &str = "{server: 'https://api.example'}";

async fn header(api: &ApiServer) -> Result<String, CredentialError> {
    let mut headers = HeaderMap::new();
    api.authorize(&mut headers).await?;
    Ok(headers["authorization"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_id_token_is_used_to_its_end_and_then_fetched_anew() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let issuer = issuer(&authority, &hand).await;
    let first = id_token("first", hand.now() + Duration::from_secs(100));
    let user = user(&issuer, &authority, &first, "refresh-token-0");
    let api = load_at(&folder, CLUSTER, &user, &hand).await.unwrap();
    assert_eq!(header(&api).await.unwrap(), format!("Bearer {first}"));
    hand.forward(89);
    assert_eq!(header(&api).await.unwrap(), format!("Bearer {first}"));
    for number in 0..3 {
        hand.forward(91);
        let end = hand.now() + Duration::from_secs(100);
        let expected = format!("Bearer {}", id_token(&format!("fetched-{number}"), end));
        // The first of them fetches it, all others take what it got.
        let all = futures_util::future::join_all((0..10).map(|_| header(&api))).await;
        for header in all {
            assert_eq!(header.unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn the_next_refresh_token_is_kept_although_the_id_token_beside_it_is_no_header() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let broken_first = |number, token| {
        if number == 0 {
            format!("a\n{token}")
        } else {
            token
        }
    };
    let issuer = issuer_of(&authority, &hand, broken_first).await;
    let old = id_token("first", hand.now());
    let user = user(&issuer, &authority, &old, "refresh-token-0");
    let api = load_at(&folder, CLUSTER, &user, &hand).await.unwrap();
    header(&api).await.unwrap_err();
    let kept = std::fs::read_to_string(folder.path("config")).unwrap();
    assert!(
        kept.contains("refresh-token-1") && kept.contains(&old),
        "{kept}"
    );
    hand.forward(5);
    let end = hand.now() + Duration::from_secs(100);
    let expected = format!("Bearer {}", id_token("fetched-1", end));
    assert_eq!(header(&api).await.unwrap(), expected);
}

#[tokio::test]
async fn a_refresh_token_that_is_refused_is_told_and_not_tried_all_the_time() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let mut issuer = issuer(&authority, &hand).await;
    let old = id_token("first", hand.now());
    let user = user(&issuer, &authority, &old, "hidden");
    let api = load_at(&folder, CLUSTER, &user, &hand).await.unwrap();
    let failed = header(&api).await.unwrap_err();
    let text = format!("{failed} {failed:?} {:?}", failed.problem());
    assert!(text.contains("it refused the refresh token"), "{text}");
    assert!(!text.contains("hidden") && !text.contains("cret"), "{text}");
    let paths: Vec<String> = (0..3).map(|_| issuer.next().path).collect();
    let discovery = "/dex/.well-known/openid-configuration";
    assert_eq!(paths, [discovery, "/dex/token", "/dex/token"]);
    header(&api).await.unwrap_err();
    hand.forward(5);
    header(&api).await.unwrap_err();
    assert_eq!(issuer.next().path, discovery);
}

#[tokio::test]
async fn without_a_refresh_token_the_end_is_the_end() {
    let (folder, hand) = (Folder::new(), Hand::new());
    let old = id_token("first", hand.now());
    let user = format!("{{auth-provider: {{name: oidc, config: {{id-token: {old}}}}}}}");
    let api = load_at(&folder, CLUSTER, &user, &hand).await.unwrap();
    let failed = header(&api).await.unwrap_err();
    assert!(matches!(failed, CredentialError::LoginExpired), "{failed}");
}

#[tokio::test]
async fn an_issuer_in_the_clear_gets_no_refresh_token() {
    let (folder, hand) = (Folder::new(), Hand::new());
    let user = "{auth-provider: {name: oidc, config: {idp-issuer-url: 'http://me:hidden-word@127.0.0.1:1', client-id: me, refresh-token: r0}}}";
    let failed = load_at(&folder, CLUSTER, user, &hand).await.unwrap_err();
    assert!(matches!(failed, ConfigError::BadServer { .. }), "{failed}");
    let shown = format!("{failed} {failed:?} {:?}", failed.problem());
    assert!(!shown.contains("hidden-word"), "{shown}");
}

#[tokio::test]
async fn providers_that_kubectl_gave_up_are_unknown() {
    let (folder, hand) = (Folder::new(), Hand::new());
    let failed = load_at(&folder, CLUSTER, "{auth-provider: {name: gcp}}", &hand).await;
    assert!(matches!(failed.unwrap_err(), ConfigError::NoProvider { name } if name == "gcp"));
}

#[tokio::test]
async fn fetched_tokens_take_the_place_of_the_old_ones_in_the_kubeconfig() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let issuer = issuer(&authority, &hand).await;
    let old = id_token("first", hand.now());
    let user = user(&issuer, &authority, &old, "refresh-token-0");
    let api = load_at(&folder, CLUSTER, &user, &hand).await.unwrap();
    let path = folder.path("config");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let header = header(&api).await.unwrap();
    let fetched = header.strip_prefix("Bearer ").unwrap();
    let expected = before
        .replace(&old, fetched)
        .replace("refresh-token-0", "refresh-token-1");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    let rights = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(rights & 0o777, 0o640);
    let mut names: Vec<_> = std::fs::read_dir(&folder.0)
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["config"]);
}

#[tokio::test]
async fn a_refresh_token_that_kubectl_used_meanwhile_is_not_used_again() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let mut issuer = issuer(&authority, &hand).await;
    let first = id_token("first", hand.now() + Duration::from_secs(100));
    let old = user(&issuer, &authority, &first, "refresh-token-used");
    let api = load_at(&folder, CLUSTER, &old, &hand).await.unwrap();
    assert_eq!(header(&api).await.unwrap(), format!("Bearer {first}"));
    hand.forward(100);
    let refreshed = id_token("by-kubectl", hand.now() + Duration::from_secs(50));
    let new = user(&issuer, &authority, &refreshed, "refresh-token-0");
    folder.write("config", super::kubeconfig(CLUSTER, &new));
    assert_eq!(header(&api).await.unwrap(), format!("Bearer {refreshed}"));
    hand.forward(50);
    header(&api).await.unwrap();
    issuer.next();
    // The header is tried before the form.
    for _ in 0..2 {
        assert!(issuer.next().body.contains("refresh%2Dtoken%2D0"));
    }
}

/// Nothing takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// A request that is given up as soon as the issuer was asked for the first time.
async fn given_up(api: &ApiServer, issuer: &mut Server) {
    tokio::select! {
        biased;
        _ = issuer.asked() => {}
        header = header(api) => panic!("it was not given up: {header:?}"),
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_does_not_lose_the_login() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let mut issuer = issuer(&authority, &hand).await;
    let old = id_token("first", hand.now());
    let user = user(&issuer, &authority, &old, "refresh-token-0");
    let api = load_at(&folder, CLUSTER, &user, &hand).await.unwrap();
    given_up(&api, &mut issuer).await;
    let kept = async {
        let read = || std::fs::read_to_string(folder.path("config")).unwrap();
        while !read().contains("refresh-token-1") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, kept).await.expect("it is kept");
    let end = hand.now() + Duration::from_secs(100);
    let expected = format!("Bearer {}", id_token("fetched-0", end));
    assert_eq!(header(&api).await.unwrap(), expected);
}

#[tokio::test]
async fn the_end_of_the_program_waits_for_a_login_that_is_being_renewed() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let mut issuer = issuer(&authority, &hand).await;
    let old = id_token("first", hand.now());
    let user = user(&issuer, &authority, &old, "refresh-token-0");
    let api = load_at(&folder, CLUSTER, &user, &hand).await.unwrap();
    given_up(&api, &mut issuer).await;
    api.finish().await;
    let kept = std::fs::read_to_string(folder.path("config")).unwrap();
    assert!(kept.contains("refresh-token-1"), "{kept}");
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_written_stays_whole_and_leaves_nothing_behind() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let issuer = issuer(&authority, &hand).await;
    let old = id_token("first", hand.now());
    let user = user(&issuer, &authority, &old, "refresh-token-0");
    let api = load_at(&folder, CLUSTER, &user, &hand).await.unwrap();
    let inside = folder.path("inside");
    std::fs::create_dir(&inside).unwrap();
    // The name of the draft is too long for a file, and the lock's is not.
    let long = inside.join("k".repeat(255 - ".lock".len()));
    let config = folder.path("config");
    std::fs::rename(&config, &long).unwrap();
    std::os::unix::fs::symlink(&long, &config).unwrap();
    let before = std::fs::read_to_string(&config).unwrap();
    header(&api).await.expect("the token is in force anyway");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), before);
    let left: Vec<_> = std::fs::read_dir(&inside).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let rights = std::fs::metadata(&long).unwrap().permissions().mode();
    assert_ne!(rights & 0o600, 0);
}

#[tokio::test]
async fn a_kubeconfig_that_kubectl_has_locked_is_left_alone() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let issuer = issuer(&authority, &hand).await;
    let old = id_token("first", hand.now());
    let user = user(&issuer, &authority, &old, "refresh-token-0");
    let api = load_at(&folder, CLUSTER, &user, &hand).await.unwrap();
    folder.write("config.lock", "");
    let before = std::fs::read_to_string(folder.path("config")).unwrap();
    header(&api).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(folder.path("config")).unwrap(),
        before
    );
    assert!(folder.path("config.lock").exists());
    hand.forward(100);
    header(&api)
        .await
        .expect("the refresh token in memory is the new one");
}
