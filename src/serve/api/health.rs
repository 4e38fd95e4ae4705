//! `/livez`, `/readyz` and `/healthz`, with named checks, in the words of k8s.io/apiserver.
//!
//! A failed check is named and its cause withheld: these responses go to everybody. The cause is in the log.
//!
//! Kubernetes: `pkg/server/healthz/healthz.go` of k8s.io/apiserver.

use std::fmt;

use http::StatusCode;

use super::plain_text::plain_text;
use crate::protocol::status::Response;

/// One named check.
pub struct Check {
    name: &'static str,
    /// Whether this server can live without it: then it counts for readiness alone.
    scope: CheckScope,
    passes: Box<dyn Fn() -> bool + Send + Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckScope {
    Always,
    ForReadiness,
}

impl fmt::Debug for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Check")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Check {
    /// A check that a restart might mend.
    pub fn live(name: &'static str, passes: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            name,
            scope: CheckScope::Always,
            passes: Box::new(passes),
        }
    }

    /// A check that only keeps requests away.
    pub fn ready(name: &'static str, passes: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            name,
            scope: CheckScope::ForReadiness,
            passes: Box::new(passes),
        }
    }
}

/// All checks, in the order in which they are listed.
#[derive(Debug)]
pub struct Health(Vec<Check>);

impl Health {
    pub fn new(mut checks: Vec<Check>) -> Self {
        // k8s.io/apiserver has `ping` first in each list.
        checks.insert(0, Check::live("ping", || true));
        Self(checks)
    }

    fn of(&self, endpoint: &str) -> Option<impl Iterator<Item = &Check>> {
        let readiness = match endpoint {
            "readyz" => true,
            "livez" | "healthz" => false,
            _ => return None,
        };
        Some(
            self.0
                .iter()
                .filter(move |check| readiness || check.scope == CheckScope::Always),
        )
    }

    /// The response of a whole endpoint; `None` when there is no such endpoint.
    pub(super) fn respond(&self, endpoint: &str, query: &str) -> Option<Response> {
        let verbose = query
            .split('&')
            .any(|part| part == "verbose" || part.starts_with("verbose="));
        let excluded: Vec<&str> = query
            .split('&')
            .filter_map(|part| part.strip_prefix("exclude="))
            .collect();
        let mut lines = String::new();
        let mut failed = false;
        for check in self.of(endpoint)? {
            // Excluded checks are not run at all, so that one that hangs or fails can be left out.
            let line = if excluded.contains(&check.name) {
                format!("[+]{} excluded: ok\n", check.name)
            } else if (check.passes)() {
                format!("[+]{} ok\n", check.name)
            } else {
                failed = true;
                // Everybody may read this, and a cause could name addresses or objects.
                format!("[-]{} failed: reason withheld\n", check.name)
            };
            lines.push_str(&line);
        }
        Some(if failed {
            plain_text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{lines}{endpoint} check failed\n"),
            )
        // A failure is always told in full; a success only to who asks for it.
        } else if verbose {
            plain_text(StatusCode::OK, format!("{lines}{endpoint} check passed\n"))
        } else {
            plain_text(StatusCode::OK, "ok".to_owned())
        })
    }

    /// The response of one check; `None` when there is no such check.
    pub(super) fn one(&self, endpoint: &str, name: &str) -> Option<Response> {
        let check = self.of(endpoint)?.find(|check| check.name == name)?;
        Some(if (check.passes)() {
            plain_text(StatusCode::OK, "ok".to_owned())
        } else {
            plain_text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal server error: reason withheld\n".to_owned(),
            )
        })
    }
}
