//! What lies in the TLS sessions of a tunnel while the other end takes nothing: what was written and is not on its way.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::AsyncWrite;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::super::transport::connector::Purpose;
use super::super::tunnel::end::TunnelEnd;
use super::*;
use crate::serve::certificates::{Serving, any_backend, server_config};
use crate::serve::client::tests::permit;
use crate::serve::config::Http2Serving;

/// One record, which the session takes as a whole.
const PIECE: [u8; 16 << 10] = [0; 16 << 10];
const MAX_HELD: usize = 16 << 10;

fn acceptor() -> TlsAcceptor {
    let serving = Serving::self_signed().unwrap();
    server_config(serving, Http2Serving::Disabled).into()
}

/// A listener whose connections take little that nobody reads.
async fn listener() -> Backend {
    let backend = Backend::new().await;
    let socket = SockRef::from(&backend.listener);
    socket.set_recv_buffer_size(64 << 10).unwrap();
    backend
}

/// Writes until nothing more is taken, and fails unless all of it comes out but what may be held. The kernel sends by
/// itself what it has; nobody polls the writer any more.
async fn holds_little(
    mut write: impl FnMut(&mut Context<'_>, &[u8]) -> Poll<std::io::Result<usize>>,
    mut other_end: TcpStream,
) {
    let mut written = 0;
    while let Poll::Ready(taken) = poll_fn(|context| Poll::Ready(write(context, &PIECE))).await {
        written += taken.unwrap();
    }
    assert!(written > 4 * MAX_HELD, "{written}");
    let mut bytes = vec![0; written - MAX_HELD];
    let arrives = tokio::time::timeout(Duration::from_secs(10), other_end.read_exact(&mut bytes));
    arrives.await.expect("more is held").unwrap();
}

#[tokio::test]
async fn the_backends_end_of_a_tunnel_holds_16_kib_that_are_not_taken() {
    let (s, backend) = (Setting::new().await, listener().await);
    let connector = &s.forward.connector;
    let permit = permit("alice", "/namespaces/demo/services/web");
    let order = EndpointOrder::for_tests(&permit, endpoints(Scheme::Https, &[backend.address]));
    let accepting = async { acceptor().accept(backend.accept().await).await.unwrap() };
    let (connection, accepted) =
        tokio::join!(connector.connect(&order, Purpose::Upgrade), accepting);
    let mut io = connection.unwrap().io;
    let write =
        |context: &mut Context<'_>, bytes: &[u8]| Pin::new(&mut io).poll_write(context, bytes);
    holds_little(write, accepted.into_inner().0).await;
    s.end().await;
}

#[tokio::test]
async fn the_callers_end_of_a_tunnel_holds_16_kib_that_are_not_taken() {
    let server = listener().await;
    let calling = async {
        #[expect(clippy::disallowed_methods, reason = "this dials as a caller")]
        let tcp = TcpStream::connect(server.address).await.unwrap();
        SockRef::from(&tcp).set_recv_buffer_size(64 << 10).unwrap();
        let connector = TlsConnector::from(any_backend(&[b"http/1.1"]));
        let name = server.address.ip().into();
        let mut tls = connector.connect(name, tcp).await.unwrap();
        tls.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n")
            .await
            .unwrap();
        head(&mut tls).await;
        tls.into_inner().0
    };
    let serving = async {
        crate::serve::connection::upgrade_for_tests(acceptor(), server.accept().await).await
    };
    let (caller, upgraded) = tokio::join!(calling, serving);
    let mut end = TunnelEnd::caller(upgraded, Duration::from_secs(60));
    holds_little(|context, bytes| end.poll_write(context, bytes), caller).await;
}
