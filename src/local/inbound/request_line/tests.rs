//! What comes out of a connection for what was sent, in whatever pieces it came.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const HEAD: &str = " HTTP/1.1\r\nHost: \"<a>\"\r\nX: a\r\n\r\n";

/// What is handed out of bytes that come in two pieces; nobody says that another head comes.
async fn passed(sent: &[u8], cut: usize) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let (mut lines, _) = RequestLines::new(server);
    let mut read = Vec::new();
    client.write_all(&sent[..cut]).await.unwrap();
    while read.len() < cut {
        assert!(lines.read_buf(&mut read).await.unwrap() > 0);
    }
    client.write_all(&sent[cut..]).await.unwrap();
    drop(client);
    lines.read_to_end(&mut read).await.unwrap();
    read
}

#[tokio::test]
async fn what_no_url_has_gets_its_escapes_wherever_the_pieces_break() {
    for (target, escaped) in [
        (
            "/api/v1/query?query=up{job=\"node\"}",
            "/api/v1/query?query=up{job=%22node%22}",
        ),
        ("/q?x=a<b>c#d", "/q?x=a%3Cb%3Ec%23d"),
        ("/a<b>`c#d", "/a%3Cb%3E%60c%23d"),
        ("/{\"a\"}^|\\", "/{\"a\"}^|\\"),
        ("/é?é", "/%C3%A9?%C3%A9"),
        ("/%22?%22", "/%22?%22"),
        ("*", "*"),
        ("http://a/\"?\"", "http://a/\"?\""),
        ("\"/x\"", "\"/x\""),
    ] {
        let sent = format!("GET {target}{HEAD}");
        let expected = format!("GET {escaped}{HEAD}");
        for cut in 0..=sent.len() {
            let read = passed(sent.as_bytes(), cut).await;
            assert_eq!(String::from_utf8_lossy(&read), expected, "cut at {cut}");
        }
    }
    let read = passed(b"GET /\xff HTTP/1.1\r\n\r\n", 3).await;
    assert_eq!(read, b"GET /%FF HTTP/1.1\r\n\r\n");
}

#[tokio::test]
async fn what_is_no_request_line_passes_byte_for_byte() {
    for sent in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /\"?\" HTTP/1.1",
        "G@T /?\" HTTP/1.1\r\n\r\n",
        " /?\" HTTP/1.1\r\n\r\n",
        "\u{81}GET /?\" HTTP/1.1\r\n\r\n",
        "GET /x HTTP/1.1\r\n\r\nGET /?\" HTTP/1.1\r\n\r\n",
        "GET /x\n\nGET /?\" HTTP/1.1\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\nGET /?\" x",
    ] {
        for cut in 0..=sent.len() {
            let read = passed(sent.as_bytes(), cut).await;
            assert_eq!(String::from_utf8_lossy(&read), sent, "cut at {cut}");
        }
    }
}

/// A server that says what was asked for, and with which body.
fn serve(server: DuplexStream) -> tokio::task::JoinHandle<()> {
    let (lines, next_head) = RequestLines::new(server);
    let service = hyper::service::service_fn(move |request| {
        let request = next_head.after(request);
        async move {
            let asked = format!("{} {} ", request.method(), request.uri());
            let body = http_body_util::BodyExt::collect(request.into_body()).await;
            let body = body.unwrap().to_bytes();
            let said = [asked.as_bytes(), &body, b"\n"].concat();
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(said)))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(hyper_util::rt::TokioIo::new(lines), service);
    tokio::spawn(async move { connection.await.unwrap() })
}

#[tokio::test]
async fn every_request_of_a_connection_has_its_line_and_its_body() {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let serving = serve(server);
    let body = "GET /?\" HTTP/1.1\r\n\r\n";
    let length = body.len();
    let requests = [
        "GET /?\"1\" HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        format!("POST /?\"2\" HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"),
        format!(
            "PUT /?\"3\" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        ),
        "\r\nGET /?\"4\" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(),
    ];
    for (request, expected) in requests.iter().zip([
        "GET /?%221%22 \n".to_owned(),
        format!("POST /?%222%22 {body}\n"),
        format!("PUT /?%223%22 {body}\n"),
        "GET /?%224%22 \n".to_owned(),
    ]) {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        while !response.ends_with(expected.as_bytes()) {
            let read = client.read_buf(&mut response).await.unwrap();
            let so_far = String::from_utf8_lossy(&response);
            assert!(read > 0, "{so_far}");
        }
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn requests_that_come_at_once_are_told_apart() {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let serving = serve(server);
    let all = "GET /?\"1\" HTTP/1.1\r\nHost: a\r\n\r\nGET /?\"2\" HTTP/1.1\r\nHost: a\r\nX: \"\r\nConnection: close\r\n\r\n";
    client.write_all(all.as_bytes()).await.unwrap();
    let mut responses = String::new();
    client.read_to_string(&mut responses).await.unwrap();
    let said: Vec<&str> = responses
        .lines()
        .filter(|line| line.contains("/?"))
        .collect();
    assert_eq!(said, ["GET /?%221%22 ", "GET /?%222%22 "]);
    serving.await.unwrap();
}
