//! Writes of one turn of a connection over TLS: that they leave together, and that none is left behind.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body::Frame;
use rustls::pki_types::ServerName;
use tokio::io::ReadBuf;
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use super::super::super::cork::{Cork, Corked, TLS_BUFFER_BYTES};
use super::*;
use crate::serve::certificates::{Serving, any_backend, server_config};
use crate::serve::config::Http2Serving;

const PIECE: usize = 64 << 10;

/// A stream that counts its writes.
struct Counted {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A body of pieces that the test sends; how many were taken.
struct Pieces(mpsc::UnboundedReceiver<Bytes>, Arc<AtomicUsize>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = ready!(self.0.poll_recv(context));
        self.1.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// A caller over TLS, and a server whose response has the pieces that the test sends.
struct Setting {
    caller: client::TlsStream<DuplexStream>,
    pieces: mpsc::UnboundedSender<Bytes>,
    taken: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Setting {
    async fn new(pipe: usize) -> Self {
        let writes = Arc::new(AtomicUsize::new(0));
        let (near, stream) = duplex(pipe);
        let far = Cork::new(Counted {
            stream,
            writes: Arc::clone(&writes),
        });
        let serving = server_config(Serving::self_signed().unwrap(), Http2Serving::Enabled);
        let connector = TlsConnector::from(any_backend(&[b"h2"]));
        let name = ServerName::try_from("10.0.0.1").unwrap();
        let accepting = TlsAcceptor::from(serving).accept(far);
        let (caller, accepted) = tokio::join!(connector.connect(name, near), accepting);

        let (pieces, received) = mpsc::unbounded_channel();
        let taken = Arc::new(AtomicUsize::new(0));
        let mut body = Some(Body::new(Pieces(received, Arc::clone(&taken))));
        let service = move || {
            let response = Response::new(body.take().unwrap());
            move |_| std::future::ready(response)
        };
        let (limits, turn) = (ConnectionLimits::kubernetes(), Turn::default());
        let settings = settings(PeerClass::FrontProxy, &limits, limits.max_header_bytes);
        let stream = Corked::new(accepted.unwrap(), turn.clone());
        let connection = Connection::new(stream, turn, &settings, PEER, &limits, service);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // It ends with the caller's side.
            let _ = crate::lifecycle::PollLast::new(connection).await;
        });
        Self {
            caller: caller.unwrap(),
            pieces,
            taken,
            writes,
            tasks,
        }
    }

    /// Asks with windows that never shut.
    async fn body(self) -> (h2::RecvStream, JoinSet<()>) {
        let mut tasks = self.tasks;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(16 << 20);
        builder.initial_connection_window_size(16 << 20);
        let (mut requests, connection) = builder.handshake::<_, Bytes>(self.caller).await.unwrap();
        tasks.spawn(async move {
            let _ = connection.await;
        });
        let request = http::Request::get("https://api.example/").body(()).unwrap();
        let response = requests.send_request(request, true).unwrap().0;
        (response.await.unwrap().into_body(), tasks)
    }
}

async fn receive(body: &mut h2::RecvStream, bytes: usize) {
    let mut received = 0;
    while received < bytes {
        received += body.data().await.unwrap().unwrap().len();
    }
    assert_eq!(received, bytes);
}

#[tokio::test]
async fn frames_of_a_large_response_leave_together() {
    let setting = Setting::new(4 << 20).await;
    let (pieces, writes) = (setting.pieces.clone(), Arc::clone(&setting.writes));
    let (mut body, _tasks) = setting.body().await;
    let before = writes.load(Ordering::Relaxed);
    for _ in 0..16 {
        pieces.send(vec![7; PIECE].into()).unwrap();
    }
    receive(&mut body, 16 * PIECE).await;
    let writes = writes.load(Ordering::Relaxed) - before;
    // Each piece is four frames.
    assert!(writes <= 2 * 16, "{writes}");
}

#[tokio::test(start_paused = true)]
async fn what_is_too_little_to_be_written_alone_leaves_at_the_end_of_the_turn() {
    let setting = Setting::new(4 << 20).await;
    let pieces = setting.pieces.clone();
    let (mut body, _tasks) = setting.body().await;
    for bytes in [1, 5000, 20_000, 40_000, 70_000] {
        pieces.send(vec![7; bytes].into()).unwrap();
        let received = tokio::time::timeout(Duration::from_secs(1), receive(&mut body, bytes));
        assert!(received.await.is_ok(), "{bytes}");
    }
}

/// Each is a record of its own, and TLS gives 64 of them to one write.
#[tokio::test(start_paused = true)]
async fn many_small_frames_arrive_through_a_narrow_pipe() {
    let setting = Setting::new(8 << 10).await;
    let pieces = setting.pieces.clone();
    let (mut body, _tasks) = setting.body().await;
    for _ in 0..2000 {
        pieces.send(vec![7; 300].into()).unwrap();
    }
    let received = receive(&mut body, 2000 * 300);
    let received = tokio::time::timeout(Duration::from_secs(1), received);
    assert!(received.await.is_ok());
}

/// A caller that reads nothing: what is taken of the response is in the pipe, in TLS and in h2.
#[tokio::test(start_paused = true)]
async fn tls_holds_no_more_than_its_buffer_for_a_caller_that_reads_nothing() {
    const PIPE: usize = 64 << 10;
    const SMALL: usize = 8 << 10;
    let mut setting = Setting::new(PIPE).await;
    for _ in 0..100 {
        setting.pieces.send(vec![7; SMALL].into()).unwrap();
    }
    let huge: u32 = 64 << 20;
    let window = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &huge.to_be_bytes()].concat();
    let opening = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(SETTINGS, 0, 0, &window),
        frame(WINDOW_UPDATE, 0, 0, &huge.to_be_bytes()),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, GET),
    ];
    setting.caller.write_all(&opening.concat()).await.unwrap();
    setting.caller.flush().await.unwrap();
    // The server has nothing to do any more when this is over.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let taken = setting.taken.load(Ordering::Relaxed) * SMALL;
    assert!(taken > PIPE, "{taken}");
    let most = PIPE + TLS_BUFFER_BYTES + MAX_SEND_BUFFER + 2 * (16 << 10);
    assert!(taken <= most, "{taken} of {most}");
}
