//! An HTTP connection to a backend: its settings, what it holds, and what differs between HTTP/1 and HTTP/2.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use http::{HeaderValue, Request, Uri, Version};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::bulk_read::BULK_READ_BYTES;
use super::io::IoState;
use super::request_body::RequestBody;
use super::streams::{MAX_EARLY_STREAMS, MAX_STREAMS, StreamSlot, Streams};

/// Bytes of the head of a backend's response; `io.rs` holds HTTP/1 backends to them. Go's and nginx' servers send a few
/// kilobytes.
pub(in crate::serve::forward) const MAX_HEADER_BYTES: u32 = 256 << 10;

/// Lines of that head: hyper's default, as haproxy and Envoy have it. hyper makes room for all of them on every
/// response, on the heap if there are more than these; with 256 a small request cost 2 % more CPU. Go counts bytes
/// alone.
pub(in crate::serve::forward) const MAX_HEADER_LINES: usize = 100;

/// What one stream of an HTTP/2 backend may have under way to a caller that does not read, in bytes.
const STREAM_WINDOW: u32 = 64 << 10;

/// What waits to be sent on one stream, in bytes.
const MAX_SEND_BUFFER: usize = 64 << 10;

/// How long an HTTP/2 backend may take to answer a ping.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Whether the caller can see how the names of headers are spelled.
///
/// HTTP/1 names keep the case in which they were sent; to note it costs every response, and HTTP/2 has lower case
/// alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::serve::forward) enum HeaderCase {
    Preserved,
    Lower,
}

impl HeaderCase {
    pub(in crate::serve::forward) fn of(version: Version) -> Self {
        if version == Version::HTTP_2 {
            Self::Lower
        } else {
            Self::Preserved
        }
    }
}

/// An HTTP/1 connection, which carries one exchange at a time.
#[derive(Debug)]
pub(in crate::serve::forward) struct Http1Connection {
    pub(in crate::serve::forward) requests: http1::SendRequest<RequestBody>,
    pub(in crate::serve::forward) state: Arc<IoState>,
}

impl Drop for Http1Connection {
    fn drop(&mut self) {
        // hyper's task still holds what it could not write. Told so, it lets go instead of waiting for a backend that
        // does not read.
        self.state.give_up();
    }
}

/// An HTTP/2 connection, which many exchanges share.
#[derive(Debug, Clone)]
pub(in crate::serve::forward) struct Http2Connection {
    pub(in crate::serve::forward) requests: http2::SendRequest<RequestBody>,
    streams: Arc<Streams>,
}

impl Http2Connection {
    /// A fresh connection, and the slot of the request that it was made for.
    pub(in crate::serve::forward) fn new(
        requests: http2::SendRequest<RequestBody>,
        state: Arc<IoState>,
    ) -> (Self, StreamSlot) {
        let streams = Arc::new(Streams::new(state));
        // The request that made the connection has its slot by right: no other can have taken it before the connection
        // is shared.
        let slot = streams.take_any();
        (Self { requests, streams }, slot)
    }

    pub(in crate::serve::forward) fn state(&self) -> &Arc<IoState> {
        self.streams.state()
    }

    pub(in crate::serve::forward) fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    pub(in crate::serve::forward) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.streams, &other.streams)
    }
}

/// Names whose spelling nobody knows are in title case, as Go writes them: some backends of HTTP/1 read nothing else.
///
/// Lines that are folded, and spaces before a colon, are accepted in responses and go on mended (RFC 9112 sections 5.1
/// and 5.2).
pub(in crate::serve::forward) fn http1_settings(header_case: HeaderCase) -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .preserve_header_case(header_case == HeaderCase::Preserved)
        .title_case_headers(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .max_buf_size(BULK_READ_BYTES);
    settings
}

pub(in crate::serve::forward) fn http2_settings() -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAM_WINDOW * MAX_STREAMS as u32)
        .initial_max_send_streams(MAX_EARLY_STREAMS)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_BYTES);
    settings
}

