//! The same requests through the built-in proxy and through this server: what is the same, and what is not, with the reason.
//!
//! Every difference stands in docs/differences.md in the words that it has here; a case that stops differing fails, so the
//! list stays true.

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::cluster::{Cluster, DEMO, on_cluster};
use crate::support::client::{Answer, request};

/// What is expected of the two answers.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Same,
    /// kube-aggregator stands between kube-apiserver and this server, and changes this.
    Aggregator(&'static str),
    /// The built-in proxy's fault, not copied.
    NotCopied(&'static str),
}

/// What of an answer is compared.
#[derive(Debug, Clone, Copy)]
enum Look {
    Code,
    CodeAndBody,
    /// What the backend received: method and request target.
    Received,
    /// What the backend received in these headers.
    ReceivedHeaders(&'static [&'static str]),
    /// These headers of the answer, trailers too.
    Headers(&'static [&'static str]),
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

use Expected::{Aggregator, NotCopied, Same};
use Look::{Code, CodeAndBody, Headers, Received, ReceivedHeaders};

const CASES: &[Case] = &[
    // names
    Case::get("a pod's port by name", "{ns}/pods/solo-0:web/proxy/", Code, NotCopied("A pod's port may be given by its name; the built-in proxy panics.")),
    Case::get("a service's only port", "{ns}/services/solo/proxy/", Code, NotCopied("A Service with one port needs no port in the URL, even if the port has a name; the built-in proxy says 503.")),
    Case::get("an unknown service by name", "{ns}/services/none/proxy/", Code, NotCopied("An unknown Service is 404; the built-in proxy says 503 unless a port number is given.")),
    Case::get("an unknown service by number", "{ns}/services/none:80/proxy/", Code, Same),
    Case::get("an unknown port by number", "{ns}/services/solo:81/proxy/", Code, NotCopied("A port that a Service does not have is 404 with the ports that it has; the built-in proxy says 503.")),
    Case::get("an unknown pod", "{ns}/pods/none/proxy/", Code, Same),
    Case::get("an unknown node", "nodes/none/proxy/", Code, Same),
    Case::get("leading zeros", "{ns}/services/solo:080/proxy/", CodeAndBody, Same),
    Case::get("an escaped colon", "{ns}/services/solo%3Ahttp/proxy/", CodeAndBody, Same),
    Case::get("a scheme in capitals", "{ns}/services/HTTP:solo:80/proxy/", Code, Same),
    Case::get("a UDP port", "{ns}/services/datagrams:53/proxy/", CodeAndBody, Same),
    Case::get("nobody is ready", "{ns}/services/unready:80/proxy/", Code, Same),
    Case::get("an endpoint that is no pod", "{ns}/services/foreign:80/proxy/", Code, Same),
    Case::get("a pod that is not ready, by its name", "{ns}/pods/unready-0:8080/proxy/", CodeAndBody, Same),
    Case::get("a pod with a loopback address", "{ns}/pods/loopback-0:8080/proxy/", Code, Same),
    // methods
    Case::get("HEAD", "{ns}/services/solo:80/proxy/bytes/7", Headers(&["content-length"]), Same).by("HEAD"),
    Case::get("POST", "{ns}/services/solo:80/proxy/echo", Received, Same).by("POST"),
    Case::get("PUT", "{ns}/services/solo:80/proxy/echo", Received, Same).by("PUT"),
    Case::get("PATCH", "{ns}/services/solo:80/proxy/echo", Received, Same).by("PATCH"),
    Case::get("DELETE", "{ns}/services/solo:80/proxy/echo", Received, Same).by("DELETE"),
    Case::get("OPTIONS", "{ns}/services/solo:80/proxy/echo", Received, Same).by("OPTIONS"),
    Case::get("TRACE", "{ns}/services/solo:80/proxy/echo", Code, Same).by("TRACE"),
    Case::get("PROPFIND", "{ns}/services/solo:80/proxy/echo", Code, Same).by("PROPFIND"),
    Case::get("get", "{ns}/services/solo:80/proxy/echo", Code, Same).by("get"),
    // paths
    Case::get("a plain path", "{ns}/services/solo:80/proxy/echo/a/b/", Received, Same),
    Case::get("an escaped space", "{ns}/services/solo:80/proxy/echo/a%20b", Received, Same),
    Case::get("two slashes", "{ns}/services/solo:80/proxy/echo//b", Received, NotCopied("A path arrives as it was sent: empty and dot segments stay; the built-in proxy cleans them away.")),
    Case::get("dot segments", "{ns}/services/solo:80/proxy/echo/a/./b", Received, NotCopied("A path arrives as it was sent: empty and dot segments stay; the built-in proxy cleans them away.")),
    Case::get("an escaped slash", "{ns}/services/solo:80/proxy/echo/a%2Fb", Received, Same),
    Case::get("X-Forwarded-Uri of an odd path", "{ns}/services/solo:80/proxy/echo//b", ReceivedHeaders(&["x-forwarded-uri"]), NotCopied("X-Forwarded-Uri is the path that was asked for; the built-in proxy's is wrong for paths that it cleans.")),
    Case::get("no slash, GET", "{ns}/services/solo:80/proxy", Code, Aggregator("`…/proxy` without its slash is answered as `…/proxy/`; a redirect would become a 502.")),
    Case::get("no slash, POST", "{ns}/services/solo:80/proxy", CodeAndBody, Same).by("POST"),
    // queries
    Case::get("a query", "{ns}/services/solo:80/proxy/echo?a=1&b=2", Received, Same),
    Case::get("a query's order", "{ns}/services/solo:80/proxy/echo?b=2&a=1", Received, Aggregator("A query is parsed and encoded again: keys are sorted, `a` becomes `a=`.")),
    Case::get("semicolons and bad escapes", "{ns}/services/solo:80/proxy/echo?a;b&c=%zz", Received, Aggregator("Parts of a query with `;` or a bad escape are lost.")),
    Case::get("a bare question mark", "{ns}/services/solo:80/proxy/echo?", Received, Same),
    Case::get("dryRun", "{ns}/services/solo:80/proxy/echo?dryRun=All", Code, NotCopied("`?dryRun` reaches the backend, to which it may mean something; the built-in proxy says 400.")),
    // upgrades
    Case::get("a refused upgrade", "{ns}/services/solo:80/proxy/status/404", Code, Same).with(&UPGRADE),
    Case::get("an upgrade answered by 200", "{ns}/services/solo:80/proxy/", Code, NotCopied("An upgrade that the backend answers with 2xx or 3xx is 502, as the fault is the backend's; the built-in proxy says 500.")).with(&UPGRADE),
    Case::get("an upgrade to a closed port", "{ns}/pods/solo-0:9/proxy/", Code, NotCopied("A refused connection is 503 for upgrades too; the built-in proxy says 500.")).with(&UPGRADE),
    Case::get("an unknown protocol", "{ns}/services/solo:80/proxy/", Code, NotCopied("Only websocket and SPDY/3.1 are tunnelled, other protocols are 400; the built-in proxy tunnels anything.")).with(&[("Connection", "Upgrade"), ("Upgrade", "tcp")]),
    Case::get("Connection: upgrade without Upgrade", "{ns}/services/solo:80/proxy/", Code, Aggregator("`Connection: upgrade` without `Upgrade` is taken for an upgrade, so its plain answer becomes a 503.")).with(&[("Connection", "upgrade")]),
    // headers
    Case::get("Host", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["host"]), Aggregator("The caller's `Host` does not arrive; the backend sees its Service's DNS name, or its address.")),
    Case::get("X-Forwarded-Host of the caller", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["x-forwarded-host", "x-forwarded-proto"]), Aggregator("`X-Forwarded-Host`, `-Proto` and `-Uri` of the caller are replaced.")).with(&[("X-Forwarded-Host", "a.example"), ("X-Forwarded-Proto", "http")]),
    Case::get("the prefix", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["x-forwarded-prefix"]), NotCopied("`X-Forwarded-Prefix` says where the app lives; the built-in proxy does not say it.")),
    Case::get("an Audit-Id of the caller", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["audit-id"]), Aggregator("An `Audit-Id` does not reach the backend: kube-apiserver's own can't be told from the caller's.")).with(&[("Audit-Id", "4a1c8f9e-0000-4000-8000-000000000000")]),
    Case::get("credentials and identities", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["authorization", "x-remote-user", "x-remote-group", "impersonate-user", "cookie"]), Same).with(&[("X-Remote-User", "root"), ("X-Remote-Group", "system:masters"), ("Cookie", "a=b")]),
    Case::get("hop-by-hop headers", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["keep-alive", "x-once", "proxy-connection", "te", "x-kept"]), Same).with(&[("Connection", "X-Once"), ("X-Once", "1"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "close"), ("TE", "trailers, gzip"), ("X-Kept", "2")]),
    Case::get("Accept-Encoding", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["accept-encoding"]), Same).with(&[("Accept-Encoding", "br")]),
    Case::get("no Accept-Encoding", "{ns}/services/solo:80/proxy/echo", ReceivedHeaders(&["accept-encoding"]), Same),
    Case::get("Cache-Control", "{ns}/services/solo:80/proxy/headers?cache-control=max-age%3D5", Headers(&["cache-control"]), Same),
    Case::get("CORS", "{ns}/services/solo:80/proxy/headers?access-control-allow-origin=x&access-control-allow-credentials=true&access-control-max-age=5", Headers(&["access-control-allow-origin", "access-control-allow-credentials", "access-control-max-age"]), Same),
    Case::get("Set-Cookie", "{ns}/services/solo:80/proxy/headers?set-cookie=a", Headers(&["set-cookie"]), Same),
    // bodies
    Case::get("trailers", "{ns}/services/solo:80/proxy/trailers", Headers(&["x-checksum"]), Same).with(&[("TE", "trailers")]),
    Case::get("an early hint", "{ns}/services/raw:80/proxy/early-hints", CodeAndBody, Same),
    Case::get("a body that is too short", "{ns}/services/raw:80/proxy/short", Code, Same),
    Case::get("no HTTP", "{ns}/services/raw:80/proxy/garbage", Code, NotCopied("An answer that is no HTTP is 502 with the cause; the built-in proxy says 503.")),
    Case::get("a length that is none", "{ns}/services/raw:80/proxy/bad-length", Code, NotCopied("An answer that is no HTTP is 502 with the cause; the built-in proxy says 503.")),
    Case::get("no answer", "{ns}/services/raw:80/proxy/nothing", Code, NotCopied("A backend that closes without an answer is 502; the built-in proxy says 503.")),
    Case::get("a closed port", "{ns}/pods/solo-0:9/proxy/", Code, Same),
    // redirects
    Case::get("a redirect", "{ns}/services/solo:80/proxy/status/302?location=/login", Code, Aggregator("A 3xx with `Location` becomes a 502.")),
    Case::get("Location of a 201", "{ns}/services/solo:80/proxy/status/201?location=/things/1", Headers(&["location"]), NotCopied("`Location` is made relative, which holds below every prefix; the built-in proxy's is absolute.")),
    Case::get("Location elsewhere", "{ns}/services/solo:80/proxy/status/201?location=http://a.example/b", Headers(&["location"]), Same),
    Case::get("a relative Location", "{ns}/services/solo:80/proxy/status/201?location=b", Headers(&["location"]), Same),
    Case::get("304", "{ns}/services/solo:80/proxy/status/304", Code, Same),
    // pages
    Case::get("a page with relative links", "{ns}/services/solo:80/proxy/page", CodeAndBody, Same),
    // errors
    Case::get("a refusal in YAML", "{ns}/pods/none/proxy/", Headers(&["content-type"]), NotCopied("A Status is always JSON; the built-in proxy also writes YAML and protobuf.")).with(&[("Accept", "application/yaml")]),
    Case::get("a backend's own error", "{ns}/services/solo:80/proxy/status/500", CodeAndBody, Same),
    // TLS pods
    Case::get("HTTP/2 to a TLS pod", "{ns}/pods/https:secure-0:8443/proxy/echo", CodeAndBodyOfVersion, Same),
    Case::get("TLS spoken to a plain port", "{ns}/pods/https:solo-0:8080/proxy/", Code, NotCopied("A failed TLS handshake is 502 and says which scheme to try; the built-in proxy says 503.")),
    // kubelet
    Case::get("a kubelet's port with another scheme", "nodes/http:hollow:10250/proxy/healthz", CodeAndBody, Same),
    Case::get("a kubelet's exec", "nodes/hollow:10250/proxy/exec/a/b/c", Code, NotCopied("A kubelet is asked for /configz, /healthz, /metrics, /pods, /runningpods and /stats alone: 403 for the rest.")),
];

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[allow(
    non_upper_case_globals,
    reason = "it stands in the table beside the looks"
)]
const CodeAndBodyOfVersion: Look = Look::ReceivedHeaders(&["version"]);

