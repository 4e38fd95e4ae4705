//! Two pods behind a real kube-apiserver, a user who attacks and one who has no part in it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::backend::Backend;
use crate::client::Client;
use crate::control_plane::{Cluster, DEMO};
use crate::hostile::Hostile;

/// What Throughway serves.
pub const GROUP: &str = "/apis/throughway.dev/v1";

pub const CALM: &str = "10.77.0.36:8080";
const DEAF: &str = "10.77.0.37:8080";

/// What is stuck does not become a response after this long.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long connections may take to close.
const UPLOADS_END: Duration = Duration::from_secs(20);

/// The pods, and whose requests they get.
#[derive(Debug)]
pub struct Scene {
    _calm: Backend,
    deaf: Hostile,
    /// Has the right to everything that is asked for, and no part in any attack.
    pub bystander: Client,
}

impl Scene {
    pub async fn set_up(cluster: &Cluster) -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let calm = Backend::http("calm-0", address(CALM)).await;
        let deaf = Hostile::never_reads(address(DEAF));
        for (app, at, port) in [("calm", CALM, 8080), ("deaf", DEAF, 8080)] {
            cluster
                .pod(&format!("{app}-0"), app, address(at), true)
                .await;
            cluster.service(app, app, &json!([{"port": 80, "targetPort": port}]));
            wait_for_endpoints(cluster, app);
        }
        let token = cluster.account("bystander");
        let account = format!("--serviceaccount={DEMO}:bystander");
        let role = "--clusterrole=throughway-services-edit";
        cluster.kubectl(&[
            "create",
            "rolebinding",
            "bystander",
            role,
            &account,
            "-n",
            DEMO,
        ]);
        let bystander = cluster.stranger().with_token(&token);
        // What is known of this user is fresh for some seconds, so that no review is part of a measured time.
        assert_eq!(bystander.get(&service("calm", "/")).await.status, 200);
        Self {
            _calm: calm,
            deaf,
            bystander,
        }
    }
}

impl Scene {
    /// Ends what is left of the uploads to the pod that never reads. kube-apiserver does not notice that a caller has
    /// left in one of them. Throughway ends it after a minute, when the kernel gives the pod's connection up, but that
    /// sends nothing, so the pod would never see it.
    pub async fn until_uploads_have_ended(&self) {
        self.deaf.hang_up();
        let ended = async {
            while self.deaf.open() > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(UPLOADS_END, ended)
            .await
            .expect("uploads that nobody waits for end");
    }
}

pub fn wait_for_endpoints(cluster: &Cluster, service: &str) {
    let label = format!("kubernetes.io/service-name={service}");
    let ready = "--for=jsonpath={.endpoints[0].conditions.ready}=true";
    let what = ["endpointslice", "-l", &label, "-n", DEMO, "--timeout=30s"];
    cluster.kubectl(&[&["wait", ready][..], &what].concat());
}

pub fn service(name: &str, path: &str) -> String {
    format!("{GROUP}/namespaces/{DEMO}/services/{name}:80/proxy{path}")
}

pub fn pod(name: &str, path: &str) -> String {
    format!("{GROUP}/namespaces/{DEMO}/pods/{name}:8080/proxy{path}")
}

/// The response, if it comes in time.
pub async fn in_time<T>(what: &str, response: impl Future<Output = T>) -> T {
    tokio::time::timeout(RESPONSE_TIMEOUT, response)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"))
}
