//! The command line: defaults and wrong settings.

use std::time::Duration;

use super::*;
use crate::serve::config::{
    AuthenticationLookup, KubeletCredential, KubeletTls, NamespacedName, ServingCertificate,
};

fn serve(flags: &[&str]) -> Result<Config, Exit> {
    let words = ["throughway", "serve"]
        .iter()
        .chain(flags)
        .map(OsString::from);
    read(words).map(|command| match command {
        Command::Serve(config) => *config,
        Command::Local(_) => panic!("not what was asked for"),
    })
}

#[test]
fn as_a_plugin_of_kubectl_the_program_is_the_companion() {
    for words in [
        &["/usr/bin/kubectl-throughway", "--open", "svc/grafana"][..],
        &["kubectl-throughway", "local", "--open=svc/grafana"],
        &["throughway", "local", "--open=svc/grafana"],
    ] {
        let read = read(words.iter().map(OsString::from));
        let Ok(Command::Local(config)) = read else {
            panic!("{words:?}: {read:?}")
        };
        assert_eq!(
            config.open.map(|target| target.name).as_deref(),
            Some("grafana")
        );
    }
    let serving = read(["kubectl-throughway", "serve"].map(OsString::from));
    assert!(matches!(serving, Ok(Command::Serve(_))));
}

#[test]
fn the_defaults_are_those_of_an_aggregated_server() {
    let config = serve(&[]).unwrap();
    assert_eq!(config.listen.address.port(), 443);
    assert_eq!(config.listen.limits.max_streams, 1000);
    assert_eq!(config.listen.certificate, ServingCertificate::SelfSigned);
    assert_eq!(
        config.authentication.token_cache_lifetime,
        Duration::from_secs(10)
    );
    assert_eq!(config.authentication.lookup, AuthenticationLookup::Required);
    assert_eq!(
        config.authorization.allowed_lifetime,
        Duration::from_secs(10)
    );
    assert_eq!(
        config.authorization.denied_lifetime,
        Duration::from_secs(10)
    );
    assert_eq!(&*config.group.name, "throughway.dev");
    assert_eq!(
        config.kubelet.tls,
        KubeletTls::Verify {
            certificate_authority: None
        }
    );
    assert_eq!(config.kubelet.credential, KubeletCredential::None);
}

#[test]
fn any_kubelet_is_believed_only_where_it_is_shown_a_credential_of_its_own() {
    for (flag, credential) in [
        (
            "--kubelet-service-account=throughway/throughway-kubelet",
            KubeletCredential::ServiceAccount(NamespacedName {
                namespace: "throughway".into(),
                name: "throughway-kubelet".into(),
            }),
        ),
        (
            "--kubelet-token-file=token",
            KubeletCredential::TokenFile("token".into()),
        ),
    ] {
        let config = serve(&["--kubelet-insecure-tls", flag]).unwrap();
        assert_eq!(config.kubelet.tls, KubeletTls::AnyCertificate);
        assert_eq!(config.kubelet.credential, credential);
    }
}

#[test]
fn secret_and_service_of_the_certificate_may_be_in_two_namespaces() {
    let flags = [
        "--serving-secret=keys/serving",
        "--serving-service=web/proxy",
    ];
    let named = |namespace: &str, name: &str| NamespacedName {
        namespace: namespace.into(),
        name: name.into(),
    };
    let expected = ServingCertificate::Secret {
        secret: named("keys", "serving"),
        service: named("web", "proxy"),
    };
    assert_eq!(serve(&flags).unwrap().listen.certificate, expected);
}

#[test]
fn uid_headers_are_not_trusted_by_default() {
    let config = serve(&["--requestheader-client-ca-file=ca.crt"]).unwrap();
    let names = config.authentication.request_header.unwrap().names;
    assert_eq!(names.username_headers, ["x-remote-user"]);
    assert!(names.uid_headers.is_empty());
}

#[test]
fn a_wrong_setting_is_one_line() {
    for flags in [
        &["--secure-port=70000"][..],
        &["--no-such-flag"],
        &["--tls-cert-file=a"],
        &["--serving-secret=a/b"],
        &["--authentication-token-webhook-cache-ttl=10"],
        &["--deny-networks=10.0.0.0/33"],
        &["--http2-max-streams-per-connection=0"],
        &["--backend-connect-timeout=0"],
        &["--log=a=b=c"],
        &["--requestheader-username-headers=a b"],
        &["--api-group=apps"],
        &[
            "--kubelet-insecure-tls",
            "--kubelet-certificate-authority=a",
        ],
        &["--kubelet-insecure-tls"],
        &["--kubelet-service-account=throughway"],
        &["--kubelet-service-account=a/b", "--kubelet-token-file=c"],
    ] {
        let Err(Exit::Usage(line)) = serve(flags) else {
            panic!("{flags:?} was accepted")
        };
        assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
    }
}

/// Whoever reads the line knows what to write.
#[test]
fn a_wrong_setting_names_what_is_missing_and_what_there_is() {
    for (words, ending) in [
        (&["completion"][..], "not provided: <SHELL>"),
        (
            &["serve", "--serving-service=a/b"],
            "--serving-secret <NAMESPACE/NAME>",
        ),
        (
            &["local", "--via=none"],
            "[possible values: auto, throughway, built-in]",
        ),
        (&[], "a command is missing; throughway --help lists them"),
        (
            &["local", "--log=[[["],
            "--log: no filter such as info or throughway=debug",
        ),
        (
            &["local", "--log=throughway=nonsense"],
            "--log: no filter such as info or throughway=debug",
        ),
    ] {
        let words = ["throughway"].iter().chain(words).map(Into::into);
        let Err(Exit::Usage(line)) = read(words) else {
            panic!("{ending:?} was accepted")
        };
        assert!(line.ends_with(ending) && !line.contains('\n'), "{line:?}");
    }
}

#[test]
fn help_is_no_error() {
    assert!(matches!(serve(&["--help"]), Err(Exit::Help(_))));
}
