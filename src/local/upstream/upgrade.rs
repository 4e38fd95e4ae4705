//! Upgrades: a connection of its own to the API server, and a tunnel after its 101, for any protocol, as kubectl proxy
//! lets them pass: exec, attach and port-forward over WebSocket and SPDY, and what a page opens.
//!
//! kubectl: `tryUpgrade` of `pkg/util/proxy/upgradeaware.go` in k8s.io/apimachinery.

use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::client::Upstream;
use super::error::UpstreamError;
use super::response::with_body;
use crate::local::api_server::{ConnectionPurpose, ServerConnection};
use crate::protocol::hop_by_hop::requested_upgrades;
use crate::protocol::status::{Request, Response};

/// What is read at once of a tunnel's side.
const TUNNEL_BUFFER: usize = 32 * 1024;

/// The protocols that a request asks for, as `Upgrade` lists them.
pub(in crate::local) fn requested_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocols = requested_upgrades(headers).join(&b", "[..]);
    HeaderValue::from_bytes(&protocols)
        .ok()
        .filter(|protocols| !protocols.is_empty())
}

impl Upstream {
    /// Sends a request that asks for an upgrade. A 101 becomes a tunnel, every other response is passed on.
    pub(in crate::local) async fn upgrade(
        &self,
        mut request: Request,
    ) -> Result<Response, UpstreamError> {
        #[expect(clippy::disallowed_methods, reason = "joins an upgrade's two sides")]
        let caller = hyper::upgrade::on(&mut request);
        self.authorize(&mut request).await?;
        let headers = request.headers_mut();
        // Whatever else `Connection` named has gone with what it named.
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        *request.version_mut() = Version::HTTP_11;
        // No retry: an upgrade has a connection of its own, which can't have been closed while idle.
        let mut response = self.within_timeout(self.send_alone(request)).await?;
        // The credential may be at fault here as well.
        self.note_status(&response);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            // Before the request is given away: it is bound to the caller's connection.
            return Ok(with_body(response));
        }
        #[expect(clippy::disallowed_methods, reason = "joins an upgrade's two sides")]
        let backend = hyper::upgrade::on(&mut response);
        // In the background: the companion's end does not wait for a tunnel.
        self.tasks.spawn_background(async move {
            // Only after a 101: before it, what comes is a response and no tunnel.
            if let Err(failed) = join(caller, backend).await {
                tracing::debug!(error = %failed, "a tunnel broke off");
            }
        });
        Ok(with_body(response))
    }

    async fn send_alone(
        &self,
        request: Request,
    ) -> Result<http::Response<hyper::body::Incoming>, UpstreamError> {
        let ServerConnection { io, .. } = self.api.connect(ConnectionPurpose::Upgrade).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        // Driven with upgrades, or the connection would end with the 101.
        self.drive(connection.with_upgrades());
        Ok(sender.send_request(request).await?)
    }
}

/// Carries bytes both ways until both have ended; each side ends by itself.
async fn join(
    caller: hyper::upgrade::OnUpgrade,
    backend: hyper::upgrade::OnUpgrade,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (caller, backend) = tokio::try_join!(caller, backend)?;
    let (mut caller, mut backend) = (TokioIo::new(caller), TokioIo::new(backend));
    tokio::io::copy_bidirectional_with_sizes(
        &mut caller,
        &mut backend,
        TUNNEL_BUFFER,
        TUNNEL_BUFFER,
    )
    .await?;
    Ok(())
}
