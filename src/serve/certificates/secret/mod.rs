//! The serving certificate that the replicas make, share and rotate in one Secret.
//!
//! Each replica does the same every minute: read the Secret, bring what is in it up to date if it is due, serve with
//! it, and see to it that the APIService trusts it. Two replicas that act at the same time meet at the Secret's
//! `resourceVersion`: one wins, the other reads what the winner wrote. Nobody needs to lead.
//!
//! An APIService that names another Service is another server's: writing into it would take turns with that one for
//! ever.
//!
//! The authority lives ten years. Its successor joins the bundle long before it signs anything, so that kube-apiserver
//! trusts it by then; the old one leaves the bundle when it has expired.
//!
//! The Secret also keeps the key that logins at apps are sealed with, and rotates it with the serving certificate: a
//! login that somebody copied is not good for ever, and one at one replica holds at all of them.

mod content;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Api, Patch, PatchParams, PostParams};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::generate::{self, AUTHORITY_LIFETIME, LEAF_LIFETIME, Pair};
use super::{CertificateError, Serving, SessionKey, session};
use crate::serve::config::{ApiGroup, NamespacedName};
use content::{SecretContent, is_valid, past_two_thirds};

/// How often the Secret and the APIService are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// The same at first while something is not as it should be, and twice as long each time.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// How long one request to the API server may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The Secret, the Service that its certificate is for, and the APIService that has to trust it.
#[derive(Clone)]
pub struct ServingSecret {
    secrets: Api<Secret>,
    api_services: Api<APIService>,
    name: String,
    api_service: String,
    service: NamespacedName,
    dns_names: Vec<String>,
}

