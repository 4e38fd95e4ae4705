//! What it tells people to try in a terminal.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, StatusCode};
use http_body_util::Full;
use throughway_testing::client::{Client, ClientResponse};
use throughway_testing::companion::{send, whole};
use throughway_testing::fresh_dir;
use tokio::net::TcpStream;

use super::ANY;
use crate::demo::Demo;

const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/demo/services";

async fn started() -> Demo {
    Demo::start(fresh_dir("demo"), ANY).await.unwrap()
}

fn loopback(demo: &Demo) -> SocketAddr {
    ([127, 0, 0, 1], demo.companion).into()
}

fn host(demo: &Demo) -> String {
    format!("dashboard.demo.svc.localhost:{}", demo.companion)
}

async fn at_its_own_origin(demo: &Demo, request: Request<Full<Bytes>>) -> ClientResponse {
    whole(send(loopback(demo), &host(demo), request).await).await
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

#[tokio::test]
async fn the_demo_shows_its_dashboard_at_both_addresses_that_it_prints() {
    let demo = started().await;
    let text = demo.text();
    let (own, prefix) = (demo.target_origin(), demo.below_the_prefix());
    assert!(text.contains(&own) && text.contains(&prefix), "{text}");
    assert!(text.lines().count() < 25, "{text}");
    assert_eq!(own, format!("http://{}/", host(&demo)));
    let page = at_its_own_origin(&demo, get("/")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.body, include_str!("../dashboard.html"));
    let api = format!("127.0.0.1:{}", demo.companion);
    let path = prefix.strip_prefix(&format!("http://{api}")).unwrap();
    let page = send(loopback(&demo), &api, get(path)).await;
    let page = whole(page).await;
    assert_eq!(page.status, StatusCode::OK);
    let page = String::from_utf8_lossy(&page.body);
    assert!(page.contains("<script src=\"././app.js\">"), "{page}");
    demo.end().await.unwrap();
}

#[tokio::test]
async fn the_demos_dashboard_has_data_a_login_and_a_websocket() {
    let demo = started().await;
    let data = at_its_own_origin(&demo, get("/api/requests")).await;
    let counts: serde_json::Value = serde_json::from_slice(&data.body).unwrap();
    assert_eq!(counts["/api/requests"], 1);
    let form = Request::post("/login").body("name=Jan+Nov%C3%A1k".into());
    let login = at_its_own_origin(&demo, form.unwrap()).await;
    assert_eq!(login.status, StatusCode::SEE_OTHER);
    assert_eq!(login.headers["location"], "/");
    let cookie = login.headers["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let request = Request::get("/api/user").header("cookie", cookie);
    let user = at_its_own_origin(&demo, request.body(Full::default()).unwrap()).await;
    assert_eq!(user.body, r#"{"user":"Jan Novák"}"#);
    let stream = TcpStream::connect(loopback(&demo)).await.unwrap();
    let url = format!("ws://{}/ticks", host(&demo));
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let first = socket.next().await.unwrap().unwrap();
    let second = socket.next().await.unwrap().unwrap();
    let seconds = |message: &str| message.parse::<u64>().unwrap();
    assert!(seconds(second.to_text().unwrap()) > seconds(first.to_text().unwrap()));
    demo.end().await.unwrap();
}

#[tokio::test]
async fn the_demos_commands_work_and_bobs_is_refused() {
    let demo = started().await;
    let client = Client::new(demo.api, None);
    let path = format!("{PREFIX}/web:http/proxy/");
    let hello = client.with_token("alice").get(&path).await;
    assert_eq!(
        (hello.status, &hello.body[..]),
        (StatusCode::OK, &b"hello from web-0"[..])
    );
    let refused = client.with_token("bob").get(&path).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    demo.end().await.unwrap();
}

#[tokio::test]
async fn nothing_of_the_demo_stays() {
    let demo = started().await;
    let (api, page) = (demo.api, loopback(&demo));
    let folder = demo.kubeconfig.parent().unwrap().to_owned();
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    demo.end().await.unwrap();
    assert!(!folder.exists());
    for address in [api, page] {
        assert!(TcpStream::connect(address).await.is_err(), "{address}");
    }
}
