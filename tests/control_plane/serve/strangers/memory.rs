//! One replica as a process of its own, and what it holds under every attack of docs/security.md.
//!
//! The pods of an embedded cluster have addresses of this namespace: a server never dials loopback. The limit is that
//! of the manifests.

use std::path::Path;

use throughway_testing::attacks::bodies::Coding;
use throughway_testing::attacks::{Attack, Replica, connections, cost, streams};
use throughway_testing::control_plane::alone_without_cluster;
use throughway_testing::process;

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What an attack may leave behind on a busy machine; `make bench` holds it to half of this.
const KEPT: f64 = 2.0 * cost::KEPT;

/// `resources.limits.memory` of `manifests/20-server.yaml`.
const LIMIT: f64 = 640.0 * MEBIBYTE;

#[test]
fn no_attack_takes_a_replica_past_its_limit_or_leaves_it_large() {
    assert!(include_str!("../../../../manifests/20-server.yaml").contains("memory: 640Mi"));
    alone_without_cluster(async || {
        let replica = Replica::start(Path::new("/run/attacked")).await;
        let at_rest = cost::at_rest(&replica).await;
        let mut failed = Vec::new();
        for attack in Attack::ALL {
            let cost = cost::of(attack, &replica, at_rest).await;
            let figures = format!(
                "{}: {:.0} MiB at the most, {:.0} MiB after (at first {:.0}), {:.1} ms of CPU a request",
                attack.name(),
                cost.peak / MEBIBYTE,
                cost.after / MEBIBYTE,
                at_rest / MEBIBYTE,
                cost.cpu_a_request * 1e3,
            );
            eprintln!("{figures}");
            if cost.peak > LIMIT || cost.after > at_rest + KEPT {
                failed.push(figures);
            }
        }
        assert!(failed.is_empty(), "{failed:#?}");
    });
}

/// Of what docs/limits.md adds up, what can be held in a test: connections, heads, tunnels, requests with full buffers,
/// pages. A connection takes about twice as much in a debug build as it is counted with there.
#[test]
fn everything_that_may_be_held_at_once_fits_into_a_replica() {
    alone_without_cluster(async || {
        let replica = Replica::start(Path::new("/run/full")).await;
        cost::at_rest(&replica).await;
        process::forget_peak(replica.pid);
        let mut held = vec![connections::unfinished_heads(&replica, 700).await];
        for address in 1..=3 {
            held.push(connections::idle(&replica, address, 700).await);
        }
        held.push(connections::tunnels_by_the_front_proxy(&replica, 1_200).await);
        held.push(streams::downloads(&replica).await);
        held.push(streams::pages(&replica, Coding::Brotli).await);
        cost::until_still(replica.pid).await;
        let peak = process::peak(replica.pid);
        eprintln!("{:.0} MiB with everything", peak / MEBIBYTE);
        replica.ask_calmly().await;
        drop(held);
        assert!(peak < LIMIT, "{:.0} MiB", peak / MEBIBYTE);
    });
}
