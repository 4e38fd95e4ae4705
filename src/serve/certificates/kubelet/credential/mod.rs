//! What kubelets are shown instead of this server's own token.
//!
//! In: the name of a second ServiceAccount, or a file of the administrator's. Out: the `Authorization` for the next
//! request to a kubelet, or the reason why there is none. Refuses this server's own ServiceAccount: whoever owns one
//! node reads the token that its kubelet is shown, and the own one may read the Secret with the CA's key.
//!
//! TokenRequest: <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use serde::Deserialize;
use tokio::time::Instant;

use super::super::CertificateError;
use super::super::files::{self, Changes};
use super::CredentialSource;
use crate::lifecycle::Tasks;
use crate::serve::config::NamespacedName;

/// How long a token for kubelets lives: the shortest time that TokenRequest grants.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// A token is not shown in the last seconds of its life, as the kubelet's clock may be ahead.
pub(super) const EXPIRY_SKEW: Duration = Duration::from_secs(10);

/// The first pause after a TokenRequest that failed. It doubles up to [`MAX_RETRY_BACKOFF`].
const RETRY_BACKOFF: Duration = Duration::from_secs(2);
const MAX_RETRY_BACKOFF: Duration = Duration::from_secs(60);

/// How long one TokenRequest may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the credential for kubelets comes from.
#[derive(Clone)]
pub enum KubeletCredentialSource {
    /// `--kubelet-service-account`: tokens of this ServiceAccount, asked for with this server's own client.
    ServiceAccount {
        client: kube::Client,
        account: NamespacedName,
    },
    /// `--kubelet-token-file`, read again when it changes, and this server's own token, which it may not hold.
    TokenFile {
        path: std::path::PathBuf,
        own_token: CredentialSource,
    },
    /// Neither flag: kubelets are not asked.
    Nothing,
}

impl std::fmt::Debug for KubeletCredentialSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ServiceAccount { account, .. } => {
                write!(formatter, "ServiceAccount({account:?})")
            }
            Self::TokenFile { path, .. } => write!(formatter, "TokenFile({})", path.display()),
            Self::Nothing => formatter.write_str("Nothing"),
        }
    }
}

/// Why a kubelet can't be asked now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKubeletCredential {
    #[error(
        "no credential for kubelets: set --kubelet-service-account or --kubelet-token-file of throughway serve"
    )]
    NotConfigured,
    #[error(
        "no token of ServiceAccount {0} for kubelets at the moment; the log of throughway serve says why"
    )]
    NoToken(Arc<str>),
}

/// The credential now in force. Its one writer is the task that follows the source.
#[derive(Debug)]
pub(super) struct CurrentCredential {
    shown: ArcSwapOption<ShownCredential>,
    missing: NoKubeletCredential,
}

#[derive(Debug)]
struct ShownCredential {
    authorization: HeaderValue,
    /// `None` for a file: the kubelet judges the token's life.
    until: Option<Instant>,
}

/// Why there is no new token.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("the API server refused the TokenRequest, or could not be asked")]
    Failed(#[from] kube::Error),
    #[error("the API server did not answer the TokenRequest in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("the API server answered the TokenRequest without a usable token")]
    Empty,
}

