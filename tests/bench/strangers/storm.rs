//! A storm of tokens that nobody knows, at the replicas' own port, and how long good users' requests take meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use throughway_testing::attacks::http2::{Connection, Window};
use throughway_testing::attacks::scene::service;
use throughway_testing::client::{Client, request};
use throughway_testing::control_plane::Cluster;
use tokio::task::JoinSet;

/// A connection with its tokens begins so often; together they are a thousand tokens a second.
const INTERVAL: Duration = Duration::from_millis(20);
const TOKENS: usize = 20;

/// Good users, each with a connection and a request every so often, and for how long.
const USERS: usize = 6;
const PACE: Duration = Duration::from_millis(20);
const LASTS: Duration = Duration::from_secs(3);

/// Where the replicas listen.
pub fn replicas(cluster: &Cluster) -> Vec<SocketAddr> {
    let said = cluster.kubectl(&[
        "get",
        "pods",
        "-n",
        "throughway",
        "-o",
        "jsonpath={range .items[*]}{.status.podIP} {end}",
    ]);
    let addresses = said.split_whitespace();
    addresses
        .map(|ip| SocketAddr::new(ip.parse().unwrap(), 8443))
        .collect()
}

/// Goes on until it is told to end.
#[derive(Debug)]
pub struct Storm {
    began: Instant,
    answered: Arc<AtomicU32>,
    running: JoinSet<()>,
}

impl Storm {
    pub fn begin(replicas: &[SocketAddr]) -> Self {
        let answered = Arc::new(AtomicU32::new(0));
        let (count, replicas) = (Arc::clone(&answered), replicas.to_vec());
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut clock = tokio::time::interval(INTERVAL);
            let mut connections = JoinSet::new();
            for number in 0.. {
                clock.tick().await;
                let replica = replicas[number % replicas.len()];
                connections.spawn(show(replica, number, Arc::clone(&count)));
            }
        });
        Self {
            began: Instant::now(),
            answered,
            running,
        }
    }

    /// Says how many tokens a second were answered.
    pub async fn end(mut self) -> f64 {
        let rate =
            f64::from(self.answered.load(Ordering::Relaxed)) / self.began.elapsed().as_secs_f64();
        self.running.shutdown().await;
        rate
    }
}

async fn show(replica: SocketAddr, number: usize, answered: Arc<AtomicU32>) {
    let connection = Connection::open(&Client::offering(replica, b"h2"), Window::Usual).await;
    let mut streams = Vec::new();
    for token in 0..TOKENS {
        let token = format!("Bearer storm-{number}-{token}-{}", fastrand::u64(..));
        let headers = [("authorization", token.as_str())];
        // The first response is the connection's end.
        let Ok(stream) = connection.send(&service("calm", "/"), &headers, None).await else {
            break;
        };
        streams.push(stream);
    }
    for (response, _) in streams {
        if response.await.is_ok() {
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The 99th percentile of the requests of good users over some seconds.
pub async fn p99(client: &Client) -> Duration {
    let users = (0..USERS).map(|_| ask_steadily(client));
    let mut took: Vec<Duration> = futures_util::future::join_all(users)
        .await
        .into_iter()
        .flatten()
        .collect();
    took.sort();
    took[took.len() * 99 / 100]
}

async fn ask_steadily(client: &Client) -> Vec<Duration> {
    let stream = TokioIo::new(client.connect().await);
    let (mut requests, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let token = client.authorization.clone().unwrap();
    let headers = [("host", "api"), ("authorization", token.as_str())];
    let mut clock = tokio::time::interval(PACE);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (began, mut took) = (Instant::now(), Vec::new());
    while began.elapsed() < LASTS {
        clock.tick().await;
        let asked = Instant::now();
        let get: http::Request<Full<Bytes>> = request("GET", &service("calm", "/"), &headers, "");
        requests.ready().await.unwrap();
        let response = requests.send_request(get).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        took.push(asked.elapsed());
    }
    drop(requests);
    connection.await.unwrap().unwrap();
    took
}
