//! Which kubeconfig, context, cluster and user count, and what flags change.

use std::path::PathBuf;

use kube::config::Kubeconfig;
use secrecy::ExposeSecret;

use super::{Folder, kubeconfig, nothing, options};
use crate::local::api_server::kubeconfig::resolve::{
    self, IdentitySource, Pem, RestConfig, ServerTrust, UserCredential,
};
use crate::local::api_server::{ApiServer, ConfigError};
use crate::local::config::ClusterOptions;

const SEVERAL: &str = "
current-context: a
contexts:
- {name: a, context: {cluster: one, user: alice, namespace: here}}
- {name: b, context: {cluster: two, user: bob}}
clusters:
- {name: one, cluster: {server: 'https://one.example/path', tls-server-name: inner, certificate-authority-data: b25l}}
- {name: two, cluster: {server: 'https://two.example', insecure-skip-tls-verify: true}}
users:
- {name: alice, user: {token: a, tokenFile: /file}}
- {name: bob, user: {client-certificate-data: Yg==, client-key-data: Yg==}}
";

fn resolve(yaml: &str, options: &ClusterOptions) -> Result<RestConfig, ConfigError> {
    let kubeconfig = Kubeconfig::from_yaml(yaml).unwrap();
    resolve::resolve(&kubeconfig, options).map(|access| access.expect("a server is named"))
}

fn flags(set: impl FnOnce(&mut ClusterOptions)) -> ClusterOptions {
    let mut options = ClusterOptions::default();
    set(&mut options);
    options
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_current_context_counts() {
    let access = resolve(SEVERAL, &ClusterOptions::default()).unwrap();
    assert_eq!(access.context.as_deref(), Some("a"));
    assert_eq!(access.namespace, "here");
    assert_eq!(access.server, "https://one.example/path");
    assert_eq!(access.tls_server_name.as_deref(), Some("inner"));
    assert!(matches!(access.trust, ServerTrust::Roots(Pem::Base64(_))));
    assert!(access.identity.is_none());
    let UserCredential::TokenFile { path, fallback } = access.credential else {
        panic!("a token file")
    };
    assert_eq!(path, PathBuf::from("/file"));
    assert_eq!(fallback.unwrap().expose_secret(), "a");
}

#[test]
fn flags_choose_context_cluster_user_and_namespace() {
    let access = resolve(SEVERAL, &flags(|flags| flags.context = some("b"))).unwrap();
    assert_eq!(access.namespace, "default");
    assert_eq!(access.server, "https://two.example/");
    assert!(matches!(access.trust, ServerTrust::Anything));
    assert!(matches!(access.identity, Some(IdentitySource { .. })));
    assert!(matches!(access.credential, UserCredential::Nothing));

    let mixed = flags(|flags| {
        flags.cluster = some("two");
        flags.user = some("alice");
        flags.namespace = some("there");
    });
    let access = resolve(SEVERAL, &mixed).unwrap();
    assert_eq!(access.namespace, "there");
    assert_eq!(access.server, "https://two.example/");
    assert!(matches!(
        access.credential,
        UserCredential::TokenFile { .. }
    ));
}

#[test]
fn what_flags_name_and_nobody_knows_is_told_with_what_is_known() {
    let failed = resolve(SEVERAL, &flags(|flags| flags.context = some("c"))).err();
    let failed = failed.unwrap();
    assert_eq!(failed.to_string(), "the kubeconfig has no context \"c\"");
    let shown = format!("{:?}", failed.problem().advice);
    assert!(shown.contains("The contexts are: a, b."), "{shown}");
    let failed = resolve(SEVERAL, &flags(|flags| flags.cluster = some("c"))).err();
    assert!(
        matches!(failed, Some(ConfigError::NoCluster { known, .. }) if known == ["one", "two"])
    );
    let failed = resolve(SEVERAL, &flags(|flags| flags.user = some("c"))).err();
    assert!(matches!(failed, Some(ConfigError::NoUser { known, .. }) if known == ["alice", "bob"]));
}

#[test]
fn a_token_flag_wins_over_every_other_header() {
    let token = |flags: &mut ClusterOptions| flags.token = Some("flag".to_owned().into());
    for user in [
        "{token: a, tokenFile: /file}",
        "{username: u, password: p}",
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Never}}",
        "{auth-provider: {name: oidc}}",
    ] {
        let access = resolve(&kubeconfig("{server: 'https://x'}", user), &flags(token)).unwrap();
        let UserCredential::Token(token) = access.credential else {
            panic!("{user}")
        };
        assert_eq!(token.expose_secret(), "flag");
    }
}