impl CurrentCredential {
    /// Reads a file once, so that a wrong one ends the start; a ServiceAccount's token comes when the API server
    /// answers.
    pub(super) async fn start(
        source: KubeletCredentialSource,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, CertificateError> {
        match source {
            KubeletCredentialSource::Nothing => Ok(Self::none(NoKubeletCredential::NotConfigured)),
            KubeletCredentialSource::TokenFile { path, own_token } => {
                // Read once: another token of the same account, made later, is told by its subject.
                let own = OwnToken::read(&own_token).await?;
                let token = files::read(&path).await?;
                let credential = Self::none(NoKubeletCredential::NotConfigured);
                // A wrong file ends the start; one that becomes wrong later leaves the last good token in place.
                credential.show_file(&token, &own)?;
                let followed = Arc::clone(&credential);
                tasks.spawn_required(
                    "kubelet-token",
                    followed.follow_file(Changes::of([path]), own),
                );
                Ok(credential)
            }
            KubeletCredentialSource::ServiceAccount { client, account } => {
                let name = format!("{}/{}", account.namespace, account.name);
                let credential = Self::none(NoKubeletCredential::NoToken(name.into()));
                tasks.spawn_required(
                    "kubelet-token",
                    Arc::clone(&credential).renew(client, account),
                );
                Ok(credential)
            }
        }
    }

    fn none(missing: NoKubeletCredential) -> Arc<Self> {
        Arc::new(Self {
            shown: ArcSwapOption::empty(),
            missing,
        })
    }

    /// `Bearer …` for the next request.
    pub(super) fn authorization(&self) -> Result<HeaderValue, NoKubeletCredential> {
        match self.shown.load().as_deref() {
            // Looked at for each request: the API server may have been away for longer than a token lives.
            Some(shown) if shown.until.is_none_or(|until| Instant::now() < until) => {
                Ok(shown.authorization.clone())
            }
            Some(_) | None => Err(self.missing.clone()),
        }
    }

    fn show_file(&self, token: &[u8], own: &OwnToken) -> Result<(), CertificateError> {
        // Before it is stored, so that no kubelet is ever shown it, not even once.
        if own.is_of_same_account(token) {
            return Err(CertificateError::OwnToken);
        }
        let authorization = bearer(token).ok_or(CertificateError::NoToken)?;
        let until = None;
        self.shown.store(Some(Arc::new(ShownCredential {
            authorization,
            until,
        })));
        Ok(())
    }

    async fn follow_file(self: Arc<Self>, mut changes: Changes<1>, own: OwnToken) {
        loop {
            let [token] = changes.next().await;
            if let Err(failed) = self.show_file(&token, &own) {
                tracing::warn!(error = %failed, "the new token for kubelets is of no use, the last good one stays");
            }
        }
    }

    /// Asks for a new token in the middle of the present one's life, and more often while there is no response.
    async fn renew(self: Arc<Self>, client: kube::Client, account: NamespacedName) {
        let accounts = Api::namespaced(client, &account.namespace);
        let mut backoff = RETRY_BACKOFF;
        loop {
            // Counted from before the request, so that no clock but this one matters.
            let asked_at = Instant::now();
            let pause = match request(&accounts, &account.name).await {
                Ok((authorization, lifetime)) => {
                    let until = Some(asked_at + lifetime.saturating_sub(EXPIRY_SKEW));
                    self.shown.store(Some(Arc::new(ShownCredential {
                        authorization,
                        until,
                    })));
                    backoff = RETRY_BACKOFF;
                    // In the middle of its life, so that some failures in a row still leave it good.
                    (lifetime / 2).max(RETRY_BACKOFF)
                }
                Err(failed) => {
                    let cause = std::error::Error::source(&failed).map(ToString::to_string);
                    tracing::warn!(
                        error = %failed, cause, service_account.namespace = account.namespace,
                        service_account.name = account.name,
                        "there is no new token for kubelets"
                    );
                    let pause = backoff;
                    backoff = (backoff * 2).min(MAX_RETRY_BACKOFF);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// A new token and how long it lives, never longer than [`TOKEN_LIFETIME`].
async fn request(
    accounts: &Api<ServiceAccount>,
    name: &str,
) -> Result<(HeaderValue, Duration), TokenError> {
    let seconds = i64::try_from(TOKEN_LIFETIME.as_secs()).expect("ten minutes");
    let question = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(seconds),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let post = PostParams::default();
    let asking = accounts.create_token_request(name, &post, &question);
    let response = tokio::time::timeout(REQUEST_TIMEOUT, asking).await??;
    let token = response.status.map(|status| status.token);
    let authorization = token.and_then(|token| bearer(token.as_bytes()));
    let authorization = authorization.ok_or(TokenError::Empty)?;
    // The API server may grant less than was asked for, and says so here.
    let granted = response.spec.expiration_seconds.unwrap_or(seconds);
    let granted = Duration::from_secs(u64::try_from(granted).unwrap_or(0));
    Ok((authorization, granted.min(TOKEN_LIFETIME)))
}

/// This server's own token, to tell that a file does not hold one of the same account.
struct OwnToken(Option<Vec<u8>>);

impl OwnToken {
    async fn read(source: &CredentialSource) -> Result<Self, CertificateError> {
        Ok(Self(match source {
            CredentialSource::File(path) => Some(files::read(path).await?),
            CredentialSource::Fixed(token) => Some(token.clone()),
            CredentialSource::Nothing => None,
        }))
    }

    /// The same bytes, or a JWT of the same issuer and subject: the file's token may have been made a minute later.
    fn is_of_same_account(&self, token: &[u8]) -> bool {
        let Some(own) = &self.0 else { return false };
        let is_same_subject =
            TokenSubject::of(own).is_some_and(|own| TokenSubject::of(token) == Some(own));
        own.trim_ascii() == token.trim_ascii() || is_same_subject
    }
}

/// Whose a JWT says that it is. Nobody has verified it, and it is only used to refuse.
#[derive(Deserialize, PartialEq, Eq)]
struct TokenSubject {
    iss: String,
    sub: String,
}

impl TokenSubject {
    fn of(token: &[u8]) -> Option<Self> {
        let payload = token.trim_ascii().split(|byte| *byte == b'.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

fn bearer(token: &[u8]) -> Option<HeaderValue> {
    let token = token.trim_ascii();
    if token.is_empty() {
        return None;
    }
    let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;
