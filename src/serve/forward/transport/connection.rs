//! What differs between backends that speak HTTP/1 and HTTP/2: settings, the form of a request, and how one is refused.

use std::error::Error as _;
use std::time::Duration;

use http::uri::Authority;
use http::{HeaderValue, Request, Uri, Version};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::super::ForwardError;
use super::super::body::Up;
use super::bulk_read::BULK_READ_BYTES;

/// Bytes of the head of a backend's answer; `io.rs` holds HTTP/1 backends to them. Go's and nginx' servers send a few kilobytes.
pub(in crate::serve::forward) const MAX_HEADER_BYTES: u32 = 256 << 10;

/// Lines of that head: hyper's default, as haproxy and Envoy have it. hyper makes room for all of them on every answer, on the
/// heap if there are more than these; with 256 a small request cost 2 % more CPU. Go counts bytes alone.
pub(in crate::serve::forward) const MAX_HEADER_LINES: usize = 100;

/// What one stream of an HTTP/2 backend may have under way to a caller that does not read, in bytes.
const STREAM_WINDOW: u32 = 64 << 10;

/// Streams that are open at the same time on one connection to a backend, whatever the backend allows. The connection's
/// window is that of all of them, so that stalled streams take nothing from the others.
pub(in crate::serve::forward) const MAX_STREAMS: usize = 100;

/// Bytes that may come on an HTTP/2 connection while nothing goes on of any of its streams. Callers that do not read leave
/// windows of 6.3 MiB full.
pub(in crate::serve::forward) const MAX_BYTES_WITHOUT_PROGRESS: u64 = 16 << 20;

/// Frames other than DATA in that time. A PING in ten seconds, from a backend that nobody asks anything, is a day.
pub(in crate::serve::forward) const MAX_FRAMES_WITHOUT_PROGRESS: u64 = 10_000;

/// Streams that are opened before the backend has said how many it allows.
pub(in crate::serve::forward) const MAX_EARLY_STREAMS: usize = 8;

/// What waits to be sent on one stream, in bytes.
const MAX_SEND_BUFFER: usize = 64 << 10;

/// How long an HTTP/2 backend may leave a ping unanswered.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Whether the caller can see how the names of headers are spelled.
///
/// HTTP/1 names keep the case in which they were sent; to note it costs every answer, and HTTP/2 has lower case alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::serve::forward) enum Spelling {
    Kept,
    LowerCase,
}

impl Spelling {
    pub(in crate::serve::forward) fn seen_in(version: Version) -> Self {
        if version == Version::HTTP_2 {
            Self::LowerCase
        } else {
            Self::Kept
        }
    }
}

/// Names whose spelling nobody knows are in title case, as Go writes them: some backends of HTTP/1 read nothing else.
///
/// Lines that are folded, and spaces before a colon, are taken of answers and go on mended (RFC 9112 sections 5.1 and 5.2).
pub(in crate::serve::forward) fn http1_settings(spelling: Spelling) -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .preserve_header_case(spelling == Spelling::Kept)
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

/// HTTP/2 names host and scheme in the request's own fields. The host is the one that the request has.
pub(in crate::serve::forward) fn as_http2(request: &mut Request<Up>) -> Result<(), ForwardError> {
    let host = request.headers_mut().remove(http::header::HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTPS);
    parts.authority = Some(authority.ok_or(ForwardError::Unsendable)?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| ForwardError::Unsendable)?;
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

/// Undoes [`as_http2`]: the next connection may speak HTTP/1.
pub(in crate::serve::forward) fn as_http1(request: &mut Request<Up>) {
    let authority = request.uri().authority();
    let host = authority.and_then(|host| HeaderValue::try_from(host.as_str()).ok());
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    if let Some(host) = host {
        request.headers_mut().insert(http::header::HOST, host);
    }
    *request.version_mut() = Version::HTTP_11;
}

/// Whether what came was no HTTP/2, or a head of more than [`MAX_HEADER_BYTES`]: then h2 ends the stream or the connection.
pub(in crate::serve::forward) fn is_malformed(cause: &hyper::Error) -> bool {
    let said = cause.source().and_then(|source| source.downcast_ref());
    said.is_some_and(h2::Error::is_library)
}

/// Whether an HTTP/2 backend has not begun with a request: it refused the stream, it was going away, or it was gone.
pub(in crate::serve::forward) fn is_refused(cause: &hyper::Error) -> bool {
    let Some(source) = cause.source() else {
        return cause.is_canceled();
    };
    if let Some(said) = source.downcast_ref::<h2::Error>() {
        let is_going_away = said.is_remote() && said.is_go_away();
        return is_going_away || said.is_io() || said.reason() == Some(h2::Reason::REFUSED_STREAM);
    }
    source.is::<std::io::Error>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::request_context::RequestContext;
    use crate::serve::telemetry::{AccessLog, AuditId, Metrics};

    /// What a backend may send before anybody reads, and what the head of its answer may have.
    #[tokio::test]
    async fn a_backend_is_told_its_windows_and_the_size_of_its_heads() {
        use tokio::io::AsyncReadExt;
        let (here, mut backend) = tokio::io::duplex(1 << 16);
        let io = hyper_util::rt::TokioIo::new(here);
        let (_sender, connection) = http2_settings().handshake::<_, Up>(io).await.unwrap();
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
        let told = tokio::select! {
            ended = connection => unreachable!("{ended:?}"),
            told = reading => told,
        };
        assert_eq!(told, (64 << 10, 256 << 10, 100 * (64 << 10) - 65_535));
    }

    #[test]
    fn the_host_of_a_request_goes_to_http2_and_comes_back() {
        let context = RequestContext::begin(
            AuditId::of(&http::HeaderMap::new()),
            std::sync::Arc::new(Metrics::new()),
            AccessLog::off(),
        );
        let mut request = Request::new(Up::empty(context));
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
