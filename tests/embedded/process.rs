//! The server as a process: exit codes, what it says in its logs, and its memory.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use throughway_testing::client::{Client, request};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{ANY_PORT, sample_cluster, service, until};

fn command() -> Command {
    let mut command = Command::new(throughway_testing::program());
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A server as a process. What it says is read all the time: a full pipe would stop it.
struct Running {
    child: Child,
    client: Client,
    said: JoinHandle<String>,
    access: JoinHandle<String>,
}

/// Starts the server and waits until it is ready; the address is in what it says.
async fn start(kubeconfig: &std::path::Path, more: &[&str]) -> Running {
    start_in(&[], kubeconfig, more).await
}

/// The same, with variables in its environment.
async fn start_in(
    environment: &[(&str, &str)],
    kubeconfig: &std::path::Path,
    more: &[&str],
) -> Running {
    let mut child = command()
        .envs(environment.iter().copied())
        .args([
            "serve",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--kubeconfig",
            kubeconfig.to_str().unwrap(),
        ])
        .args(more)
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let access = tokio::spawn(async move {
        let mut lines = String::new();
        out.read_to_string(&mut lines).await.unwrap();
        lines
    });
    let (tell, address) = oneshot::channel();
    let said = tokio::spawn(read(child.stderr.take().unwrap(), tell));
    let client = Client::new(address.await.expect("it ended"), None);
    let ready = async || client.get("/readyz").await.status.is_success();
    until("it is ready", ready).await;
    Running {
        child,
        client,
        said,
        access,
    }
}

/// Reads the log to its end and tells the address as soon as it is there.
async fn read(log: ChildStderr, tell: oneshot::Sender<SocketAddr>) -> String {
    let mut log = BufReader::new(log);
    let mut said = String::new();
    let mut tell = Some(tell);
    let mut from = 0;
    while log.read_line(&mut said).await.unwrap() > 0 {
        let line: serde_json::Value = serde_json::from_str(&said[from..]).unwrap();
        from = said.len();
        if line["message"] == "listening"
            && let Some(tell) = tell.take()
        {
            tell.send(line["address"].as_str().unwrap().parse().unwrap())
                .unwrap();
        }
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_is_one_line_and_exit_code_64() {
    let (cluster, _backend) = sample_cluster().await;
    let kubeconfig = format!("--kubeconfig={}", cluster.kubeconfig().display());
    for (flags, cause) in [
        (&["--secure-port=eight"][..], "invalid digit"),
        (&["--kubeconfig=/none"], "/none is of no use: "),
        (&[], "no pod with a ServiceAccount"),
        (
            &[
                &kubeconfig,
                "--tls-cert-file=/none",
                "--tls-private-key-file=/none",
            ],
            "/none can't be read: ",
        ),
        (
            &[&kubeconfig, "--client-ca-file=Cargo.toml"],
            "certificates: ",
        ),
    ] {
        let output = command()
            .arg("serve")
            .args(flags)
            .env_remove("KUBERNETES_SERVICE_HOST")
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.lines().count() == 1 && said.contains(cause), "{said}");
    }
}

/// A proxy out of the environment could be anybody's.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_in_the_environment_is_never_used() {
    let (cluster, _backend) = sample_cluster().await;
    let proxy = tokio::net::TcpListener::bind(SocketAddr::from(ANY_PORT))
        .await
        .unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let names = [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
    ];
    let environment: Vec<(&str, &str)> = names.map(|name| (name, address.as_str())).to_vec();
    let running = start_in(&environment, cluster.kubeconfig(), &[]).await;
    let (alice, path) = (
        running.client.with_token("alice-token"),
        service("web", "/"),
    );
    tokio::select! {
        biased;
        _ = proxy.accept() => panic!("the proxy was asked"),
        response = alice.get(&path) => {
            // Known and allowed, so both reviews were answered; no server dials loopback.
            assert!(response.text().contains("an address that is not allowed"), "{}", response.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_log_whatever_happens() {
    let (cluster, _backend) = sample_cluster().await;
    cluster.store.token("canary-token", "alice", &[]);
    let Running {
        mut child,
        client,
        said,
        access,
    } = start(cluster.kubeconfig(), &["--log=trace"]).await;
    let headers = [
        ("Cookie", "canary-cookie"),
        ("X-Api-Key", "canary-header"),
        ("Proxy-Authorization", "canary-proxy"),
        ("Throughway-Authorization", "canary-app"),
    ];
    for token in ["canary-token", "canary-unknown"] {
        for path in [
            service("web", "/?access_token=canary-query"),
            service("none", "/"),
            "/metrics?canary-query".into(),
        ] {
            client
                .with_token(token)
                .ask(request("POST", &path, &headers, "canary-body"))
                .await;
        }
    }
    let alice = client.with_token("canary-token");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let login = service("web", "/.throughway/login");
    let typed = "username=canary-user&password=canary-password&next=/canary-next";
    let logged_in = alice.ask(request("POST", &login, &form, typed)).await;
    let cookie = logged_in.header("set-cookie").unwrap();
    let cookie = [("Cookie", cookie.split(';').next().unwrap())];
    alice
        .ask(request("GET", &service("web", "/"), &cookie, ""))
        .await;
    let id = child.id().unwrap().to_string();
    let killed = Command::new("kill").arg(id).status().await.unwrap();
    assert!(killed.success());
    assert!(child.wait().await.unwrap().success());
    let (lines, access) = (said.await.unwrap(), access.await.unwrap());
    assert!(lines.contains("listening"), "there is a log");
    assert_eq!(
        access.matches(r#""message":"request""#).count(),
        6,
        "every request for a proxy has its line, the last one too"
    );
    // base64 of `canary-user:canary-password`.
    let basic = "Y2FuYXJ5LXVzZXI6Y2FuYXJ5LXBhc3N3b3Jk";
    let login = cookie[0].1.split('=').nth(1).unwrap();
    assert!(login.len() > 50, "{login}");
    let secrets = ["canary", basic, login];
    let leaks: Vec<&str> = lines
        .lines()
        .chain(access.lines())
        .filter(|line| secrets.iter().any(|secret| line.contains(secret)))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// Each of the backend's, as a server dials no loopback: 200 lines at once, then 20 a second.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_in_a_loop_fill_no_log() {
    const REFUSALS: usize = 1_000;
    let (cluster, _backend) = sample_cluster().await;
    let started = Instant::now();
    let mut running = start(cluster.kubeconfig(), &["--access-log=off"]).await;
    let alice = running.client.with_token("alice-token");
    let paths = (0..REFUSALS).map(|_| service("web", "/"));
    ask_over_one_connection(&alice, paths, 503).await;
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 1;
    running.child.kill().await.unwrap();
    let lines = running.said.await.unwrap();
    let lines = lines.matches(r#""message":"request refused""#).count();
    let most = 200 + 20 * seconds;
    assert!(most < REFUSALS, "{seconds} s are too long to tell");
    assert!((200..=most).contains(&lines), "{lines} in {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_names_that_do_not_exist_leave_memory_and_metrics_as_they_were() {
    let (cluster, _backend) = sample_cluster().await;
    let running = start(cluster.kubeconfig(), &["--access-log=off"]).await;
    let root = running.client.with_token("root-token");
    ask_for(&root, 0..1_000).await;
    let before = measure(&root).await;
    ask_for(&root, 1_000..21_000).await;
    let after = measure(&root).await;
    assert_eq!(before.1, after.1, "series");
    assert!(
        after.0 < before.0 + f64::from(12 << 20),
        "{} MB became {} MB",
        before.0 / 1e6,
        after.0 / 1e6
    );
}

/// Resident bytes, and how many series the metrics have.
async fn measure(client: &Client) -> (f64, usize) {
    let metrics = client.get("/metrics").await;
    let memory = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    (
        memory.unwrap().parse().unwrap(),
        metrics
            .text()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count(),
    )
}

/// Asks for what is not there, over a few connections at once.
async fn ask_for(client: &Client, numbers: std::ops::Range<usize>) {
    const CONNECTIONS: usize = 4;
    let shares = (0..CONNECTIONS).map(|first| {
        let share = numbers.clone().skip(first).step_by(CONNECTIONS);
        let paths = share.map(|number| service(&format!("none-{number}"), "/"));
        ask_over_one_connection(client, paths, 404)
    });
    futures_util::future::join_all(shares).await;
}

async fn ask_over_one_connection(
    client: &Client,
    paths: impl Iterator<Item = String>,
    expected: u16,
) {
    let stream = TokioIo::new(client.connect().await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let token = client.authorization.clone().unwrap();
    for path in paths {
        let headers = [("host", "a"), ("authorization", token.as_str())];
        let asked: http::Request<Full<Bytes>> = request("GET", &path, &headers, "");
        sender.ready().await.unwrap();
        let response = sender.send_request(asked).await.unwrap();
        assert_eq!(response.status(), expected);
        response.into_body().collect().await.unwrap();
    }
    drop(sender);
    connection.await.unwrap().unwrap();
}
