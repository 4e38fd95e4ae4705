//! Client certificates, tokens, token files, basic authentication and impersonation, as they arrive at the API server.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::certificates::{Authority, data};
use super::server::Server;
use super::{Folder, Hand, ask, kubeconfig, load, load_at, send};
use crate::local::api_server::{ConfigError, ConnectError, ConnectionPurpose};

async fn server(authority: &Authority) -> (Server, String) {
    let server = Server::start(&authority.issue("api", &["127.0.0.1"]), authority).await;
    let cluster = format!(
        "{{server: {}, certificate-authority-data: {}}}",
        server.url(),
        authority.data()
    );
    (server, cluster)
}

#[tokio::test]
async fn a_token_arrives_as_bearer() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (mut server, cluster) = server(&authority).await;
    let api = load(&folder, &cluster, "{token: one}").await.unwrap();
    ask(&api).await;
    let arrived = server.next();
    assert_eq!(arrived.authorization(), Some("Bearer one"));
    assert_eq!(arrived.client, None);
    assert_eq!(arrived.headers.len(), 1, "{:?}", arrived.headers);
}

#[tokio::test]
async fn name_and_password_arrive_as_basic() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (mut server, cluster) = server(&authority).await;
    let user = "{username: Aladdin, password: open sesame}";
    let api = load(&folder, &cluster, user).await.unwrap();
    ask(&api).await;
    assert_eq!(
        server.next().authorization(),
        Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    );
}

#[tokio::test]
async fn what_the_caller_says_itself_stays() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (_server, cluster) = server(&authority).await;
    let user = "{token: one, as: boss, as-groups: [chiefs]}";
    let api = load(&folder, &cluster, user).await.unwrap();
    let own = HeaderMap::from_iter([
        (
            HeaderName::from_static("authorization"),
            HeaderValue::from_static("Bearer own"),
        ),
        (
            HeaderName::from_static("impersonate-user"),
            HeaderValue::from_static("somebody"),
        ),
    ]);
    let mut headers = own.clone();
    api.authorize(&mut headers).await.unwrap();
    assert_eq!(headers, own);
}

#[tokio::test]
async fn whom_to_impersonate_arrives_with_groups_uid_and_extras() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (mut server, cluster) = server(&authority).await;
    let user = "{token: one, as: boss, as-uid: '7', as-groups: [a, b], as-user-extra: {'ex.org/a b': [x, y]}}";
    let api = load(&folder, &cluster, user).await.unwrap();
    ask(&api).await;
    let headers = server.next().headers;
    let all = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(all("impersonate-user"), ["boss"]);
    assert_eq!(all("impersonate-uid"), ["7"]);
    assert_eq!(all("impersonate-group"), ["a", "b"]);
    assert_eq!(all("impersonate-extra-ex.org%2fa%20b"), ["x", "y"]);
    assert_eq!(headers.len(), 1 + 1 + 1 + 2 + 2);
}

#[tokio::test]
async fn a_token_file_is_read_again_after_a_minute_or_a_401() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (mut server, cluster) = server(&authority).await;
    let hand = Hand::new();
    folder.write("token", "one\n");
    let api = load_at(&folder, &cluster, "{tokenFile: token}", &hand)
        .await
        .unwrap();
    folder.write("token", "two\n");
    for (seconds, expected) in [(0, "Bearer one"), (59, "Bearer one"), (1, "Bearer two")] {
        hand.forward(seconds);
        ask(&api).await;
        assert_eq!(server.next().authorization(), Some(expected));
    }
    folder.write("token", "three\n");
    api.rejected();
    ask(&api).await;
    assert_eq!(server.next().authorization(), Some("Bearer two"));
    hand.forward(5);
    ask(&api).await;
    assert_eq!(server.next().authorization(), Some("Bearer three"));
    std::fs::remove_file(folder.path("token")).unwrap();
    hand.forward(61);
    ask(&api).await;
    assert_eq!(server.next().authorization(), Some("Bearer three"));
}

