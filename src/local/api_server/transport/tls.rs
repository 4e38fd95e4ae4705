//! How TLS is spoken with the API server. In: where roots and client certificate stand. Out: settings for a new
//! connection.
//!
//! Files are read again for each new connection, and now and then for requests on connections that exist; a changed
//! client certificate makes a new generation. What can't be read or used any more leaves the last good settings in
//! place.
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
use super::pem::{self, ClientIdentity};
use super::verify::ServerVerifier;
use crate::local::api_server::clock::Clock;
use crate::local::api_server::error::{PemError, PemKind};
use crate::local::api_server::kubeconfig::resolve::{IdentitySource, ServerTrust};

/// How long a connection may go on without a look at the files of its client certificate.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// How soon after a look a 401 leads to another one.
const REJECTED_INTERVAL: Duration = Duration::from_secs(5);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum ConnectionPurpose {
    /// Requests and responses: HTTP/2 where the server speaks it.
    Exchange,
    /// One request that becomes another protocol: HTTP/1.1.
    Upgrade,
}

/// What becomes of a client certificate whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::api_server) enum WhenExpired {
    /// It is all there is, so nothing can come of it.
    Refuse,
    /// There is a token as well, so it does not matter.
    Send,
}

/// The settings that hold now.
pub(in crate::local::api_server) struct TlsSource {
    trust: ServerTrust,
    identity: Option<IdentitySource>,
    when_expired: WhenExpired,
    clock: Clock,
    generation: Arc<AtomicU64>,
    is_rejected: AtomicBool,
    cached: Mutex<Option<CachedSettings>>,
}

struct CachedSettings {
    made_from: Inputs,
    settings: TlsSettings,
    checked_at: SystemTime,
}

#[derive(PartialEq)]
struct Inputs {
    roots: Option<Vec<Vec<u8>>>,
    identity: Option<Arc<ClientIdentity>>,
}

/// TLS settings of one generation.
#[derive(Clone)]
pub(in crate::local::api_server) struct TlsSettings {
    exchange: Arc<ClientConfig>,
    upgrade: Arc<ClientConfig>,
    pub(in crate::local::api_server) generation: u64,
}

impl TlsSettings {
    pub(in crate::local::api_server) fn of(&self, purpose: ConnectionPurpose) -> Arc<ClientConfig> {
        Arc::clone(match purpose {
            ConnectionPurpose::Exchange => &self.exchange,
            ConnectionPurpose::Upgrade => &self.upgrade,
        })
    }
}

