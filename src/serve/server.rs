//! The composition root: makes every stage from the configuration, joins them, and runs them to their end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::lifecycle::{Signals, Tasks};
use crate::protocol::status::Request;
use crate::serve::api::{self, Check, Health};
use crate::serve::app_login::Logins;
use crate::serve::authentication::{Authentication, ClaimFilter};
use crate::serve::authorization::Authorization;
use crate::serve::certificates::{
    CertificateError, CredentialSource, KubeletAccess, KubeletCredentialSource, KubeletSources,
    Serving, ServingSecret, SessionKey, Trust, TrustSources, server_config,
};
use crate::serve::client::{Clients, PageTokens};
use crate::serve::cluster::{ClientError, Cluster, Connected, FrontProxyLookup, connect};
use crate::serve::config::{
    AuthenticationLookup, Config, KubeletCredential, ServingCertificate, ShutdownConfig,
};
use crate::serve::connection::{Classify, Listener, Peer};
use crate::serve::destination::{AddressPolicy, Destinations};
use crate::serve::endpoint::{Endpoints, Outliers};
use crate::serve::fairness::{Rate, ReviewLimit};
use crate::serve::forward::{Credentials, Forward};
use crate::serve::in_flight::InFlight;
use crate::serve::pipeline::Stages;
use crate::serve::response::{OwnPages, ResponseRewriter};
use crate::serve::router::Router;
use crate::serve::telemetry::{AccessLog, Metrics};

/// Log lines about refusals, a second and after a pause.
const REFUSALS_A_SECOND: u32 = 20;
const REFUSALS_BURST: u32 = 200;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the way to the API server: {0}")]
    Client(#[from] ClientError),
    #[error("certificates: {0}")]
    Certificate(#[from] CertificateError),
    #[error("{address} can't be listened on: {cause}")]
    Bind {
        address: SocketAddr,
        #[source]
        cause: io::Error,
    },
}

impl StartError {
    /// Whether a setting names something that is not there or of no use, so that trying again won't help.
    pub fn is_a_wrong_setting(&self) -> bool {
        match self {
            Self::Client(_) | Self::Certificate(_) => true,
            Self::Bind { .. } => false,
        }
    }
}

/// A server whose port is bound and whose watches run.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    router: Arc<Router>,
    tasks: Tasks,
    shutdown: ShutdownConfig,
}

