//! Backends that harm on purpose: each binds an address, answers for a pod, and ends when it is dropped.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// As small as Linux lets a receive buffer be, so that little is enough to fill it.
const SMALLEST_BUFFER: u32 = 4096;

const BACKLOG: u32 = 4096;

/// A running one.
#[derive(Debug)]
pub struct Hostile {
    pub address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Hostile {
    /// Takes connections and never reads a byte from them.
    pub fn never_reads(address: SocketAddr) -> Self {
        Self::serving(address, |stream| async move {
            let _open = stream;
            std::future::pending().await
        })
    }

    fn serving<F>(address: SocketAddr, each: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = listen(address);
        let address = listener.local_addr().expect("a bound address");
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(each(stream));
            }
        });
        Self {
            address,
            _serving: serving,
        }
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket
        .set_recv_buffer_size(SMALLEST_BUFFER)
        .expect("an option");
    socket
        .bind(address)
        .and_then(|()| socket.listen(BACKLOG))
        .unwrap_or_else(|failed| panic!("{address}: {failed}"))
}