impl TlsSource {
    /// `generation` is counted up with each change of the client certificate.
    pub(in crate::local::api_server) fn new(
        trust: ServerTrust,
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
            cached: Mutex::new(None),
        }
    }

    /// For servers that one is nobody to.
    pub(in crate::local::api_server) fn anonymous(trust: ServerTrust) -> Self {
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

    /// Looks at the client certificate's files, unless that was done lately; `of_plugin` is the client certificate of
    /// an exec plugin.
    pub(in crate::local::api_server) async fn check_identity(
        &self,
        of_plugin: Option<&Arc<ClientIdentity>>,
    ) -> Result<(), PemError> {
        if of_plugin.is_none() && self.identity.is_none() {
            return Ok(());
        }
        // Held while files are read: one request looks, and the others of that moment wait for what it finds.
        let mut cached = self.cached.lock().await;
        let is_due = match &*cached {
            None => of_plugin.is_some(),
            // A plugin's certificate comes with each credential, so it is compared and not looked up.
            Some(cached) if of_plugin.is_some() => cached.made_from.identity.as_ref() != of_plugin,
            Some(cached) => {
                let interval = if self.is_rejected.load(Ordering::Acquire) {
                    REJECTED_INTERVAL
                } else {
                    CHECK_INTERVAL
                };
                self.clock.since(cached.checked_at) >= interval
            }
        };
        if is_due {
            // Before the look, so that a 401 which comes meanwhile leads to another one.
            self.is_rejected.store(false, Ordering::Release);
            self.renew(&mut cached, of_plugin).await?;
        }
        Ok(())
    }

    /// The settings for a new connection.
    pub(in crate::local::api_server) async fn settings(
        &self,
        of_plugin: Option<&Arc<ClientIdentity>>,
    ) -> Result<TlsSettings, PemError> {
        let mut cached = self.cached.lock().await;
        self.renew(&mut cached, of_plugin).await
    }

    /// The settings that are there are of the present generation, whatever was counted up meanwhile.
    pub(in crate::local::api_server) async fn stay_in_force(&self) {
        if let Some(cached) = &mut *self.cached.lock().await {
            cached.settings.generation = self.generation.load(Ordering::Acquire);
        }
    }

    /// Settings made of what the files say now. Where they can't be read or used any more, the last good ones stay.
    async fn renew(
        &self,
        cached: &mut Option<CachedSettings>,
        of_plugin: Option<&Arc<ClientIdentity>>,
    ) -> Result<TlsSettings, PemError> {
        let inputs = self.inputs(of_plugin).await;
        let Some(last) = cached.as_mut() else {
            let made = self.make(inputs?, None)?;
            return Ok(cached.insert(made).settings.clone());
        };
        let renewed = match inputs {
            // Nothing has changed, so the same settings stay.
            Ok(inputs) if inputs == last.made_from => Ok(()),
            Ok(inputs) => self.make(inputs, Some(last)).map(|made| *last = made),
            Err(failed) => Err(failed),
        };
        match renewed {
            Ok(()) => {}
            // The API server would refuse it, and say nothing about the reason.
            Err(failed @ PemError::Expired { .. }) => return Err(failed),
            Err(failed) => {
                tracing::warn!(error = %failed, "the last good TLS settings stay in force");
            }
        }
        // Also after a failure: files that are broken are not read at every request.
        last.checked_at = self.clock.now();
        Ok(last.settings.clone())
    }

    /// Another client certificate makes a new generation.
    fn make(
        &self,
        inputs: Inputs,
        last: Option<&CachedSettings>,
    ) -> Result<CachedSettings, PemError> {
        let [exchange, upgrade] = self.configs(&inputs)?;
        // Counted before the new settings are given out, so that every connection made with them is of the new
        // generation.
        if last.is_some_and(|last| last.made_from.identity != inputs.identity) {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        Ok(CachedSettings {
            made_from: inputs,
            settings: TlsSettings {
                exchange,
                upgrade,
                generation: self.generation.load(Ordering::Acquire),
            },
            checked_at: self.clock.now(),
        })
    }

    async fn inputs(&self, of_plugin: Option<&Arc<ClientIdentity>>) -> Result<Inputs, PemError> {
        let roots = match &self.trust {
            ServerTrust::Roots(pem) => Some(pem::roots(pem).await?),
            ServerTrust::System | ServerTrust::Anything => None,
        };
        let identity = match (&self.identity, of_plugin) {
            // The kubeconfig's own certificate wins over a plugin's, as in client-go.
            (Some(source), _) => Some(Arc::new(ClientIdentity::read(source).await?)),
            (None, of_plugin) => of_plugin.cloned(),
        };
        if let Some(identity) = &identity
            // With a token beside it an expired certificate does no harm, and the API server decides.
            && self.when_expired == WhenExpired::Refuse
            && let Some(at) = identity.expired(self.clock.now())
        {
            let origin = identity.origin.clone();
            return Err(PemError::Expired { origin, at });
        }
        Ok(Inputs { roots, identity })
    }

    /// For exchanges and for upgrades.
    fn configs(&self, inputs: &Inputs) -> Result<[Arc<ClientConfig>; 2], PemError> {
        // kube asks the operating system for its roots where the kubeconfig has none, and knows how to believe
        // anything.
        let mut config = kube::Config::new(Uri::from_static("https://localhost"));
        // Given roots get a verifier of this folder's in place of kube's.
        config.root_cert.clone_from(&inputs.roots);
        config.accept_invalid_certs = matches!(self.trust, ServerTrust::Anything);
        let mut settings = match &inputs.identity {
            None => config.rustls_client_config().ok(),
            Some(identity) => with_identity(&config, identity),
        }
        .ok_or_else(|| PemError::Unusable {
            origin: inputs.identity.as_ref().map_or_else(
                || "the kubeconfig".to_owned(),
                |identity| identity.origin.clone(),
            ),
        })?;
        if let Some(roots) = &inputs.roots {
            let verifier = ServerVerifier::of(roots).ok_or(PemError::Malformed {
                material: PemKind::Roots,
                origin: "the kubeconfig or the file that it names".to_owned(),
            })?;
            settings
                .dangerous()
                .set_certificate_verifier(Arc::new(verifier));
        }
        let mut exchange = settings.clone();
        // HTTP/2 has no upgrades, so those connections never agree on it.
        exchange.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut upgrade = settings;
        upgrade.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok([Arc::new(exchange), Arc::new(upgrade)])
    }
}

/// With the client certificate as kube presents it, or else as one that rustls does not read.
fn with_identity(config: &kube::Config, identity: &ClientIdentity) -> Option<ClientConfig> {
    let mut with_certificate = config.clone();
    let key = STANDARD.encode(identity.key.expose_secret());
    with_certificate.auth_info.client_certificate_data =
        Some(STANDARD.encode(&identity.certificate));
    with_certificate.auth_info.client_key_data = Some(SecretString::from(key));
    // kube's way first; what rustls does not read goes through this folder's own resolver.
    if let Ok(settings) = with_certificate.rustls_client_config() {
        return Some(settings);
    }
    let mut settings = config.rustls_client_config().ok()?;
    settings.client_auth_cert_resolver = client_certificate::resolver(identity)?;
    Some(settings)
}
