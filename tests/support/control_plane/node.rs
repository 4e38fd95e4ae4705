//! The hand-made node: what a kubelet would do for the pods of the Deployment, with a process for each pod.
//!
//! A pod that is new gets an address and a process with the arguments of its container; the readiness probe decides
//! what its status says; a pod that is to go gets SIGTERM, and is gone when its process has ended.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::client::{Client, request};

pub const NODE: &str = "handmade";

/// Addresses from here on are those of the Deployment's pods.
const FIRST_ADDRESS: u8 = 40;

/// How often a pod is probed, as the manifests say it in seconds.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// Runs the pods of a namespace for as long as the tests run.
pub async fn run(client: kube::Client, namespace: &str, api_server: SocketAddr) {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let mut running: HashMap<String, oneshot::Sender<()>> = HashMap::new();
    let mut next = FIRST_ADDRESS;
    let mut events = Box::pin(
        watcher(pods.clone(), watcher::Config::default())
            .default_backoff()
            .applied_objects(),
    );
    while let Some(event) = events.next().await {
        let Ok(pod) = event else { continue };
        let name = pod.metadata.name.clone().unwrap();
        if pod.metadata.deletion_timestamp.is_some() {
            // The pod's task ends the process and then the pod; without one nothing ever ran.
            match running.remove(&name) {
                Some(stop) => drop(stop),
                None if pod.spec.as_ref().unwrap().node_name.is_none() => {
                    finish(&pods, &name).await
                }
                None => {}
            }
        } else if let Entry::Vacant(entry) = running.entry(name) {
            let address = IpAddr::V4(Ipv4Addr::new(10, 77, 0, next));
            next = if next >= 60 { FIRST_ADDRESS } else { next + 1 };
            let (stop, stopped) = oneshot::channel();
            entry.insert(stop);
            tokio::spawn(keep(pods.clone(), pod, address, api_server, stopped));
        }
    }
}

async fn keep(
    pods: Api<Pod>,
    pod: Pod,
    address: IpAddr,
    api_server: SocketAddr,
    stopped: oneshot::Receiver<()>,
) {
    let name = pod.metadata.name.clone().unwrap();
    bind(&pods, &name).await;
    let mut process = start(&pod, address, api_server);
    let mut stopped = stopped;
    let mut ready = None;
    let mut probe = tokio::time::interval(PROBE_INTERVAL);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = probe.tick() => {}
        }
        let now = is_ready(SocketAddr::new(address, 8443)).await;
        if ready != Some(now) {
            ready = Some(now);
            say(&pods, &name, address, now).await;
        }
    }
    terminate(&process);
    loop {
        tokio::select! {
            ended = process.wait() => {
                let status = ended.unwrap();
                assert!(status.success(), "{name} ended with {status}");
                break;
            }
            _ = probe.tick() => {}
        }
        let now = is_ready(SocketAddr::new(address, 8443)).await;
        if ready != Some(now) {
            ready = Some(now);
            say(&pods, &name, address, now).await;
        }
    }
    finish(&pods, &name).await;
}

async fn bind(pods: &Api<Pod>, name: &str) {
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            kind: Some("Node".into()),
            name: Some(NODE.into()),
            ..ObjectReference::default()
        },
    };
    let bound: Result<serde_json::Value, _> = pods
        .create_subresource("binding", name, &PostParams::default(), &binding)
        .await;
    bound.unwrap();
}

fn start(pod: &Pod, address: IpAddr, api_server: SocketAddr) -> Child {
    let container = &pod.spec.as_ref().unwrap().containers[0];
    let name = pod.metadata.name.as_deref().unwrap();
    let logs = super::logs_dir();
    let file = |suffix: &str| {
        Stdio::from(std::fs::File::create(logs.join(format!("{name}.{suffix}"))).unwrap())
    };
    Command::new(crate::program())
        .args(container.args.clone().unwrap_or_default())
        .arg(format!("--bind-address={address}"))
        .env_clear()
        .env("KUBERNETES_SERVICE_HOST", api_server.ip().to_string())
        .env("KUBERNETES_SERVICE_PORT", api_server.port().to_string())
        .stdout(file("out"))
        .stderr(file("err"))
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn terminate(process: &Child) {
    let id = process
        .id()
        .expect("it has not been waited for")
        .to_string();
    let sent = std::process::Command::new("kill").arg(id).status().unwrap();
    assert!(sent.success());
}

/// The readiness probe; a server that has no certificate yet is simply not ready.
async fn is_ready(address: SocketAddr) -> bool {
    let response = Client::new(address, None)
        .try_ask(request("GET", "/readyz", &[], ""))
        .await;
    response.is_some_and(|response| response.status.is_success())
}

/// What a kubelet says of a running pod.
pub async fn say(pods: &Api<Pod>, name: &str, address: IpAddr, ready: bool) {
    let word = if ready { "True" } else { "False" };
    let status = json!({"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": word}, {"type": "ContainersReady", "status": word}],
    }});
    let patched = pods
        .patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await;
    if let Err(failed) = patched {
        assert!(
            matches!(&failed, kube::Error::Api(status) if status.code == 404),
            "{failed}"
        );
    }
}

async fn finish(pods: &Api<Pod>, name: &str) {
    let now = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    // Somebody may have been faster.
    let _ = pods.delete(name, &now).await;
}
