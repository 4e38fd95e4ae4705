//! One HTTP/2 exchange. In: a request's head and its stream. Out: the response on the same stream.
//!
//! The caller's reset drops whatever was being done for it. The response's body goes out as fast as the caller's
//! windows let it; what waits in between is bounded by `max_send_buffer_size`. A caller whose windows stay shut for
//! `--exchange-idle-timeout` while there is something for it loses the response: its stream is reset.
//!
//! h2 gets no more of a piece than the windows let through. So it is seen here whether the caller takes anything, and
//! h2 keeps nothing of a response that is over, which it would do for as long as the connection lasts.
//!
//! RFC 9113 section 8. hyper's `proto::h2::server` does the same; it can't be told to take tiny DATA frames over while
//! nobody reads, nor how many of them end a connection.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{self, HeaderMap, HeaderName};
use http_body::Body as _;

use super::date;
use super::upload::{Intake, upload};
use crate::lifecycle::ProgressTimeout;
use crate::protocol::status::{Request, Response};
use crate::serve::request_context::RequestContext;

/// What belongs to an HTTP/1 connection and is malformed in HTTP/2 (RFC 9113 section 8.2.2).
const CONNECTION_HEADERS: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// How long a response waits for the end of a body that nobody will read.
const UNREAD_BODY_TIMEOUT: Duration = Duration::from_millis(100);

/// Why an exchange broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("the caller took the request back: {0}")]
    Reset(Reason),
    #[error("the stream failed")]
    Stream(#[from] h2::Error),
    #[error("the response's body failed")]
    Body(#[source] axum::Error),
    #[error("the stream is closed")]
    Closed,
    /// It was said to whom it belongs already.
    #[error("the caller takes nothing of its response")]
    NotTaken,
}

/// Whose streams these are, and for how long they may stay shut while there is something for them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taker {
    pub(super) address: SocketAddr,
    pub(super) timeout: Duration,
}

/// Answers one request and sends the response to its end.
pub(super) async fn exchange<A, F>(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    taker: Taker,
    handler: A,
) -> Result<(), ExchangeError>
where
    A: FnOnce(Request) -> F,
    F: Future<Output = Response>,
{
    let (intake, request) = with_body(request);
    // Pinned here and lent: passed on by value, the future would be part of this one twice, and copied each time. It is
    // dropped at every return below, and with it all that was being done for the caller.
    let responding = pin!(handler(request));
    let Some(response) = wait_for_response(&mut respond, intake.as_ref(), responding).await? else {
        // The protocol was broken and the stream is reset already, so nobody waits for a response.
        return Ok(());
    };
    if let Some(intake) = &intake
        && !is_sound(intake).await
    // The response is dropped unsent: a caller that breaks the protocol is told so and nothing else.
    {
        return Ok(());
    }
    let (mut head, body) = response.into_parts();
    // Taken out before the head goes to h2: it is this server's own, and says whose fault a stalled response is.
    let context = head.extensions.remove::<Arc<RequestContext>>();
    let mut head = http::Response::from_parts(head, ());
    complete(head.headers_mut(), &body);
    let is_whole = body.is_end_stream();
    let stream = match respond.send_response(head, is_whole) {
        Ok(stream) => stream,
        Err(failed) => {
            // Without a reset the caller would wait for a response that will never come.
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Err(failed.into());
        }
    };
    // Nothing is left to send; the intake that is dropped here closes the upload.
    if is_whole {
        return Ok(());
    }
    let mut pipe = Pipe {
        stream,
        body,
        piece: None,
        progress: ProgressTimeout::new(taker.timeout),
    };
    let sent = poll_fn(|context| {
        // The upload goes on while the response is sent, as gRPC does both at once.
        if let Some(intake) = &intake {
            intake.poll(context);
        }
        pipe.poll(context)
    });
    let sent = sent.await;
    if matches!(sent, Err(ExchangeError::NotTaken)) {
        taker.took_nothing(context.as_deref());
    }
    sent
}

impl Taker {
    fn took_nothing(self, context: Option<&RequestContext>) {
        let Self { address, timeout } = self;
        match context {
            Some(context) => context.response_not_taken(timeout),
            None => tracing::info!(
                peer.address = %address,
                "a caller took nothing of a document for {timeout:?}; its stream is reset"
            ),
        }
    }
}

fn with_body(request: http::Request<RecvStream>) -> (Option<Intake>, Request) {
    let (head, stream) = request.into_parts();
    // No machinery for a body where there is none, as with nearly every GET.
    if stream.is_end_stream() {
        return (None, http::Request::from_parts(head, Body::empty()));
    }
    // h2 has checked that there is one length at most, and that the body keeps to it.
    let length = head.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let (intake, body) = upload(stream, length);
    (
        Some(intake),
        http::Request::from_parts(head, Body::new(body)),
    )
}

/// Waits for the response; `None` when the caller's body broke the protocol, which has reset the stream.
async fn wait_for_response(
    respond: &mut SendResponse<Bytes>,
    intake: Option<&Intake>,
    mut responding: Pin<&mut impl Future<Output = Response>>,
) -> Result<Option<Response>, ExchangeError> {
    poll_fn(|context| {
        if let Some(intake) = intake {
            // First, so that frames that have arrived are counted before anything is decided about the stream.
            intake.poll(context);
            if intake.breach().is_some() {
                return Poll::Ready(Ok(None));
            }
        }
        // The response before the reset: one that is ready is worth sending, and a stream that is reset refuses it
        // anyway.
        if let Poll::Ready(response) = responding.as_mut().poll(context) {
            return Poll::Ready(Ok(Some(response)));
        }
        // Polled last, as this is what registers the task for the caller's reset.
        let reason = ready!(respond.poll_reset(context))?;
        Poll::Ready(Err(ExchangeError::Reset(reason)))
    })
    .await
}

