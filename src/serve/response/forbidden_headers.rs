//! Headers that would speak for more than the one target: for the whole origin, for other origins, or for this server.
//!
//! | header | why it goes |
//! |---|---|
//! | `Access-Control-*` | it would open the API's origin to others |
//! | `Clear-Site-Data` | it would log out every other app |
//! | `Strict-Transport-Security`, `Public-Key-Pins`, `Alt-Svc` | they decide how the whole origin is reached |
//! | `NEL`, `Report-To` | they would have every request to the origin reported to the app |
//! | `Service-Worker-Allowed` | outside the target; inside it is made relative |
//! | `Throughway-*` | ours alone |

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::serve::forward::speaks_for_the_origin;
use crate::serve::html::links::Links;

const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// A longer scope of a service worker is dropped: it could be one outside the target.
const MAX_SCOPE: usize = 8 * 1024;

/// Takes out what no backend may say.
pub(super) fn remove(headers: &mut HeaderMap, links: &Links) {
    if !headers.keys().any(speaks_for_the_origin) {
        return;
    }
    // Read before it goes with the others: a scope inside the target is the app's to say.
    let own = headers
        .get(SERVICE_WORKER_ALLOWED)
        .and_then(|value| value.to_str().ok())
        .filter(|scope| scope.len() <= MAX_SCOPE)
        // Mapped, it leads into the target; a scope that is anywhere else maps to nothing and is dropped.
        .and_then(|scope| links.map(scope))
        .and_then(|scope| HeaderValue::try_from(scope).ok());
    let refused: Vec<HeaderName> = headers
        .keys()
        .filter(|name| speaks_for_the_origin(name))
        .cloned()
        .collect();
    for name in refused {
        headers.remove(name);
    }
    if let Some(scope) = own {
        headers.insert(SERVICE_WORKER_ALLOWED, scope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::html::links::LinkForm;
    use crate::serve::html::links::tests::links;

    fn left(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = of(lines);
        remove(&mut headers, &links("/a/b", LinkForm::Relative));
        headers
    }

    fn of(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_scope_of_more_than_8_kib_is_dropped() {
        for (length, is_kept) in [(MAX_SCOPE, true), (MAX_SCOPE + 1, false)] {
            let scope = format!("/{}", "a".repeat(length - 1));
            let left = left(&[("service-worker-allowed", scope.leak())]);
            assert_eq!(left.len(), usize::from(is_kept), "{length}");
        }
    }

    #[test]
    fn nothing_speaks_for_the_origin_or_for_this_server() {
        let refused = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET"),
            ("access-control-allow-headers", "x"),
            ("access-control-expose-headers", "x"),
            ("access-control-max-age", "1"),
            ("access-control-allow-private-network", "true"),
            ("clear-site-data", "\"*\""),
            ("strict-transport-security", "max-age=1"),
            ("public-key-pins", "x"),
            ("public-key-pins-report-only", "x"),
            ("alt-svc", "h3=\":443\""),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("throughway-location", "/x"),
            ("throughway-anything", "x"),
        ];
        let kept = [
            ("content-type", "text/plain"),
            ("x-throughway", "x"),
            ("vary", "origin"),
        ];
        assert_eq!(left(&[&refused[..], &kept].concat()), of(&kept));
    }

    #[test]
    fn a_service_worker_may_have_the_whole_target_and_nothing_beyond() {
        for (scope, expected) in [
            ("/", Some("../")),
            ("/app/", Some("../app/")),
            ("http://web.demo.svc/x/", Some("../x/")),
            ("/../../", Some("../")),
            ("https://evil.example/", None),
            ("../../../..", None),
        ] {
            let headers = left(&[("service-worker-allowed", scope)]);
            let found = headers.get("service-worker-allowed");
            assert_eq!(
                found.map(|value| value.to_str().unwrap()),
                expected,
                "{scope}"
            );
        }
    }
}
