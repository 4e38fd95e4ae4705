//! `throughway local` in front of a real cluster: what streams from and to a target at its own origin.

use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::BodyExt;
use throughway_testing::backend::{pattern, sha256};
use throughway_testing::client::request;
use throughway_testing::control_plane::{Cluster, on_cluster};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::origins::companion;

#[test]
fn a_websocket_keeps_its_query_and_its_protocol() {
    on_cluster(async |cluster: &Cluster| {
        let local = companion(cluster, &[]);
        let url = format!("ws://{}/ws?session=a%2Fb", local.host("solo.demo.svc"));
        let mut asked = url.into_client_request().unwrap();
        let headers = asked.headers_mut();
        headers.insert("origin", local.origin("solo.demo.svc").parse().unwrap());
        headers.insert("sec-websocket-protocol", "chat".parse().unwrap());
        let stream = tokio::net::TcpStream::connect(local.address).await.unwrap();
        let (mut socket, response) = tokio_tungstenite::client_async(asked, stream)
            .await
            .unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        let first = socket.next().await.unwrap().unwrap();
        assert_eq!(first, Message::text("/ws?session=a%2Fb"));
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(
            socket.next().await.unwrap().unwrap(),
            Message::text("hello")
        );
    });
}

#[test]
fn what_is_sent_bit_by_bit_arrives_bit_by_bit() {
    on_cluster(async |cluster: &Cluster| {
        let local = companion(cluster, &[]);
        let host = local.host("solo.demo.svc");
        let mut body = local
            .send(&host, request("GET", "/drip", &[], ""))
            .await
            .into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&*first, b"one\n");
        local
            .ask(&host, request("GET", "/drip/next", &[], ""))
            .await;
        let second = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&*second, b"two\n");
    });
}

#[test]
fn a_large_body_streams_both_ways() {
    on_cluster(async |cluster: &Cluster| {
        for flags in [&[][..], &["--via=built-in"]] {
            let local = companion(cluster, flags);
            let host = local.host("solo.demo.svc");
            let bytes = pattern(20 << 20);
            let asked = Request::post("/echo").body(bytes.clone().into()).unwrap();
            let said = local.ask(&host, asked).await.json();
            assert_eq!(said["sha256"].as_str(), Some(&*sha256(&bytes)));
            let asked = request("GET", &format!("/bytes/{}", bytes.len()), &[], "");
            assert!(local.ask(&host, asked).await.body == bytes);
        }
    });
}
