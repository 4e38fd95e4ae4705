//! How TLS is spoken with the API server. In: where roots and client certificate stand. Out: settings for a new connection.
//!
//! Files are read again for each new connection, and now and then for requests on kept ones; a changed client certificate makes a new
//! generation. What can't be read or used any more leaves the last good settings in place.
//!
//! client-go: `transport/transport.go`, `transport/cert_rotation.go`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use kube::client::ConfigExt;
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::client_certificate;
use super::pem::{self, Identity};
use super::verify::Verifier;
use crate::local::api_server::Purpose;
use crate::local::api_server::clock::Clock;
use crate::local::api_server::error::{Material, MaterialError};
use crate::local::api_server::kubeconfig::resolve::{IdentitySource, Trust};

/// How long a kept connection may go on without a look at the files of its client certificate.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// How soon after a look a 401 leads to another one.
const REJECTED_INTERVAL: Duration = Duration::from_secs(5);

/// What becomes of a client certificate whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::api_server) enum WhenExpired {
    /// It is all there is, so nothing can come of it.
    Refuse,
    /// There is a token as well, so it does not matter.
    Send,
}

/// The settings that hold now.
pub(in crate::local::api_server) struct Tls {
    trust: Trust,
    identity: Option<IdentitySource>,
    when_expired: WhenExpired,
    clock: Clock,
    generation: Arc<AtomicU64>,
    is_rejected: AtomicBool,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    made_from: Inputs,
    settings: Settings,
    looked_at: SystemTime,
}

#[derive(PartialEq)]
struct Inputs {
    roots: Option<Vec<Vec<u8>>>,
    identity: Option<Arc<Identity>>,
}

/// TLS settings of one generation.
#[derive(Clone)]
pub(in crate::local::api_server) struct Settings {
    exchange: Arc<ClientConfig>,
    upgrade: Arc<ClientConfig>,
    pub(in crate::local::api_server) generation: u64,
}

impl Settings {
    pub(in crate::local::api_server) fn of(&self, purpose: Purpose) -> Arc<ClientConfig> {
        Arc::clone(match purpose {
            Purpose::Exchange => &self.exchange,
            Purpose::Upgrade => &self.upgrade,
        })
    }
}

impl Tls {
    /// `generation` is counted up with each change of the client certificate.
    pub(in crate::local::api_server) fn new(
        trust: Trust,
        identity: Option<IdentitySource>,
        when_expired: WhenExpired,
        (clock, generation): (Clock, Arc<AtomicU64>),
    ) -> Self {
        Self {
            trust,
            identity,
            when_expired,
            clock,
            generation,
            is_rejected: AtomicBool::new(false),
            kept: Mutex::new(None),
        }
    }

    /// Settings for servers that one is nobody to.
    pub(in crate::local::api_server) fn anonymous(trust: Trust) -> Self {
        Self::new(
            trust,
            None,
            WhenExpired::Send,
            (Clock::of_system(), Arc::default()),
        )
    }

    /// The API server did not take the client certificate.
    pub(in crate::local::api_server) fn rejected(&self) {
        self.is_rejected.store(true, Ordering::Release);
    }

    /// Looks at the client certificate's files, unless that was done lately; `of_plugin` is the client certificate of an exec plugin.
    pub(in crate::local::api_server) async fn look(
        &self,
        of_plugin: Option<&Arc<Identity>>,
    ) -> Result<(), MaterialError> {
        if of_plugin.is_none() && self.identity.is_none() {
            return Ok(());
        }
        let mut kept = self.kept.lock().await;
        let is_due = match &*kept {
            None => of_plugin.is_some(),
            Some(kept) if of_plugin.is_some() => kept.made_from.identity.as_ref() != of_plugin,
            Some(kept) => {
                let interval = if self.is_rejected.load(Ordering::Acquire) {
                    REJECTED_INTERVAL
                } else {
                    LOOK_INTERVAL
                };
                self.clock.since(kept.looked_at) >= interval
            }
        };
        if is_due {
            self.is_rejected.store(false, Ordering::Release);
            self.renew(&mut kept, of_plugin).await?;
        }
        Ok(())
    }

    /// The settings for a new connection.
    pub(in crate::local::api_server) async fn settings(
        &self,
        of_plugin: Option<&Arc<Identity>>,
    ) -> Result<Settings, MaterialError> {
        let mut kept = self.kept.lock().await;
        self.renew(&mut kept, of_plugin).await
    }

