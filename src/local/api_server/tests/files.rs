//! Which files are read as kubeconfigs, and what is in the place of them in a pod.

use std::path::PathBuf;

use super::{Folder, kubeconfig, nothing, options};
use crate::local::api_server::kubeconfig::discover::KubeconfigPaths;
use crate::local::api_server::kubeconfig::in_cluster::InClusterConfig;
use crate::local::api_server::kubeconfig::load::Environment;
use crate::local::api_server::{ApiServer, ConfigError};
use crate::local::config::ClusterOptions;

fn listed(files: &[PathBuf]) -> Environment {
    Environment {
        paths: KubeconfigPaths {
            listed: Some(std::env::join_paths(files).unwrap()),
            home: None,
        },
        ..nothing()
    }
}

#[tokio::test]
async fn of_several_files_the_first_that_says_something_counts() {
    let folder = Folder::new();
    let first = folder.write(
        "first",
        "current-context: ''\nusers: [{name: me, user: {token: one}}]",
    );
    let second = folder.write(
        "second",
        kubeconfig("{server: 'https://second'}", "{token: two}"),
    );
    let third = folder.write(
        "third",
        kubeconfig("{server: 'https://third'}", "{token: three}").replace("here", "third"),
    );
    let missing = folder.path("missing");
    let environment = listed(&[missing, first, second, third]);
    let api = ApiServer::load_in(&ClusterOptions::default(), environment)
        .await
        .unwrap();
    assert_eq!(api.url(), "https://second/");
    assert_eq!(api.context(), Some("here"));
    assert_eq!(api.default_namespace(), "mine");
    let mut headers = http::HeaderMap::new();
    api.authorize(&mut headers).await.unwrap();
    assert_eq!(headers["authorization"], "Bearer one");
}

#[tokio::test]
async fn the_file_of_the_home_folder_counts_where_nothing_is_listed() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path(".kube")).unwrap();
    folder.write(".kube/config", kubeconfig("{server: 'https://home'}", "{}"));
    let environment = Environment {
        paths: KubeconfigPaths {
            listed: None,
            home: Some(folder.0.clone()),
        },
        ..nothing()
    };
    let api = ApiServer::load_in(&ClusterOptions::default(), environment)
        .await
        .unwrap();
    assert_eq!(api.url(), "https://home/");
}

#[tokio::test]
async fn no_kubeconfig_at_all_says_what_to_do() {
    let failed = ApiServer::load_in(
        &ClusterOptions::default(),
        listed(&[PathBuf::from("/nowhere")]),
    )
    .await
    .unwrap_err();
    let problem = failed.problem();
    assert_eq!(problem.title, "No kubeconfig");
    let shown = format!("{:?}", problem.advice);
    assert!(
        shown.contains("/nowhere") && shown.contains("--kubeconfig"),
        "{shown}"
    );
    let failed = ApiServer::load_in(&options("/nowhere".as_ref()), nothing())
        .await
        .unwrap_err();
    assert!(matches!(failed, ConfigError::Unreadable { .. }), "{failed}");
}

#[tokio::test]
async fn a_malformed_kubeconfig_is_told_by_line_without_its_text() {
    let folder = Folder::new();
    let text =
        "current-context: a\nusers:\n- name: me\n  user: {token: hidden-token, username: [1]}\n";
    let path = folder.write("config", text);
    let failed = ApiServer::load_in(&options(&path), nothing())
        .await
        .unwrap_err();
    let shown = format!("{failed} {failed:?} {:?}", failed.problem());
    assert!(shown.contains("is no kubeconfig (line 4)"), "{shown}");
    assert!(!shown.contains("hidden-token"), "{shown}");
}

/// lens#4676: kubectl reads such files.
#[tokio::test]
async fn of_a_key_that_stands_twice_the_last_counts() {
    let folder = Folder::new();
    let text = kubeconfig("{server: 'https://old'}", "{}")
        .replace("user: me", "user: you, user: me")
        .replace("cluster: {server: 'https://old'}", "cluster: {server: 'https://new', server: 'https://old', server: 'https://last', tls-server-name: inner}")
        .replace("  user: {}", "  user: {tokenFile: old}\n  user: {tokenFile: token}");
    let text = format!("{text}current-context: there\ncurrent-context: here\n");
    folder.write("token", "the-last");
    let path = folder.write("config", &text);
    let api = ApiServer::load_in(&options(&path), nothing())
        .await
        .unwrap();
    assert_eq!(api.url(), "https://last/");
    let mut headers = http::HeaderMap::new();
    api.authorize(&mut headers).await.unwrap();
    assert_eq!(headers["authorization"], "Bearer the-last");
    // What is wrong besides is said as ever.
    let path = folder.write("config", format!("{text}clusters: 1\n"));
    let failed = ApiServer::load_in(&options(&path), nothing())
        .await
        .unwrap_err();
    assert!(matches!(failed, ConfigError::Malformed { .. }), "{failed}");
}

#[tokio::test]
async fn a_kubeconfig_in_utf16_is_read_and_one_that_ends_within_a_character_is_told() {
    let folder = Folder::new();
    let config = "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n\
        clusters: [{name: c, cluster: {server: 'https://one.example', certificate-authority: ca.pem}}]";
    let mut content = vec![0xff, 0xfe];
    content.extend(config.encode_utf16().flat_map(u16::to_le_bytes));
    let path = folder.write("config", &content);
    let read = crate::local::api_server::kubeconfig::discover::read(
        Some(&path),
        &KubeconfigPaths {
            listed: None,
            home: None,
        },
    );
    let cluster = read.unwrap().kubeconfig.clusters[0]
        .cluster
        .clone()
        .unwrap();
    assert_eq!(
        cluster.certificate_authority,
        folder.path("ca.pem").to_str().map(str::to_owned)
    );
    content.push(b'x');
    let path = folder.write("config", &content);
    let failed = ApiServer::load_in(&options(&path), nothing())
        .await
        .unwrap_err();
    assert!(matches!(failed, ConfigError::Unreadable { .. }), "{failed}");
}

#[tokio::test]
async fn in_a_pod_its_service_account_is_the_last_resort() {
    let folder = Folder::new();
    folder.write("token", "pods-token");
    folder.write("namespace", "pods-namespace\n");
    let pod = |host: &str| InClusterConfig {
        host: Some(host.to_owned()),
        port: Some("443".to_owned()),
        namespace: None,
        folder: folder.0.clone(),
    };
    let environment = Environment {
        pod: pod("fd00::1"),
        ..nothing()
    };
    let api = ApiServer::load_in(&ClusterOptions::default(), environment.clone())
        .await
        .unwrap();
    assert_eq!(api.url(), "https://[fd00::1]:443/");
    assert_eq!(api.default_namespace(), "pods-namespace");
    assert_eq!(api.context(), None);
    let mut headers = http::HeaderMap::new();
    api.authorize(&mut headers).await.unwrap();
    assert_eq!(headers["authorization"], "Bearer pods-token");

    let path = folder.write("config", kubeconfig("{server: 'https://other'}", "{}"));
    let api = ApiServer::load_in(&options(&path), environment)
        .await
        .unwrap();
    assert_eq!(api.url(), "https://other/");
}
