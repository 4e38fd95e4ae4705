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

use futures_util::FutureExt;

use crate::cluster::Cluster;
use crate::support::browser::{Browser, Seen, Tab};
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
        .filter(|seen| leaves(seen, &proxied))
        .collect();
    assert!(
        left.is_empty(),
        "{} left its prefix: {left:#?}",
        dashboard.name
    );
}

/// Takes the steps in a new tab, keeps a picture of where they ended, and returns what was asked for.
async fn open(name: &str, base: &str, steps: &impl AsyncFn(&Tab, &str)) -> Vec<Seen> {
    let tab = Browser::shared().tab().await;
    let outcome = AssertUnwindSafe(steps(&tab, base)).catch_unwind().await;
    let file = format!("apps/screenshots/{name}.png");
    tab.screenshot(&crate::cluster::target().join(file)).await;
    let requests = tab.requests();
    for seen in requests.iter().filter(|seen| !below(&seen.url, base)) {
        eprintln!(
            "{name}: outside: {} {} {}",
            seen.method, seen.url, seen.kind
        );
    }
    for complaint in tab.errors() {
        eprintln!("{name}: complaint: {complaint}");
    }
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    requests
}

/// Whether a URL is below a base, whatever its scheme.
fn below(url: &str, base: &str) -> bool {
    let without_scheme = |url: &str| url.split_once("://").map(|(_, rest)| rest.to_owned());
    match (without_scheme(url), without_scheme(base)) {
        (Some(url), Some(base)) => url.starts_with(&base),
        // `data:`, `blob:` and `about:` go nowhere.
        _ => true,
    }
}

/// Whether a request went to the cluster or this machine, past the dashboard's prefix.
fn leaves(seen: &Seen, base: &str) -> bool {
    if below(&seen.url, base) {
        return false;
    }
    let url = url::Url::parse(&seen.url).expect("the browser's URL is one");
    // The browser itself asks for it where a page names no icon, whatever the page's path is.
    let icon = seen.kind == "Other" && url.path() == "/favicon.ico";
    let here = match url.host() {
        None => true,
        Some(url::Host::Domain(name)) => name == "localhost" || name.contains(".svc"),
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
    };
    here && !icon
}
