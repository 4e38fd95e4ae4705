//! Ten real dashboards, each opened in a real browser: `kubectl proxy` → kube-apiserver → kube-aggregator → Throughway → pod.
//!
//! `tests/apps` installs and starts them, with no setting but those that they need at a pod's own address too. Each is used
//! twice by the same steps, at its pod's address, which shows that the steps are right, and under `/proxy`. What is
//! refused there: any request to the cluster or to this machine that is not below the dashboard's own prefix. Requests to
//! hosts of the internet are the dashboard's own, and are only listed. Screenshots are kept in `target/apps/screenshots`.

mod dashboard;
mod notebooks;
mod pages;
mod steps;

use std::panic::AssertUnwindSafe;
use std::path::Path;

use futures_util::FutureExt;
use tokio::sync::OnceCell;

use crate::cluster::{Cluster, target};
use crate::support::browser::{Browser, Tab};
use dashboard::Dashboard;

/// Uses a dashboard at its own address, then under the prefix of its Service, and looks at where its requests went.
async fn works(cluster: &'static Cluster, dashboard: Dashboard, steps: impl AsyncFn(&Tab, &str)) {
    let running = dashboard.start().await;
    let own = format!("{}{}/", running.origin(), dashboard.own_prefix());
    open(&format!("{}-own", dashboard.name), &own, &steps).await;
    dashboard.register(cluster).await;
    let proxied = dashboard.proxied(cluster);
    let requests = open(dashboard.name, &proxied, &steps).await;
    let left: Vec<_> = requests
        .iter()
        .filter(|url| leaves(url, &proxied))
        .collect();
    assert!(
        left.is_empty(),
        "{} left its prefix: {left:#?}",
        dashboard.name
    );
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
    for complaint in tab.complaints() {
        eprintln!("{name}: complaint: {complaint}");
    }
    tab.close().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    requests
}

/// The one browser of all dashboards, which ends with the namespace; each tab has a profile of its own.
async fn browser() -> &'static Browser {
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
        Some(url::Host::Domain(name)) => name == "localhost" || name.contains(".svc"),
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
    };
    // The browser itself asks for this one where a page names no icon, whatever the page's path is.
    here && url.path() != "/favicon.ico"
}
