//! Backends that harm on purpose: each binds an address, answers for a pod, and ends when it is dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

use crate::serving::Serving;

/// As small as Linux lets a receive buffer be, so that little is enough to fill it.
const SMALLEST_BUFFER: u32 = 4096;

const BACKLOG: u32 = 4096;

/// A running one.
#[derive(Debug)]
pub struct Hostile {
    pub address: SocketAddr,
    open: Arc<AtomicUsize>,
    hang_up: Arc<Notify>,
    _serving: Serving,
}

impl Hostile {
    /// Takes connections and never reads a byte from them.
    pub fn never_reads(address: SocketAddr) -> Self {
        Self::serving(address, |stream| async move {
            // Whoever gives up on it resets the connection.
            let _ = stream.ready(Interest::ERROR).await;
        })
    }

    /// Closes all connections that there are. Nothing was read from them, so the kernel resets them.
    pub fn hang_up(&self) {
        self.hang_up.notify_waiters();
    }

    /// How many connections there are.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Answers by path, and never well:
    ///
    /// | path | answer |
    /// |---|---|
    /// | one of `pages` | that page, in the coding that its path ends with |
    /// | `/endless` | a body without end |
    /// | `/tunnel` | 101 and frames without end; reads nothing |
    /// | any other | none |
    pub fn misbehaves(address: SocketAddr, pages: Vec<(&'static str, Bytes)>) -> Self {
        let pages = Arc::new(pages);
        Self::serving(address, move |mut stream| {
            let pages = Arc::clone(&pages);
            async move {
                let Some(path) = read_path(&mut stream).await else {
                    return;
                };
                let page = pages.iter().find(|(of, _)| *of == path);
                // The other side is free to leave.
                let _ = match (path.as_str(), page) {
                    (_, Some((_, page))) => send_page(&mut stream, &path, page).await,
                    ("/endless", _) => endless(&mut stream, PLAIN).await,
                    ("/tunnel", _) => endless(&mut stream, SWITCHED).await,
                    _ => std::future::pending().await,
                };
            }
        })
    }

    fn serving<F>(address: SocketAddr, each: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = listen(address);
        let open = Arc::new(AtomicUsize::new(0));
        let hang_up = Arc::new(Notify::new());
        let (count, hung_up) = (Arc::clone(&open), Arc::clone(&hang_up));
        let serving = Serving::each(listener, move |stream, _| {
            let (count, serving) = (Arc::clone(&count), each(stream));
            let hung_up = Arc::clone(&hung_up);
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::select! {
                    () = serving => {}
                    () = hung_up.notified() => {}
                }
                count.fetch_sub(1, Ordering::SeqCst);
            }
        });
        Self {
            address: serving.address,
            open,
            hang_up,
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

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";

/// The accept value belongs to the key of RFC 6455 section 1.3.
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The path of a request, without its query, once its head is whole.
async fn read_path(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1)?.split('?').next()?;
    Some(path.to_owned())
}

async fn send_page(stream: &mut TcpStream, path: &str, page: &[u8]) -> std::io::Result<()> {
    let coding = path.rsplit('/').next().unwrap_or_default();
    let coding = match coding {
        "identity" => String::new(),
        coding => format!("Content-Encoding: {coding}\r\n"),
    };
    let length = page.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n{coding}\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page).await?;
    std::future::pending().await
}

/// Zeros; to a WebSocket they are empty frames.
async fn endless(stream: &mut TcpStream, head: &str) -> std::io::Result<()> {
    stream.write_all(head.as_bytes()).await?;
    loop {
        stream.write_all(&[0; 1 << 14]).await?;
    }
}
