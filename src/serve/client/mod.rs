//! 5, who is on the other end. In: a [`Permit`] and its request. Out: [`ClientInfo`], and the request as it was sent to
//! the target: out of its envelope, and without the token of a page.
//!
//! | question | read from |
//! |---|---|
//! | is the target seen at an origin of its own? | an envelope ([`crate::protocol::envelope`]) |
//! | at which URL does a browser see the target? | `Origin`, `Referer`, as far as they are believed ([`ExternalUrl`]) |
//! | what kind of client is it? | `Sec-Fetch-*`, `Accept`, the caller ([`ClientKind`]) |
//! | does a page of the target open this WebSocket? | a sub-protocol ([`PageTokens`]) |
//!
//! Refuses: 400 for an envelope of an origin that is neither loopback nor listed. When the destination is known, too,
//! 403 for what a page of another site may not ask of it ([`CrossSite`]).

mod binding;
mod cross_site;
mod external_url;
mod info;
mod page_token;

use http::header;

pub use binding::user_and_target;
pub use cross_site::CrossSite;
pub use external_url::{BrowserOrigin, ExternalUrl, KnownOrigins};
pub use info::{ClientInfo, ClientKind, FetchDestination, Ingress, PathSource, RedirectPreference};
pub use page_token::{OfferedToken, PageTokens};

use crate::protocol::envelope::{self, NoOrigin, TargetOrigin};
use crate::protocol::fetch_metadata::{self, CrossSitePolicy};
use crate::protocol::status::Request;
use crate::serve::authentication::{ClaimFilter, Method};
use crate::serve::authorization::Permit;
use crate::serve::cluster::ServiceSettings;
use crate::serve::config::{ExternalOrigin, ForwardConfig};

/// Describes clients.
#[derive(Debug)]
pub struct Clients {
    external_origins: Vec<ExternalOrigin>,
    cross_site: CrossSitePolicy,
    page_tokens: PageTokens,
    claims: ClaimFilter,
}

impl Clients {
    pub fn new(config: &ForwardConfig, page_tokens: PageTokens, claims: ClaimFilter) -> Self {
        Self {
            external_origins: config.external_origins.clone(),
            cross_site: config.cross_site,
            page_tokens,
            claims,
        }
    }

    /// Who is on the other end, and how they see the target. The request is then as it was sent to the target.
    ///
    /// # Errors
    /// The origin of an envelope is none, or is neither loopback nor listed: any caller could choose the backend's
    /// `Host` by it.
    pub fn describe(&self, permit: &Permit, request: &mut Request) -> Result<ClientInfo, NoOrigin> {
        // It may have come as a POST.
        request.method_mut().clone_from(&permit.info().method);
        let target_origin = envelope::unwrap_request(request.headers_mut())?;
        if target_origin.is_some() {
            // What was inside is as the page sent it, and no stage has looked at it.
            // Inside an envelope `Authorization` is the app's, so only claims of an identity go.
            self.claims.remove_claims(request.headers_mut());
        }
        self.of(permit, target_origin, request)
    }

    /// The same for a request that is out of its envelope.
    pub(crate) fn of(
        &self,
        permit: &Permit,
        target_origin: Option<TargetOrigin>,
        request: &mut Request,
    ) -> Result<ClientInfo, NoOrigin> {
        if let Some(own) = target_origin {
            let is_believed = own.is_loopback() || self.known(None).holds(&own.to_string());
            return match is_believed {
                true => Ok(ClientInfo::of(permit, request.headers()).at_target_origin(own)),
                false => Err(NoOrigin),
            };
        }
        // First, as an origin is believed because of a good token, and no backend may see one.
        let token = self.page_tokens.take(permit, request.headers_mut());
        // From here on the token is out of the request, and everything reads the headers that the backend gets.
        let headers = request.headers();
        let external = match fetch_metadata::tells_of_a_page(headers) {
            true => {
                let known = self.known(own_host(permit, request));
                ExternalUrl::of(headers, permit.info().prefix(), &known, &token)
            }
            false => ExternalUrl::default(),
        };
        Ok(ClientInfo::of(permit, headers).seeing(external, token))
    }

    /// Refuses what a page of another site may not ask of the target.
    ///
    /// # Errors
    /// [`CrossSite`] says what to do about it.
    pub fn guard(
        &self,
        permit: &Permit,
        client: &ClientInfo,
        settings: &ServiceSettings,
        request: &Request,
    ) -> Result<(), CrossSite> {
        if self.cross_site == CrossSitePolicy::Allow
            // A program says nothing of a page, and there is nothing to guard it from.
            || !fetch_metadata::tells_of_a_page(request.headers())
        {
            return Ok(());
        }
        let own = match &client.target_origin {
            Some(own) => Some(own.to_string()),
            None => own_host(permit, request),
        };
        cross_site::check(request, client, &self.known(own), settings.isolation)
    }

    fn known(&self, own: Option<String>) -> KnownOrigins<'_> {
        KnownOrigins {
            listed: &self.external_origins,
            own,
        }
    }
}

/// The origin that a direct caller sent the request to. Through the front proxy nobody knows.
fn own_host(permit: &Permit, request: &Request) -> Option<String> {
    let headers = request.headers();
    // Programs say nothing that it would be compared with.
    let is_compared = headers.contains_key(header::ORIGIN) || headers.contains_key(header::REFERER);
    // Through the front proxy `Host` names this server, which no browser sees.
    if !is_compared || permit.caller().method == Method::FrontProxy {
        return None;
    }
    let host = fetch_metadata::line(headers, &header::HOST);
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str))?;
    Some(format!("https://{host}"))
}

#[cfg(test)]
pub(crate) mod tests;
