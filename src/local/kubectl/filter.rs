//! kubectl's rules for requests: which hosts, paths and methods are accepted. Of a target at its own origin, the path
//! is the one that it has in the API.
//!
//! In: the rules, a request's method, its decoded path without the API's prefix, and its `Host`. Out: whether it is
//! accepted. What is refused gets kubectl's 403. Rules search: an expression that is not anchored matches anywhere.
//!
//! kubectl: `FilterServer` in `pkg/proxy/proxy_server.go`.

use std::net::Ipv6Addr;

use http::{Method, StatusCode};
use regex::Regex;

use super::plain;
use crate::local::config::FilterRules;
use crate::protocol::host::without_port;
use crate::protocol::status::Response;

/// Whether a request passes the rules. `path` is decoded and begins after the API's prefix; it is empty for the prefix
/// itself.
pub(in crate::local) fn accepts(
    rules: &FilterRules,
    method: &Method,
    path: &str,
    host: &str,
) -> bool {
    accepts_path(rules, method, path) && accepts_host(rules, host)
}

/// Whether the rules accept a Host, whatever is asked for. An IPv6 address counts with its brackets as well: kubectl's
/// default has `[::1]`, and kubectl never sees its brackets where a port stands behind them.
pub(in crate::local) fn accepts_host(rules: &FilterRules, host: &str) -> bool {
    let name = host_name(host);
    matches(&rules.accept_hosts, name)
        || (name.parse::<Ipv6Addr>().is_ok() && matches(&rules.accept_hosts, without_port(host)))
}

/// Whether the rules accept a method and a path, whatever Host was named. Of a target, the path is the one that it has
/// in the API.
pub(in crate::local) fn accepts_path(rules: &FilterRules, method: &Method, path: &str) -> bool {
    // What is refused wins over what is accepted, as in kubectl's `accept`.
    !matches(&rules.reject_paths, path)
        && !matches(&rules.reject_methods, method.as_str())
        && matches(&rules.accept_paths, path)
}

/// What a refused request gets.
pub(in crate::local) fn forbidden() -> Response {
    plain::text(StatusCode::FORBIDDEN, "Forbidden")
}

fn matches(expressions: &[Regex], text: &str) -> bool {
    expressions
        .iter()
        .any(|expression| expression.is_match(text))
}

/// A `Host` header without its port, as Go's `net.SplitHostPort` divides it: brackets go only together with a port, and
/// what does not divide stays whole.
fn host_name(host: &str) -> &str {
    split_host_and_port(host).unwrap_or(host)
}

fn split_host_and_port(host: &str) -> Option<&str> {
    let (before, port) = host.rsplit_once(':')?;
    let name = match before.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        None if before.contains(':') => return None,
        None => before,
    };
    let is_plain = |part: &str| !part.contains(['[', ']']);
    (is_plain(name) && is_plain(port)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(
        hosts: &str,
        paths: &str,
        rejected_paths: &str,
        rejected_methods: &str,
    ) -> FilterRules {
        let list = |text: &str| {
            let expressions = text.split(',').filter(|expression| !expression.is_empty());
            expressions
                .map(|expression| Regex::new(expression).unwrap())
                .collect()
        };
        FilterRules {
            accept_hosts: list(hosts),
            accept_paths: list(paths),
            reject_paths: list(rejected_paths),
            reject_methods: list(rejected_methods),
        }
    }

    /// The defaults of kubectl proxy.
    fn defaults() -> FilterRules {
        rules(
            r"^localhost$,^127\.0\.0\.1$,^\[::1\]$",
            "^.*",
            "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach",
            "^$",
        )
    }

    #[test]
    fn hosts_are_divided_as_go_divides_them() {
        // The second column was printed by Go's net.SplitHostPort, or is the whole where that failed.
        for (host, name) in [
            ("localhost", "localhost"),
            ("localhost:8001", "localhost"),
            ("localhost:", "localhost"),
            ("localhost:http", "localhost"),
            (":8001", ""),
            ("", ""),
            ("[::1]", "[::1]"),
            ("[::1]:8001", "::1"),
            ("::1", "::1"),
            ("::1:8001", "::1:8001"),
            ("[::1]8001", "[::1]8001"),
            ("[[::1]]:1", "[[::1]]:1"),
            ("a]:1", "a]:1"),
            ("a:[1", "a:[1"),
            ("[a]:[1]", "[a]:[1]"),
        ] {
            assert_eq!(host_name(host), name, "{host}");
        }
    }

    #[test]
    fn the_defaults_accept_loopback_names_only() {
        let rules = defaults();
        for (host, accepted) in [
            ("localhost", true),
            ("localhost:8001", true),
            ("127.0.0.1:8001", true),
            ("[::1]", true),
            // kubernetes#77496: the expression wants the brackets, which go with the port in kubectl.
            ("[::1]:8001", true),
            ("::1", false),
            ("[::2]:8001", false),
            ("[localhost]:8001", true),
            ("[127.0.0.1.example]:1", false),
            ("LOCALHOST", false),
            ("127.0.0.2", false),
            ("localhost.example.com", false),
            ("", false),
        ] {
            let found = accepts(&rules, &Method::GET, "/api", host);
            assert_eq!(found, accepted, "{host}");
        }
    }

    #[test]
    fn the_defaults_refuse_exec_and_attach() {
        let rules = defaults();
        for (path, accepted) in [
            ("", true),
            ("/api/v1/namespaces/default/pods/web", true),
            ("/api/v1/namespaces/default/pods/web/exec", false),
            ("/api/v1/namespaces/default/pods/web/attach", false),
            ("/api/v1/namespaces/default/pods/web/executive", false),
            ("/api/v1/namespaces/default/pods/web/portforward", true),
            ("/apis/v1/pods/web/exec", true),
            // A line break ends what `.` matches.
            ("/api/v1/\n/pods/web/exec", true),
        ] {
            let found = accepts(&rules, &Method::POST, path, "localhost");
            assert_eq!(found, accepted, "{path}");
        }
    }

    #[test]
    fn rejection_goes_before_acceptance_and_rules_search() {
        let rules = rules("^.*$", "^/api,^/apis", "secret", "^(POST|PUT)$,DELETE");
        for (method, path, accepted) in [
            ("GET", "/api/v1", true),
            ("GET", "/version", false),
            ("GET", "/api/v1/secrets", false),
            ("POST", "/api/v1", false),
            ("POSTS", "/api/v1", true),
            ("UNDELETE", "/api/v1", false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(
                accepts(&rules, &method, path, "any"),
                accepted,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn without_expressions_nothing_is_accepted_and_nothing_rejected() {
        assert!(!accepts(
            &rules("", "^.*", "", ""),
            &Method::GET,
            "/",
            "localhost"
        ));
        assert!(!accepts(
            &rules("^.*", "", "", ""),
            &Method::GET,
            "/",
            "localhost"
        ));
        assert!(accepts(
            &rules("^.*", "^.*", "", ""),
            &Method::GET,
            "/api/v1/pods/x/exec",
            "a"
        ));
    }

    #[tokio::test]
    async fn the_refusal_is_that_of_kubectl() {
        let (parts, body) = forbidden().into_parts();
        assert_eq!(parts.status, 403);
        assert_eq!(parts.headers.len(), 2);
        assert_eq!(parts.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(parts.headers["x-content-type-options"], "nosniff");
        assert_eq!(
            axum::body::to_bytes(body, 100).await.unwrap(),
            "Forbidden\n"
        );
    }
}
