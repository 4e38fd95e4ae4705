//! How both start: what they print, where they listen.

use std::os::unix::fs::PermissionsExt;

use throughway_testing::control_plane::{Cluster, on_cluster};

use super::process::{BOTH, Folder, Pair, Proxy, Side};

/// Ports that nothing else of the tests uses.
const PORTS: [u16; 2] = [18_011, 18_012];

const VERSION: &[u8] = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn both_say_where_they_serve() {
    on_cluster(async |cluster: &Cluster| {
        for (side, port) in BOTH.into_iter().zip(PORTS) {
            for flags in [
                vec![format!("--port={port}")],
                vec!["--port".to_owned(), port.to_string()],
                vec![format!("-p={port}")],
                vec![format!("-p{port}")],
                vec![
                    "-p".to_owned(),
                    port.to_string(),
                    "--address=10.77.0.58".to_owned(),
                ],
            ] {
                let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
                let proxy = side.serve(cluster, &flags).await;
                let host = if flags.len() == 3 {
                    "10.77.0.58"
                } else {
                    "127.0.0.1"
                };
                assert_eq!(
                    proxy.line,
                    format!("Starting to serve on {host}:{port}"),
                    "{side:?} {flags:?}"
                );
                assert_eq!(
                    proxy.ask(VERSION).await.status,
                    "HTTP/1.1 200 OK",
                    "{side:?} {flags:?}"
                );
                proxy.kill().await;
            }
        }
    });
}

#[test]
fn without_a_port_both_take_kubectls() {
    on_cluster(async |cluster: &Cluster| {
        for side in BOTH {
            let proxy = side.serve(cluster, &[]).await;
            assert_eq!(
                proxy.line, "Starting to serve on 127.0.0.1:8001",
                "{side:?}"
            );
            proxy.kill().await;
        }
    });
}

#[test]
fn port_0_takes_a_free_one_and_says_which() {
    on_cluster(async |cluster: &Cluster| {
        let pair = Pair::serve(cluster, &[]).await;
        for proxy in [&pair.kubectl, &pair.ours] {
            let port = proxy
                .address()
                .strip_prefix("127.0.0.1:")
                .expect("loopback");
            assert_ne!(port.parse::<u16>().unwrap(), 0);
            assert_eq!(proxy.ask(VERSION).await.status, "HTTP/1.1 200 OK");
        }
    });
}

#[test]
fn a_unix_socket_is_for_its_owner_and_replaces_a_stale_one() {
    on_cluster(async |cluster: &Cluster| {
        for flag in ["--unix-socket", "-u"] {
            let mut seen = Vec::new();
            for side in BOTH {
                let folder = Folder::new("socket");
                let path = folder.path("proxy.sock");
                drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
                let proxy = side.serve(cluster, &[flag, &path]).await;
                assert_eq!(
                    proxy.line,
                    format!("Starting to serve on {path}"),
                    "{side:?}"
                );
                let mode = std::fs::metadata(&path).unwrap().permissions().mode();
                let heard = proxy.ask(VERSION).await.compared();
                let refused = proxy
                    .ask(b"GET /version HTTP/1.1\r\nHost: example.com\r\n\r\n")
                    .await;
                seen.push((mode, heard, refused.compared()));
            }
            assert_eq!(seen[1], seen[0], "{flag}");
        }
    });
}

#[test]
fn a_signal_ends_both_at_once() {
    on_cluster(async |cluster: &Cluster| {
        for side in BOTH {
            let proxy = side.serve(cluster, &["--port=0"]).await;
            let mut stream = proxy.connect().await;
            let watch = b"GET /api/v1/namespaces?watch=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, watch)
                .await
                .unwrap();
            interrupt(&proxy);
            proxy.ended().await;
        }
    });
}

/// What Ctrl-C sends.
fn interrupt(proxy: &Proxy) {
    let sent = std::process::Command::new("kill")
        .args(["-INT", &proxy.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// kubectl proxy leaves its socket behind.
#[test]
fn a_unix_socket_goes_with_its_program() {
    on_cluster(async |cluster: &Cluster| {
        for (side, stays) in [(Side::Kubectl, true), (Side::Ours, false)] {
            let folder = Folder::new("socket-end");
            let path = folder.path("proxy.sock");
            let proxy = side.serve(cluster, &["--unix-socket", &path]).await;
            interrupt(&proxy);
            proxy.ended().await;
            assert_eq!(std::fs::exists(&path).unwrap(), stays, "{side:?}");
        }
    });
}

#[test]
fn insecure_beside_a_certificate_authority_starts_neither() {
    on_cluster(async |cluster: &Cluster| {
        let folder = Folder::new("insecure");
        let authority = folder.path("ca");
        std::fs::write(&authority, "").unwrap();
        let flags = [
            "--port=0",
            "--insecure-skip-tls-verify",
            "--certificate-authority",
            &authority,
        ];
        for side in BOTH {
            let ended = side.end(cluster, &flags).await;
            assert_eq!(ended.code, Some(1), "{side:?} {ended:?}");
            assert!(ended.errors.contains("insecure"), "{side:?} {ended:?}");
        }
    });
}