/// What is seen of an answer, as text.
fn seen(look: Look, answer: Option<&Answer>) -> String {
    let Some(answer) = answer else {
        return "the connection was closed".to_owned();
    };
    let code = answer.status.as_u16();
    match look {
        Look::Code => code.to_string(),
        Look::CodeAndBody => format!("{code} {}", String::from_utf8_lossy(&answer.body)),
        Look::Received => {
            let said = answer.json();
            format!("{code} {} {}", said["method"], said["uri"])
        }
        Look::ReceivedHeaders(names) => {
            let said = answer.json();
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
                    answer.headers.get_all(*name).iter().collect::<Vec<_>>()
                )
            };
            names.iter().map(of).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Objects that only these cases need: endpoints that are no pod, and a pod with a loopback address.
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
}

#[test]
fn what_differs_from_the_built_in_proxy_is_on_the_list_and_nothing_else() {
    on_cluster(async |cluster: &Cluster| {
        prepare(cluster).await;
        let listed =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/differences.md"))
                .unwrap();
        let admin = cluster.admin();
        let mut wrong = Vec::new();
        for case in CASES {
            let built_in = seen(
                case.look,
                admin.try_ask(case.request("/api/v1")).await.as_ref(),
            );
            let ours = seen(
                case.look,
                admin
                    .try_ask(case.request("/apis/throughway.dev/v1"))
                    .await
                    .as_ref(),
            );
            let (is_expected, reason) = match case.expected {
                Same => (ours == built_in, None),
                Aggregator(reason) | NotCopied(reason) => (ours != built_in, Some(reason)),
            };
            if !is_expected {
                wrong.push(format!(
                    "{} ({:?}):\n  built-in: {built_in}\n  ours:     {ours}",
                    case.row, case.expected
                ));
            }
            if let Some(reason) = reason.filter(|reason| !listed.contains(*reason)) {
                wrong.push(format!("docs/differences.md lacks: {reason}"));
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
