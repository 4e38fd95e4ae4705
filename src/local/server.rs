//! The companion put together: listeners, and the connections that they accept.
//!
//! In: a [`LocalConfig`]. Out: served requests, until a signal; then everything closes at once.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;

use super::api::{Api, Caller};
use super::api_server::{AccessError, ApiServer};
use super::listen::{self, Accepted, ListenError, Listener};
use super::login::{Logins, NoRandomness};
use super::page::{Facts, StartPage};
use super::place::Target;
use super::road::{self, Door, Road};
use super::upstream::Upstream;
use super::way::Ways;
use super::{announce, open};
use crate::config::{LocalConfig, Login, TargetKind, TargetName};
use crate::lifecycle::{Signals, Tasks};

/// From the first byte of a request to the end of its headers.
const HEADER_READ_LIMIT: Duration = Duration::from_secs(30);

/// As kube-apiserver and kubectl proxy take them.
const MAX_HEADER_BYTES: usize = 1 << 20;
const MAX_HEADER_LINES: usize = 1000;

/// After an accept that failed, as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there is no companion.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Access(String),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Login(#[from] NoRandomness),
    #[error("browsers would log in at {0}, which --accept-hosts does not accept")]
    LoginHost(String),
    #[error("the system gives no threads, timers or signals: {0}")]
    System(#[from] io::Error),
}

impl From<AccessError> for StartError {
    fn from(failed: AccessError) -> Self {
        Self::Access(announce::in_words(&failed.problem()))
    }
}

/// Serves until a signal.
pub(super) async fn serve(config: LocalConfig) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    let api_server = ApiServer::load(&config.cluster).await?;
    let namespace = config.cluster.namespace.as_deref();
    let namespace = namespace
        .unwrap_or_else(|| api_server.default_namespace())
        .to_owned();
    let target = |name: &TargetName| Arc::new(Target::of(name, &namespace));
    announce::server_path(api_server.url().path(), config.api.server_path);
    announce::verification(api_server.verification());
    let credentials = api_server.clone();
    let main = Listener::bind(&config.listen).await?;
    let mut doors = Vec::new();
    for forward in &config.forwards {
        let listener = Listener::bind(&listen::beside(&config.listen, forward.port)).await?;
        doors.push((listener, target(&forward.target)));
    }
    announce::serving(&main, &config)?;
    for (listener, target) in &doors {
        announce::forwarding(listener, target)?;
    }

    let tasks = Tasks::new();
    let road = road(&config, &main, api_server, &tasks)?;
    if let Some(logins) = &road.logins {
        announce::login(logins)?;
    }
    if let Some(name) = &config.open {
        open::target(&target(name), main.port(), road.logins.as_ref())?;
    }
    tasks.spawn_background(announce::way(road.ways.clone()));
    for (listener, target) in doors {
        let door = Door::One(target);
        tasks.spawn_background(accept(listener, door, Arc::clone(&road), tasks.clone()));
    }
    let serving = accept(main, Door::Everything, road, tasks.clone());
    tokio::select! {
        () = serving => {}
        () = signals.next() => {}
    }
    tokio::select! {
        () = credentials.finish() => {}
        () = signals.next() => {}
    }
    Ok(())
}

pub(super) fn road(
    config: &LocalConfig,
    main: &Listener,
    api_server: ApiServer,
    tasks: &Tasks,
) -> Result<Arc<Road>, StartError> {
    let context = api_server.context().map(str::to_owned);
    let server = api_server.url().to_string();
    let default_namespace = api_server.default_namespace().to_owned();
    let upstream = Upstream::new(api_server, config.cluster.request_timeout, tasks.clone());
    let ways = Ways::new(upstream.clone(), config.via, tasks.clone());
    let facts = Facts {
        context,
        server,
        default_namespace,
        way: ways.fact(),
    };
    let logins = match config.login {
        Login::OneTimeToken => Some(Logins::new(main.home(), tasks.clone())?),
        Login::NotAsked => None,
    };
    let client = upstream.client_within(config.api.filter.clone());
    let api = Api {
        settings: config.api.clone(),
        files: config.files.clone(),
        upstream,
    };
    if let Some(logins) = &logins
        && !api.accepts_host(logins.home())
    {
        return Err(StartError::LoginHost(logins.home().to_owned()));
    }
    Ok(Arc::new(Road {
        page: StartPage::new(client, facts, tasks.clone()),
        api,
        ways,
        targets: config.targets.clone(),
        logins,
        cross_site: config.api.cross_site,
    }))
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

async fn accept(listener: Listener, door: Door, road: Arc<Road>, tasks: Tasks) {
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                tasks.spawn(connection(accepted, door.clone(), Arc::clone(&road)));
            }
            Err(failed) => {
                tracing::warn!(error = %failed, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(accepted: Accepted, door: Door, road: Arc<Road>) {
    let Accepted {
        stream,
        peer,
        address,
    } = accepted;
    let service = service_fn(move |request: Request<Incoming>| {
        let (road, door, address) = (Arc::clone(&road), door.clone(), address.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().extend(extension(address));
            Ok::<_, Infallible>(road::answer(&road, &door, peer, request).await)
        }
    });
    let mut settings = auto::Builder::new(TokioExecutor::new());
    settings
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_LIMIT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADER_LINES)
        .title_case_headers(true);
    settings
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES as u32);
    let served = settings.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(failed) = served.await {
        tracing::debug!(error = %failed, "a connection broke off");
    }
}

fn extension(address: Option<HeaderValue>) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    if let Some(address) = address {
        extensions.insert(Caller(address));
    }
    extensions
}

/// Writes a line for the person at the terminal; somebody who closed it misses nothing.
pub(super) fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(closed) if closed.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
