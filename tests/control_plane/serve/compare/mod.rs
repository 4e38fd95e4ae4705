//! The same requests through the built-in proxy and through this server: what is the same, and what is not, with the
//! reason.
//!
//! Every difference stands in docs/differences.md in the words that it has here; a case that stops differing fails, so
//! the list stays true.

mod cases;

use std::collections::BTreeSet;

use futures_util::StreamExt;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use throughway_testing::client::{Client, ClientResponse, request};
use throughway_testing::control_plane::{Cluster, DEMO, on_cluster};

use Expected::{Aggregator, AggregatorInTime, NotCopied, Same};
use cases::CASES;

/// What is expected of the two answers.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Same,
    /// kube-aggregator stands between kube-apiserver and this server, and changes this.
    Aggregator(&'static str),
    /// The built-in proxy's fault, not copied.
    NotCopied(&'static str),
    /// kube-aggregator makes this of it if it is fast enough, and otherwise the same as the built-in proxy.
    AggregatorInTime(&'static str, &'static str),
}

/// What of a response is compared.
#[derive(Debug, Clone, Copy)]
enum Look {
    Code,
    CodeAndBody,
    /// What the backend received: method and request target.
    Received,
    /// What the backend received in these headers.
    ReceivedHeaders(&'static [&'static str]),
    /// These headers of the response, trailers too.
    Headers(&'static [&'static str]),
    /// What comes of a body that does not end by itself.
    FirstPiece,
    /// What a WebSocket's backend says first: the request target that it received.
    FirstMessage,
}

#[derive(Debug)]
struct Case {
    row: &'static str,
    method: &'static str,
    /// Below the API's prefix; `{ns}` is the namespace of the samples.
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    look: Look,
    expected: Expected,
}

impl Case {
    const fn get(row: &'static str, path: &'static str, look: Look, expected: Expected) -> Self {
        Self {
            row,
            method: "GET",
            path,
            headers: &[],
            look,
            expected,
        }
    }

    const fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    const fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn request(&self, prefix: &str) -> Request<Full<bytes::Bytes>> {
        let path = format!(
            "{prefix}/{}",
            self.path.replace("{ns}", &format!("namespaces/{DEMO}"))
        );
        request(self.method, &path, self.headers, "")
    }
}

/// Asks below a prefix, and says what is seen of the response.
async fn see(client: &Client, case: &Case, prefix: &str) -> String {
    let asked = case.request(prefix);
    match case.look {
        Look::FirstPiece => {
            let mut body = client.send(asked).await.into_body();
            format!("{:?}", body.frame().await.unwrap().unwrap().into_data())
        }
        Look::FirstMessage => {
            let request =
                tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(
                    format!("wss://10.77.0.1:6443{}", asked.uri()),
                );
            let (mut socket, _) =
                tokio_tungstenite::client_async(request.unwrap(), client.connect().await)
                    .await
                    .unwrap();
            socket.next().await.unwrap().unwrap().to_string()
        }
        look => match client.try_ask(asked).await {
            Some(response) => seen(look, &response),
            None => "the connection was closed".to_owned(),
        },
    }
}

/// What is seen of a whole response.
fn seen(look: Look, response: &ClientResponse) -> String {
    let code = response.status.as_u16();
    match look {
        Look::FirstPiece | Look::FirstMessage => panic!("{look:?} looks at no whole answer"),
        Look::Code => code.to_string(),
        Look::CodeAndBody => format!("{code} {}", String::from_utf8_lossy(&response.body)),
        Look::Received => {
            let said = response.json();
            format!("{code} {} {}", said["method"], said["uri"])
        }
        Look::ReceivedHeaders(names) => {
            let said = response.json();
            let lines = said["headers"].as_array().unwrap();
            let of = |name: &&str| {
                if *name == "version" {
                    return said["version"].to_string();
                }
                let values: Vec<&Value> = lines
                    .iter()
                    .filter(|line| line[0] == *name)
                    .map(|line| &line[1])
                    .collect();
                format!("{name}={values:?}")
            };
            names.iter().map(of).collect::<Vec<_>>().join(" ")
        }
        Look::Headers(names) => {
            let of = |name: &&str| {
                format!(
                    "{name}={:?}",
                    response.headers.get_all(*name).iter().collect::<Vec<_>>()
                )
            };
            names.iter().map(of).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Objects that only these cases need: endpoints that are no pod, a pod with a loopback address, a narrow right.
async fn prepare(cluster: &Cluster) {
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "foreign", "namespace": DEMO},
        "spec": {"ports": [{"port": 80}]}}));
    cluster.apply(&json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "foreign", "namespace": DEMO, "labels": {"kubernetes.io/service-name": "foreign"}},
        "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [{"addresses": ["10.77.0.34"], "conditions": {"ready": true}}]}));
    cluster
        .pod(
            "loopback-0",
            "loopback",
            "127.0.0.1:8080".parse().unwrap(),
            true,
        )
        .await;
    let metadata = json!({"name": "reader", "namespace": DEMO});
    cluster.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata,
        "rules": [{"apiGroups": ["", "throughway.dev"], "resources": ["services/proxy"], "resourceNames": ["solo:80"], "verbs": ["get"]}]}));
    cluster.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}]}));
}

/// The items of the lists in the documentation that have a case, each on one line.
fn listed() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/differences.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (compared, _) = page.split_once("## Seen elsewhere").unwrap();
    let lists = compared.split("\n\n").filter(|part| part.starts_with("- "));
    let items = lists.flat_map(|list| list.trim_start_matches("- ").split("\n- "));
    items
        .map(|item| item.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_documentation_lists_every_difference_and_no_other() {
    let reasons = CASES.iter().filter_map(|case| match case.expected {
        Same => None,
        Aggregator(reason) | NotCopied(reason) | AggregatorInTime(_, reason) => {
            Some(reason.to_owned())
        }
    });
    assert_eq!(listed(), reasons.collect::<BTreeSet<_>>());
}

#[test]
fn what_differs_from_the_built_in_proxy_is_on_the_list_and_nothing_else() {
    on_cluster(async |cluster: &Cluster| {
        prepare(cluster).await;
        let admin = cluster.admin();
        let mut wrong = Vec::new();
        for case in CASES {
            let built_in = see(&admin, case, "/api/v1").await;
            let ours = see(&admin, case, "/apis/throughway.dev/v1").await;
            let is_expected = match case.expected {
                Same => ours == built_in,
                Aggregator(_) | NotCopied(_) => ours != built_in,
                AggregatorInTime(makes, _) => ours == built_in || ours == makes,
            };
            if !is_expected {
                wrong.push(format!(
                    "{} ({:?}):\n  built-in: {built_in}\n  ours:     {ours}",
                    case.row, case.expected
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {} cases:\n{}",
            wrong.len(),
            CASES.len(),
            wrong.join("\n")
        );
    });
}
