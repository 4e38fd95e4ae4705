//! A caller's connection after an upgrade. In: what hyper hands out. Out: the TLS stream itself, and what was read of
//! it.
//!
//! Whoever carries the tunnel reads and writes the stream without hyper's layers, and what passes is no head any more:
//! it must not count as one ([`super::head_budget`]).

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::cork::Cork;
use super::head_budget::Metered;

/// A caller's connection.
pub(super) type CallerTls = TlsStream<Cork<TcpStream>>;

/// What hyper serves HTTP/1 on: the front proxy's connection, or a stranger's.
pub(super) type CallerStream = Either<CallerTls, Metered<CallerTls>>;

/// A caller's connection of which the HTTP is over.
#[derive(Debug)]
pub struct Upgraded {
    pub stream: CallerTls,
    /// Bytes that had been read behind the request.
    pub read_already: Bytes,
}

/// # Errors
/// It is no connection of [`super::Listener`], and comes back as it was.
pub fn into_stream(
    upgraded: hyper::upgrade::Upgraded,
) -> Result<Upgraded, hyper::upgrade::Upgraded> {
    // One that is not ours, as in tests over another transport, comes back and is used as it is.
    let parts = upgraded.downcast::<TokioIo<CallerStream>>()?;
    let stream = match parts.io.into_inner() {
        Either::Left(stream) => stream,
        // The counting ends here, as the bytes of a tunnel are no heads.
        Either::Right(metered) => metered.into_inner(),
    };
    Ok(Upgraded {
        stream,
        read_already: parts.read_buf,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use http::{Response, StatusCode};
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use tokio::sync::mpsc;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// What hyper hands out of a caller's connection after its first request, which is answered with 101.
    pub(crate) async fn upgrade(tls: TlsAcceptor, stream: TcpStream) -> hyper::upgrade::Upgraded {
        let stream = tls.accept(Cork::new(stream)).await.unwrap();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let switch = service_fn(move |request: http::Request<Incoming>| {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is what a tunnel is made of"
            )]
            let upgraded = hyper::upgrade::on(request);
            sender.send(upgraded).unwrap();
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            std::future::ready(Ok::<_, Infallible>(response))
        });
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(CallerStream::Left(stream)), switch)
            .with_upgrades()
            .await
            .unwrap();
        receiver.recv().await.unwrap().await.unwrap()
    }
}