#[tokio::test]
async fn a_client_certificate_in_the_kubeconfig_arrives() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (mut server, cluster) = server(&authority).await;
    let pair = authority.issue("alice", &[]);
    let user = format!(
        "{{client-certificate-data: {}, client-key-data: {}}}",
        data(&pair.certificate),
        data(&pair.key)
    );
    let api = load(&folder, &cluster, &user).await.unwrap();
    ask(&api).await;
    let arrived = server.next();
    assert_eq!(arrived.client.as_deref(), Some("alice"));
    assert_eq!(arrived.authorization(), None);
}

#[tokio::test]
async fn a_renewed_client_certificate_makes_a_new_generation() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (mut server, cluster) = server(&authority).await;
    let hand = Hand::new();
    let write = |name: &str| {
        let pair = authority.issue(name, &[]);
        folder.write("client.crt", pair.certificate);
        folder.write("client.key", pair.key);
    };
    write("alice");
    let user = "{client-certificate: client.crt, client-key: client.key}";
    let api = load_at(&folder, &cluster, user, &hand).await.unwrap();
    ask(&api).await;
    assert_eq!(server.next().client.as_deref(), Some("alice"));
    let first = api.generation();

    write("bob");
    api.authorize(&mut HeaderMap::new()).await.unwrap();
    assert_eq!(
        api.generation(),
        first,
        "a kept connection goes on for a while"
    );
    hand.forward(60);
    api.authorize(&mut HeaderMap::new()).await.unwrap();
    assert_ne!(api.generation(), first);

    // A new connection looks at once.
    write("carol");
    let connected = api.connect(ConnectionPurpose::Exchange).await.unwrap();
    assert_eq!(connected.generation, api.generation());
    assert!(connected.speaks_http2);
    ask(&api).await;
    assert_eq!(server.next().client.as_deref(), Some("carol"));

    // One half of a renewal is waited out.
    folder.write("client.crt", authority.issue("dave", &[]).certificate);
    ask(&api).await;
    assert_eq!(server.next().client.as_deref(), Some("carol"));
}

#[tokio::test]
async fn an_expired_client_certificate_is_said_with_file_and_time() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (mut server, cluster) = server(&authority).await;
    let pair = authority.issue_expired("alice");
    let file = folder.write("client.crt", pair.certificate);
    folder.write("client.key", pair.key);
    let user = "{client-certificate: client.crt, client-key: client.key}";
    let failed = load(&folder, &cluster, user).await.unwrap_err();
    let problem = failed.problem();
    assert_eq!(problem.title, "The client certificate has expired");
    let message = problem.status.message;
    assert!(message.contains(&file.display().to_string()), "{message}");
    assert!(message.contains("expired at "), "{message}");

    // With a token as well it does not matter.
    let user = "{token: one, client-certificate: client.crt, client-key: client.key}";
    let api = load(&folder, &cluster, user).await.unwrap();
    let mut headers = HeaderMap::new();
    api.authorize(&mut headers).await.unwrap();
    assert_eq!(headers["authorization"], "Bearer one");
    drop(api);
    assert!(matches!(failed, ConfigError::PemKind(_)));
    let _ = &mut server;
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (_server, cluster) = server(&authority).await;
    let failed = load(&folder, &cluster, "{client-certificate: client.crt}").await;
    assert!(matches!(
        failed.unwrap_err(),
        ConfigError::CertificateWithoutKey { .. }
    ));
}

#[tokio::test]
async fn a_server_in_the_clear_gets_no_credential() {
    let folder = Folder::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for server in [format!("http://{address}"), address.to_string()] {
        let cluster = format!("{{server: '{server}'}}");
        let api = load(&folder, &cluster, "{token: one}").await.unwrap();
        let mut headers = HeaderMap::new();
        api.authorize(&mut headers).await.unwrap();
        assert!(headers.is_empty());
        assert_eq!(api.url().scheme_str(), Some("http"));
        let (connected, _) =
            tokio::join!(api.connect(ConnectionPurpose::Exchange), listener.accept());
        assert!(!connected.unwrap().speaks_http2);
    }
}

