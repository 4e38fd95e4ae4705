//! How this server presents itself to kubelets, and which of their certificates it believes.
//!
//! The credential ([`credential`]) is never this server's own token, nor the API server's client certificate: a kubelet
//! that is somebody else's keeps what it is shown, so it is shown only what may read the harmless parts of kubelets
//! (CVE-2022-3294 was a dial with far too good a credential).

mod credential;
mod source;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

pub use credential::{KubeletCredentialSource, NoKubeletCredential};
pub use source::CredentialSource;

use super::files::{self, Changes};
use super::{CertificateError, provider};
use crate::lifecycle::Tasks;
use crate::serve::config::KubeletTls;
use credential::CurrentCredential;

/// Where the kubelets' roots and the credential for them come from.
#[derive(Debug, Clone)]
pub struct KubeletSources {
    /// PEM of the roots, used when [`KubeletTls::Verify`] names no file of its own.
    pub cluster_roots: CredentialSource,
    pub credential: KubeletCredentialSource,
}

/// What holds now for connections to kubelets. Read without waiting; cheap to clone.
#[derive(Debug, Clone)]
pub struct KubeletAccess {
    tls: Arc<ArcSwap<ClientConfig>>,
    /// Grows with each new set of roots, after it is in force.
    trust: Arc<AtomicU64>,
    credential: Arc<CurrentCredential>,
}

impl KubeletAccess {
    /// Reads what is in files once, so that a wrong file ends the start, and keeps roots and credential up to date from
    /// then on.
    ///
    /// # Errors
    /// A file can't be read or used.
    pub async fn start(
        tls: &KubeletTls,
        sources: KubeletSources,
        tasks: &Tasks,
    ) -> Result<Self, CertificateError> {
        let roots = match tls {
            KubeletTls::Verify {
                certificate_authority: Some(path),
            } => CredentialSource::File(path.clone()),
            KubeletTls::Verify {
                certificate_authority: None,
            } => sources.cluster_roots,
            KubeletTls::AnyCertificate => CredentialSource::Nothing,
        };
        let config = match (tls, &roots) {
            (KubeletTls::AnyCertificate, _) => any_certificate(),
            (_, CredentialSource::File(path)) => verified(&files::read(path).await?)?,
            (_, CredentialSource::Fixed(pem)) => verified(pem)?,
            (_, CredentialSource::Nothing) => nobody(),
        };
        let access = Self {
            tls: Arc::new(ArcSwap::new(config)),
            trust: Arc::default(),
            // Before the task of the roots starts: when the credential can't be had, nothing is left running.
            credential: CurrentCredential::start(sources.credential, tasks).await?,
        };
        if let CredentialSource::File(path) = roots {
            tasks.spawn_required(
                "kubelet-roots",
                access.clone().follow_roots(Changes::of([path])),
            );
        }
        Ok(access)
    }

    /// The TLS settings now in force. A new CA is a new `Arc`, so kept connections can be told apart by it.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.tls.load_full()
    }

    /// A number that no other set of roots of this process has had. Connections under withdrawn roots are known by it.
    pub fn trust_id(&self) -> u64 {
        self.trust.load(Ordering::Acquire)
    }

    /// The `Authorization` that a kubelet is shown.
    ///
    /// # Errors
    /// There is none now. The request must not go out without it, nor with another one.
    pub fn authorization(&self) -> Result<HeaderValue, NoKubeletCredential> {
        self.credential.authorization()
    }

    async fn follow_roots(self, mut changes: Changes<1>) {
        loop {
            let [pem] = changes.next().await;
            match verified(&pem) {
                Ok(config) => {
                    self.tls.store(config);
                    // After the roots: a connection of the old ones never gets the new number.
                    self.trust.fetch_add(1, Ordering::Release);
                }
                Err(failed) => {
                    tracing::warn!(error = %failed, "the kubelets' roots are of no use, the last good ones stay");
                }
            }
        }
    }
}

fn verified(pem: &[u8]) -> Result<Arc<ClientConfig>, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        // Without a root every handshake would fail with a riddle, so an empty bundle is refused as such.
        return Err(CertificateError::NoCertificate);
    }
    Ok(client_config(|builder| {
        builder.with_root_certificates(roots).with_no_client_auth()
    }))
}

/// Believes no kubelet at all: what is left when nobody said which roots to believe.
fn nobody() -> Arc<ClientConfig> {
    client_config(|builder| {
        builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()
    })
}

/// `--kubelet-insecure-tls`.
fn any_certificate() -> Arc<ClientConfig> {
    client_config(|builder| {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(super::any::AnyServer::new()))
            .with_no_client_auth()
    })
}

fn client_config(
    finish: impl FnOnce(rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>) -> ClientConfig,
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for both versions");
    let mut config = finish(builder);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn authority() -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    /// Connections that were made under the old ones are found by nobody then.
    #[tokio::test(start_paused = true)]
    async fn new_roots_have_a_number_of_their_own() {
        let name = format!("throughway-kubelet-roots-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        tokio::fs::write(&path, authority()).await.unwrap();
        let tls = KubeletTls::Verify {
            certificate_authority: Some(path.clone()),
        };
        let sources = KubeletSources {
            cluster_roots: CredentialSource::Nothing,
            credential: KubeletCredentialSource::Nothing,
        };
        let tasks = Tasks::new();
        let access = KubeletAccess::start(&tls, sources, &tasks).await.unwrap();
        let (number, roots) = (access.trust_id(), access.tls());
        // Looked at once, so that the next content is a new one.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        tokio::fs::write(&path, authority()).await.unwrap();
        let begun = tokio::time::Instant::now();
        while Arc::ptr_eq(&access.tls(), &roots) {
            assert!(begun.elapsed().as_secs() < 3600, "the roots are the old");
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        assert_ne!(access.trust_id(), number);
        tokio::fs::remove_file(&path).await.unwrap();
    }
}
