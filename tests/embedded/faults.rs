//! When the API server fails: nothing passes that was not allowed, what needs no API server lives on, and it all comes
//! back.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use throughway_testing::cluster::api::Fault;
use tokio_tungstenite::tungstenite::Message;

use crate::{Setting, service};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_api_server_is_gone_the_known_passes_the_unknown_is_500_and_documents_live() {
    let s = Setting::new().await;
    s.assert_alice_is_served().await;
    let mut socket = websocket(&s).await;
    s.cluster.api.go_away();
    assert!(
        s.get("alice", &service("web", "/"))
            .await
            .status
            .is_success(),
        "both answers hold for ten seconds"
    );
    let unknown = s.get("bob", &service("web", "/")).await;
    assert_eq!(unknown.status, 500);
    assert!(
        unknown.text().contains("the token could not be reviewed"),
        "{}",
        unknown.text()
    );
    let known = s.client("alice");
    for path in [
        "/apis",
        "/apis/throughway.dev/v1",
        "/livez",
        "/readyz",
        "/openapi/v2",
        "/version",
    ] {
        assert!(known.get(path).await.status.is_success(), "{path}");
    }
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::text("still here")
    );
    s.cluster.api.come_back().await;
    s.until("it recovers by itself", async |s| {
        s.get("bob", &service("web", "/")).await.status == 403
    })
    .await;
    drop(socket);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_no_longer_holds_is_asked_for_again_and_never_assumed() {
    let s = Setting::with(|config| {
        config.authorization.allowed_lifetime = Duration::ZERO;
        config.authentication.token_cache_lifetime = Duration::from_secs(600);
    })
    .await;
    s.assert_alice_is_served().await;
    for fault in [Fault::Code(500), Fault::Code(429)] {
        s.cluster.api.fail(fault);
        let refused = s.get("alice", &service("web", "/")).await;
        assert_eq!(refused.status, 500, "{fault:?}: {}", refused.text());
        assert!(
            refused
                .text()
                .contains("it could not be found out whether this is allowed")
        );
    }
    s.cluster.api.fail(Fault::None);
    s.assert_alice_is_served().await;
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_right_and_a_revoked_token_end_when_their_responses_do() {
    let s = Setting::with(|config| {
        config.authorization.allowed_lifetime = Duration::from_millis(1);
        config.authorization.denied_lifetime = Duration::from_millis(1);
        config.authentication.token_cache_lifetime = Duration::from_millis(1);
    })
    .await;
    s.assert_alice_is_served().await;
    s.cluster
        .store
        .delete("rolebindings", "demo", "alice-services-proxy");
    s.until("the right is gone", async |s| {
        s.get("alice", &service("web", "/")).await.status == 403
    })
    .await;
    s.cluster.store.forget_token("alice-token");
    s.until("the token is gone", async |s| {
        s.get("alice", &service("web", "/")).await.status == 401
    })
    .await;
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_watch_is_resumed_and_a_forgotten_place_is_listed_anew() {
    let s = Setting::new().await;
    let lists = s.cluster.api.asked("services");
    s.cluster.api.cut_watches();
    s.cluster.store.delete("services", "demo", "web");
    s.until("the change is seen after the cut", async |s| {
        s.get("root", &service("web", "/")).await.status == 404
    })
    .await;
    s.cluster
        .service("demo", "web", 80, &[("web-0", s.backend.address)]);
    s.cluster.store.forget_changes();
    s.cluster.api.cut_watches();
    s.until("the list is read again", async |s| {
        s.cluster.api.asked("services") > lists + 2
    })
    .await;
    s.until("the service is back", async |s| {
        s.get("root", &service("web", "/"))
            .await
            .status
            .is_success()
    })
    .await;
    s.end().await;
}

pub async fn websocket(
    s: &Setting,
) -> tokio_tungstenite::WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
    let stream = s.client("").connect().await;
    let request = http::Request::builder()
        .uri(format!("wss://{}{}", s.address, service("web", "/ws")))
        .header("host", "127.0.0.1")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("authorization", "Bearer alice-token")
        .body(())
        .unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("/ws"));
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_tells_websockets_to_go_and_finishes_requests() {
    let s = Setting::new().await;
    let mut socket = websocket(&s).await;
    let path = service("web", "/drip");
    let client = s.client("alice");
    let response = client
        .send(throughway_testing::client::request("GET", &path, &[], ""))
        .await;
    let mut body = response.into_body();
    let first = http_body_util::BodyExt::frame(&mut body)
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert_eq!(first, "one\n");
    let (tasks, backend) = (s.tasks.clone(), s.backend.address);
    let ending = async { tasks.end(Duration::ZERO, Duration::from_secs(30)).await };
    let (graceful, (), ()) = tokio::join!(
        ending,
        async {
            let Some(Ok(Message::Close(Some(close)))) = socket.next().await else {
                panic!("no close frame")
            };
            assert_eq!(u16::from(close.code), 1001);
            drop(socket);
        },
        async {
            let next = reach(
                backend,
                "GET /drip/next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            )
            .await;
            assert!(next.contains("next"), "{next}");
            let rest = http_body_util::BodyExt::collect(body)
                .await
                .unwrap()
                .to_bytes();
            assert_eq!(rest, "two\n");
        }
    );
    assert!(graceful, "nothing had to be cut");
    s.running.await.unwrap();
}

/// Speaks to a backend itself.
async fn reach(address: std::net::SocketAddr, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}
