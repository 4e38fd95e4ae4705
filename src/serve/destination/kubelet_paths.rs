//! What a kubelet may be asked for.
//!
//! A kubelet's port runs commands in pods (`/exec`, `/run`, `/attach`, `/portForward`, `/cri`), and it maps GET to the
//! verb get, WebSockets included, so that a right to look would be a right to act. Therefore a list of what is allowed,
//! not of what is refused, and only for paths that are spelled plainly: a path that one reader cleans or decodes and
//! another does not is refused whatever it means, so what was judged is what is sent.

/// The first segments that may be asked for: what the narrow rights of the manifests cover.
pub(super) const ALLOWED: [&str; 6] = [
    "/configz",
    "/healthz",
    "/metrics",
    "/pods",
    "/runningpods",
    "/stats",
];

/// Whether a raw path inside a kubelet may be asked for.
pub(super) fn is_allowed(path: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    let has_dots = path
        .split('/')
        .any(|segment| segment == "." || segment == "..");
    let rest_is_allowed = |rest: &str| rest.is_empty() || rest.starts_with('/');
    // No escape is let through at all: what one reader decodes and another does not could be two paths.
    path.bytes().all(plain)
        && !path.contains("//")
        && !has_dots
        && ALLOWED
            .iter()
            // At a border only: `/podsX` is not `/pods`.
            .any(|allowed| path.strip_prefix(allowed).is_some_and(rest_is_allowed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_monitoring_reads_is_allowed() {
        for path in [
            "/metrics",
            "/metrics/cadvisor",
            "/metrics/resource",
            "/stats/summary",
            "/healthz",
            "/healthz/ping",
            "/pods",
            "/pods/",
            "/runningpods/",
            "/configz",
        ] {
            assert!(is_allowed(path), "{path}");
        }
    }

    #[test]
    fn what_acts_on_pods_is_refused_however_it_is_spelled() {
        for action in [
            "exec",
            "attach",
            "run",
            "portForward",
            "portforward",
            "EXEC",
            "cri",
            "checkpoint",
            "containerLogs",
            "logs",
            "debug",
        ] {
            for path in [
                format!("/{action}/demo/web/c"),
                format!("//{action}/demo"),
                format!("/pods/../{action}/demo"),
                format!("/pods/%2e%2e/{action}/demo"),
                format!("/metrics/..;/{action}"),
                format!("/%2f{action}"),
                format!("/metrics%2f..%2f{action}"),
                format!("/metrics%252f..%252f{action}"),
                format!("/./{action}"),
                format!("/pods\\..\\{action}"),
                format!("/%65xec/{action}"),
                format!("/metrics/%00/{action}"),
                action.to_owned(),
            ] {
                assert!(!is_allowed(&path), "{path}");
            }
        }
        for path in ["", "/", "/podsx", "/metricsexec", "/pods/%20", "/pods;x"] {
            assert!(!is_allowed(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_allowed_has_one_reading(path in "(/|%2f|%2e|\\.|exec|run|pods|metrics|;|\\\\){0,8}") {
            if is_allowed(&path) {
                prop_assert!(!path.contains('%') && !path.contains("..") && path.starts_with('/'));
                let first = path.split('/').nth(1).unwrap_or_default();
                let first = format!("/{first}");
                prop_assert!(ALLOWED.contains(&first.as_str()));
            }
        }
    }
}
