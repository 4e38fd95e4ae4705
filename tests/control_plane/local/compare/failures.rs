//! What does not start, and what both say about it; and an API server that is away.

use throughway_testing::control_plane::{Cluster, on_cluster};

use super::process::{BOTH, Ended, Folder, Pair, Side};

/// What both say of flags that cannot be: a part of what each says, and how each ends.
struct Refusal {
    flags: &'static [&'static str],
    kubectl: &'static str,
    ours: &'static str,
    /// kubectl's and ours.
    codes: (i32, i32),
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        flags: &["--none"],
        kubectl: "unknown flag: --none",
        ours: "--none",
        codes: (1, 64),
    },
    Refusal {
        flags: &["--port=many"],
        kubectl: "invalid argument \"many\" for \"-p, --port\" flag",
        ours: "invalid value 'many' for '--port <PORT>'",
        codes: (1, 64),
    },
    Refusal {
        flags: &["--port=70000"],
        kubectl: "invalid port",
        ours: "invalid value '70000' for '--port <PORT>'",
        codes: (1, 64),
    },
    Refusal {
        flags: &["--keepalive=long"],
        kubectl: "invalid argument \"long\" for \"--keepalive\" flag",
        ours: "invalid value 'long' for '--keepalive <DURATION>'",
        codes: (1, 64),
    },
    Refusal {
        flags: &["--disable-filter=maybe"],
        kubectl: "invalid argument \"maybe\" for \"--disable-filter\" flag",
        ours: "invalid value 'maybe' for '--disable-filter[=<BOOL>]'",
        codes: (1, 64),
    },
    Refusal {
        flags: &["--accept-paths=("],
        kubectl: "missing closing )",
        ours: "--accept-paths: \"(\" is no regular expression",
        codes: (255, 64),
    },
    Refusal {
        flags: &["--unix-socket=/tmp/x.sock", "--port=9"],
        kubectl: "cannot set --unix-socket and --port at the same time",
        ours: "cannot set --unix-socket and --port at the same time",
        codes: (1, 64),
    },
    Refusal {
        flags: &["--unix-socket=/none/x.sock"],
        kubectl: "no such file or directory",
        ours: "/none/x.sock",
        codes: (1, 1),
    },
    Refusal {
        flags: &["--context=none"],
        kubectl: "context \"none\" does not exist",
        ours: "none",
        codes: (1, 1),
    },
    Refusal {
        flags: &["--kubeconfig=/none/config"],
        kubectl: "/none/config",
        ours: "/none/config",
        codes: (1, 1),
    },
    Refusal {
        flags: &["--address=10.99.99.99", "--port=0"],
        kubectl: "cannot assign requested address",
        ours: "10.99.99.99",
        codes: (1, 1),
    },
];

fn assert_refused(ended: &Ended, says: &str, who: &str) {
    assert!(
        ended.code.is_some_and(|code| code != 0)
            && ended.errors.contains(says)
            && ended.out.is_empty(),
        "{who}: {ended:?}"
    );
}

#[test]
fn what_kubectl_proxy_refuses_is_refused() {
    on_cluster(async |cluster: &Cluster| {
        for refusal in REFUSALS {
            let kubectl = Side::Kubectl.end(cluster, refusal.flags).await;
            assert_refused(
                &kubectl,
                refusal.kubectl,
                &format!("kubectl {:?}", refusal.flags),
            );
            let ours = Side::Ours.end(cluster, refusal.flags).await;
            assert_refused(&ours, refusal.ours, &format!("ours {:?}", refusal.flags));
            let codes = (kubectl.code, ours.code);
            let expected = (Some(refusal.codes.0), Some(refusal.codes.1));
            assert_eq!(codes, expected, "{:?}", refusal.flags);
        }
    });
}

#[test]
fn a_port_that_is_taken_is_said() {
    on_cluster(async |cluster: &Cluster| {
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        for side in BOTH {
            let ended = side.end(cluster, &["--port", &port]).await;
            assert_refused(&ended, &port, &format!("{side:?}"));
        }
    });
}

#[test]
fn a_directory_that_is_not_there_is_served_as_nothing() {
    on_cluster(async |cluster: &Cluster| {
        let pair = Pair::serve(cluster, &["--www=/none/at/all"]).await;
        let (kubectl, ours) = pair
            .ask(b"GET /static/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        assert_eq!(ours, kubectl);
    });
}

#[test]
fn an_api_server_that_is_away_is_a_response_and_no_hang() {
    on_cluster(async |cluster: &Cluster| {
        let folder = Folder::new("away");
        let away = folder.path("kubeconfig");
        let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
        std::fs::write(&away, text.replace("10.77.0.1:6443", "10.77.0.57:1")).unwrap();
        let pair = Pair::serve(cluster, &["--kubeconfig", &away]).await;
        let (kubectl, ours) = pair
            .ask(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        assert_eq!(&kubectl.status[9..12], "500");
        assert_eq!(
            kubectl.text(),
            "dial tcp 10.77.0.57:1: connect: connection refused\n"
        );
        // A Status, and the code that says whose fault it is.
        assert_eq!(&ours.status[9..12], "502", "{}", ours.text());
        assert_eq!(ours.json()["kind"], "Status");
        assert!(ours.text().contains("10.77.0.57:1"), "{}", ours.text());
    });
}

#[test]
fn without_a_kubeconfig_only_kubectl_starts() {
    on_cluster(async |cluster: &Cluster| {
        let flags = ["--kubeconfig=/dev/null", "--port=0"];
        let kubectl = Side::Kubectl.serve(cluster, &flags).await;
        let heard = kubectl
            .ask(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        assert!(
            heard.text().contains(":8080: connect: connection refused"),
            "{heard:?}"
        );
        let ours = Side::Ours.end(cluster, &flags).await;
        assert_eq!(ours.code, Some(1));
        assert_refused(
            &ours,
            "there is no kubeconfig that names an API server",
            "ours",
        );
    });
}
