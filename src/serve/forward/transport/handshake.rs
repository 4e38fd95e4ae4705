//! From a fresh connection to one that takes requests. In: its bytes. Out: where requests go in.
//!
//! Each connection is driven by a task of its own, which ends with it. Such a task is cut only after everything else
//! has ended: bodies that are on their way need it.

use std::pin::Pin;
use std::sync::Arc;

use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;

use super::connection::{
    HeaderCase, Http1Connection, Http2Connection, http1_settings, http2_settings,
};
use super::io::{Io, IoState};
use super::request_body::RequestBody;
use super::streams::StreamSlot;
use crate::lifecycle::Tasks;

/// Speaks HTTP/1 on a connection.
pub(in crate::serve::forward) async fn http1(
    io: Io,
    header_case: HeaderCase,
    tasks: &Tasks,
) -> Result<Http1Connection, hyper::Error> {
    let state = io.state();
    let settings = http1_settings(header_case);
    // For HTTP/1 the handshake sends nothing: it can only fail for reasons on this side.
    let (requests, connection) = settings.handshake(TokioIo::new(io)).await?;
    // Driven before the request goes in: a request waits for the task, and nothing moves without it.
    drive(tasks, connection);
    Ok(Http1Connection { requests, state })
}

/// The same for a request that may turn the connection into a tunnel. It is no [`Http1Connection`]: that gives its
/// stream up when it is dropped, and a tunnel goes on with the stream.
pub(in crate::serve::forward) async fn http1_with_upgrades(
    io: Io,
    tasks: &Tasks,
) -> Result<(SendRequest<RequestBody>, Arc<IoState>), hyper::Error> {
    let state = io.state();
    let settings = http1_settings(HeaderCase::Preserved);
    let (requests, connection) = settings.handshake(TokioIo::new(io)).await?;
    drive(tasks, connection.with_upgrades());
    Ok((requests, state))
}

/// Speaks HTTP/2 on a connection; the slot is that of the request that the connection was made for.
pub(in crate::serve::forward) async fn http2(
    io: Io,
    tasks: &Tasks,
) -> Result<(Http2Connection, StreamSlot), hyper::Error> {
    let state = io.state();
    // Told before h2 reads its first frame, so that not even the settings go uncounted.
    let io = TokioIo::new(io.speaking_http2());
    let (requests, mut connection) = http2_settings().handshake(io).await?;
    let (shared, slot) = Http2Connection::new(requests, state);
    let streams = Arc::clone(shared.streams());
    drive(tasks, async move {
        std::future::poll_fn(|context| {
            // The connection first, as the settings that it has just read are what is asked about below.
            let polled = Pin::new(&mut connection).poll(context);
            // The backend's settings come and change at any time, and only here do they show.
            streams.allow(connection.current_max_send_streams());
            polled
        })
        .await
    });
    Ok((shared, slot))
}

fn drive(
    tasks: &Tasks,
    connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static,
) {
    // In the background, as a pooled connection is no work of anybody: the end of the server does not wait for it.
    tasks.spawn_background(async move {
        if let Err(failed) = connection.await {
            tracing::debug!(error = %failed, "a connection to a backend broke off");
        }
    });
}
