//! Splits the name segment of a proxy path: `[scheme:]name[:port]`.
//!
//! Same language as apimachinery's `SplitSchemeNamePort`: two parts are name and port, so `https:web` means the port
//! "https" of `web`; an empty port is allowed, an empty name is not; schemes are lower case.

use super::scheme::Scheme;

/// A name segment, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SchemeNamePort<'a> {
    pub(super) scheme: Scheme,
    pub(super) name: &'a str,
    /// Empty when none was given.
    pub(super) port: &'a str,
}

impl<'a> SchemeNamePort<'a> {
    pub(super) fn parse(segment: &'a str) -> Option<Self> {
        let parts: Vec<&str> = segment.splitn(4, ':').collect();
        let (scheme, name, port) = match *parts {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme, name, port] => (scheme, name, port),
            _ => return None,
        };
        let scheme = match scheme {
            "" | "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        // What is no name in Kubernetes is asked of nobody: it could end up in the path of a lookup.
        let is_name = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        };
        let port_is_text = port.is_empty() || is_name(port);
        (is_name(name) && port_is_text).then_some(Self { scheme, name, port })
    }

    /// The port as a number, if it is one: `080` is 80, as for the built-in proxy.
    pub(super) fn port_number(&self) -> Option<u16> {
        self.port
            .parse()
            .ok()
            // Rust reads `+80` as a number and Go's `strconv.ParseUint` does not.
            .filter(|number| *number != 0 && !self.port.starts_with('+'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_language_is_that_of_apimachinery() {
        for (segment, scheme, name, port) in [
            ("web", Scheme::Http, "web", ""),
            ("web:80", Scheme::Http, "web", "80"),
            ("web:", Scheme::Http, "web", ""),
            ("https:web", Scheme::Http, "https", "web"),
            ("https:web:8443", Scheme::Https, "web", "8443"),
            ("https:web:", Scheme::Https, "web", ""),
            ("http:web:metrics", Scheme::Http, "web", "metrics"),
            (":web:80", Scheme::Http, "web", "80"),
        ] {
            assert_eq!(
                SchemeNamePort::parse(segment),
                Some(SchemeNamePort { scheme, name, port }),
                "{segment}"
            );
        }
        for segment in [
            "",
            ":",
            ":80",
            "https::80",
            "ftp:web:80",
            "HTTP:web:80",
            "a:b:c:d",
            "we b",
            "we?b",
            "web:8?0",
            "..;a",
        ] {
            assert_eq!(SchemeNamePort::parse(segment), None, "{segment}");
        }
    }

    #[test]
    fn a_port_is_a_number_with_or_without_leading_zeros() {
        let number = |port| {
            SchemeNamePort {
                scheme: Scheme::Http,
                name: "web",
                port,
            }
            .port_number()
        };
        assert_eq!(
            (number("80"), number("080"), number("65535")),
            (Some(80), Some(80), Some(65535))
        );
        assert_eq!(
            (
                number(""),
                number("0"),
                number("65536"),
                number("+80"),
                number("http")
            ),
            (None, None, None, None, None)
        );
    }

    proptest! {
        #[test]
        fn parsing_is_total_and_a_name_is_never_empty(segment in "\\PC{0,20}") {
            if let Some(reference) = SchemeNamePort::parse(&segment) {
                prop_assert!(!reference.name.is_empty() && segment.contains(reference.name));
            }
        }
    }
}
