//! Why TLS with a backend failed, in the words of the alert that it sent and with what can be done about it.
//!
//! Alerts: RFC 8446 section 6.2. The suites of CBC are not in rustls, so a backend with nothing else can't be reached.

use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible, PeerMisbehaved};

/// What this server offers, for whoever has a backend that takes none of it.
const OFFERED: &str = "offered are TLS 1.3 and TLS 1.2 with AES-GCM or ChaCha20-Poly1305; \
    a backend that has suites of CBC or TLS 1.1 alone can't be reached over https:";

/// What a failed handshake is called.
pub(in crate::serve::forward) fn of_handshake(failed: &io::Error) -> String {
    match cause(failed) {
        Some(Error::AlertReceived(alert)) => of_alert(*alert),
        Some(
            Error::PeerIncompatible(
                PeerIncompatible::NoCipherSuitesInCommon
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )
            | Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite),
        ) => format!("{failed}; {OFFERED}"),
        _ => failed.to_string(),
    }
}

/// What an alert is called.
pub(in crate::serve::forward) fn of_alert(alert: AlertDescription) -> String {
    let name = name(alert);
    match alert {
        AlertDescription::CertificateRequired => {
            format!(
                "the backend says {name:?}: it wants a client certificate, and none is sent to backends"
            )
        }
        AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity
        | AlertDescription::ProtocolVersion => {
            format!("the backend says {name:?}; {OFFERED}, nor one that wants a client certificate")
        }
        _ => format!("the backend says {name:?}"),
    }
}

/// The alert that a backend ended its connection with.
pub(in crate::serve::forward) fn alert(failed: &io::Error) -> Option<AlertDescription> {
    match cause(failed)? {
        Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

fn cause(failed: &io::Error) -> Option<&Error> {
    failed.get_ref()?.downcast_ref()
}

/// `CertificateRequired` as RFC 8446 and Go write it: "certificate required".
fn name(alert: AlertDescription) -> String {
    let mut name = String::new();
    let mut after_lower_case = false;
    for letter in format!("{alert:?}").chars() {
        if after_lower_case && letter.is_ascii_uppercase() {
            name.push(' ');
        }
        after_lower_case = letter.is_ascii_lowercase();
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_names_of_the_rfc_and_say_what_to_do() {
        for (alert, expected) in [
            (
                AlertDescription::CertificateRequired,
                "\"certificate required\": it wants a client certificate",
            ),
            (
                AlertDescription::HandshakeFailure,
                "\"handshake failure\"; offered are TLS 1.3",
            ),
            (
                AlertDescription::ProtocolVersion,
                "suites of CBC or TLS 1.1 alone",
            ),
            (
                AlertDescription::BadCertificate,
                "the backend says \"bad certificate\"",
            ),
            (AlertDescription::UnknownCA, "\"unknown ca\""),
        ] {
            let received = of_handshake(&io::Error::other(Error::AlertReceived(alert)));
            assert!(received.contains(expected), "{received}");
        }
    }
}
