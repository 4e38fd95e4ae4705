//! Every certificate that may come beside headers that name a user, and who is believed to ask (CVE-2025-64432,
//! kubevirt#1818: a certificate of the right CA, or any certificate at all, could speak for everybody).

use super::*;

/// The headers of somebody who wants to be root, in the front proxy's words.
const CLAIMED: [(&str, &str); 2] = [
    ("X-Remote-User", "root"),
    ("X-Remote-Group", "system:masters"),
];

type Chain = Vec<CertificateDer<'static>>;

/// Who asks: how it was proven and the name, or the code of the refusal.
async fn who(s: &Setting, allowed_names: &[&str], chain: Chain) -> String {
    let known = s.front_proxy.request_header(allowed_names);
    s.trust.request_header.store(Some(known));
    let caller = peer(chain);
    let found = s
        .authentication
        .identify_reader(&caller, request(&CLAIMED))
        .await;
    match found {
        Ok((caller, rest)) => {
            assert!(rest.headers().is_empty(), "{:?}", rest.headers());
            format!("{:?} {}", caller.method, caller.user.name)
        }
        Err(refused) => refused.status().code.as_u16().to_string(),
    }
}

/// Whose certificate it is.
#[derive(Clone, Copy)]
enum Issuer {
    Nobody,
    Foreign,
    Clients,
    FrontProxy,
}

const NAME: &str = "front-proxy-client";
const ANY: &[&str] = &[];
const ONE: &[&str] = &[NAME];

/// The names that are allowed, the certificate, and who asks then.
const CERTIFICATES: [(&[&str], Issuer, &str, Fault, &str); 18] = [
    (ONE, Issuer::Nobody, "", Fault::None, "401"),
    (ANY, Issuer::Nobody, "", Fault::None, "401"),
    (ONE, Issuer::Foreign, NAME, Fault::None, "401"),
    (ANY, Issuer::Foreign, NAME, Fault::None, "401"),
    (ONE, Issuer::Clients, NAME, Fault::None, CLIENT),
    (ANY, Issuer::Clients, NAME, Fault::None, CLIENT),
    (ONE, Issuer::Clients, NAME, Fault::Expired, "401"),
    (ONE, Issuer::FrontProxy, "kubelet", Fault::None, "401"),
    (ONE, Issuer::FrontProxy, LONGER, Fault::None, "401"),
    (ONE, Issuer::FrontProxy, "", Fault::None, "401"),
    (ONE, Issuer::FrontProxy, NAME, Fault::Expired, "401"),
    (ONE, Issuer::FrontProxy, NAME, Fault::ForServers, "401"),
    (ANY, Issuer::FrontProxy, NAME, Fault::Expired, "401"),
    (ONE, Issuer::FrontProxy, NAME, Fault::None, SPEAKS),
    (ANY, Issuer::FrontProxy, "kubelet", Fault::None, SPEAKS),
    (ONE, Issuer::Foreign, NAME, Fault::OfVersionOne, "401"),
    (ONE, Issuer::Clients, NAME, Fault::OfVersionOne, CLIENT),
    (ONE, Issuer::FrontProxy, NAME, Fault::OfVersionOne, SPEAKS),
];
const LONGER: &str = "front-proxy-client2";
const CLIENT: &str = "ClientCertificate front-proxy-client";
const SPEAKS: &str = "FrontProxy root";

#[tokio::test]
async fn of_all_certificates_two_kinds_speak_for_others() {
    let (s, foreign) = (setting(), authority());
    let mut speak = 0;
    for (row, (allowed_names, issuer, name, fault, expected)) in CERTIFICATES.iter().enumerate() {
        let chain = match issuer {
            Issuer::Nobody => Vec::new(),
            Issuer::Foreign => foreign.client(name, "", *fault),
            Issuer::Clients => s.cluster.client(name, "", *fault),
            Issuer::FrontProxy => s.front_proxy.client(name, "", *fault),
        };
        let found = who(&s, allowed_names, chain).await;
        assert_eq!(found, *expected, "row {row}");
        speak += usize::from(found == SPEAKS);
    }
    assert_eq!(speak, 3);
}

#[tokio::test]
async fn headers_beside_a_token_change_nothing_however_they_are_spelled() {
    let mut s = setting();
    let stranger = peer(Vec::new());
    let asked = request(&[
        ("Authorization", "Bearer good"),
        ("X-Remote-User", "root"),
        ("x-remote-user", "root"),
        ("X_REMOTE_USER", "root"),
        ("X-Remote-Group", "system:masters"),
        ("X-Remote-Uid", "0"),
        ("X-Remote-Extra-Scopes", "all"),
    ]);
    let asking = s.authentication.identify_reader(&stranger, asked);
    let (found, ()) = tokio::join!(asking, review(&mut s.reviews, Some("carol")));
    let (caller, rest) = found.unwrap();
    assert_eq!(caller.user.name, "carol");
    assert_eq!(caller.user.groups, ["from-token", AUTHENTICATED]);
    assert_eq!((&caller.user.uid, caller.user.extra.len()), (&None, 0));
    assert!(rest.headers().is_empty());
}
