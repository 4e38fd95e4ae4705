//! A small cluster in one process: an API server in memory, and a front proxy with kube-aggregator's manners.
//!
//! It knows the objects that Throughway reads, answers TokenReview for the tokens that it was given and
//! SubjectAccessReview from Role and Binding objects, and can be told to fail: slow, refusing, silent, gone. The demo and
//! the tests use it; nothing of it is in a release binary. What only a real kube-apiserver can show is shown in
//! `tests/control_plane`.

pub mod api;
pub mod certificates;
pub mod front_proxy;
mod rbac;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use throughway::serve::config::{
    AnonymousAuth, ApiGroup, AuthenticationConfig, AuthenticationLookup, AuthorizationConfig,
    ClusterConfig, Config, ConnectionLimits, ForwardConfig, Http2Serving, KubeletConfig,
    KubeletTls, ListenConfig, Loopback, ServingCertificate, ShutdownConfig, TargetConfig,
};

use api::Api;
use certificates::Authority;
use store::Store;

/// Throughway's own token.
const OWN_TOKEN: &str = "throughway-own-token";

/// The cluster, running until it is dropped.
#[derive(Debug)]
pub struct EmbeddedCluster {
    pub api: Api,
    pub store: Arc<Store>,
    pub front_proxy_ca: Authority,
    pub cluster_ca: Authority,
    kubeconfig: std::path::PathBuf,
}

impl EmbeddedCluster {
    /// Starts the API server on a port of loopback and leaves a kubeconfig for Throughway in `dir`.
    pub async fn start(dir: &std::path::Path) -> Self {
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

    /// A configuration for a Throughway in front of this cluster, on a port of loopback.
    pub fn config(&self) -> Config {
        Config {
            group: ApiGroup {
                name: "throughway.dev".into(),
                version: "v1",
            },
            cluster: ClusterConfig {
                kubeconfig: Some(self.kubeconfig.clone()),
            },
            listen: ListenConfig {
                address: ([127, 0, 0, 1], 0).into(),
                certificate: ServingCertificate::SelfSigned,
                http2: Http2Serving::Enabled,
                limits: ConnectionLimits::kubernetes(),
            },
            authentication: AuthenticationConfig {
                client_ca_file: None,
                request_header: None,
                lookup: AuthenticationLookup::Required,
                anonymous: AnonymousAuth::Refused,
                token_cache_lifetime: Duration::from_secs(10),
                audiences: Vec::new(),
            },
            authorization: AuthorizationConfig {
                allowed_lifetime: Duration::from_secs(10),
                denied_lifetime: Duration::from_secs(10),
            },
            target: TargetConfig {
                denied_networks: Vec::new(),
                node_ports: vec![1..=65535],
                loopback: Loopback::AllowedForDevelopment,
                isolation: throughway::serve::config::IsolationDefault::Off,
            },
            kubelet: KubeletConfig {
                tls: KubeletTls::Verify {
                    certificate_authority: None,
                },
                credential: throughway::serve::config::KubeletCredential::None,
            },
            forward: ForwardConfig {
                connect_limit: Duration::from_secs(5),
                tls_handshake_limit: Duration::from_secs(5),
                response_header_limit: Duration::from_secs(60),
                exchange_idle_timeout: Duration::from_secs(300),
                tunnel_authorization_interval: Duration::from_secs(300),
                idle_connection_lifetime: Duration::from_secs(30),
                max_idle_per_endpoint: 64,
                tunnel_idle_limit: Duration::from_secs(3600),
                max_tunnels: 10_000,
                never_forward_cookies: throughway::serve::config::CookieNames::default(),
                external_origins: Vec::new(),
                cross_site: throughway::protocol::fetch_metadata::CrossSitePolicy::Refuse,
            },
            rewrite: throughway::serve::config::RewriteConfig {
                links: throughway::serve::config::LinkStyle::Relative,
                never_forward_cookies: throughway::serve::config::CookieNames::default(),
                page_memory: 1 << 20,
                page_limit: 256 << 20,
            },
            shutdown: ShutdownConfig {
                delay: Duration::ZERO,
                grace: Duration::from_secs(5),
            },
            log: "warn".into(),
            access_log: throughway::serve::config::AccessLog::Off,
        }
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
