//! OpenID Connect as an `auth-provider` of the kubeconfig. In: its settings. Out: an ID token that has not run out.
//!
//! The ID token of the kubeconfig is used to its end, then the refresh token fetches another one from the issuer. What
//! is fetched takes the place of its predecessor in the kubeconfig, as kubectl does it: a refresh token may be good for
//! one use only. So it happens in a task of its own: a request that is given up leaves no refresh token that is used up
//! and nowhere kept, and the program's end waits for it.
//!
//! client-go: `plugin/pkg/client/auth/oidc/oidc.go`; OpenID Connect Core 1.0 section 12, RFC 6749 section 6.

mod issuer;
mod keep;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{Mutex, oneshot};

use super::context::CredentialContext;
use super::header::bearer;
use crate::lifecycle::Tasks;
use crate::local::api_server::clock::Clock;
use crate::local::api_server::error::{ConfigError, CredentialError};
use crate::local::api_server::kubeconfig::resolve::{Pem, ServerTrust};
use issuer::{FetchedTokens, Issuer};

/// How long before its end a token is replaced.
const EXPIRY_SKEW: Duration = Duration::from_secs(10);
/// The least time between two tries that failed.
const RETRY_BACKOFF: Duration = Duration::from_secs(5);

/// A login with an issuer of ID tokens.
pub(in crate::local::api_server) struct Oidc {
    login: Arc<OidcLogin>,
    tasks: Tasks,
}

struct OidcLogin {
    clock: Clock,
    files: Vec<PathBuf>,
    issuer: Option<Issuer>,
    state: Mutex<OidcState>,
}

struct OidcState {
    id_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    failed: Option<(SystemTime, CredentialError)>,
}

#[derive(Deserialize)]
struct IdTokenClaims {
    exp: f64,
}

impl Oidc {
    pub(super) fn of(
        mut settings: HashMap<String, String>,
        context: CredentialContext<'_>,
    ) -> Result<Self, ConfigError> {
        let mut setting = |name: &str| settings.remove(name).filter(|value| !value.is_empty());
        let roots = match (
            setting("idp-certificate-authority-data"),
            setting("idp-certificate-authority"),
        ) {
            (Some(data), _) => ServerTrust::Roots(Pem::Base64(SecretString::from(data))),
            (None, Some(file)) => ServerTrust::Roots(Pem::File(PathBuf::from(file))),
            (None, None) => ServerTrust::System,
        };
        let issuer = match (setting("idp-issuer-url"), setting("client-id")) {
            (Some(url), Some(client_id)) => {
                let client_secret = setting("client-secret").map(SecretString::from);
                Some(Issuer::of(
                    &url,
                    client_id,
                    client_secret,
                    roots,
                    context.proxies,
                )?)
            }
            _ => None,
        };
        let state = OidcState {
            id_token: setting("id-token").map(SecretString::from),
            refresh_token: setting("refresh-token").map(SecretString::from),
            failed: None,
        };
        Ok(Self {
            login: Arc::new(OidcLogin {
                clock: context.clock,
                files: context.files,
                issuer,
                state: Mutex::new(state),
            }),
            tasks: context.tasks.clone(),
        })
    }

    /// The header of the present ID token, which is fetched anew if it has run out.
    pub(super) async fn header(&self) -> Result<HeaderValue, CredentialError> {
        // Most requests end here. The lock is free but for a refresh, which everybody has to wait for.
        if let Some(header) = self.login.present(&*self.login.state.lock().await) {
            return header;
        }
        let login = Arc::clone(&self.login);
        let (sender, receiver) = oneshot::channel();
        // In a task that the program's end waits for: a refresh token that was used must be kept.
        self.tasks.spawn(async move {
            // Whoever asked may be gone.
            let _ = sender.send(login.renewed().await);
        });
        receiver.await.unwrap_or(Err(CredentialError::Interrupted))
    }

    pub(super) async fn is_about_to_refresh(&self) -> bool {
        let state = self.login.state.lock().await;
        let token = state.id_token.as_ref();
        !token.is_some_and(|token| self.login.is_fresh(token))
    }
}

impl OidcLogin {
    /// What need not be fetched.
    fn present(&self, state: &OidcState) -> Option<Result<HeaderValue, CredentialError>> {
        if let Some(token) = &state.id_token
            && self.is_fresh(token)
        {
            return Some(bearer(token, "the issuer of ID tokens"));
        }
        let (at, failed) = state.failed.as_ref()?;
        (self.clock.since(*at) < RETRY_BACKOFF).then(|| Err(failed.clone()))
    }

    async fn renewed(&self) -> Result<HeaderValue, CredentialError> {
        // Held while the issuer is asked: a refresh token may be good for one use only.
        let mut state = self.state.lock().await;
        // Somebody else may have done it while this one waited for its turn.
        if let Some(header) = self.present(&state) {
            return header;
        }
        let (Some(issuer), Some(refresh_token)) = (&self.issuer, &state.refresh_token) else {
            return Err(CredentialError::LoginExpired);
        };
        match issuer.refresh(refresh_token).await {
            Ok(FetchedTokens {
                id_token,
                refresh_token,
            }) => {
                let header = bearer(&id_token, "the issuer of ID tokens");
                let mut changes = Vec::new();
                // Whatever the ID token is worth: the refresh token before this one may be used up.
                if let Some(next) = refresh_token {
                    changes.extend(state.refresh_token.replace(next.clone()).zip(Some(next)));
                }
                match &header {
                    Ok(_) => {
                        let before = state.id_token.replace(id_token.clone());
                        changes.extend(before.zip(Some(id_token)));
                        state.failed = None;
                    }
                    Err(failed) => state.failed = Some((self.clock.now(), failed.clone())),
                }
                // Before the header is given out, and under the lock, so that nobody refreshes with the old token
                // meanwhile.
                keep::replace(&self.files, &changes).await;
                header
            }
            Err(failed) => {
                // Remembered, as each try may use a refresh token up.
                state.failed = Some((self.clock.now(), failed.clone()));
                Err(failed)
            }
        }
    }

    fn is_fresh(&self, token: &SecretString) -> bool {
        let Some(expiry) = expiry_of(token.expose_secret()) else {
            // A token without an end that can be read is taken for one that has ended.
            return false;
        };
        self.clock.now() + EXPIRY_SKEW < expiry
    }
}

/// When an ID token ends; who signed it is for the API server to look at.
fn expiry_of(token: &str) -> Option<SystemTime> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: IdTokenClaims = serde_json::from_slice(&payload).ok()?;
    let since_epoch = Duration::try_from_secs_f64(claims.exp).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}