#[test]
fn a_server_flag_drops_the_name_that_was_for_another_one() {
    let access = resolve(SEVERAL, &flags(|flags| flags.server = some("https://x"))).unwrap();
    assert_eq!(access.tls_server_name, None);
    assert!(matches!(access.trust, ServerTrust::Roots(_)));
    let named = flags(|flags| {
        flags.server = some("https://x");
        flags.tls_server_name = some("y");
    });
    let access = resolve(SEVERAL, &named).unwrap();
    assert_eq!(access.tls_server_name.as_deref(), Some("y"));
}

#[test]
fn insecure_beside_a_certificate_authority_is_refused_as_by_kubectl() {
    let cluster = |more: &str| {
        format!(
            "clusters: [{{name: c, cluster: {{server: 'https://a', insecure-skip-tls-verify: true{more}}}}}]\ncontexts: [{{name: x, context: {{cluster: c}}}}]\ncurrent-context: x\n"
        )
    };
    for more in [
        ", certificate-authority: /ca",
        ", certificate-authority-data: b25l",
    ] {
        let refused = resolve(&cluster(more), &ClusterOptions::default());
        assert!(
            matches!(refused, Err(ConfigError::InsecureWithRoots)),
            "{more}"
        );
        let secure = flags(|flags| flags.certificate_authority = Some(PathBuf::from("/own")));
        assert!(
            resolve(&cluster(more), &secure).is_ok(),
            "a flag says what is meant"
        );
    }
    let both = flags(|flags| {
        flags.certificate_authority = Some(PathBuf::from("/own"));
        flags.insecure_skip_tls_verify = Some(true);
    });
    let refused = resolve(&cluster(""), &both);
    assert!(matches!(refused, Err(ConfigError::InsecureWithRoots)));
    assert!(resolve(&cluster(""), &ClusterOptions::default()).is_ok());
}

#[test]
fn flags_about_trust_replace_the_kubeconfigs() {
    let access = resolve(
        SEVERAL,
        &flags(|flags| flags.insecure_skip_tls_verify = Some(true)),
    );
    assert!(matches!(access.unwrap().trust, ServerTrust::Anything));
    let secure = flags(|flags| {
        flags.context = some("b");
        flags.certificate_authority = Some(PathBuf::from("/ca"));
    });
    let access = resolve(SEVERAL, &secure).unwrap();
    assert!(
        matches!(access.trust, ServerTrust::Roots(Pem::File(path)) if path == std::path::Path::new("/ca"))
    );
}

#[test]
fn files_of_flags_replace_data_of_the_kubeconfig() {
    let files = flags(|flags| {
        flags.context = some("b");
        flags.client_certificate = Some(PathBuf::from("/crt"));
        flags.client_key = Some(PathBuf::from("/key"));
    });
    let identity = resolve(SEVERAL, &files).unwrap().identity.unwrap();
    assert!(
        matches!(identity.certificate, Pem::File(path) if path == std::path::Path::new("/crt"))
    );
    assert!(matches!(identity.key, Pem::File(path) if path == std::path::Path::new("/key")));
}

#[test]
fn a_client_certificate_makes_a_plugin_needless() {
    let user = "{client-certificate: /c, client-key: /k, exec: {apiVersion: v1, command: x}}";
    let access = resolve(
        &kubeconfig("{server: 'https://x'}", user),
        &ClusterOptions::default(),
    );
    assert!(matches!(
        access.unwrap().credential,
        UserCredential::Nothing
    ));
}

