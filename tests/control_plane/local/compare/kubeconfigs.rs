//! What both are asked with other kubeconfigs, contexts, users and API servers.

use throughway_testing::control_plane::{API_SERVER, Cluster, DEMO};

use super::cases::{Case, Group, gets, group};
use super::differences;
use super::process::Folder;

pub(super) fn groups(cluster: &Cluster, folder: &Folder) -> Vec<Group> {
    let mut groups = files(cluster, folder);
    groups.extend(flags());
    groups.extend(servers(cluster, folder));
    groups
}

/// Who is asking, and what else is reached.
fn who() -> Vec<Case> {
    let me = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let body = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    let review = Case::of(&format!(
        "POST {me} HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: {}\n\n{body}",
        body.len()
    ));
    let mut cases = vec![review];
    cases.extend(gets(&[
        "/version",
        "/base/version",
        "/api/v1/namespaces/demo/pods/none",
        "/a%2Fb",
    ]));
    cases
}

/// Kubeconfigs: what is in them, and which of their entries are taken.
fn files(cluster: &Cluster, folder: &Folder) -> Vec<Group> {
    let kubeconfig = cluster.kubeconfig();
    let kubeconfig = kubeconfig.to_str().unwrap();
    let text = std::fs::read_to_string(kubeconfig).unwrap();
    let with_path = folder.path("path.kubeconfig");
    std::fs::write(
        &with_path,
        text.replace(API_SERVER, &format!("{API_SERVER}/base")),
    )
    .unwrap();
    let double = folder.path("double.kubeconfig");
    let repeated = text.replace("{server:", "{server: \"https://127.0.0.1:1\", server:");
    assert_ne!(text, repeated);
    std::fs::write(&double, repeated).unwrap();
    let two = folder.path("two.kubeconfig");
    std::fs::write(&two, two_contexts(cluster)).unwrap();
    vec![
        group(["--kubeconfig", kubeconfig], who()),
        group(["--kubeconfig", &double], who()),
        group(["--kubeconfig", &with_path], who()),
        group(["--kubeconfig", &with_path, "--append-server-path"], who()),
        group(
            ["--kubeconfig", &with_path, "--append-server-path=false"],
            who(),
        ),
        group(["--append-server-path=true"], who()),
        group(["--kubeconfig", &two, "--context=second"], who()),
        group(["--kubeconfig", &two, "--context=first"], who()),
        group(
            ["--kubeconfig", &two, "--user=second", "--cluster", "first"],
            who(),
        ),
    ]
}

/// Flags that change what a kubeconfig says of the person and the requests.
fn flags() -> Vec<Group> {
    vec![
        group(["--namespace=demo"], who()),
        group(["-n", "demo"], who()),
        group(["--as=alice"], who()),
        group(
            ["--as=alice", "--as-group=one", "--as-group=two,three"],
            who(),
        ),
        group(["--as=alice", "--as-uid=7", "--as-user-extra=a=b"], who()),
        group(
            [
                "--as=system:serviceaccount:demo:default",
                "--as-group",
                "system:authenticated",
            ],
            who(),
        ),
        group(["--request-timeout=30s"], who()),
        group(["--request-timeout=30"], who()),
        group(["--request-timeout=0"], who()),
        group(["--token=wrong"], who()),
    ]
}

/// Flags that name a server, and what is believed and shown there.
fn servers(cluster: &Cluster, folder: &Folder) -> Vec<Group> {
    let token = cluster.account("local-flags");
    let server = format!("https://{API_SERVER}");
    let ca = folder.path("ca.crt");
    let dir = cluster.kubeconfig().parent().unwrap().to_owned();
    std::fs::copy(dir.join("ca.crt"), &ca).unwrap();
    let admin = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    vec![
        group([&format!("--token={token}")], who()),
        group(["-s", &server], who()),
        group(["--server", &server, "--certificate-authority", &ca], who()),
        group(
            [
                "--server",
                &server,
                "--insecure-skip-tls-verify=true",
                "--kubeconfig=/dev/null",
                &format!("--token={token}"),
            ],
            who(),
        ),
        group(
            [
                "--kubeconfig=/dev/null",
                "--server",
                &server,
                "--certificate-authority",
                &ca,
                "--client-certificate",
                &admin("admin.crt"),
                "--client-key",
                &admin("admin.key"),
            ],
            who(),
        ),
        group(["--tls-server-name=kubernetes.default.svc"], who()),
        group(
            ["--tls-server-name=other.example"],
            vec![Case::get("/version").differs(&differences::UNREACHABLE)],
        ),
        group(["--server=https://127.0.0.1:1"], {
            gets(&["/version", "/api/v1?watch=1"])
                .into_iter()
                .map(|case| case.differs(&differences::UNREACHABLE))
                .collect()
        }),
    ]
}

/// A kubeconfig with two contexts: the administrator, and somebody without rights.
fn two_contexts(cluster: &Cluster) -> String {
    let mut config = kube::config::Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let token = cluster.account("local-second");
    let named = |name: &str, value: serde_json::Value| {
        let mut object = value;
        object["name"] = name.into();
        object
    };
    let first_cluster = serde_json::to_value(config.clusters.remove(0)).unwrap();
    let first_user = serde_json::to_value(config.auth_infos.remove(0)).unwrap();
    serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "first",
        "clusters": [named("first", first_cluster)],
        "users": [named("first", first_user), {"name": "second", "user": {"token": token}}],
        "contexts": [
            {"name": "first", "context": {"cluster": "first", "user": "first"}},
            {"name": "second", "context": {"cluster": "first", "user": "second", "namespace": DEMO}},
        ],
    })
    .to_string()
}
