//! Exec plugins: scripts that count their runs.

use std::path::Path;
use std::time::Duration;

use http::HeaderMap;

use super::certificates::{Authority, Pair};
use super::server::Server;
use super::{Folder, Hand, ask, load_at};
use crate::local::api_server::credentials::kuberc::Kuberc;
use crate::local::api_server::kubeconfig::load::Environment;
use crate::local::api_server::{ApiServer, ConfigError, CredentialError};

pub(super) const VERSION: &str = "client.authentication.k8s.io/v1";

/// A script that counts its runs and gives `token-RUN`, which lives for some seconds from the hand's time on.
fn tokens(folder: &Folder, hand: &Hand, lifetime: u64) {
    let end = hand.now() + Duration::from_secs(lifetime);
    let end = k8s_openapi::jiff::Timestamp::try_from(end).unwrap();
    folder.write(
        "plugin",
        format!(
            r#"#!/bin/sh
cd "$(dirname "$0")"
echo run >> runs
printf '%s' "$KUBERNETES_EXEC_INFO" > info
env > environment
echo "$@" > arguments
count=$(wc -l < runs)
echo '{{"kind":"ExecCredential","apiVersion":"{VERSION}","status":{{"token":"token-'$((count))'","expirationTimestamp":"{end}"}}}}'
"#
        ),
    );
}

fn runs(folder: &Folder) -> usize {
    let text = std::fs::read_to_string(folder.path("runs"));
    text.map_or(0, |text| text.lines().count())
}

/// A user with the script as plugin. The shell reads it: a file that was just written can't always be run, as a process
/// that another test starts may hold it open for a moment.
pub(super) fn user(folder: &Folder, more: &str) -> String {
    let script = folder.path("plugin");
    format!(
        "{{exec: {{apiVersion: {VERSION}, command: sh, interactiveMode: Never, args: ['{}', get, a b]{more}}}}}",
        script.display()
    )
}

pub(super) async fn server(authority: &Authority) -> (Server, String) {
    let server = Server::start(&authority.issue("api", &["127.0.0.1"]), authority).await;
    let cluster = format!(
        "{{server: {}, certificate-authority-data: {}, tls-server-name: 127.0.0.1, extensions: [{{name: client.authentication.k8s.io/exec, extension: {{audience: x}}}}]}}",
        server.url(),
        authority.data()
    );
    (server, cluster)
}

pub(super) async fn header(api: &ApiServer) -> Result<String, CredentialError> {
    let mut headers = HeaderMap::new();
    api.authorize(&mut headers).await?;
    Ok(headers["authorization"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_plugin_runs_once_until_its_token_has_run_out() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (mut server, cluster) = server(&authority).await;
    tokens(&folder, &hand, 100);
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    assert_eq!(runs(&folder), 0, "it runs when it is needed");
    for _ in 0..3 {
        ask(&api).await;
        assert_eq!(server.next().authorization(), Some("Bearer token-1"));
    }
    hand.forward(89);
    assert_eq!(header(&api).await.unwrap(), "Bearer token-1");
    tokens(&folder, &hand, 100);
    hand.forward(1);
    assert_eq!(header(&api).await.unwrap(), "Bearer token-2");
    assert_eq!(runs(&folder), 2);
}

#[tokio::test]
async fn all_who_wait_share_one_run() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    tokens(&folder, &hand, 100);
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    let all = futures_util::future::join_all((0..50).map(|_| header(&api))).await;
    for header in all {
        assert_eq!(header.unwrap(), "Bearer token-1");
    }
    assert_eq!(runs(&folder), 1);
}

#[tokio::test]
async fn a_request_that_is_given_up_does_not_stop_the_plugin() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    tokens(&folder, &hand, 100);
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    let first = futures_util::FutureExt::now_or_never(header(&api));
    assert!(first.is_none(), "the plugin has only been started");
    assert_eq!(header(&api).await.unwrap(), "Bearer token-1");
    assert_eq!(runs(&folder), 1);
}

