//! Sessions of kubectl that run: exec, attach and port-forward to a container, over WebSockets and over SPDY.

use std::process::{Output, Stdio};

use serde_json::json;
use throughway_testing::backend::{pattern, sha256};
use throughway_testing::control_plane::{Cluster, on_cluster};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::process::{Pair, Proxy};

const NAMESPACE: &str = "sessions";
const POD: &str = "session-0";

/// More than any buffer on the way.
const LARGE: usize = 8 << 20;

/// What kubectl makes a session of.
#[derive(Debug, Clone, Copy)]
enum Protocol {
    WebSocket,
    Spdy,
}

const PROTOCOLS: [Protocol; 2] = [Protocol::WebSocket, Protocol::Spdy];

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: Option<i32>,
    out: String,
    errors: String,
}

/// A pod that the kubelet runs, in a namespace of its own.
fn run_pod(cluster: &Cluster) {
    cluster
        .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
    let wait = |what: &str, object: &str| {
        cluster.kubectl(&["wait", what, object, "-n", NAMESPACE, "--timeout=60s"]);
    };
    wait("--for=create", "serviceaccount/default");
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": NAMESPACE},
        "spec": {"nodeName": "hollow", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "none", "stdin": true}]}}));
    wait("--for=condition=Ready", &format!("pod/{POD}"));
}

/// kubectl as somebody uses it behind a proxy.
fn kubectl(cluster: &Cluster, proxy: &Proxy, protocol: Protocol, arguments: &[&str]) -> Command {
    let server = format!("--server=http://{}", proxy.address());
    let global = ["--kubeconfig=/dev/null", &server, "--namespace", NAMESPACE];
    let mut command = Command::from(cluster.command(&[&global, arguments].concat()));
    let is_websocket = matches!(protocol, Protocol::WebSocket).to_string();
    command
        .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", &is_websocket)
        .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", &is_websocket)
        .stdin(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command, input: &[u8]) -> (Ended, String) {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (output, _) = tokio::join!(child.wait_with_output(), async {
        // A program that does not read has ended already.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    });
    ended(output.unwrap())
}

/// With a keyboard at which nobody types. Its end would be a key too, which kubectl would send to a session that is
/// over.
async fn run_at_a_keyboard(mut command: Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let _keyboard = child.stdin.take().unwrap();
    ended(child.wait_with_output().await.unwrap()).0
}

fn ended(output: Output) -> (Ended, String) {
    let out = if output.stdout.len() > 1000 {
        format!("{} bytes", output.stdout.len())
    } else {
        String::from_utf8(output.stdout.clone()).unwrap()
    };
    let ended = Ended {
        code: output.status.code(),
        out,
        errors: String::from_utf8(output.stderr).unwrap(),
    };
    (ended, sha256(&output.stdout))
}

#[test]
fn commands_run_and_end_the_same_through_both() {
    on_cluster(async |cluster: &Cluster| {
        run_pod(cluster);
        let pair = Pair::serve(cluster, &["--reject-paths="]).await;
        let bytes = pattern(LARGE);
        let cases: [(&[&str], &[u8], Ended); 4] = [
            (
                &["exec", POD, "--", "say", "hello"],
                b"",
                Ended {
                    code: Some(0),
                    out: "hello\n".into(),
                    errors: "hello\n".into(),
                },
            ),
            (
                &["exec", POD, "--", "exit", "7"],
                b"",
                Ended {
                    code: Some(7),
                    out: String::new(),
                    errors: "command terminated with exit code 7\n".into(),
                },
            ),
            (
                &["exec", "-i", POD, "--", "cat"],
                &bytes,
                Ended {
                    code: Some(0),
                    out: format!("{LARGE} bytes"),
                    errors: String::new(),
                },
            ),
            (
                &["attach", "-q", "-i", POD],
                b"one\ntwo\n",
                Ended {
                    code: Some(0),
                    out: "attached\none\ntwo\n".into(),
                    errors: String::new(),
                },
            ),
        ];
        for protocol in PROTOCOLS {
            for (arguments, input, expected) in &cases {
                for proxy in [&pair.kubectl, &pair.ours] {
                    let command = kubectl(cluster, proxy, protocol, arguments);
                    let (ended, sum) = run(command, input).await;
                    let case = format!("{protocol:?} {arguments:?} through {}", proxy.address());
                    assert_eq!(&ended, expected, "{case}");
                    if **input == *bytes {
                        assert_eq!(sum, sha256(&bytes), "{case}");
                    }
                }
            }
        }
    });
}

/// A command, run in a terminal of a size that no terminal has by itself.
fn in_a_terminal(command: &Command) -> Command {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().unwrap()).collect();
    let line = format!("stty rows 33 cols 177; exec {}", words.join(" "));
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    script
}

#[test]
fn a_terminal_tells_its_size_through_both() {
    on_cluster(async |cluster: &Cluster| {
        run_pod(cluster);
        let pair = Pair::serve(cluster, &["--reject-paths="]).await;
        for protocol in PROTOCOLS {
            for proxy in [&pair.kubectl, &pair.ours] {
                let arguments = ["exec", "-q", "-i", "-t", POD, "--", "size"];
                let command = in_a_terminal(&kubectl(cluster, proxy, protocol, &arguments));
                let ended = run_at_a_keyboard(command).await;
                let expected = Ended {
                    code: Some(0),
                    out: "177 columns, 33 rows\n".into(),
                    errors: String::new(),
                };
                assert_eq!(ended, expected, "{protocol:?} through {}", proxy.address());
            }
        }
    });
}

/// Sends and gets back, over a connection to a forwarded port.
async fn echo(port: &str, bytes: &[u8]) {
    let stream = TcpStream::connect(format!("127.0.0.1:{port}"))
        .await
        .unwrap();
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut greeting = String::new();
    read.read_line(&mut greeting).await.unwrap();
    assert_eq!(greeting, "port 7000\n");
    let mut came = Vec::new();
    let (sent, received) = tokio::join!(
        async {
            write.write_all(bytes).await?;
            write.shutdown().await
        },
        read.read_to_end(&mut came)
    );
    sent.unwrap();
    received.unwrap();
    assert!(
        came == bytes,
        "{} bytes of {} came back",
        came.len(),
        bytes.len()
    );
}

#[test]
fn a_forwarded_port_carries_several_connections_through_both() {
    on_cluster(async |cluster: &Cluster| {
        run_pod(cluster);
        let pair = Pair::serve(cluster, &["--reject-paths="]).await;
        let bytes = pattern(LARGE);
        for protocol in PROTOCOLS {
            for proxy in [&pair.kubectl, &pair.ours] {
                let arguments = ["port-forward", POD, ":7000", "--address=127.0.0.1"];
                let mut child = kubectl(cluster, proxy, protocol, &arguments)
                    .spawn()
                    .unwrap();
                let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
                let line = lines
                    .next_line()
                    .await
                    .unwrap()
                    .expect("the forwarded port");
                let port = line
                    .strip_prefix("Forwarding from 127.0.0.1:")
                    .and_then(|rest| rest.strip_suffix(" -> 7000"))
                    .unwrap_or_else(|| panic!("{line}"));
                tokio::join!(echo(port, &bytes), echo(port, b"short"), echo(port, b""));
                child.kill().await.unwrap();
            }
        }
    });
}