impl Server {
    /// Makes everything and binds the port. Requests are answered from [`Server::run`] on; whether they can be
    /// forwarded yet is what `/readyz` says.
    ///
    /// # Errors
    /// Something that the configuration names can't be used.
    pub async fn build(config: Config, access: AccessLog) -> Result<Self, StartError> {
        let tasks = Tasks::new();
        let connected = connect(&config.cluster).await?;
        let client = connected.client.clone();
        let sources = trust_sources(&config);
        // Files are read before the port is bound: with a wrong one, the start ends and nobody has been let in.
        let trust = Trust::from_files(&sources, &tasks).await?;
        let kubelet = KubeletAccess::start(
            &config.kubelet.tls,
            kubelet_sources(&config, &connected),
            &tasks,
        )
        .await?;
        // A key of its own until the Secret has one, so that logins are sealed from the first request on.
        let session_key = SessionKey::random();
        let serving = serving(&config, &connected, &session_key, &tasks).await?;
        let address = config.listen.address;
        // Bound before the watches start: a port that is taken ends the start without a load on the API server.
        let listener = Listener::bind(
            &config.listen,
            server_config(Arc::clone(&serving), config.listen.http2),
            classify(&trust),
            tasks.clone(),
        )
        .map_err(|cause| StartError::Bind { address, cause })?;
        // Watches come last: every setting is good by now, and a start that fails has nothing else to say.
        let cluster = Cluster::start(&client, &tasks);
        let lookup = (config.authentication.lookup != AuthenticationLookup::Skipped)
            .then(|| FrontProxyLookup::start(client.clone(), &tasks));
        if let Some(lookup) = &lookup {
            trust.follow_cluster(sources, lookup.said.clone(), &tasks);
        }
        let secrets = Secrets {
            kubelet,
            session_key,
        };
        let stages = stages(&config, &client, &cluster, trust, secrets, access, &tasks);
        let health = health(&config, &tasks, &cluster, lookup, &serving);
        let router = Router {
            documents: api::documents(&config.group, health),
            prefix: format!("/apis/{}/{}/", config.group.name, config.group.version),
            stages,
            cluster,
            serving,
        };
        Ok(Self {
            listener,
            router: Arc::new(router),
            tasks,
            shutdown: config.shutdown,
        })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Everything that runs for this server; tests end it with this.
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Serves until a signal, then ends in the order that `lifecycle` describes; a second signal ends at once.
    pub async fn run(self, mut signals: Signals) {
        let Self {
            listener,
            router,
            tasks,
            shutdown,
        } = self;
        tasks.spawn(listener.serve(move |peer: Peer, request: Box<Request>| {
            // On the heap once, as the future of a request is large and would be moved with its task.
            Box::pin(Arc::clone(&router).respond(peer, request))
        }));
        signals.next().await;
        tracing::info!(delay = ?shutdown.delay, grace = ?shutdown.grace, "ending");
        let graceful = tokio::select! {
            // A second signal drops the wait, and the process ends with whatever still runs.
            graceful = tasks.end(shutdown.delay, shutdown.grace) => graceful,
            () = signals.next() => false,
        };
        tracing::info!(graceful, "ended");
    }

    /// Serves until somebody ends the server's tasks.
    pub async fn run_until_ended(self) {
        let router = self.router;
        let listener = self.listener;
        listener
            .serve(move |peer: Peer, request: Box<Request>| {
                Box::pin(Arc::clone(&router).respond(peer, request))
            })
            .await;
    }
}

/// Judges each new connection by the roots that are in force then.
fn classify(trust: &Arc<Trust>) -> Classify {
    let trust = Arc::clone(trust);
    Arc::new(move |peer: &Peer| Authentication::classify(&trust, peer))
}

fn trust_sources(config: &Config) -> TrustSources {
    TrustSources {
        client_ca_file: config.authentication.client_ca_file.clone(),
        request_header: config.authentication.request_header.clone(),
    }
}

async fn serving(
    config: &Config,
    connected: &Connected,
    session_key: &SessionKey,
    tasks: &Tasks,
) -> Result<Arc<Serving>, CertificateError> {
    match &config.listen.certificate {
        ServingCertificate::SelfSigned => Serving::self_signed(),
        ServingCertificate::Files { certificate, key } => {
            Serving::from_files(certificate.clone(), key.clone(), tasks).await
        }
        ServingCertificate::Secret { secret, service } => {
            let serving = Arc::new(Serving::default());
            let client = connected.client.clone();
            let secret = ServingSecret::new(client, &config.group, secret, service);
            tasks.spawn_required(
                "serving-secret",
                secret.keep(Arc::clone(&serving), session_key.clone()),
            );
            Ok(serving)
        }
    }
}

fn kubelet_sources(config: &Config, connected: &Connected) -> KubeletSources {
    let file_or = |file: &Option<std::path::PathBuf>, fixed: Option<Vec<u8>>| match (file, fixed) {
        (Some(path), _) => CredentialSource::File(path.clone()),
        (None, Some(content)) => CredentialSource::Fixed(content),
        (None, None) => CredentialSource::Nothing,
    };
    let credential = match &config.kubelet.credential {
        KubeletCredential::ServiceAccount(account) => KubeletCredentialSource::ServiceAccount {
            client: connected.client.clone(),
            account: account.clone(),
        },
        KubeletCredential::TokenFile(path) => KubeletCredentialSource::TokenFile {
            path: path.clone(),
            own_token: file_or(&connected.token_file, connected.token.clone()),
        },
        KubeletCredential::None => KubeletCredentialSource::Nothing,
    };
    KubeletSources {
        cluster_roots: file_or(
            &connected.roots_file,
            connected.roots.clone().map(String::into_bytes),
        ),
        credential,
    }
}

/// What this server itself holds: to show to kubelets, and to seal what browsers keep.
struct Secrets {
    kubelet: KubeletAccess,
    session_key: SessionKey,
}

fn stages(
    config: &Config,
    client: &kube::Client,
    cluster: &Cluster,
    trust: Arc<Trust>,
    secrets: Secrets,
    access: AccessLog,
    tasks: &Tasks,
) -> Stages {
    let outliers = Outliers::default();
    let policy = AddressPolicy::new(&config.target, cluster.clone());
    let reviews = Arc::new(ReviewLimit::default());
    let logins = Logins::new(secrets.session_key.clone());
    let page_tokens = PageTokens::new(secrets.session_key);
    let claims = ClaimFilter::new(Arc::clone(&trust));
    let credentials = Credentials {
        kubelet: secrets.kubelet,
        logins: logins.clone(),
    };
    let authorization = Arc::new(Authorization::new(
        config.group.clone(),
        &config.authorization,
        client.clone(),
        // One limit for both kinds of review, as they are one load for the API server.
        Arc::clone(&reviews),
    ));
    Stages {
        group: config.group.clone(),
        authentication: Authentication::new(
            &config.authentication,
            trust,
            client.clone(),
            Arc::clone(&reviews),
        ),
        authorization: Arc::clone(&authorization),
        clients: Clients::new(&config.forward, page_tokens.clone(), claims),
        own_pages: OwnPages::new(page_tokens.clone(), logins),
        destinations: Destinations::new(&config.target, cluster.clone()),
        endpoints: Endpoints::new(cluster.clone(), policy, outliers.clone()),
        forward: Forward::new(
            config.forward.clone(),
            credentials,
            outliers,
            authorization,
            tasks.clone(),
        ),
        responses: ResponseRewriter::new(config.rewrite.clone(), page_tokens),
        reviews,
        in_flight: InFlight::new(config.listen.limits.max_requests_in_flight),
        refusals: Rate::new(REFUSALS_A_SECOND, REFUSALS_BURST),
        metrics: Arc::new(Metrics::new()),
        access,
    }
}

/// The checks, named as k8s.io/apiserver names them where it has them. A check is only of what this server can't serve
/// without; the cluster's own state is none.
fn health(
    config: &Config,
    tasks: &Tasks,
    cluster: &Cluster,
    lookup: Option<FrontProxyLookup>,
    serving: &Arc<Serving>,
) -> Health {
    let background = tasks.clone();
    // Clones of handles: each check asks for the state of the moment.
    let (tasks, cluster, serving) = (tasks.clone(), cluster.clone(), Arc::clone(serving));
    let required = config.authentication.lookup == AuthenticationLookup::Required;
    let looked_up = move || !required || lookup.as_ref().is_some_and(|lookup| lookup.state.done());
    Health::new(vec![
        Check::ready("informer-sync", move || cluster.synced()),
        Check::ready("authentication-lookup", looked_up),
        Check::ready("serving-certificate", move || {
            serving
                .not_after()
                .is_some_and(|not_after| not_after > SystemTime::now())
        }),
        Check::ready("background-tasks", move || background.failed().is_empty()),
        Check::ready("shutdown", move || !tasks.terminating()),
    ])
}