#[tokio::test]
async fn what_a_plugin_gave_counts_from_its_end_whoever_waited() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    tokens(&folder, &hand, 100);
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    assert!(futures_util::FutureExt::now_or_never(header(&api)).is_none());
    // It is put down by the run itself, so that a second run has only one reason.
    soon(|| header_now(&api).is_some()).await;
    hand.forward(95);
    tokens(&folder, &hand, 100);
    assert_eq!(header(&api).await.unwrap(), "Bearer token-2");
}

/// Waits until something is so, and no longer than anything takes.
async fn soon(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, waiting)
        .await
        .expect("it is so");
}

/// What is there without waiting.
fn header_now(api: &ApiServer) -> Option<Result<String, CredentialError>> {
    futures_util::FutureExt::now_or_never(header(api))
}

#[tokio::test]
async fn what_a_plugin_starts_and_leaves_running_is_not_waited_for() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    folder.write(
        "plugin",
        format!(
            r#"#!/bin/sh
cd "$(dirname "$0")"
echo '{{"kind":"ExecCredential","apiVersion":"{VERSION}","status":{{"token":"at-once"}}}}'
# A browser, say, that has both of the plugin's outputs until somebody makes the file.
sh -c 'while [ ! -e end ]; do sleep 0.05; done; echo bye >&2 && : > ended' &
"#
        ),
    );
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    let limit = Duration::from_secs(60);
    let given = tokio::time::timeout(limit, header(&api)).await;
    assert_eq!(given.expect("at once").unwrap(), "Bearer at-once");
    assert!(!folder.path("ended").exists());
    // And it may go on writing.
    folder.write("end", "");
    soon(|| folder.path("ended").exists()).await;
}

#[tokio::test]
async fn a_plugin_that_kubectls_preferences_do_not_allow_is_not_run() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    tokens(&folder, &hand, 100);
    let config = folder.write("config", super::kubeconfig(&cluster, &user(&folder, "")));
    let kuberc = folder.write(
        "kuberc",
        "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\ncredentialPluginPolicy: DenyAll\n",
    );
    let environment = Environment {
        kuberc: Kuberc::Usual(kuberc),
        ..super::nothing()
    };
    let refused = ApiServer::load_in(&super::options(&config), environment).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, ConfigError::PluginNotAllowed { command, .. } if command == "sh"),
        "{refused}"
    );
    assert_eq!(runs(&folder), 0);
}

#[tokio::test]
async fn after_a_401_it_runs_again_but_not_at_once() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    tokens(&folder, &hand, 1000);
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    assert_eq!(header(&api).await.unwrap(), "Bearer token-1");
    api.rejected();
    api.rejected();
    assert_eq!(header(&api).await.unwrap(), "Bearer token-1");
    hand.forward(5);
    assert_eq!(header(&api).await.unwrap(), "Bearer token-2");
    assert_eq!(header(&api).await.unwrap(), "Bearer token-2");
    assert_eq!(runs(&folder), 2);
}

#[tokio::test]
async fn it_is_told_what_the_kubeconfig_says() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (server, cluster) = server(&authority).await;
    tokens(&folder, &hand, 100);
    let more = ", env: [{name: TEAM, value: blue}], provideClusterInfo: true";
    let api = load_at(&folder, &cluster, &user(&folder, more), &hand)
        .await
        .unwrap();
    header(&api).await.unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    assert_eq!(read("arguments"), "get a b\n");
    assert!(read("environment").lines().any(|line| line == "TEAM=blue"));
    let info: serde_json::Value = serde_json::from_str(&read("info")).unwrap();
    let expected = serde_json::json!({
        "kind": "ExecCredential",
        "apiVersion": VERSION,
        "spec": {
            "interactive": false,
            "cluster": {
                "server": server.url(),
                "tls-server-name": "127.0.0.1",
                "certificate-authority-data": authority.data(),
                "config": {"audience": "x"},
            },
        },
    });
    assert_eq!(info, expected);
}

fn certificate_script(folder: &Folder, pair: &Pair) {
    let response = serde_json::json!({
        "kind": "ExecCredential",
        "apiVersion": VERSION,
        "status": {
            "clientCertificateData": pair.certificate,
            "clientKeyData": pair.key,
        },
    });
    folder.write("answer", response.to_string());
    folder.write("plugin", "#!/bin/sh\ncat \"$(dirname \"$0\")/answer\"\n");
}

