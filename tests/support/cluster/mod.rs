//! A small cluster in one process: an API server in memory, and a front proxy with kube-aggregator's manners.
//!
//! It knows the objects that Throughway reads, answers TokenReview for the tokens that it was given and
//! SubjectAccessReview from Role and Binding objects, and can be told to fail: slow, refusing, silent, gone. The demo
//! and the tests use it; nothing of it is in a release binary. What only a real kube-apiserver can show is shown in
//! `tests/control_plane`.

pub mod api;
pub mod certificates;
pub mod front_proxy;
mod rbac;
mod reviews;
mod store;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use api::Api;
use certificates::Authority;
use front_proxy::FrontProxy;
use store::Store;

/// Throughway's own token.
const OWN_TOKEN: &str = "throughway-own-token";

/// What `throughway` is told besides the kubeconfig, whose path comes last.
const COMMAND_LINE: [&str; 10] = [
    "throughway",
    "serve",
    "--bind-address=127.0.0.1",
    "--secure-port=0",
    "--node-ports=1-65535",
    "--backend-response-header-timeout=60s",
    "--shutdown-grace-duration=5s",
    "--log=warn",
    "--access-log=off",
    "--kubeconfig",
];

/// The cluster, running until it is dropped.
#[derive(Debug)]
pub struct EmbeddedCluster {
    pub api: Api,
    pub store: Arc<Store>,
    pub front_proxy_ca: Authority,
    pub cluster_ca: Authority,
    kubeconfig: PathBuf,
}

impl EmbeddedCluster {
    /// Starts the API server on a port of loopback and leaves a kubeconfig for Throughway in `dir`.
    pub async fn start(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("a folder for a kubeconfig");
        let (cluster_ca, front_proxy_ca) = (
            Authority::new("kubernetes"),
            Authority::new("front-proxy-ca"),
        );
        let store = Arc::new(Store::default());
        store.token(
            OWN_TOKEN,
            "system:serviceaccount:throughway:throughway",
            &["system:serviceaccounts"],
        );
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let api = Api::start(
            address,
            Arc::clone(&store),
            cluster_ca.server_config("kube-apiserver"),
        )
        .await;
        let kubeconfig = dir.join("throughway.kubeconfig");
        let text = kubeconfig_text(
            &format!("https://{}", api.address()),
            &cluster_ca.pem,
            OWN_TOKEN,
        );
        std::fs::write(&kubeconfig, text).expect("a kubeconfig can be written");
        let cluster = Self {
            api,
            store,
            front_proxy_ca,
            cluster_ca,
            kubeconfig,
        };
        cluster.store.put(
            "configmaps",
            json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": "kube-system", "name": "extension-apiserver-authentication"},
            "data": {
                "client-ca-file": cluster.cluster_ca.pem,
                "requestheader-client-ca-file": cluster.front_proxy_ca.pem,
                "requestheader-allowed-names": "[\"front-proxy-client\"]",
                "requestheader-username-headers": "[\"X-Remote-User\", \"X-Cluster-User\"]",
                "requestheader-group-headers": "[\"X-Remote-Group\"]",
                "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]",
            }}),
        );
        cluster
    }

    /// For a Throughway in front of this cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The command line of a Throughway in front of this cluster, on a port of loopback.
    pub fn command_line(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = COMMAND_LINE.iter().map(OsString::from).collect();
        words.push(self.kubeconfig.clone().into());
        words
    }

    /// A front proxy at an address, in front of a Throughway at another.
    pub async fn front_proxy(
        &self,
        address: SocketAddr,
        server: SocketAddr,
    ) -> std::io::Result<FrontProxy> {
        let store = Arc::clone(&self.store);
        FrontProxy::start(
            address,
            server,
            store,
            &self.cluster_ca,
            &self.front_proxy_ca,
        )
        .await
    }

    /// A pod that is ready, at an address and port.
    pub fn pod(&self, namespace: &str, name: &str, address: SocketAddr) {
        self.store.put("pods", json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"containers": [{"name": "c", "ports": [{"name": "web", "containerPort": address.port()}]}]},
            "status": {"phase": "Running", "podIP": address.ip(), "podIPs": [{"ip": address.ip()}]}}));
    }

    /// A Service with one port that is served by the pods given.
    pub fn service(&self, namespace: &str, name: &str, port: u16, pods: &[(&str, SocketAddr)]) {
        self.store.put(
            "services",
            json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"ports": [{"name": "http", "port": port}], "selector": {"app": name}}}),
        );
        let endpoints: Vec<Value> = pods
            .iter()
            .map(|(pod, address)| {
                json!({"addresses": [address.ip()], "conditions": {"ready": true},
                    "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod}})
            })
            .collect();
        let target = pods.first().map_or(80, |(_, address)| address.port());
        self.store.put("endpointslices", json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"namespace": namespace, "name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": target}], "endpoints": endpoints}));
    }

    /// Lets a user do something with a resource of `throughway.dev` in a namespace.
    pub fn allow(&self, user: &str, namespace: &str, resource: &str, verbs: &[&str]) {
        let metadata = json!({"namespace": namespace, "name": format!("{user}-{}", resource.replace('/', "-"))});
        self.store.put(
            "roles",
            json!({"kind": "Role", "metadata": metadata,
            "rules": [{"apiGroups": ["throughway.dev"], "resources": [resource], "verbs": verbs}]}),
        );
        self.store.put("rolebindings", json!({"kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"kind": "Role", "name": metadata["name"]}, "subjects": [{"kind": "User", "name": user}]}));
    }
}

/// A kubeconfig for a server, its CA and a token.
pub fn kubeconfig_text(server: &str, ca: &str, token: &str) -> String {
    use base64::Engine;
    let ca = base64::engine::general_purpose::STANDARD.encode(ca);
    json!({"apiVersion": "v1", "kind": "Config", "current-context": "embedded",
        "clusters": [{"name": "embedded", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": "embedded", "user": {"token": token}}],
        "contexts": [{"name": "embedded", "context": {"cluster": "embedded", "user": "embedded"}}]})
    .to_string()
}
