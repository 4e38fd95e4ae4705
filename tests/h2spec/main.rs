//! HTTP/2 by the book: every case of h2spec, once as a stranger and once as the front proxy.
//!
//! The stranger is a user with a certificate of the cluster, who asks for what nobody granted. An unknown caller's
//! connection ends in order after the first response, and so does one that asks for documents: the PING that goes with
//! that is not the one that a case waits for.
//!
//! The Go program beside this file runs the cases; `tests/h2spec/build.sh` builds it. What fails and can't be mended
//! here is listed with its reason, so that a further failure fails this test, and so does one that is gone.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use throughway::cli::{self, Command as CommandLine};
use throughway::serve::server::Server;
use throughway::serve::telemetry::AccessLog;
use throughway_testing::cluster::EmbeddedCluster;
use throughway_testing::fresh_dir;
use tokio::process::Command;

/// What the HTTP/2 library does otherwise and has no setting for: the case, and why.
const KNOWN: [(&str, &str); 0] = [];

/// All cases of this version of h2spec, so that a program that runs none is no success.
const CASES: usize = 146;

/// One case as the Go program tells it.
#[derive(Debug, Deserialize)]
struct Outcome {
    case: String,
    title: String,
    result: String,
    #[serde(default)]
    detail: String,
}

fn program() -> PathBuf {
    throughway_testing::target().join("h2spec/h2spec")
}

/// Who connects, and what every request of theirs asks for.
#[derive(Debug, Clone, Copy)]
enum Caller {
    Stranger,
    FrontProxy,
}

impl Caller {
    /// The certificate's common name.
    fn name(self) -> &'static str {
        match self {
            Self::Stranger => "somebody",
            Self::FrontProxy => "front-proxy-client",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Stranger => "/apis/throughway.dev/v1/namespaces/demo/services/web/proxy/",
            Self::FrontProxy => "/",
        }
    }
}

async fn conforms(caller: Caller) {
    let name = caller.name();
    let dir = fresh_dir("h2spec");
    let cluster = EmbeddedCluster::start(&dir).await;
    let ca = match caller {
        Caller::Stranger => &cluster.cluster_ca,
        Caller::FrontProxy => &cluster.front_proxy_ca,
    };
    let (certificate, key) = ca.issue_pem(name);
    let (certificate_file, key_file) = (dir.join("tls.crt"), dir.join("tls.key"));
    std::fs::write(&certificate_file, certificate).unwrap();
    std::fs::write(&key_file, key).unwrap();
    let Ok(CommandLine::Serve(config)) = cli::read(cluster.command_line()) else {
        panic!("a command line of serve");
    };
    let server = Server::build(*config, AccessLog::off()).await.unwrap();
    let (address, tasks) = (server.address(), server.tasks());
    let running = tokio::spawn(server.run_until_ended());
    let said = Command::new(program())
        .args(["-port", &address.port().to_string()])
        .args(["-path", caller.path()])
        .arg("-cert")
        .arg(certificate_file)
        .arg("-key")
        .arg(key_file)
        .kill_on_drop(true)
        .output()
        .await
        .expect("tests/h2spec/build.sh was run");
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    tasks.end(Duration::ZERO, Duration::from_secs(5)).await;
    running.await.unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let outcomes: Vec<Outcome> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(outcomes.len(), CASES);
    let failed: BTreeSet<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.result == "failed")
        .map(|outcome| outcome.case.as_str())
        .collect();
    let known: BTreeSet<&str> = KNOWN.iter().map(|(case, _)| *case).collect();
    let unexpected: Vec<_> = outcomes
        .iter()
        .filter(|outcome| failed.contains(&*outcome.case) != known.contains(&*outcome.case))
        .map(|one| format!("{} {}: {} {}", one.case, one.title, one.result, one.detail))
        .collect();
    assert!(
        unexpected.is_empty(),
        "otherwise than known: {unexpected:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_connection_keeps_to_the_book() {
    conforms(Caller::Stranger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_proxys_connection_keeps_to_the_book() {
    conforms(Caller::FrontProxy).await;
}
