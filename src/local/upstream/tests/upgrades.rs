//! An upgrade has a connection of its own, and ends each way by itself.

use super::*;

#[tokio::test]
async fn an_upgrade_carries_bytes_both_ways_and_ends_each_way_by_itself() {
    let (listener, address) = plain().await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = head(&mut stream).await.to_lowercase();
        assert!(
            asked.contains("connection: upgrade") && asked.contains("upgrade: spdy/3.1"),
            "{asked}"
        );
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nfirst";
        stream.write_all(switch).await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "from the caller");
        stream.write_all(b" and last").await.unwrap();
    };
    let client = async {
        let upstream = upstream(&address, Duration::ZERO).await;
        let (near, far) = tokio::io::duplex(1024);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let upstream = upstream.clone();
            async move {
                let response = upstream.upgrade(request.map(Body::new)).await.unwrap();
                assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(far), service)
            .with_upgrades();
        let speaking = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(near))
                    .await
                    .unwrap();
            let mut asked = request(Method::POST, "/exec", "");
            asked
                .headers_mut()
                .insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
            asked
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            let connection = connection.with_upgrades();
            let (response, ended) = tokio::join!(sender.send_request(asked), connection);
            ended.unwrap();
            let upgraded = hyper::upgrade::on(response.unwrap()).await.unwrap();
            let mut upgraded = TokioIo::new(upgraded);
            upgraded.write_all(b"from the caller").await.unwrap();
            upgraded.shutdown().await.unwrap();
            let mut all = String::new();
            upgraded.read_to_string(&mut all).await.unwrap();
            assert_eq!(all, "first and last");
        };
        let (served, ()) = tokio::join!(serving, speaking);
        served.unwrap();
    };
    tokio::join!(server, client);
}
