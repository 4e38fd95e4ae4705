//! Requests for what is not there.

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use throughway_testing::attacks::Replica;
use throughway_testing::attacks::replica::service;
use throughway_testing::client::{Client, request};

const CONNECTIONS: usize = 16;

/// Asks for a Service of each number, over a few connections at once. Who asks is a master: others have few reviews a
/// second.
pub async fn ask(replica: &Replica, numbers: Range<usize>) {
    let master = replica.bystander().with_token("root-token");
    let shares = (0..CONNECTIONS).map(|first| {
        let share = numbers.clone().skip(first).step_by(CONNECTIONS);
        over_one_connection(&master, share)
    });
    join_all(shares).await;
}

async fn over_one_connection(client: &Client, numbers: impl Iterator<Item = usize>) {
    let stream = TokioIo::new(client.connect().await);
    let (mut requests, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let token = client.authorization.clone().unwrap();
    let headers = [("host", "a"), ("authorization", token.as_str())];
    for number in numbers {
        let path = service(&format!("none-{number}"), "/");
        let asked: http::Request<Full<Bytes>> = request("GET", &path, &headers, "");
        requests.ready().await.unwrap();
        let response = requests.send_request(asked).await.unwrap();
        assert_eq!(response.status(), 404);
        response.into_body().collect().await.unwrap();
    }
    drop(requests);
    connection.await.unwrap().unwrap();
}
