//! Strangers: what attackers take from everybody else, and from a replica.
//!
//! Memory and CPU are those of a process of its own; what others notice is measured on the real control plane, with and
//! without the attack in turn, as a busy machine slows both.

mod names;
mod storm;

use std::path::Path;
use std::time::Duration;

use throughway_testing::attacks::scene::Scene;
use throughway_testing::attacks::through::{Sent, Ticking, median_post, stall};
use throughway_testing::attacks::{Attack, Replica, cost};
use throughway_testing::control_plane::Cluster;
use throughway_testing::process::median;

use crate::table::Table;

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// `resources.limits.memory` of `manifests/20-server.yaml`.
const LIMIT: f64 = 640.0;

/// More memory than this is a leak.
const NAMES_LIMIT: f64 = 12.0;

/// The most CPU milliseconds of one request.
const CPU_LIMIT: f64 = 100.0;

/// What others may notice of an attack.
const RATIO: f64 = 2.0;

/// Lines of the stream that is open all the time: half a minute.
const LINES: usize = 300;

/// Turns with an attack and without it.
const TURNS: usize = 3;

/// The same for uploads, whose end has to be waited for.
const UPLOAD_TURNS: usize = 1;

/// On a replica of its own.
pub async fn of_one_replica(table: &mut Table) {
    let mut replica = Replica::start(Path::new("/run/bench/attacked")).await;
    let at_rest = cost::at_rest(&replica).await;
    for attack in Attack::ALL {
        let cost = cost::of(attack, &replica, at_rest).await;
        let name = attack.name();
        let more = (cost.after - at_rest) / MEBIBYTE;
        table.at_most(
            &format!("{name}: peak memory"),
            ("MiB", cost.peak / MEBIBYTE),
            LIMIT,
        );
        table.at_most(
            &format!("{name}: memory more after"),
            ("MiB", more),
            cost::KEPT / MEBIBYTE,
        );
        table.at_most(
            &format!("{name}: CPU of one"),
            ("ms", cost.cpu_a_request * 1e3),
            CPU_LIMIT,
        );
    }
    replica.restart().await;
    names::ask(&replica, 0..1_000).await;
    let before = cost::at_rest(&replica).await;
    for (numbers, said) in [(1_000..21_000, "20 000"), (21_000..221_000, "200 000")] {
        names::ask(&replica, numbers).await;
        let more = (cost::at_rest(&replica).await - before) / MEBIBYTE;
        table.at_most(
            &format!("memory more after {said} unknown names"),
            ("MiB", more),
            NAMES_LIMIT,
        );
    }
}

/// Through kube-apiserver, while a stream of somebody else is open all the time.
pub async fn through_the_real_one(table: &mut Table, cluster: &Cluster) {
    let scene = Scene::set_up(cluster).await;
    let bystander = &scene.bystander;
    let open = Ticking::begin(bystander).await;
    let attacks = async {
        uploads(table, cluster, &scene).await;
        storm(table, cluster, &scene).await;
        for attack in Sent::ALL {
            attack.run(&cluster.admin()).await;
        }
    };
    let lines = open.read(bystander, LINES, attacks).await;
    let broken = lines.inspect_err(|broken| eprintln!("{broken}")).is_err();
    let streams = f64::from(u8::from(broken));
    table.at_most(
        "streams of half a minute that broke off beside all that",
        ("", streams),
        0.0,
    );
}

/// The attacker is an administrator: another user has a quarter of all places, and with them fewer that stall.
async fn uploads(table: &mut Table, cluster: &Cluster, scene: &Scene) {
    for uploads in [1, 100, 900] {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..UPLOAD_TURNS {
            without.push(milliseconds(median_post(&scene.bystander).await));
            let stalled = stall(&cluster.admin(), uploads).await;
            with.push(milliseconds(median_post(&scene.bystander).await));
            drop(stalled);
            scene.until_uploads_have_ended().await;
        }
        table.ratio_at_most(
            &format!("a POST beside {uploads} stalled uploads of somebody else"),
            ("ms", median(with)),
            ("without: ms", median(without)),
            RATIO,
        );
    }
}

async fn storm(table: &mut Table, cluster: &Cluster, scene: &Scene) {
    let replicas = storm::replicas(cluster);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut rates = Vec::new();
    for _ in 0..TURNS {
        without.push(milliseconds(storm::p99(&scene.bystander).await));
        let storm = storm::Storm::begin(&replicas);
        with.push(milliseconds(storm::p99(&scene.bystander).await));
        rates.push(storm.end().await);
    }
    table.plain(
        "unknown tokens a second of that storm",
        ("", median(rates)),
        "1 000",
    );
    table.ratio_at_most(
        "99th percentile of good users' requests in a storm of unknown tokens",
        ("ms", median(with)),
        ("without: ms", median(without)),
        RATIO,
    );
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
