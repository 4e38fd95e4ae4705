//! The front proxy's connection, which carries everybody's requests: nothing that one user does on it harms another.

use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request};
use throughway_testing::client::Client;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::{ANY_PORT, LIMIT, Setting, service};

/// One HTTP/2 connection, as kube-apiserver has it.
struct Shared {
    requests: SendRequest<Bytes>,
    /// The connection's own task; it fails the test when the connection does.
    _driven: JoinSet<()>,
}

impl Shared {
    async fn connect(client: &Client) -> Self {
        let stream = client.connect().await;
        let (requests, connection) = h2::client::Builder::new()
            .initial_max_send_streams(1000)
            // Go's client has no such limit either.
            .max_local_error_reset_streams(None)
            .handshake::<_, Bytes>(stream)
            .await
            .unwrap();
        let mut driven = JoinSet::new();
        driven.spawn(async move {
            let _ = connection.await;
        });
        Self {
            requests,
            _driven: driven,
        }
    }

    async fn of_front_proxy(s: &Setting) -> Self {
        let identity = s.cluster.front_proxy_ca.issue("front-proxy-client");
        Self::connect(&Client::presenting(s.address, identity, b"h2")).await
    }

    /// Sends a request of a user; with `last` its head is all of it.
    async fn send(
        &self,
        user: &str,
        method: Method,
        path: &str,
        last: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://throughway.throughway.svc{path}"))
            .header("x-remote-user", user)
            .body(())
            .unwrap();
        let mut requests = self
            .requests
            .clone()
            .ready()
            .await
            .expect("the connection is open");
        requests.send_request(request, last).unwrap()
    }

    async fn get(&self, user: &str, path: &str) -> u16 {
        let (response, _) = self.send(user, Method::GET, path, true).await;
        tokio::time::timeout(LIMIT, response)
            .await
            .expect("in time")
            .unwrap()
            .status()
            .as_u16()
    }
}

/// The next piece of a body.
async fn piece(body: &mut RecvStream) -> Bytes {
    let piece = tokio::time::timeout(LIMIT, body.data())
        .await
        .expect("in time");
    let piece = piece
        .expect("the stream goes on")
        .expect("the stream is whole");
    body.flow_control().release_capacity(piece.len()).unwrap();
    piece
}

/// The stream of `/drip` gives its second piece, and requests are answered.
async fn goes_on(shared: &Shared, drip: &mut RecvStream) {
    assert_eq!(
        shared.get("alice", &service("web", "/drip/next")).await,
        200
    );
    assert_eq!(piece(drip).await, "two\n");
}

/// A Service whose only pod takes connections and never reads; `mallory` may post to it.
async fn deaf(s: &Setting, shared: &Shared) -> JoinSet<()> {
    let socket = TcpSocket::new_v4().unwrap();
    // Its connections have the same, so that little of an upload is gone before it stalls.
    socket.set_recv_buffer_size(4 << 10).unwrap();
    socket.bind(ANY_PORT.into()).unwrap();
    let listener = socket.listen(1024).unwrap();
    let address = listener.local_addr().unwrap();
    let mut connected = JoinSet::new();
    let (say, said) = tokio::sync::watch::channel(false);
    connected.spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
            say.send_replace(true);
        }
    });
    s.cluster
        .allow("mallory", "demo", "services/proxy", &["create"]);
    s.cluster.pod("demo", "deaf-0", address);
    s.cluster
        .service("demo", "deaf", 80, &[("deaf-0", address)]);
    // A request gets to it as soon as Service, slice and pod are known.
    s.until("the deaf pod is reached", async |_| {
        let (response, _) = shared
            .send("mallory", Method::POST, &service("deaf", "/"), true)
            .await;
        let mut said = said.clone();
        tokio::select! {
            _ = response => false,
            reached = said.wait_for(|reached| *reached) => reached.is_ok(),
        }
    })
    .await;
    connected
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_cancelled_at_once_end_nobody_elses_stream() {
    let s = Setting::new().await;
    let shared = Shared::of_front_proxy(&s).await;
    let (response, _) = shared
        .send("alice", Method::GET, &service("web", "/drip"), true)
        .await;
    let mut body = response.await.unwrap().into_body();
    piece(&mut body).await;
    for _ in 0..10 {
        let mut cancelled = Vec::new();
        for _ in 0..200 {
            let (response, mut stream) = shared
                .send("bob", Method::POST, &service("web", "/"), false)
                .await;
            stream.send_reset(Reason::CANCEL);
            cancelled.push(response);
        }
        drop(cancelled);
    }
    goes_on(&shared, &mut body).await;
    drop((body, shared));
    s.end().await;
}

