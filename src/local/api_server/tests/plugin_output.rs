//! What a plugin may print, and what is said of output that is none.

use super::certificates::Authority;
use super::plugin::{VERSION, header, server, user};
use super::{Folder, Hand, load_at};

/// As client-go decodes it.
#[tokio::test]
async fn of_a_key_that_stands_twice_in_a_response_the_last_counts() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    let status = r#"{"token":"old","token":"last"}"#;
    folder.write(
        "plugin",
        format!(
            "#!/bin/sh\necho '{{\"apiVersion\":\"{VERSION}\",\"kind\":\"ExecCredential\",\"status\":{status}}}'\n"
        ),
    );
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    assert_eq!(header(&api).await.unwrap(), "Bearer last");
}

#[tokio::test]
async fn a_response_may_be_yaml() {
    let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
    let (_server, cluster) = server(&authority).await;
    folder.write(
        "plugin",
        format!(
            "#!/bin/sh\ncat <<E\napiVersion: {VERSION}\nkind: ExecCredential\nstatus:\n  token: of-yaml\nE\n"
        ),
    );
    let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
        .await
        .unwrap();
    assert_eq!(header(&api).await.unwrap(), "Bearer of-yaml");
}

#[tokio::test]
async fn responses_that_are_none_are_told_without_their_text() {
    for (response, expected) in [
        ("secret-text", "it is no ExecCredential in JSON or YAML"),
        (
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"secret-text"}}"#,
            "its apiVersion is not the kubeconfig's",
        ),
        (
            r#"{"kind":"Secret","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"secret-text"}}"#,
            "its kind is not ExecCredential",
        ),
        (
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"}"#,
            "it has no status",
        ),
        (
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}"#,
            "it has neither a token nor a client certificate",
        ),
        (
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"clientKeyData":"secret-text"}}"#,
            "it has a client certificate or a key, but not both",
        ),
        (
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"clientCertificateData":"x","clientKeyData":"secret-text"}}"#,
            "its client certificate or key is no PEM",
        ),
    ] {
        let (folder, authority, hand) = (Folder::new(), Authority::new("root"), Hand::new());
        let (_server, cluster) = server(&authority).await;
        folder.write("answer", response);
        folder.write("plugin", "#!/bin/sh\ncat \"$(dirname \"$0\")/answer\"\n");
        let api = load_at(&folder, &cluster, &user(&folder, ""), &hand)
            .await
            .unwrap();
        let failed = header(&api).await.unwrap_err();
        assert!(failed.to_string().ends_with(expected), "{failed}");
        assert!(!format!("{failed:?} {failed}").contains("secret-text"));
    }
}
