//! The issuer of ID tokens. In: a refresh token. Out: an ID token, and the next refresh token if there is one.
//!
//! Only `https` issuers are asked. Whether the client's name and secret are wanted in a header or in the form is found
//! out by trying.
//!
//! OpenID Connect Discovery 1.0 section 4, RFC 6749 sections 2.3.1 and 6.

use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::timeout;

use crate::local::api_server::error::{ConfigError, CredentialError};
use crate::local::api_server::kubeconfig::resolve::{self, ServerTrust};
use crate::local::api_server::transport::connect::{ApiDialer, TlsTarget};
use crate::local::api_server::transport::proxy::{Proxy, ProxyEnvironment, host_of};
use crate::local::api_server::transport::tls::{ConnectionPurpose, TlsSource};

/// How long the issuer may take for one response, connecting included.
const ISSUER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that is read of a response.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Where tokens are fetched.
pub(super) struct Issuer {
    url: String,
    client_id: String,
    client_secret: Option<SecretString>,
    tls: TlsSource,
    dial: ApiDialer,
}

/// What the issuer gave.
pub(super) struct FetchedTokens {
    pub(super) id_token: SecretString,
    pub(super) refresh_token: Option<SecretString>,
}

#[derive(Deserialize)]
struct DiscoveryDocument {
    token_endpoint: String,
}

#[derive(Deserialize)]
struct TokenResponse {
    id_token: Option<String>,
    refresh_token: Option<String>,
}

/// Where the client's name and secret go.
#[derive(Debug, Clone, Copy)]
enum ClientAuthentication {
    Header,
    Form,
}

impl Issuer {
    pub(super) fn of(
        url: &str,
        client_id: String,
        client_secret: Option<SecretString>,
        trust: ServerTrust,
        proxies: &ProxyEnvironment,
    ) -> Result<Self, ConfigError> {
        let url = url.trim_end_matches('/').to_owned();
        let uri = resolve::server_uri(&url)?;
        // A refresh token in the clear would be anybody's.
        if uri.scheme() != Some(&Scheme::HTTPS) {
            let server = resolve::without_userinfo(&url);
            return Err(ConfigError::BadServer { server });
        }
        let proxy = Proxy::of(&uri, None, proxies)?;
        Ok(Self {
            url,
            client_id,
            client_secret,
            tls: TlsSource::anonymous(trust),
            dial: ApiDialer::new(proxy, None, Duration::ZERO),
        })
    }

    /// Fetches an ID token.
    pub(super) async fn refresh(
        &self,
        refresh_token: &SecretString,
    ) -> Result<FetchedTokens, CredentialError> {
        let discovery = format!("{}/.well-known/openid-configuration", self.url);
        let request = Request::get(&discovery).body(Body::empty());
        let request = request.map_err(|_| self.failed("its address is malformed"))?;
        let (status, response) = self.send(request).await?;
        if !status.is_success() {
            return Err(self.failed("its discovery document is not there"));
        }
        let DiscoveryDocument { token_endpoint } = serde_json::from_slice(&response)
            .map_err(|_| self.failed("its discovery document is malformed"))?;
        let mut refused = self.failed("it refused the refresh token");
        // RFC 6749 section 2.3.1 has both, and which one an issuer takes is told only by its refusal. oauth2 of Go
        // tries in the same order.
        for authentication in [ClientAuthentication::Header, ClientAuthentication::Form] {
            let request = self.token_request(&token_endpoint, refresh_token, authentication)?;
            let (status, response) = self.send(request).await?;
            if status.is_success() {
                return self.tokens(&response);
            }
            // Not the token's fault, so nobody is told to log in anew for it.
            if status.is_server_error() {
                refused = self.failed("it has an error of its own");
            }
        }
        Err(refused)
    }

    fn tokens(&self, response: &[u8]) -> Result<FetchedTokens, CredentialError> {
        let tokens: TokenResponse = serde_json::from_slice(response)
            .map_err(|_| self.failed("its response is malformed"))?;
        let id_token = tokens.id_token.filter(|token| !token.is_empty());
        Ok(FetchedTokens {
            id_token: id_token
                .map(SecretString::from)
                .ok_or_else(|| self.failed("its response has no ID token"))?,
            refresh_token: tokens
                .refresh_token
                .filter(|token| !token.is_empty())
                .map(SecretString::from),
        })
    }

    fn token_request(
        &self,
        endpoint: &str,
        refresh_token: &SecretString,
        authentication: ClientAuthentication,
    ) -> Result<Request<Body>, CredentialError> {
        let secret = self
            .client_secret
            .as_ref()
            .map_or("", |secret| secret.expose_secret());
        let mut form = format!(
            "grant_type=refresh_token&refresh_token={}",
            encoded(refresh_token.expose_secret())
        );
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(endpoint)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match authentication {
            ClientAuthentication::Header => {
                let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret));
                // Each part is escaped first (RFC 6749 section 2.3.1), as a colon would end the name.
                let value = format!("Basic {}", STANDARD.encode(pair));
                let mut value =
                    HeaderValue::try_from(value).expect("base64 can be sent in a header");
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            ClientAuthentication::Form => {
                form = format!("{form}&client_id={}", encoded(&self.client_id));
                if !secret.is_empty() {
                    form = format!("{form}&client_secret={}", encoded(secret));
                }
            }
        }
        request
            .body(Body::from(form))
            .map_err(|_| self.failed("its token endpoint is malformed"))
    }

    async fn send(&self, request: Request<Body>) -> Result<(StatusCode, Vec<u8>), CredentialError> {
        match timeout(ISSUER_TIMEOUT, Box::pin(self.exchange(request))).await {
            Ok(response) => response,
            Err(_) => Err(self.failed("it does not respond")),
        }
    }

    /// One request on a connection of its own, which is driven here and closed with it.
    async fn exchange(
        &self,
        mut request: Request<Body>,
    ) -> Result<(StatusCode, Vec<u8>), CredentialError> {
        let uri = request.uri().clone();
        let malformed = || self.failed("its addresses are not all of https");
        let authority = uri.authority().ok_or_else(malformed)?.clone();
        // Asked of the token endpoint too: the discovery document could lead anywhere.
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(malformed());
        }
        let name = ServerName::try_from(host_of(&uri).to_owned()).map_err(|_| malformed())?;
        let unreachable = |why: String| CredentialError::Issuer {
            issuer: self.url.clone(),
            why,
        };
        let settings = self.tls.settings(None).await;
        let settings = settings.map_err(|failed| unreachable(failed.to_string()))?;
        let secured = TlsTarget {
            // HTTP/1.1 alone, as there is one request and then the connection closes.
            settings: settings.of(ConnectionPurpose::Upgrade),
            name,
        };
        let connected = self.dial.secured(&uri, secured).await;
        let (io, _) = connected.map_err(|failed| unreachable(failed.to_string()))?;
        let broken = |_| self.failed("its connection broke");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
            .await
            .map_err(broken)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>().map_err(|_| malformed())?;
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| malformed())?;
        headers.insert(HOST, host);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_RESPONSE_BYTES);
            let body = body.collect().await;
            let body = body.map_err(|_| self.failed("its response broke off"))?;
            Ok((status, body.to_bytes().to_vec()))
        };
        let mut response = std::pin::pin!(response);
        // Driven in the same task: the connection ends with the request, and nothing is left running.
        tokio::select! {
            received = &mut response => received,
            // The end of the connection may come with the end of the response.
            _ = connection => response.await,
        }
    }

    fn failed(&self, why: &str) -> CredentialError {
        CredentialError::Issuer {
            issuer: self.url.clone(),
            why: why.to_owned(),
        }
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