/// Half of a unit of UTF-16 is no text.
#[tokio::test]
async fn text_of_windows_is_read_and_half_a_letter_of_it_refused() {
    let folder = Folder::new();
    let yaml = kubeconfig("{server: 'https://there.example'}", "{token: t}");
    let units = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let text = format!("\u{feff}{yaml}");
        text.encode_utf16().flat_map(bytes).collect()
    };
    for mut content in [units(u16::to_le_bytes), units(u16::to_be_bytes)] {
        let path = folder.write("config", &content);
        let api_server = ApiServer::load_in(&options(&path), nothing()).await;
        assert_eq!(api_server.unwrap().url().host(), Some("there.example"));
        content.push(b'x');
        let path = folder.write("config", &content);
        let refused = ApiServer::load_in(&options(&path), nothing()).await;
        assert!(matches!(refused, Err(ConfigError::Unreadable { .. })));
    }
}

/// `--kubeconfig <(…)` of a shell.
#[tokio::test]
async fn a_kubeconfig_may_be_a_pipe_which_is_read_once() {
    let folder = Folder::new();
    let path = folder.write("config", "");
    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let yaml = kubeconfig("{server: 'https://there.example'}", "{token: t}");
    let into = path.clone();
    let writing = std::thread::spawn(move || std::fs::write(into, yaml).unwrap());
    let options = options(&path);
    let loading = ApiServer::load_in(&options, nothing());
    let loaded = tokio::time::timeout(std::time::Duration::from_secs(60), loading).await;
    assert_eq!(loaded.unwrap().unwrap().url().host(), Some("there.example"));
    writing.join().unwrap();
}

#[test]
fn several_credentials_are_refused() {
    for user in [
        "{token: a, username: u, password: p}",
        "{exec: {apiVersion: v1, command: x}, auth-provider: {name: oidc}}",
    ] {
        let yaml = kubeconfig("{server: 'https://x'}", user);
        let failed = resolve(&yaml, &ClusterOptions::default()).err();
        assert!(
            matches!(failed, Some(ConfigError::SeveralCredentials { .. })),
            "{user}"
        );
    }
}

#[test]
fn a_group_without_a_user_is_nobody() {
    let group = flags(|flags| flags.impersonate_groups = vec!["chiefs".to_owned()]);
    let failed = resolve(SEVERAL, &group).err();
    assert!(matches!(
        failed,
        Some(ConfigError::ImpersonationWithoutUser)
    ));
    let extras = flags(|flags| {
        flags.impersonate = some("boss");
        flags.impersonate_extra = vec![
            ("k".to_owned(), "1".to_owned()),
            ("k".to_owned(), "2".to_owned()),
        ];
    });
    let user = "{as: other, as-user-extra: {k: [old], l: [kept]}}";
    let access = resolve(&kubeconfig("{server: 'https://x'}", user), &extras).unwrap();
    let impersonation = access.impersonation.unwrap();
    assert_eq!(impersonation.user, "boss");
    assert_eq!(impersonation.extra["k"], ["1", "2"]);
    assert_eq!(impersonation.extra["l"], ["kept"]);
}

#[test]
fn addresses_of_servers() {
    for (text, uri) in [
        ("https://x", "https://x/"),
        ("https://x:6443/a/b/", "https://x:6443/a/b/"),
        ("https://x/a?query", "https://x/a"),
        ("https://user:pass@x", "https://x/"),
        ("x:8080", "http://x:8080/"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("https://[::1]:6443", "https://[::1]:6443/"),
    ] {
        assert_eq!(resolve::server_uri(text).unwrap(), uri, "{text}");
    }
    for text in ["", "x/path", "ftp://x", "https://", "https://a b", "/path"] {
        let failed = resolve::server_uri(text).unwrap_err();
        assert!(matches!(failed, ConfigError::BadServer { .. }), "{text}");
    }
    let failed = resolve::server_uri("ftp://user:hidden@x").unwrap_err();
    assert!(!format!("{failed} {failed:?}").contains("hidden"));
}
