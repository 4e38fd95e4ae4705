//! What the manifests allow: to the server itself, and to the people whom their roles are given to.

use throughway_testing::client::request;
use throughway_testing::control_plane::{Cluster, DEMO, on_cluster};

const SERVER: &str = "--as=system:serviceaccount:throughway:throughway";
const FOR_KUBELETS: &str = "--as=system:serviceaccount:throughway:throughway-kubelet";

/// What kubelets from 1.33 on ask for where this server lets a path through.
const HARMLESS: [&str; 5] = ["configz", "healthz", "metrics", "pods", "stats"];

/// Whether the API server would let somebody do it. kubectl says no with exit code 1, so only its words count.
fn may(cluster: &Cluster, who: &[&str], what: &[&str]) -> bool {
    let mut command = cluster.command(&[&["auth", "can-i"], what, who].concat());
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    match said.trim() {
        "yes" => true,
        "no" => false,
        other => panic!("{what:?}: {other}"),
    }
}

/// What the server does.
const NEEDED: [&[&str]; 10] = [
    &["list", "pods", "-A"],
    &["watch", "services", "-A"],
    &["list", "nodes"],
    &["watch", "endpointslices.discovery.k8s.io", "-A"],
    &[
        "create",
        "serviceaccounts/throughway-kubelet",
        "--subresource=token",
        "-n",
        "throughway",
    ],
    &["create", "tokenreviews.authentication.k8s.io"],
    &["create", "subjectaccessreviews.authorization.k8s.io"],
    &["update", "secrets/throughway-serving", "-n", "throughway"],
    &[
        "patch",
        "apiservices.apiregistration.k8s.io/v1.throughway.dev",
    ],
    &["create", "events", "-n", "demo"],
];

/// What it never does: others' rights, secrets and tokens, and what its callers ask for.
const HARMFUL: [&[&str]; 24] = [
    &["get", "nodes", "--subresource=metrics"],
    &["get", "nodes", "--subresource=stats"],
    &["get", "nodes", "--subresource=pods"],
    &["get", "nodes", "--subresource=healthz"],
    &["get", "nodes", "--subresource=configz"],
    &[
        "create",
        "serviceaccounts/throughway",
        "--subresource=token",
        "-n",
        "throughway",
    ],
    &["get", "events", "-n", "demo"],
    &["get", "nodes", "--subresource=proxy"],
    &["create", "nodes", "--subresource=proxy"],
    &["get", "nodes", "--subresource=log"],
    &["get", "secrets", "-A"],
    &["get", "secrets", "-n", "throughway"],
    &["get", "secrets", "-n", "kube-system"],
    &["get", "services", "--subresource=proxy", "-A"],
    &["get", "pods", "--subresource=proxy", "-A"],
    &[
        "get",
        "services.throughway.dev",
        "--subresource=proxy",
        "-A",
    ],
    &["create", "pods", "--subresource=exec", "-A"],
    &["create", "pods", "-A"],
    &["create", "serviceaccounts", "--subresource=token", "-A"],
    &["impersonate", "users"],
    &["impersonate", "groups"],
    &["patch", "apiservices.apiregistration.k8s.io/v1.apps"],
    &["create", "apiservices.apiregistration.k8s.io"],
    &["escalate", "clusterroles.rbac.authorization.k8s.io"],
];

#[test]
fn the_server_may_what_it_needs_and_nothing_that_harms() {
    on_cluster(async |cluster: &Cluster| {
        for (rules, needed) in [(&NEEDED[..], true), (&HARMFUL[..], false)] {
            for what in rules {
                assert_eq!(may(cluster, &[SERVER], what), needed, "{what:?}");
            }
        }
    });
}

