//! The companion put together: listeners, and the connections that they accept.
//!
//! In: a [`LocalConfig`]. Out: served requests, until a signal; then everything closes at once.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;

use super::api_server::{ApiServer, ConfigError};
use super::inbound::host_route::Target;
use super::inbound::listen::{self, AcceptedConnection, CompanionListener, ListenError};
use super::inbound::login::BrowserLogins;
use super::inbound::random_token::NoRandomness;
use super::inbound::request_line::RequestLines;
use super::kubectl::api::{Api, CallerAddress};
use super::pipeline::{self, ListenerScope, LocalPipeline};
use super::start_page::{Facts, StartPage};
use super::targets::detector::ModeDetector;
use super::targets::proxy::TargetProxy;
use super::terminal::{NoOutput, problem_text};
use super::upstream::Upstream;
use super::{announce, browser};
use crate::lifecycle::{Signals, Tasks};
use crate::local::config::{BrowserLogin, LocalConfig, TargetKind, TargetName};

/// From the first byte of a request to the end of its headers.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// As kube-apiserver and kubectl proxy take them.
const MAX_HEADER_BYTES: usize = 1 << 20;
const MAX_HEADER_LINES: usize = 1000;

/// The pause after an accept that failed, as when there are no file descriptors left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Why there is no companion.
#[derive(Debug, thiserror::Error)]
pub enum LocalStartError {
    #[error("{0}")]
    Access(String),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Login(#[from] NoRandomness),
    #[error("browsers would log in at {0}, which --accept-hosts does not accept")]
    LoginHost(String),
    #[error(transparent)]
    Output(#[from] NoOutput),
    #[error("cannot get threads, timers or signals from the system: {0}")]
    System(#[from] io::Error),
}

impl From<ConfigError> for LocalStartError {
    fn from(failed: ConfigError) -> Self {
        Self::Access(problem_text(&failed.problem()))
    }
}

/// A companion whose ports are taken.
#[derive(Debug)]
pub struct Companion {
    main: CompanionListener,
    /// `--forward`.
    forwards: Vec<(CompanionListener, Arc<Target>)>,
    pipeline: Arc<LocalPipeline>,
    api_server: ApiServer,
    tasks: Tasks,
}

impl Companion {
    /// Reads the kubeconfig and takes the ports. Requests are served from [`Companion::run_until_ended`] on.
    ///
    /// # Errors
    /// Something that the configuration or the kubeconfig names can't be used.
    pub async fn build(config: &LocalConfig) -> Result<Self, LocalStartError> {
        // The kubeconfig before any port: a companion that can't reach a cluster takes none.
        let api_server = ApiServer::load(&config.cluster).await?;
        let namespace = namespace(config, &api_server);
        let main = CompanionListener::bind(&config.listen).await?;
        // All ports are taken before anything is announced, so that a failure leaves nothing half open.
        let mut forwards = Vec::new();
        for forward in &config.forwards {
            let listen = listen::beside(&config.listen, forward.port);
            let listener = CompanionListener::bind(&listen).await;
            let listener = listener.map_err(ListenError::of_forward)?;
            let target = Target::of(&forward.target, &namespace);
            forwards.push((listener, Arc::new(target)));
        }
        let tasks = Tasks::new();
        let pipeline = pipeline(config, &main, api_server.clone(), &tasks)?;
        Ok(Self {
            main,
            forwards,
            pipeline,
            api_server,
            tasks,
        })
    }

    /// The port that browsers have in their addresses; 0 of a Unix socket.
    pub fn port(&self) -> u16 {
        self.main.port()
    }

    /// Everything that runs for this companion; tests and the demo end it with this.
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Serves until somebody ends the companion's tasks.
    pub async fn run_until_ended(self) {
        let tasks = self.tasks.clone();
        // Dropping the accept closes the listeners; connections are tasks that end with the rest.
        tokio::select! {
            () = self.accept() => {}
            () = tasks.draining() => {}
        }
    }

    async fn run(self, mut signals: Signals) {
        // The credentials outlive the server: a token that is being written must not be cut in the middle.
        let credentials = self.api_server.clone();
        tokio::select! {
            () = self.accept() => {}
            () = signals.next() => {}
        }
        // A second signal ends that wait too.
        tokio::select! {
            () = credentials.finish() => {}
            () = signals.next() => {}
        }
    }

    /// What a person at the terminal is told.
    fn announce(&self, config: &LocalConfig) -> Result<(), NoOutput> {
        announce::files(config.files.as_ref());
        announce::serving(&self.main, config)?;
        for (listener, target) in &self.forwards {
            announce::forwarding(listener, target)?;
        }
        if let Some(logins) = &self.pipeline.logins {
            announce::login(logins)?;
        }
        if let Some(name) = &config.open {
            let target = Target::of(name, &namespace(config, &self.api_server));
            browser::open_target(&target, self.main.port(), self.pipeline.logins.as_ref())?;
        }
        self.tasks.spawn_background(announce::mode(
            self.pipeline.target_proxy.detector().clone(),
        ));
        Ok(())
    }

    async fn accept(self) {
        let Self {
            main,
            forwards,
            pipeline,
            tasks,
            ..
        } = self;
        for (listener, target) in forwards {
            let scope = ListenerScope::Target(target);
            tasks.spawn_background(accept(
                listener,
                scope,
                Arc::clone(&pipeline),
                tasks.clone(),
            ));
        }
        accept(main, ListenerScope::All, pipeline, tasks).await;
    }
}

/// Serves until a signal.
pub(super) async fn serve(config: LocalConfig) -> Result<(), LocalStartError> {
    let mut signals = Signals::listen()?;
    // Loading the kubeconfig may run a plugin, which Ctrl-C has to be able to end.
    let companion = tokio::select! {
        companion = Companion::build(&config) => companion?,
        () = signals.next() => return Ok(()),
    };
    let api_server = &companion.api_server;
    announce::server_path(api_server.url().path(), config.api.server_path);
    announce::verification(api_server.verification());
    companion.announce(&config)?;
    companion.run(signals).await;
    Ok(())
}

/// That of targets that are named without one.
fn namespace(config: &LocalConfig, api_server: &ApiServer) -> String {
    let chosen = config.cluster.namespace.as_deref();
    let chosen = chosen.unwrap_or_else(|| api_server.default_namespace());
    chosen.to_owned()
}

/// Makes the stages that every request passes.
pub(super) fn pipeline(
    config: &LocalConfig,
    main: &CompanionListener,
    api_server: ApiServer,
    tasks: &Tasks,
) -> Result<Arc<LocalPipeline>, LocalStartError> {
    let context = api_server.context().map(str::to_owned);
    let server = api_server.url().to_string();
    let default_namespace = api_server.default_namespace().to_owned();
    let upstream = Upstream::new(api_server, config.cluster.request_timeout, tasks.clone());
    let api_group = Arc::from(&*config.api_group);
    let detector = ModeDetector::new(upstream.clone(), config.via, api_group, tasks.clone());
    let facts = Facts {
        context,
        server,
        default_namespace,
        mode: detector.subscribe(),
    };
    let kube_client = upstream.kube_client_within(config.api.filter.clone());
    let target_proxy = TargetProxy::new(upstream.clone(), detector);
    let api = Api {
        settings: config.api.clone(),
        files: config.files.clone(),
        upstream,
    };
    Ok(Arc::new(LocalPipeline {
        logins: logins(config, main, &api, tasks)?,
        start_page: StartPage::new(kube_client, facts, tasks.clone()),
        api,
        target_proxy,
        targets: config.targets.clone(),
        cross_site: config.api.cross_site,
    }))
}

fn logins(
    config: &LocalConfig,
    main: &CompanionListener,
    api: &Api,
    tasks: &Tasks,
) -> Result<Option<BrowserLogins>, LocalStartError> {
    let logins = match config.login {
        BrowserLogin::NotRequired => return Ok(None),
        BrowserLogin::OneTimeToken => BrowserLogins::new(main.home(), tasks.clone())?,
    };
    // Otherwise every browser would be refused where it is sent to log in.
    if !api.accepts_host(logins.home()) {
        return Err(LocalStartError::LoginHost(logins.home().to_owned()));
    }
    Ok(Some(logins))
}

impl Target {
    fn of(name: &TargetName, namespace: &str) -> Self {
        Self {
            kind: name.kind,
            namespace: match name.kind {
                TargetKind::Node => String::new(),
                TargetKind::Service | TargetKind::Pod => {
                    name.namespace.as_deref().unwrap_or(namespace).to_owned()
                }
            },
            name: name.name.clone(),
            port: name.port.clone(),
            scheme: name.scheme,
        }
    }
}

async fn accept(
    listener: CompanionListener,
    scope: ListenerScope,
    pipeline: Arc<LocalPipeline>,
    tasks: Tasks,
) {
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                tasks.spawn(connection(accepted, scope.clone(), Arc::clone(&pipeline)));
            }
            Err(failed) => {
                // Without a pause a full table of file descriptors would keep a core busy.
                tracing::warn!(error = %failed, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

async fn connection(
    accepted: AcceptedConnection,
    scope: ListenerScope,
    pipeline: Arc<LocalPipeline>,
) {
    let AcceptedConnection {
        stream,
        peer,
        address,
    } = accepted;
    // Below HTTP, as the library refuses such a line before anything of ours sees it.
    let (stream, next_head) = RequestLines::new(stream);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = next_head.after(request);
        let (pipeline, scope, address) = (Arc::clone(&pipeline), scope.clone(), address.clone());
        async move {
            // hyper's own extensions stay, as an upgrade is among them.
            request.extensions_mut().extend(extension(address));
            Ok::<_, Infallible>(pipeline::respond(&pipeline, &scope, peer, request).await)
        }
    });
    let mut settings = auto::Builder::new(TokioExecutor::new());
    settings
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADER_LINES)
        .title_case_headers(true);
    settings
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES as u32);
    let served = settings.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(failed) = served.await {
        tracing::debug!(error = %failed, "a connection broke");
    }
}

fn extension(address: Option<HeaderValue>) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    if let Some(address) = address {
        extensions.insert(CallerAddress(address));
    }
    extensions
}
