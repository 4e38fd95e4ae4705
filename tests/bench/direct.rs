//! Requests and bytes on the server's own TLS port, beside nginx, haproxy and Envoy.

use throughway_testing::cluster::EmbeddedCluster;
use throughway_testing::process::{self, least, median};
use throughway_testing::until;

use crate::ROUNDS;
use crate::load::{Load, Outcome};
use crate::peers::{self, Logs, Running, TOKEN};
use crate::table::Table;

const MEBIBYTE: f64 = 1048576.0;

const REQUESTS: u32 = 100_000;

/// Downloads of [`peers::BIG`] bytes each; together a gigabyte.
const DOWNLOADS: u32 = 10;

/// Small requests.
pub async fn requests(table: &mut Table) {
    let (cluster, _backend) = start().await;
    let proxies = all(&cluster).await;
    let asked = cluster.api.asked_in_all();
    let small = rounds(&proxies, |proxy| {
        Load::small(&proxy.url("/small"), TOKEN, REQUESTS)
    })
    .await;
    let calls = cluster.api.asked_in_all() - asked;
    for (index, must) in [(1, "1.3, aim 1.0"), (2, ""), (3, "")] {
        let name = format!("{}: µs", proxies[index].name);
        let (ours, other) = (micros(&small[0]), micros(&small[index]));
        table.ratio(
            "CPU a request, no access log",
            ("µs", ours),
            (&name, other),
            must,
        );
    }
    let rate = |index: usize| median(small[index].iter().map(|o| o.requests_a_second).collect());
    table.ratio("requests a second", ("", rate(0)), ("nginx: ", rate(1)), "");
    let requests = f64::from(REQUESTS) * ROUNDS as f64;
    table.plain(
        "API calls a request, the reviews of every 10 s",
        ("", calls as f64 / requests),
        "0",
    );
    drop(proxies);
    logged(table, &cluster).await;
}

/// Large bodies.
pub async fn bulk(table: &mut Table) {
    let (cluster, _backend) = start().await;
    let proxies = all(&cluster).await;
    let bulk = rounds(&proxies, |proxy| {
        Load::bulk(&proxy.url("/big"), TOKEN, DOWNLOADS)
    })
    .await;
    let seconds = |index: usize| least(bulk[index].iter().map(|o| o.cpu));
    for (index, must) in [(1, "1.0"), (2, ""), (3, "aim 1.0")] {
        let name = format!("{}: s", proxies[index].name);
        table.ratio(
            "CPU a GB of body",
            ("s", seconds(0)),
            (&name, seconds(index)),
            must,
        );
    }
    for proxy in &proxies[1..] {
        let ours = process::resident(proxies[0].pid) / MEBIBYTE;
        let name = format!("{}: MiB", proxy.name);
        table.ratio(
            "resident memory after that",
            ("MiB", ours),
            (&name, process::resident(proxy.pid) / MEBIBYTE),
            "",
        );
    }
}

async fn start() -> (EmbeddedCluster, Running) {
    peers::certificate();
    let backend = peers::backend().await;
    (peers::small_cluster("direct").await, backend)
}

/// Throughway first, then nginx, haproxy and Envoy.
async fn all(cluster: &EmbeddedCluster) -> [Running; 4] {
    let ours = peers::throughway(cluster, "10.77.0.5:8443", Logs::Off).await;
    ready(&ours).await;
    [
        ours,
        peers::nginx_proxy(Logs::Off).await,
        peers::haproxy().await,
        peers::envoy().await,
    ]
}

fn micros(outcomes: &[Outcome]) -> f64 {
    least(outcomes.iter().map(|o| o.cpu)) * 1e6 / f64::from(REQUESTS)
}

/// The same with an access log on both sides.
async fn logged(table: &mut Table, cluster: &EmbeddedCluster) {
    let proxies = [
        peers::throughway(cluster, "10.77.0.5:8443", Logs::On).await,
        peers::nginx_proxy(Logs::On).await,
    ];
    ready(&proxies[0]).await;
    let small = rounds(&proxies, |proxy| {
        Load::small(&proxy.url("/small"), TOKEN, REQUESTS)
    })
    .await;
    let (ours, other) = (micros(&small[0]), micros(&small[1]));
    table.ratio(
        "CPU a request, access log on",
        ("µs", ours),
        ("nginx: µs", other),
        "",
    );
}

/// Every proxy in turn, several times, after one short turn that does not count.
pub async fn rounds(proxies: &[Running], load: impl Fn(&Running) -> Load) -> Vec<Vec<Outcome>> {
    let mut outcomes = vec![Vec::new(); proxies.len()];
    for proxy in proxies {
        let load = load(proxy);
        Load {
            requests: (load.requests / 10).max(1),
            ..load
        }
        .run(proxy.pid)
        .await;
    }
    for _ in 0..ROUNDS {
        for (proxy, outcomes) in proxies.iter().zip(&mut outcomes) {
            outcomes.push(load(proxy).run(proxy.pid).await);
        }
    }
    outcomes
}

/// Waits until Throughway says that it is ready.
pub async fn ready(proxy: &Running) {
    let client = throughway_testing::client::Client::new(proxy.address(), None);
    until("ready", async || {
        client.get("/readyz").await.status.is_success()
    })
    .await;
}
