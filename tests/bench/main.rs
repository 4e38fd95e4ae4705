//! The measured comparison: one run, one machine, one table.
//!
//! CPU time is what the proxy's own process used by `/proc`, divided by requests; it holds better on a busy machine
//! than requests a second do. Peers do less: they authenticate nobody and choose nothing. Every server runs with one
//! worker unless a row says otherwise, and a figure is the least of the rounds for CPU time, to which a busy machine
//! only adds, and the median for requests a second. Run inside `tests/control_plane_binary/in-namespace.sh`, as `make
//! bench` does.

mod apiserver;
mod direct;
mod load;
mod local;
mod pages;
mod peers;
mod scale;
mod strangers;
mod table;
mod tunnels;

use throughway_testing::control_plane::Cluster;

use table::Table;

/// Requests of a round are too few to matter below this, and too many to wait for above.
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    assert_eq!(
        std::env::var("IN_TEST_NAMESPACE").as_deref(),
        Ok("yes"),
        "run it as make bench does"
    );
    // The built-in proxy opens a connection for most requests; closed ones wait for a minute and keep their port.
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "1024 65000").unwrap();
    let only =
        std::env::args().find_map(|argument| argument.strip_prefix("only=").map(str::to_owned));
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let mut table = Table::default();
    if wanted("requests") {
        direct::requests(&mut table).await;
    }
    if wanted("bulk") {
        direct::bulk(&mut table).await;
    }
    if wanted("pages") {
        pages::measure(&mut table).await;
    }
    if wanted("tunnels") {
        tunnels::measure(&mut table).await;
    }
    if wanted("scale") {
        scale::measure(&mut table).await;
    }
    if wanted("local") {
        local::measure(&mut table).await;
    }
    let mut of_strangers = Table::default();
    if wanted("local") || wanted("apiserver") || wanted("strangers") {
        let cluster = Cluster::start().await;
        if wanted("local") {
            local::through_the_real_one(&mut table, &cluster).await;
        }
        if wanted("apiserver") {
            apiserver::measure(&mut table, &cluster).await;
        }
        if wanted("strangers") {
            strangers::through_the_real_one(&mut of_strangers, &cluster).await;
        }
    }
    println!("{table}");
    if wanted("strangers") {
        strangers::of_one_replica(&mut of_strangers).await;
        println!("{of_strangers}");
    }
    let missed = of_strangers.missed();
    assert!(missed.is_empty(), "MISSED: {missed:#?}");
}