#[tokio::test]
async fn nobody_is_a_response_too() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (mut server, cluster) = server(&authority).await;
    let api = load(&folder, &cluster, "{}").await.unwrap();
    send(&api, HeaderMap::new()).await;
    assert_eq!(server.next().authorization(), None);
}

#[tokio::test]
async fn debug_shows_no_credential() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (_server, cluster) = server(&authority).await;
    let api = load(&folder, &cluster, "{token: hidden-token}")
        .await
        .unwrap();
    let connected = api.connect(ConnectionPurpose::Exchange).await;
    let text = format!("{api:?} {connected:?}");
    assert!(!text.contains("hidden-token"), "{text}");
    let mut headers = HeaderMap::new();
    api.authorize(&mut headers).await.unwrap();
    assert!(!format!("{headers:?}").contains("hidden-token"));
    assert!(!matches!(connected, Err(ConnectError::Credential(_))));
}

#[tokio::test]
async fn a_kubeconfig_that_was_logged_in_to_anew_is_read_again_after_a_401() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (mut server, cluster) = server(&authority).await;
    let api = load_at(&folder, &cluster, "{token: old}", &hand)
        .await
        .unwrap();
    ask(&api).await;
    assert_eq!(server.next().authorization(), Some("Bearer old"));
    let generation = api.generation();

    // Another context that became the current one meanwhile is none of this process's business.
    let anew = kubeconfig(&cluster, "{token: new}")
        .replace("current-context: here", "current-context: other");
    folder.write("config", anew);
    hand.forward(5);
    ask(&api).await;
    assert_eq!(server.next().authorization(), Some("Bearer old"));
    api.rejected();
    ask(&api).await;
    assert_eq!(server.next().authorization(), Some("Bearer new"));
    assert_ne!(api.generation(), generation);

    // Neither another server nor nonsense is gone over to.
    for wrong in [
        kubeconfig("{server: 'https://other.example'}", "{token: wrong}"),
        "]".to_owned(),
    ] {
        folder.write("config", wrong);
        hand.forward(5);
        api.rejected();
        ask(&api).await;
        assert_eq!(server.next().authorization(), Some("Bearer new"));
    }
}

#[tokio::test]
async fn after_a_kubeconfig_that_cannot_be_used_new_connections_are_still_kept() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    let api = load_at(&folder, &cluster, "{token: old}", &hand)
        .await
        .unwrap();
    api.connect(ConnectionPurpose::Exchange).await.unwrap();
    folder.write("config", kubeconfig(&cluster, "{tokenFile: /nowhere}"));
    hand.forward(5);
    api.rejected();
    let mut headers = HeaderMap::new();
    api.authorize(&mut headers).await.unwrap();
    assert_eq!(headers["authorization"], "Bearer old");
    let connected = api.connect(ConnectionPurpose::Exchange).await.unwrap();
    assert_eq!(connected.generation, api.generation());
}

#[tokio::test]
async fn after_the_end_of_a_certificate_a_new_kubeconfig_is_taken() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (mut server, cluster) = server(&authority).await;
    let user = |name: &str, days| {
        let pair = authority.issue_for_days(name, days);
        let (certificate, key) = (data(&pair.certificate), data(&pair.key));
        format!("{{client-certificate-data: {certificate}, client-key-data: {key}}}")
    };
    let api = load_at(&folder, &cluster, &user("alice", 1), &hand)
        .await
        .unwrap();
    ask(&api).await;
    assert_eq!(server.next().client.as_deref(), Some("alice"));
    let generation = api.generation();

    hand.forward(2 * 24 * 60 * 60);
    for _ in 0..2 {
        let failed = api.authorize(&mut HeaderMap::new()).await.unwrap_err();
        let problem = failed.problem();
        assert_eq!(problem.title, "The client certificate has expired");
        let message = problem.status.message;
        assert!(message.starts_with("the client certificate in the kubeconfig expired at "));
    }
    folder.write("config", kubeconfig(&cluster, &user("bob", 7)));
    hand.forward(5);
    ask(&api).await;
    assert_eq!(server.next().client.as_deref(), Some("bob"));
    assert_ne!(api.generation(), generation);
}