impl std::fmt::Debug for ServingSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServingSecret")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why the Secret is not as it should be yet.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("the API server was asked in vain")]
    Asked(#[from] Box<kube::Error>),
    #[error("the API server did not answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("another replica wrote at the same time")]
    Raced,
    #[error("the APIService is another server's, that of Service {namespace}/{name}")]
    Foreign { namespace: String, name: String },
    #[error("the certificate is of no use")]
    Certificate(#[from] CertificateError),
}

impl From<kube::Error> for SecretError {
    fn from(failed: kube::Error) -> Self {
        match &failed {
            // Created meanwhile or changed meanwhile: both are the other replica's doing, and the next look reads what
            // it wrote.
            kube::Error::Api(status) if status.code == 409 => Self::Raced,
            _ => Self::Asked(Box::new(failed)),
        }
    }
}

impl ServingSecret {
    pub fn new(
        client: kube::Client,
        group: &ApiGroup,
        secret: &NamespacedName,
        service: &NamespacedName,
    ) -> Self {
        let host = format!("{}.{}", service.name, service.namespace);
        Self {
            secrets: Api::namespaced(client.clone(), &secret.namespace),
            api_services: Api::all(client),
            name: secret.name.clone(),
            api_service: format!("{}.{}", group.version, group.name),
            service: service.clone(),
            dns_names: vec![
                format!("{host}.svc"),
                format!("{host}.svc.cluster.local"),
                host,
            ],
        }
    }

    /// Keeps Secret, serving certificate, key of logins and APIService in step for as long as the server runs.
    pub async fn keep(self, serving: Arc<Serving>, session_key: SessionKey) {
        let mut served = None;
        let mut retry = RETRY_INTERVAL;
        loop {
            // One round for both, so that a failure of either is tried again soon.
            let round = async {
                // The bundle that is to be trusted is that of what is served now.
                self.serve(&serving, &session_key, &mut served).await?;
                let bundle = served
                    .as_ref()
                    .map_or("", |content: &SecretContent| content.bundle.as_str());
                self.trust(bundle).await
            };
            let pause = match round.await {
                Ok(()) => {
                    retry = RETRY_INTERVAL;
                    LOOK_INTERVAL
                }
                Err(failed) => {
                    let cause = std::error::Error::source(&failed).map(ToString::to_string);
                    tracing::warn!(error = %failed, cause, secret = self.name, "the serving certificate is not settled yet");
                    let pause = retry;
                    retry = (retry * 2).min(LOOK_INTERVAL);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn serve(
        &self,
        serving: &Serving,
        session_key: &SessionKey,
        served: &mut Option<SecretContent>,
    ) -> Result<(), SecretError> {
        let content = self.up_to_date().await?;
        // Each time, as which key seals depends on the clock as well.
        if let Some(keys) = content.session_keys(SystemTime::now()) {
            session_key.replace(keys);
        }
        if served.as_ref() == Some(&content) {
            return Ok(());
        }
        let pair = |content: &SecretContent| (content.certificate.clone(), content.key.clone());
        // Compared without the rest of the Secret: a new login key is no new certificate, and handshakes need not
        // change.
        if served.as_ref().map(pair) != Some(pair(&content)) {
            serving.replace(content.certificate.as_bytes(), content.key.as_bytes())?;
            tracing::info!(secret = self.name, "a new serving certificate is in force");
        }
        *served = Some(content);
        Ok(())
    }

    /// What the Secret holds after this replica did what was due.
    async fn up_to_date(&self) -> Result<SecretContent, SecretError> {
        let found = limited(self.secrets.get_opt(&self.name)).await?;
        let held = found.as_ref().and_then(SecretContent::read);
        let Some(due) = held.as_ref().map_or_else(
            || {
                self.first(found.as_ref().and_then(content::session_key))
                    .map(Some)
            },
            |content| self.renewed(content, SystemTime::now()),
        )?
        else {
            return Ok(held.expect("nothing is due only for what is there"));
        };
        // With the version that was read: a replica that wrote meanwhile makes this fail with 409, and nothing of its
        // is lost.
        let secret = due.write(
            &self.name,
            found
                .as_ref()
                .and_then(|secret| secret.metadata.resource_version.clone()),
        );
        let post = PostParams::default();
        if found.is_some() {
            limited(self.secrets.replace(&self.name, &post, &secret)).await?;
        } else {
            limited(self.secrets.create(&post, &secret)).await?;
        }
        Ok(due)
    }

    /// New certificates for a Secret that lacks some; a key of logins that is there stays.
    fn first(&self, session_key: Option<String>) -> Result<SecretContent, CertificateError> {
        let authority = generate::authority(&self.api_service)?;
        let leaf = generate::leaf(&authority, &self.dns_names)?;
        Ok(SecretContent {
            bundle: authority.certificate,
            authority_key: authority.key,
            certificate: leaf.certificate,
            key: leaf.key,
            session_key: session_key.or_else(|| Some(session::new_text())),
            previous_session_key: None,
        })
    }

    /// The content with what is due at `now` renewed; `None` if nothing is.
    fn renewed(
        &self,
        content: &SecretContent,
        now: SystemTime,
    ) -> Result<Option<SecretContent>, CertificateError> {
        let authorities = content.authorities();
        let Some(newest) = authorities.first() else {
            return self.first(content.session_key.clone()).map(Some);
        };
        // A Secret of an earlier version has none; what else is in it stays.
        if content.session_key.is_none() {
            return Ok(Some(SecretContent {
                session_key: Some(session::new_text()),
                ..content.clone()
            }));
        }
        // The authority before the certificate: its successor has to be in the bundle, and trusted, before it signs
        // anything.
        if past_two_thirds(newest, AUTHORITY_LIFETIME, now)? {
            let successor = generate::authority(&self.api_service)?;
            let kept: Vec<&String> = authorities
                .iter()
                // One that has expired signs nothing that anybody believes, and would only make the bundle grow.
                .filter(|pem| is_valid(pem, now))
                .collect();
            let mut bundle = successor.certificate;
            kept.iter().for_each(|pem| bundle.push_str(pem));
            return Ok(Some(SecretContent {
                bundle,
                authority_key: successor.key,
                ..content.clone()
            }));
        }
        if past_two_thirds(&content.certificate, LEAF_LIFETIME, now)?
            || !self.names_all(&content.certificate)
        {
            // Signed by the newest authority, in a later round than the one that made it: the bundle with it has been
            // written by then.
            let authority = Pair {
                certificate: newest.clone(),
                key: content.authority_key.clone(),
            };
            let leaf = generate::leaf(&authority, &self.dns_names)?;
            return Ok(Some(SecretContent {
                certificate: leaf.certificate,
                key: leaf.key,
                // Together with the certificate, whose begin says when the key was made.
                session_key: Some(session::new_text()),
                previous_session_key: content.session_key.clone(),
                ..content.clone()
            }));
        }
        if content.previous_key_is_over(now) {
            return Ok(Some(SecretContent {
                previous_session_key: None,
                ..content.clone()
            }));
        }
        Ok(None)
    }

    fn names_all(&self, certificate: &str) -> bool {
        let Ok(der) = CertificateDer::from_pem_slice(certificate.as_bytes()) else {
            return false;
        };
        let Ok(parsed) = rustls::server::ParsedCertificate::try_from(&der) else {
            return false;
        };
        // A certificate that somebody else put there may lack a name, and kube-apiserver would refuse it.
        self.dns_names.iter().all(|name| {
            rustls::pki_types::ServerName::try_from(name.as_str())
                .is_ok_and(|name| rustls::client::verify_server_name(&parsed, &name).is_ok())
        })
    }

    /// Writes the bundle into the APIService unless it is there already, or the APIService is another server's.
    async fn trust(&self, bundle: &str) -> Result<(), SecretError> {
        let registered = limited(self.api_services.get(&self.api_service)).await?;
        let spec = registered.spec.unwrap_or_default();
        let named = spec.service.unwrap_or_default();
        let (namespace, name) = (
            named.namespace.unwrap_or_default(),
            named.name.unwrap_or_default(),
        );
        if namespace != self.service.namespace || name != self.service.name {
            return Err(SecretError::Foreign { namespace, name });
        }
        let wanted = ByteString(bundle.as_bytes().to_vec());
        if spec.ca_bundle.as_ref() == Some(&wanted) {
            return Ok(());
        }
        // With the version that was read, so that an APIService that changes hands meanwhile is not written to.
        let patch = Patch::Merge(serde_json::json!({
            "metadata": { "resourceVersion": registered.metadata.resource_version },
            "spec": { "caBundle": wanted },
        }));
        let params = PatchParams::default();
        limited(self.api_services.patch(&self.api_service, &params, &patch)).await?;
        tracing::info!(
            api_service = self.api_service,
            "the APIService trusts the serving certificate"
        );
        Ok(())
    }
}

async fn limited<T>(
    asking: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, SecretError> {
    Ok(tokio::time::timeout(REQUEST_TIMEOUT, asking).await??)
}

#[cfg(test)]
mod tests;
