//! Callers that read their connection and leave one stream of it unread.

use std::sync::Arc;

use h2::client::{self, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::serve::request_context::RequestContext;
use crate::serve::telemetry::{AccessLog, AuditId, Metrics};

/// `ConnectionLimits::kubernetes` has this.
const TIMEOUT: Duration = Duration::from_secs(300);

/// More than the window of a stream.
const LARGE: usize = 100_000;

/// A body of pieces that the test sends.
struct Pieces(mpsc::UnboundedReceiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = ready!(self.0.poll_recv(context));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// A caller, and a server that answers each request with the next of these bodies.
struct Setting {
    requests: SendRequest<Bytes>,
    metrics: Arc<Metrics>,
    _tasks: JoinSet<()>,
}

impl Setting {
    async fn new(bodies: Vec<Body>) -> Self {
        let metrics = Arc::new(Metrics::new());
        let (client, server) = duplex(1 << 16);
        let limits = ConnectionLimits::kubernetes();
        assert_eq!(limits.exchange_idle_timeout, TIMEOUT);
        let settings = settings(PeerClass::FrontProxy, &limits, limits.max_header_bytes);
        let mut bodies = bodies.into_iter();
        let of_responses = Arc::clone(&metrics);
        let service = move || {
            let context = RequestContext::begin(
                AuditId::of(&http::HeaderMap::new()),
                Arc::clone(&of_responses),
                AccessLog::off(),
            );
            let mut response = Response::new(bodies.next().unwrap());
            response.extensions_mut().insert(context);
            move |_| std::future::ready(response)
        };
        let mut tasks = JoinSet::new();
        let serving = Connection::new(server, Turn::default(), &settings, PEER, &limits, service);
        tasks.spawn(async move {
            // It ends with the caller's side.
            let _ = serving.await;
        });
        let (requests, connection) = client::handshake(client).await.unwrap();
        tasks.spawn(async move {
            let _ = connection.await;
        });
        Self {
            requests,
            metrics,
            _tasks: tasks,
        }
    }

    fn ask(&mut self) -> ResponseFuture {
        let request = http::Request::get("https://api.example/").body(()).unwrap();
        self.requests.send_request(request, true).unwrap().0
    }

    fn untaken(&self) -> u64 {
        let gauges = crate::serve::telemetry::Gauges::default();
        let text = self.metrics.text(&gauges);
        let line = r#"throughway_refusals_total{reason="response_not_taken"} "#;
        let count = text.lines().find_map(|found| found.strip_prefix(line));
        count.map_or(0, |count| count.parse().unwrap())
    }
}

async fn body_of(response: ResponseFuture) -> RecvStream {
    response.await.unwrap().into_body()
}

/// What ends a body that is taken up to its end or its error; how much of it came.
async fn rest(mut body: RecvStream) -> (usize, Option<Reason>) {
    let mut bytes = 0;
    while let Some(piece) = body.data().await {
        match piece {
            Ok(piece) => {
                bytes += piece.len();
                body.flow_control().release_capacity(piece.len()).unwrap();
            }
            Err(failed) => return (bytes, failed.reason()),
        }
    }
    (bytes, None)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_is_reset_and_lets_its_response_go() {
    let (pieces, body) = mpsc::unbounded_channel();
    pieces.send(Bytes::from(vec![b'x'; LARGE])).unwrap();
    let mut s = Setting::new(vec![Body::new(Pieces(body)), Body::from("other")]).await;
    let unread = body_of(s.ask()).await;
    let begun = Instant::now();
    let let_go = tokio::time::timeout(2 * TIMEOUT, pieces.closed()).await;
    assert!(let_go.is_ok(), "the response is kept");
    assert_eq!(begun.elapsed(), TIMEOUT);
    assert_eq!(s.untaken(), 1);
    let (_, reason) = rest(unread).await;
    assert_eq!(reason, Some(Reason::CANCEL));
    let other = body_of(s.ask()).await;
    assert_eq!(rest(other).await, (5, None), "the connection goes on");
}

/// h2 would take it over, however shut the window is, and hold it as long as the connection lasts.
#[tokio::test(start_paused = true)]
async fn so_is_one_of_which_the_last_piece_is_left_unread() {
    let whole = || Body::from(vec![b'x'; LARGE]);
    let (pieces, body) = mpsc::unbounded_channel();
    pieces.send(Bytes::from(vec![b'x'; LARGE])).unwrap();
    drop(pieces);
    for body in [whole(), Body::new(Pieces(body))] {
        let mut s = Setting::new(vec![body]).await;
        let unread = body_of(s.ask()).await;
        tokio::time::sleep(TIMEOUT + Duration::from_secs(1)).await;
        assert_eq!(s.untaken(), 1);
        let (bytes, reason) = rest(unread).await;
        assert!(bytes < LARGE, "{bytes}");
        assert_eq!(reason, Some(Reason::CANCEL));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_takes_a_little_now_and_then_gets_it_all() {
    let mut s = Setting::new(vec![Body::from(vec![b'x'; 4 * LARGE])]).await;
    let mut body = body_of(s.ask()).await;
    let mut bytes = 0;
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        bytes += piece.len();
        tokio::time::sleep(TIMEOUT - Duration::from_secs(1)).await;
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!((bytes, s.untaken()), (4 * LARGE, 0));
}

/// A caller whose library tells of more room only when it has read all of a window.
#[tokio::test(start_paused = true)]
async fn a_response_of_exactly_the_window_ends_without_more_of_it() {
    let window = 65_535;
    let (pieces, body) = mpsc::unbounded_channel();
    pieces.send(Bytes::from(vec![b'x'; window])).unwrap();
    let mut s = Setting::new(vec![Body::new(Pieces(body))]).await;
    let mut body = body_of(s.ask()).await;
    let mut bytes = 0;
    while bytes < window {
        bytes += body.data().await.unwrap().unwrap().len();
    }
    drop(pieces);
    assert_eq!((rest(body).await, s.untaken()), ((0, None), 0));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_silent_is_not_held_against_the_caller() {
    let (pieces, body) = mpsc::unbounded_channel();
    let mut s = Setting::new(vec![Body::new(Pieces(body))]).await;
    let body = body_of(s.ask()).await;
    tokio::time::sleep(10 * TIMEOUT).await;
    pieces.send(Bytes::from_static(b"late")).unwrap();
    drop(pieces);
    assert_eq!((rest(body).await, s.untaken()), ((4, None), 0));
}
