//! One HTTP/2 connection of an attacker: it opens streams and reads nothing of what comes back.

use bytes::Bytes;
use std::time::Duration;

use h2::client::{ResponseFuture, SendRequest};
use h2::{Error, SendStream};
use http::Request;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::client::Client;

/// What one stream may bring before it is read; the connection itself has room for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// As in most clients.
    Usual,
    Huge,
}

impl Window {
    fn bytes(self) -> u32 {
        match self {
            Self::Usual => (1 << 16) - 1,
            Self::Huge => i32::MAX as u32,
        }
    }
}

/// After so long without it a connection that does not read has sent everything.
const SENT: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct Connection {
    requests: SendRequest<Bytes>,
    authorization: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    _driven: JoinSet<()>,
}

/// A stream that was opened and is not looked at again.
pub type Open = (ResponseFuture, SendStream<Bytes>);

impl Connection {
    pub async fn open(client: &Client, window: Window) -> Self {
        let (requests, connection) = h2::client::Builder::new()
            .initial_max_send_streams(1000)
            .initial_window_size(window.bytes())
            .initial_connection_window_size(i32::MAX as u32)
            .handshake::<_, Bytes>(client.connect().await)
            .await
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut driven = JoinSet::new();
        driven.spawn(async move {
            let mut connection = connection;
            tokio::select! {
                // The server may end it; that is its response.
                _ = &mut connection => {}
                _ = stopped => std::future::pending().await,
            }
        });
        Self {
            requests,
            stop: Some(stop),
            authorization: client.authorization.clone(),
            _driven: driven,
        }
    }

    /// Reads nothing from the socket any more, nor writes anything.
    pub async fn stop(&mut self) {
        tokio::time::sleep(SENT).await;
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Opens a stream; with `body` in front of it, more of the request is to come.
    ///
    /// # Errors
    /// The server has ended the connection.
    pub async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Open, Error> {
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://throughway.throughway.svc{path}"));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await?;
        let (response, mut stream) =
            requests.send_request(request.body(()).unwrap(), body.is_none())?;
        if let Some(body) = body {
            stream.send_data(body, false)?;
        }
        Ok((response, stream))
    }
}
