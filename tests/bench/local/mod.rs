//! `throughway local` beside `kubectl proxy`, in front of the same API server: one that answers at once, and the real
//! one.
//!
//! The two cores of the machine are shared by the client, the proxy and the API server; what they do besides the proxy
//! is the same on both sides, so requests a second differ less than CPU does.

mod companion;
mod stand_in;
mod stopped_readers;
mod tunnel;

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use serde_json::json;
use throughway_testing::control_plane::{Cluster, DEMO};
use throughway_testing::process::{self, least, median};

use crate::ROUNDS;
use crate::load::{Load, Outcome};
use crate::table::Table;
use companion::{Companion, ask};
use stand_in::StandIn;

const MEBIBYTE: f64 = 1048576.0;

/// Something that an API server answers with a kibibyte.
const SMALL: &str = "/api/v1/namespaces/demo/configmaps/small";

/// A target at an origin of its own.
const TARGET: &str = "web.demo.svc.localhost";

/// Downloads of [`crate::peers::BIG`] bytes each.
const DOWNLOADS: u32 = 5;

/// Requests of a round with a connection each.
const CONNECTIONS: u32 = 4_000;

/// Messages of a round.
const MESSAGES: u32 = 40_000;

/// Requests of a round to the real API server, which needs much longer for one than any proxy.
const REAL_REQUESTS: u32 = 10_000;

/// Both, `throughway local` first.
type Both = [Companion; 2];

pub async fn measure(table: &mut Table) {
    let server = StandIn::start().await;
    start(table, &server.kubeconfig).await;
    let both = both(&server.kubeconfig).await;
    let rest = both.each_ref().map(|one| process::resident(one.pid));
    requests(table, &both).await;
    connections(table, &both).await;
    origin(table, &both[0]).await;
    messages(table, &both).await;
    bulk(table, &both).await;
    stopped_readers::measure(table, &both).await;
    let now = both.each_ref().map(|one| process::resident(one.pid));
    memory(table, "resident memory after all this", now, "0.33");
    memory(table, "resident memory after the first answer", rest, "");
}

async fn both(kubeconfig: &Path) -> Both {
    [
        Companion::throughway(kubeconfig).await,
        Companion::kubectl(kubeconfig).await,
    ]
}

async fn start(table: &mut Table, kubeconfig: &Path) {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..2 * ROUNDS {
        for (times, one) in times.iter_mut().zip(both(kubeconfig).await) {
            times.push(one.first_response.as_secs_f64() * 1e3);
        }
    }
    let [ours, other] = times.map(median);
    table.ratio(
        "from the start of the process to the first answer",
        ("ms", ours),
        ("kubectl proxy: ms", other),
        "",
    );
}

async fn requests(table: &mut Table, both: &Both) {
    let [ours, other] = rounds(both, async |one| {
        let load = Load::plain(one.address, &one.address.to_string(), SMALL, one.requests);
        load.run(one.pid).await
    })
    .await;
    let micros = |outcomes: &[Outcome], one: &Companion| {
        least(outcomes.iter().map(|o| o.cpu)) * 1e6 / f64::from(one.requests)
    };
    table.ratio(
        "CPU a request",
        ("µs", micros(&ours, &both[0])),
        ("kubectl proxy: µs", micros(&other, &both[1])),
        "0.5, aim 0.2",
    );
    rate(table, "requests a second", [&ours, &other], "2");
}

async fn connections(table: &mut Table, both: &Both) {
    let cpu = rounds(both, async |one| {
        let before = process::cpu(one.pid);
        let host = one.address.to_string();
        let asked = join_all((0..8).map(async |_| {
            for _ in 0..CONNECTIONS / 8 {
                let response = ask(one.address, &host, SMALL).await;
                assert!(response.starts_with("HTTP/1.1 200"), "{response}");
            }
        }));
        asked.await;
        process::cpu(one.pid) - before
    })
    .await;
    let [ours, other] = cpu.map(|cpu| least(cpu) * 1e6 / f64::from(CONNECTIONS));
    table.ratio(
        "CPU a request over a connection of its own",
        ("µs", ours),
        ("kubectl proxy: µs", other),
        "",
    );
}

