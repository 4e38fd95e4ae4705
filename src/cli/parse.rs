//! Durations, names and pairs as flags spell them. Pure; every refusal is one sentence.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::serve::config::{ExternalOrigin, NamespacedName};

/// Reads a duration as Go writes it: `10s`, `1m30s`, `500ms`, `0`.
///
/// <https://pkg.go.dev/time#ParseDuration>, without signs and without units below a millisecond.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    // The one number that needs no unit, as in Go.
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let refused = || format!("{text:?} is no duration such as 10s, 1m30s or 500ms");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at(letters);
        // Empty digits are no number, so a unit alone is refused as well.
        let number: u64 = number.parse().map_err(|_| refused())?;
        let milliseconds = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            _ => None,
        };
        let part = Duration::from_millis(milliseconds.ok_or_else(refused)?);
        total = total.checked_add(part).ok_or_else(refused)?;
        rest = tail;
    }
    if text.is_empty() {
        Err(refused())
    } else {
        Ok(total)
    }
}

/// Reads `--request-timeout` of kubectl: a duration, or whole seconds without a unit.
pub(super) fn duration_or_seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => duration(text),
    }
}

/// Session cookies of what stands in front of clusters: oauth2-proxy; Argo CD, Rancher, Headlamp, Kubernetes Dashboard,
/// Skooner, OpenShift's console; Pomerium, Authelia, authentik, Vouch, Apache's OpenID Connect; access proxies of three
/// clouds. Names that an app may well have for itself are not among them.
pub(super) const FRONT_END_COOKIES: &str = "_oauth2_proxy*,__Host-oauth2*,__Secure-oauth2*,\
    argocd.token,R_SESS,R_REFRESH,headlamp-auth-*,jweToken,skooner-token,\
    openshift-session-token,_pomerium*,authelia_session,authentik_*,VouchCookie*,\
    mod_auth_openidc_session*,CF_Authorization,AWSELBAuthSessionCookie*,__Host-GCP_IAP*";

/// Reads an origin as browsers write it (scheme, host, and the port where it is not the scheme's own), and the path
/// that the API has there. The path goes into `Path` of cookies, so nothing in it may mean something else.
pub(super) fn origin(text: &str) -> Result<ExternalOrigin, String> {
    let refused = || {
        format!(
            "{text:?} is no origin such as https://rancher.example.com or https://rancher.example.com/k8s/clusters/c-1"
        )
    };
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
        _ => return Err(refused()),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = path.trim_end_matches('/');
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let is_host = host.bytes().all(is_of_host) && host.parse::<http::uri::Authority>().is_ok();
    if !is_host || !path.split('/').skip(1).all(is_plain_segment) {
        return Err(refused());
    }
    // Hosts are compared letter by letter later, and browsers send them in small letters.
    Ok(ExternalOrigin {
        scheme,
        host: host.to_ascii_lowercase(),
        path: path.to_owned(),
    })
}

fn is_plain_segment(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte);
    // No percent sign and no semicolon: both would mean something else in a cookie's `Path`.
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain)
}

/// Reads `NAMESPACE/NAME`.
pub(super) fn namespaced_name(text: &str) -> Result<NamespacedName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if label(namespace) && subdomain(name) => Ok(NamespacedName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }),
        _ => Err(format!("{text:?} is not of the form NAMESPACE/NAME")),
    }
}

/// One port, or the first and the last of several: `9100`, `9100-9110`.
pub(super) fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err("a port such as 9100, or a range such as 9100-9110".to_owned()),
    }
}

/// Reads the name of an API group: a DNS subdomain with at least one dot, so that it can't hide a group of Kubernetes.
pub(super) fn api_group(text: &str) -> Result<String, String> {
    if text.contains('.') && subdomain(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is no API group name such as throughway.dev"
        ))
    }
}

/// A DNS subdomain as RFC 1123 has it: labels joined by dots.
fn subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(label)
}

/// A DNS label as RFC 1123 has it, the form of most names in Kubernetes.
fn label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, milliseconds) in [
            ("0", 0),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("2h0m5s", 7_205_000),
        ] {
            assert_eq!(
                duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_duration_without_a_known_unit_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "1d",
            "10 s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn ports_are_one_or_a_range() {
        assert_eq!(ports("9100"), Ok(9100..=9100));
        assert_eq!(ports("9100-9110"), Ok(9100..=9110));
        for wrong in ["", "0", "9110-9100", "1-70000", "a", "1-2-3", "-1", "+"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_may_have_the_path_that_the_api_has_there() {
        for (text, scheme, host, path) in [
            (
                "https://Rancher.example.com",
                "https",
                "rancher.example.com",
                "",
            ),
            ("HTTP://localhost:8001/", "http", "localhost:8001", ""),
            ("http://[::1]:8001/custom", "http", "[::1]:8001", "/custom"),
            (
                "https://rancher.example.com/k8s/clusters/c-m-1:x/",
                "https",
                "rancher.example.com",
                "/k8s/clusters/c-m-1:x",
            ),
        ] {
            let expected = ExternalOrigin {
                scheme,
                host: host.into(),
                path: path.into(),
            };
            assert_eq!(origin(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "rancher.example.com",
            "ftp://a",
            "https://",
            "https:///a",
            "https://a@b",
            "https://a b",
            "https://a/b;c",
            "https://a/b c",
            "https://a/%70",
            "https://a/../b",
            "https://a//b",
            "https://a?b",
            "https://a/b?c",
            "https://a/b#c",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_api_group_needs_a_dot_and_labels() {
        assert!(api_group("throughway.dev").is_ok());
        for text in ["", "apps", ".dev", "a..b", "A.dev", "a/b.dev", "-a.dev"] {
            assert!(api_group(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_namespaced_name_has_two_parts() {
        for (text, name) in [("a/b", "b"), ("a/b.c", "b.c")] {
            let expected = NamespacedName {
                namespace: "a".into(),
                name: name.into(),
            };
            assert_eq!(namespaced_name(text), Ok(expected));
        }
        for text in ["a", "/b", "a/", "a/b/c", "a.b/c", "a/b..c"] {
            assert!(namespaced_name(text).is_err(), "{text:?}");
        }
    }
}