    async fn renew(
        &self,
        kept: &mut Option<Kept>,
        of_plugin: Option<&Arc<Identity>>,
    ) -> Result<Settings, MaterialError> {
        let made = match self.inputs(of_plugin).await {
            Ok(inputs) => match kept {
                Some(kept) if kept.made_from == inputs => Ok(None),
                _ => self.make(&inputs).map(|configs| Some((inputs, configs))),
            },
            Err(failed) => Err(failed),
        };
        match (made, &mut *kept) {
            (Ok(Some((inputs, [exchange, upgrade]))), _) => {
                let is_new_identity = kept
                    .as_ref()
                    .is_some_and(|kept| kept.made_from.identity != inputs.identity);
                if is_new_identity {
                    self.generation.fetch_add(1, Ordering::AcqRel);
                }
                let settings = Settings {
                    exchange,
                    upgrade,
                    generation: self.generation.load(Ordering::Acquire),
                };
                *kept = Some(Kept {
                    made_from: inputs,
                    settings: settings.clone(),
                    looked_at: self.clock.now(),
                });
                Ok(settings)
            }
            (Ok(None), Some(kept)) => {
                kept.looked_at = self.clock.now();
                Ok(kept.settings.clone())
            }
            (Err(failed @ MaterialError::Expired { .. }), _) | (Err(failed), None) => Err(failed),
            (Err(failed), Some(kept)) => {
                tracing::warn!(error = %failed, "the last good TLS settings stay in force");
                kept.looked_at = self.clock.now();
                Ok(kept.settings.clone())
            }
            (Ok(None), None) => unreachable!("settings are only unchanged where there are some"),
        }
    }

    async fn inputs(&self, of_plugin: Option<&Arc<Identity>>) -> Result<Inputs, MaterialError> {
        let roots = match &self.trust {
            Trust::Roots(pem) => Some(pem::roots(pem).await?),
            Trust::System | Trust::Anything => None,
        };
        let identity = match (&self.identity, of_plugin) {
            (Some(source), _) => Some(Arc::new(Identity::read(source).await?)),
            (None, of_plugin) => of_plugin.cloned(),
        };
        if let Some(identity) = &identity
            && self.when_expired == WhenExpired::Refuse
            && let Some(at) = identity.expired(self.clock.now())
        {
            let origin = identity.origin.clone();
            return Err(MaterialError::Expired { origin, at });
        }
        Ok(Inputs { roots, identity })
    }

    fn make(&self, inputs: &Inputs) -> Result<[Arc<ClientConfig>; 2], MaterialError> {
        // kube asks the operating system for its roots where the kubeconfig has none, and knows how to believe anything.
        let mut config = kube::Config::new(Uri::from_static("https://localhost"));
        // Given roots get a verifier of this folder's in place of kube's.
        config.root_cert.clone_from(&inputs.roots);
        config.accept_invalid_certs = matches!(self.trust, Trust::Anything);
        let mut settings = match &inputs.identity {
            None => config.rustls_client_config().ok(),
            Some(identity) => with_identity(&config, identity),
        }
        .ok_or_else(|| MaterialError::Unusable {
            origin: inputs.identity.as_ref().map_or_else(
                || "the kubeconfig".to_owned(),
                |identity| identity.origin.clone(),
            ),
        })?;
        if let Some(roots) = &inputs.roots {
            let verifier = Verifier::of(roots).ok_or(MaterialError::Malformed {
                material: Material::Roots,
                origin: "the kubeconfig or the file that it names".to_owned(),
            })?;
            settings
                .dangerous()
                .set_certificate_verifier(Arc::new(verifier));
        }
        let mut exchange = settings.clone();
        exchange.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut upgrade = settings;
        upgrade.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok([Arc::new(exchange), Arc::new(upgrade)])
    }
}

/// With the client certificate as kube presents it, or else as one that rustls does not read.
fn with_identity(config: &kube::Config, identity: &Identity) -> Option<ClientConfig> {
    let mut with_certificate = config.clone();
    let key = STANDARD.encode(identity.key.expose_secret());
    with_certificate.auth_info.client_certificate_data =
        Some(STANDARD.encode(&identity.certificate));
    with_certificate.auth_info.client_key_data = Some(SecretString::from(key));
    if let Ok(settings) = with_certificate.rustls_client_config() {
        return Some(settings);
    }
    let mut settings = config.rustls_client_config().ok()?;
    settings.client_auth_cert_resolver = client_certificate::resolver(identity)?;
    Some(settings)
}