#[tokio::test]
async fn a_client_certificate_of_a_plugin_arrives_and_a_new_one_is_a_new_generation() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (mut server, cluster) = server(&authority).await;
    certificate_script(&folder, &authority.issue("alice", &[]));
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    ask(&api).await;
    let arrived = server.next();
    assert_eq!(arrived.client.as_deref(), Some("alice"));
    assert_eq!(arrived.authorization(), None);
    let first = api.generation();

    certificate_script(&folder, &authority.issue("bob", &[]));
    hand.forward(5);
    api.rejected();
    api.authorize(&mut HeaderMap::new()).await.unwrap();
    assert_ne!(api.generation(), first);
    ask(&api).await;
    assert_eq!(server.next().client.as_deref(), Some("bob"));
}

#[tokio::test]
async fn a_plugin_that_fails_is_told_by_its_last_line_and_rests() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    folder.write(
        "plugin",
        "#!/bin/sh\necho run >> \"$(dirname \"$0\")/runs\"\necho secret-on-stdout\necho first >&2\nprintf 'session \\033[31mexpired\\n\\n' >&2\nexit 3\n",
    );
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    let failed = header(&api).await.unwrap_err();
    let problem = failed.problem();
    assert_eq!(problem.title, "The login has failed");
    let message = problem.status.message;
    assert!(
        message.ends_with("failed (exit status: 3): session [31mexpired"),
        "{message}"
    );
    assert!(!format!("{failed:?}").contains("secret-on-stdout"));
    header(&api).await.unwrap_err();
    assert_eq!(runs(&folder), 1);
    tokens(&folder, &hand, 100);
    hand.forward(5);
    assert_eq!(header(&api).await.unwrap(), "Bearer token-2");
}

#[tokio::test]
async fn a_missing_plugin_is_told_with_its_install_hint() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    let user = format!(
        "{{exec: {{apiVersion: {VERSION}, command: ./plugin, interactiveMode: Never, installHint: Get it at example.org}}}}"
    );
    let api = load_at(&folder, &cluster, &user, &hand).await.unwrap();
    let failed = header(&api).await.unwrap_err();
    assert!(
        matches!(&failed, CredentialError::PluginMissing { install_hint: Some(hint), .. } if hint == "Get it at example.org")
    );
    let path = folder.path("./plugin").display().to_string();
    assert!(
        failed.to_string().contains(&path),
        "beside the kubeconfig: {failed}"
    );
    let shown = format!("{:?}", failed.problem());
    assert!(shown.contains("Get it at example.org"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_hangs_is_ended() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    let pipe = folder.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let script = format!("#!/bin/sh\nexec sleep 20 > '{}'\n", pipe.display());
    folder.write("plugin", script);
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    let (start, begun) = (tokio::time::Instant::now(), std::time::Instant::now());
    // A pipe opens when the plugin has it too, and ends with the plugin. The clock stands still while somebody waits
    // for it.
    let running = tokio::task::spawn_blocking(|| std::fs::File::open(pipe).unwrap());
    let (failed, running) = tokio::join!(header(&api), running);
    let failed = failed.unwrap_err();
    assert!(
        matches!(failed, CredentialError::PluginTimeout { .. }),
        "{failed}"
    );
    assert_eq!(start.elapsed().as_secs(), 1800);
    let mut running = running.unwrap();
    let ended =
        tokio::task::spawn_blocking(move || std::io::copy(&mut running, &mut std::io::sink()));
    assert_eq!(ended.await.unwrap().unwrap(), 0);
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(15),
        "it ended by itself: {took:?}"
    );
}

#[tokio::test]
async fn a_token_of_the_flags_needs_no_plugin() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    tokens(&folder, &hand, 100);
    let path: &Path = &folder.write("config", super::kubeconfig(&cluster, &user(&folder, "")));
    let options = crate::local::config::ClusterOptions {
        token: Some("flag".to_owned().into()),
        ..super::options(path)
    };
    let api = ApiServer::load_in(&options, super::nothing())
        .await
        .unwrap();
    assert_eq!(header(&api).await.unwrap(), "Bearer flag");
    api.connect(crate::local::api_server::ConnectionPurpose::Exchange)
        .await
        .unwrap();
    assert_eq!(runs(&folder), 0);
}