/// kubectl looks the parent resource up, and asks for no group at all if there is none.
#[test]
fn kubectl_can_ask_whether_somebody_may_use_a_target_and_sees_no_new_resources() {
    on_cluster(async |cluster: &Cluster| {
        for resource in ["services", "pods", "nodes"] {
            let resource = format!("{resource}.throughway.dev");
            let what = ["get", &resource, "--subresource=proxy"];
            assert!(may(cluster, &[], &what), "{resource}");
            assert!(!may(cluster, &["--as=nobody"], &what), "{resource}");
        }
        let listed = cluster.kubectl(&["api-resources", "-o", "name"]);
        assert!(listed.contains("services\n"), "{listed}");
        assert!(!listed.contains("throughway.dev"), "{listed}");
        for (short, name) in [("svc", "service/"), ("po", "pod/"), ("node", "node/")] {
            let found = cluster.kubectl(&["get", short, "-A", "-o", "name"]);
            assert!(found.lines().all(|line| line.starts_with(name)), "{found}");
            assert!(!found.is_empty(), "{short}");
        }
        let role = ["create", "role", "x", "--verb=get", "-n", DEMO];
        let rule = [
            "--resource=services.throughway.dev/proxy",
            "--dry-run=client",
            "-o",
            "name",
        ];
        let made = cluster.kubectl(&[&role[..], &rule].concat());
        assert_eq!(made, "role.rbac.authorization.k8s.io/x\n");
    });
}

#[test]
fn the_account_for_kubelets_may_read_their_harmless_parts_and_nothing_else() {
    on_cluster(async |cluster: &Cluster| {
        for subresource in HARMLESS {
            let subresource = format!("--subresource={subresource}");
            let get = ["get", "nodes", &subresource];
            assert!(may(cluster, &[FOR_KUBELETS], &get), "{get:?}");
            let create = ["create", "nodes", &subresource];
            assert!(!may(cluster, &[FOR_KUBELETS], &create), "{create:?}");
        }
        for what in [
            &["get", "nodes", "--subresource=proxy"][..],
            &["get", "nodes", "--subresource=log"],
            &["get", "nodes", "--subresource=checkpoint"],
            &["get", "nodes"],
            &["list", "pods", "-A"],
            &["get", "secrets/throughway-serving", "-n", "throughway"],
            &["create", "tokenreviews.authentication.k8s.io"],
            &["create", "subjectaccessreviews.authorization.k8s.io"],
            &[
                "patch",
                "apiservices.apiregistration.k8s.io/v1.throughway.dev",
            ],
            &["create", "events", "-n", "demo"],
            &["get", "nodes.throughway.dev", "--subresource=proxy"],
        ] {
            assert!(!may(cluster, &[FOR_KUBELETS], what), "{what:?}");
        }
    });
}

#[test]
fn the_roles_for_people_are_narrow_and_part_of_no_other_role() {
    on_cluster(async |cluster: &Cluster| {
        for (name, role) in [
            ("viewer", "throughway-services-view"),
            ("editor", "throughway-services-edit"),
        ] {
            let role = format!("--clusterrole={role}");
            let user = format!("--user={name}");
            cluster.kubectl(&["create", "rolebinding", name, &role, &user, "-n", DEMO]);
        }
        cluster.kubectl(&[
            "create",
            "rolebinding",
            "built-in-editor",
            "--clusterrole=edit",
            "--user=built-in-editor",
            "-n",
            DEMO,
        ]);
        let ask = async |user: &str, method: &str, namespace: &str| {
            let path =
                format!("/apis/throughway.dev/v1/namespaces/{namespace}/services/web:80/proxy/");
            let asked = request(method, &path, &[("Impersonate-User", user)], "");
            cluster.admin().ask(asked).await.status.as_u16()
        };
        for (user, expected) in [
            ("viewer", [200, 403, 403]),
            ("editor", [200, 200, 403]),
            ("built-in-editor", [403, 403, 403]),
        ] {
            let codes = [
                ask(user, "GET", DEMO).await,
                ask(user, "POST", DEMO).await,
                ask(user, "GET", "default").await,
            ];
            assert_eq!(codes, expected, "{user}");
        }
    });
}