/// Whether the caller kept to the protocol, as far as can be known. A request that is refused before its end is not
/// answered as if the rest were fine; what is short or on its way already is waited for.
async fn is_sound(intake: &Intake) -> bool {
    let ended = poll_fn(|context| intake.poll_unread(context));
    // What takes longer is a body that is not worth waiting for: the response says so sooner.
    let _ = tokio::time::timeout(UNREAD_BODY_TIMEOUT, ended).await;
    intake.breach().is_none()
}

/// Makes the head of a response one of HTTP/2.
fn complete(headers: &mut HeaderMap, body: &Body) {
    // Lists are walked once, as this is on the way of every response.
    let (mut has_date, mut has_length, mut is_of_http1) = (false, false, false);
    for name in headers.keys() {
        match *name {
            header::DATE => has_date = true,
            header::CONTENT_LENGTH => has_length = true,
            _ => is_of_http1 |= CONNECTION_HEADERS.contains(name),
        }
    }
    if is_of_http1 {
        for name in &CONNECTION_HEADERS {
            headers.remove(name);
        }
    }
    if !has_date {
        headers.insert(header::DATE, date::now());
    }
    // The length is said where it is known; an end that comes too early is then seen as one.
    if !body.is_end_stream()
        && !has_length
        && let Some(length) = body.size_hint().exact()
    {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
}

/// A response's body on its way out.
#[derive(Debug)]
struct Pipe {
    stream: SendStream<Bytes>,
    body: Body,
    /// A piece that waits for the caller's window, and whether it is the last.
    piece: Option<(Bytes, bool)>,
    progress: ProgressTimeout,
}

impl Pipe {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ExchangeError>> {
        loop {
            // Before each piece, as a caller that gave up must not cost one more.
            if let Poll::Ready(reason) = self.stream.poll_reset(context)? {
                return Poll::Ready(Err(ExchangeError::Reset(reason)));
            }
            if let Some((piece, is_last)) = self.piece.take() {
                let Poll::Ready(window) = self.poll_window(context) else {
                    // Put back: it was not sent, and the next poll begins with it.
                    self.piece = Some((piece, is_last));
                    ready!(self.progress.poll_blocked(context));
                    // `CANCEL` and not an error: nothing is wrong with the request, only nobody takes its response.
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(ExchangeError::NotTaken));
                };
                // Any window at all is progress; what counts is whether the caller reads, not how fast.
                self.progress.moved();
                if self.send(piece, is_last, window?)?.is_break() {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if self.accept(frame)?.is_break() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Some(Err(failed)) => {
                    // The body can't be ended in order, as the caller would take a part for the whole.
                    self.stream.send_reset(reason_of(&failed));
                    return Poll::Ready(Err(ExchangeError::Body(failed)));
                }
                None => {
                    self.stream.send_data(Bytes::new(), true)?;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// How many bytes the windows let through now, when there are any.
    fn poll_window(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, ExchangeError>> {
        loop {
            // Asked before it is waited for: `poll_capacity` only tells of changes.
            let capacity = self.stream.capacity();
            if capacity > 0 {
                return Poll::Ready(Ok(capacity));
            }
            ready!(self.stream.poll_capacity(context)).ok_or(ExchangeError::Closed)??;
        }
    }

    /// Hands over as much of a piece as the windows let through; breaks after the last byte.
    fn send(
        &mut self,
        mut piece: Bytes,
        is_last: bool,
        window: usize,
    ) -> Result<ControlFlow<()>, ExchangeError> {
        if piece.len() > window {
            // As much as fits, so that a small window is used and not waited on until the whole piece fits.
            self.stream.send_data(piece.split_to(window), false)?;
            self.piece = Some((piece, is_last));
            return Ok(ControlFlow::Continue(()));
        }
        self.stream.send_data(piece, is_last)?;
        Ok(if is_last {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    /// A window is asked for only with the piece in hand: what is claimed and not used would be missing to the other
    /// streams.
    fn accept(&mut self, frame: http_body::Frame<Bytes>) -> Result<ControlFlow<()>, ExchangeError> {
        use ControlFlow::{Break, Continue};
        match frame.into_data() {
            // Some bodies make empty pieces; an empty DATA frame would be one for nothing.
            Ok(piece) if piece.is_empty() => {}
            Ok(piece) => {
                self.stream.reserve_capacity(piece.len());
                // The end goes with the last piece where it is known, which saves a frame for each response.
                self.piece = Some((piece, self.body.is_end_stream()));
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    // Capacity that was claimed and not used would be missing to other streams.
                    self.stream.reserve_capacity(0);
                    self.stream.send_trailers(trailers)?;
                    return Ok(Break(()));
                }
            }
        }
        Ok(Continue(()))
    }
}

/// What a caller is told when a body breaks off: the backend's own HTTP/2 reason, where it gave one.
fn reason_of(failed: &axum::Error) -> Reason {
    // The backend's error is below those of the layers that the body went through.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(failed);
    while let Some(failed) = cause {
        if let Some(failed) = failed.downcast_ref::<h2::Error>() {
            return failed.reason().unwrap_or(Reason::INTERNAL_ERROR);
        }
        cause = failed.source();
    }
    Reason::INTERNAL_ERROR
}