/// HTTP/2 names host and scheme in the request's own fields. The host is the one that the request has. `None` if that
/// is no authority.
pub(in crate::serve::forward) fn as_http2(request: &mut Request<RequestBody>) -> Option<()> {
    // `:authority` takes its place (RFC 9113 section 8.3.1); two that could differ would let a backend pick.
    let host = request.headers_mut().remove(http::header::HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    // HTTP/2 is only spoken where TLS agreed on it, so the scheme is never another.
    parts.scheme = Some(http::uri::Scheme::HTTPS);
    parts.authority = Some(authority?);
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.version_mut() = Version::HTTP_2;
    Some(())
}

/// Undoes [`as_http2`]: the next connection may speak HTTP/1.
pub(in crate::serve::forward) fn as_http1(request: &mut Request<RequestBody>) {
    let authority = request.uri().authority();
    let host = authority.and_then(|host| HeaderValue::try_from(host.as_str()).ok());
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    if let Some(host) = host {
        request.headers_mut().insert(http::header::HOST, host);
    }
    *request.version_mut() = Version::HTTP_11;
}

/// Whether what came was no HTTP/2, or a head of more than [`MAX_HEADER_BYTES`]: then h2 ends the stream or the
/// connection.
pub(in crate::serve::forward) fn is_malformed(cause: &hyper::Error) -> bool {
    // h2 says `is_library` of what it found wrong itself, and `is_remote` of what the peer said; only the first is
    // malformed.
    let said = cause.source().and_then(|source| source.downcast_ref());
    said.is_some_and(h2::Error::is_library)
}

/// Whether an HTTP/2 backend has not begun with a request: it refused the stream, it was going away, or it was gone.
pub(in crate::serve::forward) fn is_refused(cause: &hyper::Error) -> bool {
    let Some(source) = cause.source() else {
        // No cause means that the connection's task was gone before the request's turn came.
        return cause.is_canceled();
    };
    if let Some(said) = source.downcast_ref::<h2::Error>() {
        // A GOAWAY that this side sent is for a fault of the backend, and says nothing of whether it had begun.
        let is_going_away = said.is_remote() && said.is_go_away();
        // What ends the connection below HTTP/2 ends it for a request whose response had not begun; whether that may go
        // again, `may_retry` says.
        return is_going_away || said.is_io() || said.reason() == Some(h2::Reason::REFUSED_STREAM);
    }
    source.is::<std::io::Error>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::request_context::RequestContext;

    /// What a backend may send before anybody reads, and what the head of its response may have.
    #[tokio::test]
    async fn a_backend_is_told_its_windows_and_the_size_of_its_heads() {
        use tokio::io::AsyncReadExt;
        let (here, mut backend) = tokio::io::duplex(1 << 16);
        let io = hyper_util::rt::TokioIo::new(here);
        let (_sender, connection) = http2_settings()
            .handshake::<_, RequestBody>(io)
            .await
            .unwrap();
        let reading =
            async {
                let (mut settings, mut window) = (std::collections::BTreeMap::new(), 0);
                backend.read_exact(&mut [0; 24]).await.unwrap();
                while settings.is_empty() || window == 0 {
                    let mut head = [0; 9];
                    backend.read_exact(&mut head).await.unwrap();
                    let mut payload = vec![0; usize::from(head[2])];
                    backend.read_exact(&mut payload).await.unwrap();
                    match head[3] {
                        4 => settings.extend(payload.chunks(6).map(|said| {
                            (said[1], u32::from_be_bytes(said[2..].try_into().unwrap()))
                        })),
                        8 => window = u32::from_be_bytes(payload[..].try_into().unwrap()),
                        _ => {}
                    }
                }
                (settings[&4], settings[&6], window)
            };
        let received = tokio::select! {
            ended = connection => unreachable!("{ended:?}"),
            received = reading => received,
        };
        assert_eq!(received, (64 << 10, 256 << 10, 100 * (64 << 10) - 65_535));
    }

    #[test]
    fn the_host_of_a_request_goes_to_http2_and_comes_back() {
        let mut request = Request::new(RequestBody::empty(RequestContext::for_tests()));
        *request.uri_mut() = Uri::from_static("/a?b");
        let host = HeaderValue::from_static("app.demo.svc.localhost:8001");
        request
            .headers_mut()
            .insert(http::header::HOST, host.clone());
        as_http2(&mut request).unwrap();
        assert_eq!(*request.uri(), "https://app.demo.svc.localhost:8001/a?b");
        assert!(request.headers().is_empty());
        as_http1(&mut request);
        assert_eq!(*request.uri(), "/a?b");
        assert_eq!(request.headers()[http::header::HOST], host);
        assert_eq!(request.version(), Version::HTTP_11);
    }
}