/// The own origins of targets, which kubectl proxy has not, beside the plain API.
async fn origin(table: &mut Table, companion: &Companion) {
    let port = companion.address.port();
    let mut cpu = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (cpu, (host, path)) in cpu.iter_mut().zip([(TARGET, "/"), ("localhost", SMALL)]) {
            let host = format!("{host}:{port}");
            let load = Load::plain(companion.address, &host, path, companion.requests);
            let outcome = load.run(companion.pid).await;
            if round > 0 {
                cpu.push(outcome.cpu * 1e6 / f64::from(companion.requests));
            }
        }
    }
    let [target, api] = cpu.map(least);
    table.ratio(
        "CPU a request to a target at its own origin",
        ("µs", target),
        ("to the API: µs", api),
        "",
    );
}

async fn messages(table: &mut Table, both: &Both) {
    let cpu = rounds(both, async |one| {
        let before = process::cpu(one.pid);
        tunnel::messages(one.address, MESSAGES).await;
        process::cpu(one.pid) - before
    })
    .await;
    let [ours, other] = cpu.map(|cpu| least(cpu) * 1e6 / f64::from(MESSAGES));
    table.ratio(
        "CPU a message through a WebSocket and back",
        ("µs", ours),
        ("kubectl proxy: µs", other),
        "",
    );
}

async fn bulk(table: &mut Table, both: &Both) {
    let outcomes = rounds(both, async |one| {
        let mut load = Load::plain(one.address, &one.address.to_string(), "/big", DOWNLOADS);
        load.connections = 1;
        load.run(one.pid).await
    })
    .await;
    let gigabytes = f64::from(DOWNLOADS) * crate::peers::BIG as f64 / 1e9;
    let [ours, other] = outcomes.map(|outcomes| least(outcomes.iter().map(|o| o.cpu)) / gigabytes);
    table.ratio(
        "CPU a GB of body",
        ("s", ours),
        ("kubectl proxy: s", other),
        "1.0",
    );
}

/// The same before the real API server.
pub async fn through_the_real_one(table: &mut Table, cluster: &Cluster) {
    cluster.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "small", "namespace": DEMO}, "data": {"text": " ".repeat(512)}}));
    let kubeconfig: PathBuf = cluster.kubeconfig();
    let both = both(&kubeconfig).await;
    let [ours, other] = rounds(&both, async |one| {
        let host = one.address.to_string();
        let load = Load::plain(one.address, &host, SMALL, REAL_REQUESTS);
        load.run(one.pid).await
    })
    .await;
    let micros = |outcomes: &[Outcome]| {
        least(outcomes.iter().map(|o| o.cpu)) * 1e6 / f64::from(REAL_REQUESTS)
    };
    table.ratio(
        "CPU a request to the real kube-apiserver",
        ("µs", micros(&ours)),
        ("kubectl proxy: µs", micros(&other)),
        "0.5, aim 0.2",
    );
    let measure = "requests a second to the real kube-apiserver";
    rate(table, measure, [&ours, &other], "");
}

/// Each in turn, several times, after one turn that does not count.
async fn rounds<T>(both: &Both, mut round: impl AsyncFnMut(&Companion) -> T) -> [Vec<T>; 2] {
    let mut results = [Vec::new(), Vec::new()];
    for turn in 0..=ROUNDS {
        for (one, results) in both.iter().zip(&mut results) {
            let result = round(one).await;
            if turn > 0 {
                results.push(result);
            }
        }
    }
    results
}

fn rate(table: &mut Table, measure: &str, outcomes: [&[Outcome]; 2], must: &str) {
    let [ours, other] =
        outcomes.map(|outcomes| median(outcomes.iter().map(|o| o.requests_a_second).collect()));
    table.ratio(measure, ("", ours), ("kubectl proxy: ", other), must);
}

fn memory(table: &mut Table, measure: &str, [ours, other]: [f64; 2], must: &str) {
    let ours = ("MiB", ours / MEBIBYTE);
    let other = ("kubectl proxy: MiB", other / MEBIBYTE);
    table.ratio(measure, ours, other, must);
}