/// Sends as much of uploads as is let through, until nothing is let through any more.
async fn fill(shared: &Shared, uploads: &mut [(ResponseFuture, SendStream<Bytes>)]) {
    let mut quiet = 0;
    while quiet < 50 {
        let mut sent = 0;
        for (_, upload) in uploads.iter_mut() {
            upload.reserve_capacity(1 << 20);
            let length = upload.capacity();
            if length > 0 {
                let piece = Bytes::from(vec![b'x'; length]);
                upload.send_data(piece, false).unwrap();
            }
            sent += length;
        }
        quiet = if sent == 0 { quiet + 1 } else { 0 };
        // A round trip, after which the windows that were on their way are here.
        assert_eq!(shared.get("alice", &service("web", "/")).await, 200);
    }
}

/// kubernetes PR#67902, hyper#2899: a pod that never reads.
#[tokio::test(flavor = "multi_thread")]
async fn stalled_uploads_leave_the_others_their_window() {
    let s = Setting::new().await;
    let shared = Shared::of_front_proxy(&s).await;
    let mut deaf = deaf(&s, &shared).await;
    let mut stalled = Vec::new();
    let deaf_path = service("deaf", "/");
    for _ in 0..100 {
        let post = shared.send("mallory", Method::POST, &deaf_path, false);
        stalled.push(post.await);
    }
    fill(&shared, &mut stalled).await;
    let (response, mut stream) = shared
        .send("alice", Method::POST, &service("web", "/echo"), false)
        .await;
    // It is answered when it has come whole.
    stream
        .send_data(Bytes::from_static(b"ten bytes."), true)
        .unwrap();
    let response = tokio::time::timeout(Duration::from_secs(20), response).await;
    assert_eq!(
        response
            .expect("a stalled upload holds it up")
            .unwrap()
            .status(),
        200
    );
    drop(stalled);
    deaf.abort_all();
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_single_bytes_that_nobody_reads_ends_nobody_elses_stream() {
    let s = Setting::new().await;
    let shared = Shared::of_front_proxy(&s).await;
    let mut deaf = deaf(&s, &shared).await;
    let (response, _) = shared
        .send("alice", Method::GET, &service("web", "/drip"), true)
        .await;
    let mut body = response.await.unwrap().into_body();
    assert_eq!(piece(&mut body).await, "one\n");
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let (response, mut stream) = shared
            .send("mallory", Method::POST, &service("deaf", "/"), false)
            .await;
        // First what the sockets take, then what stays unread in this server.
        stream
            .send_data(Bytes::from(vec![b'x'; 8 << 20]), false)
            .unwrap();
        for _ in 0..20_000 {
            stream.send_data(Bytes::from_static(b"x"), false).unwrap();
        }
        stalled.push((response, stream));
    }
    goes_on(&shared, &mut body).await;
    drop((stalled, body));
    deaf.abort_all();
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_in_a_thousand_groups_has_no_more_lines_than_others() {
    let s = Setting::new().await;
    let shared = Shared::of_front_proxy(&s).await;
    let mut request = Request::get(format!(
        "https://throughway.throughway.svc{}",
        service("web", "/")
    ))
    .header("x-remote-user", "alice");
    for at in 0..1100 {
        request = request.header("x-remote-group", format!("g{at}"));
    }
    let mut requests = shared.requests.clone().ready().await.unwrap();
    let (response, _) = requests
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    drop((requests, shared));
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_keeps_the_strict_limits() {
    let s = Setting::new().await;
    let shared = Shared::connect(&Client::offering(s.address, b"h2")).await;
    let mut requests = shared.requests.clone().ready().await.unwrap();
    let mut many = Request::get(format!("https://a{}", service("web", "/")));
    for at in 0..300 {
        many = many.header(format!("x-{at}"), "v");
    }
    let (response, _) = requests.send_request(many.body(()).unwrap(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 431);
    s.end().await;
}
