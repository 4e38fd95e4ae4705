//! A server's side of a WebSocket. RFC 6455 section 4.2.2.

use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// An accepted one.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Accepts the WebSocket that a request asks for, and talks over it in a task of its own; `None` if it asks for none.
pub fn accept<F>(
    request: &mut Request<Incoming>,
    talk: impl FnOnce(Socket) -> F + Send + 'static,
) -> Option<Response<()>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        // Whoever asked may be gone.
        if let Ok(upgraded) = upgrade.await {
            let stream = TokioIo::new(upgraded);
            talk(WebSocketStream::from_raw_socket(stream, Role::Server, None).await).await;
        }
    });
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = accept.parse().expect("base64 is header text");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Some(response)
}

/// Says something, and then whatever the other side says.
pub async fn echo(mut socket: Socket, first: String) {
    let mut sent = socket.send(Message::text(first)).await;
    while let (Ok(()), Some(Ok(message))) = (&sent, socket.next().await) {
        if message.is_close() {
            return;
        }
        sent = socket.send(message).await;
    }
}

/// Says nothing until the other side goes.
pub async fn listen(mut socket: Socket) {
    while let Some(Ok(_)) = socket.next().await {}
}
