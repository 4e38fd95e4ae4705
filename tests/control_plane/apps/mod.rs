//! Ten real dashboards, each opened in a real browser: `kubectl proxy` → kube-apiserver → kube-aggregator → Throughway
//! → pod, and at an origin of its own: `throughway local` → the same, or the built-in proxy → pod.
//!
//! `tests/apps` installs and starts them, with no setting but those that they need at a pod's own address too. Each is
//! used by the same steps at its pod's address, which shows that the steps are right, under `/proxy`, and at origins of
//! its own. What is refused there: any request to the cluster or to this machine that is not below the dashboard's own
//! prefix or origin. Requests to hosts of the internet are the dashboard's own, and are only listed. What can't work
//! through the built-in proxy is listed in [`LOST`], and must fail as it says. Screenshots are kept in
//! `target/apps/screenshots`.

mod dashboard;
mod notebooks;
mod pages;
mod steps;

use std::panic::AssertUnwindSafe;
use std::path::Path;

use futures_util::FutureExt;
use throughway_testing::browser::{Browser, Tab};
use throughway_testing::control_plane::Cluster;
use throughway_testing::target;
use tokio::sync::OnceCell;

use dashboard::{Dashboard, Prefix, ProxyMode};

/// What does not work through the built-in proxy at an origin of its own: the dashboard, why, and the condition in
/// which its page then is.
const LOST: &[(&str, &str, &str)] = &[
    (
        "marimo",
        "the query of its WebSocket's address is lost, which names the session",
        "document.body.innerText.includes('kernel not found')",
    ),
    (
        "rabbitmq",
        "Authorization never reaches it, so nobody can log in",
        "fetch('api/whoami', {credentials: 'omit', headers: {authorization: 'Basic ' + btoa('an-admin:a-password')}})
            .then(answer => answer.status == 401)",
    ),
    (
        "tensorboard",
        "its pages say Content-Encoding: identity, and the built-in proxy breaks pages off whose encoding it does not know",
        "document.body.innerText.includes('The cluster does not respond')",
    ),
];

/// Uses a dashboard at its own address, then under the prefix of its Service and at origins of its own, and looks at
/// where its requests went.
async fn works(cluster: &'static Cluster, dashboard: Dashboard, steps: impl AsyncFn(&Tab, &str)) {
    let running = dashboard.start().await;
    let own = format!("{}{}/", running.origin(), dashboard.own_prefix());
    open(&format!("{}-own", dashboard.name), &own, &steps).await;
    dashboard.register(cluster).await;
    let proxied = dashboard.proxied(cluster);
    let requests = open(dashboard.name, &proxied, &steps).await;
    stays_inside(&requests, &proxied);
    // One that is told its prefix has another at an origin of its own: none.
    if dashboard.prefix == Prefix::Unknown {
        works_at_own_origins(cluster, &dashboard, &steps).await;
    }
}

/// Uses a dashboard that runs at origins of its own.
async fn works_at_own_origins(
    cluster: &'static Cluster,
    dashboard: &Dashboard,
    steps: &impl AsyncFn(&Tab, &str),
) {
    for mode in [ProxyMode::Throughway, ProxyMode::BuiltIn] {
        let origin = dashboard.target_origin(cluster, mode);
        let name = format!("{}-origin-{}", dashboard.name, mode.name());
        let lost = LOST.iter().find(|(lost, ..)| *lost == dashboard.name);
        let requests = match lost {
            Some((_, why, sign)) if mode == ProxyMode::BuiltIn => {
                eprintln!("{name} does not work: {why}");
                let look = async |tab: &Tab, base: &str| {
                    tab.goto(base).await;
                    tab.wait_for(sign).await;
                };
                open(&name, &origin, &look).await
            }
            _ => open(&name, &origin, steps).await,
        };
        stays_inside(&requests, &origin);
    }
}

/// Fails where requests went to the cluster or this machine, past a dashboard's base.
fn stays_inside(requests: &[String], base: &str) {
    let left: Vec<_> = requests.iter().filter(|url| leaves(url, base)).collect();
    assert!(left.is_empty(), "{base} was left: {left:#?}");
}

/// Takes the steps in a new tab, keeps a picture of where they ended, and returns what was asked for.
async fn open(name: &str, base: &str, steps: &impl AsyncFn(&Tab, &str)) -> Vec<String> {
    let tab = browser().await.tab().await;
    let outcome = AssertUnwindSafe(steps(&tab, base)).catch_unwind().await;
    let folder = target().join("apps/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    tab.screenshot(&folder.join(format!("{name}.png"))).await;
    let requests = tab.requests();
    for url in requests.iter().filter(|url| !below(url, base)) {
        eprintln!("{name}: outside: {url}");
    }
    for error in tab.console_errors() {
        eprintln!("{name}: complaint: {error}");
    }
    tab.close().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    requests
}

/// The one browser of all tests here, which ends with the namespace; each tab has a profile of its own.
pub async fn browser() -> &'static Browser {
    static BROWSER: OnceCell<Browser> = OnceCell::const_new();
    BROWSER
        .get_or_init(|| Browser::start(Path::new("/run")))
        .await
}

/// Whether a URL is below a base, or is none that is asked for over the network.
fn below(url: &str, base: &str) -> bool {
    let (_, base) = base.split_once("://").expect("the base of a page");
    let network = ["http", "https", "ws", "wss"];
    url.split_once("://")
        .is_none_or(|(scheme, rest)| !network.contains(&scheme) || rest.starts_with(base))
}

/// Whether a request went to the cluster or this machine, past the dashboard's prefix.
fn leaves(url: &str, base: &str) -> bool {
    if below(url, base) {
        return false;
    }
    let url = url::Url::parse(url).expect("the browser's URL is one");
    let here = match url.host() {
        None => false,
        Some(url::Host::Domain(name)) => {
            name == "localhost" || name.ends_with(".localhost") || name.contains(".svc")
        }
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
    };
    // The browser itself asks for this one where a page names no icon, whatever the page's path is.
    here && url.path() != "/favicon.ico"
}
