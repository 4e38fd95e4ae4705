//! Servers of the tests: one task takes connections, and each connection has its own.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A running server; it ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Serving {
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Serving {
    /// Serves every connection as it is told, which also says where it comes from.
    pub fn each<F>(
        listener: TcpListener,
        mut serve: impl FnMut(TcpStream, SocketAddr) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().expect("a bound address");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, peer)) = listener.accept().await {
                open.spawn(serve(stream, peer));
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }

    /// Answers every request of HTTP/1.1, and lets it become another protocol's connection.
    pub fn http1<F, B>(
        listener: TcpListener,
        response: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        Self::each(listener, move |stream, _| {
            let service = service_fn(response.clone());
            async move {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // A connection that breaks off has ended.
                let _ = connection.with_upgrades().await;
            }
        })
    }
}
