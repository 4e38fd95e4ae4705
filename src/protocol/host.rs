//! The value of `Host` and `:authority`: a name or an address, and perhaps a port. Pure.

use std::net::IpAddr;

/// The name of a host, without its port. An IPv6 address keeps its brackets.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    }
}

/// Whether a host can only be the machine that asks for it, whatever DNS says (RFC 6761 section 6.3).
pub fn is_loopback(host: &str) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address.is_loopback();
    }
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes().all(is_of_name) && (name == "localhost" || name.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_off_and_an_address_is_not_cut() {
        for (host, name) in [
            ("web.demo.svc.localhost:8001", "web.demo.svc.localhost"),
            ("localhost", "localhost"),
            ("localhost:", "localhost"),
            ("[::1]:8001", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
        ] {
            assert_eq!(without_port(host), name, "{host}");
        }
    }

    #[test]
    fn only_what_no_dns_can_resolve_is_loopback() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "a.b.localhost",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:80",
            "::1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.",
            "localhost.example",
            "notlocalhost",
            "128.0.0.1",
            "[::2]",
            "0.0.0.0",
            "evil.example:x.localhost",
            "a@b.localhost",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
