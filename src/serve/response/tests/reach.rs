//! What a browser may make of a response: documents that are kept apart, types, and what caches are told.

use super::*;

const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");
const FETCHES: (&str, &str) = ("sec-fetch-mode", "cors");
const SANDBOX: &str = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";

#[test]
fn every_response_of_an_isolated_target_is_kept_apart() {
    for via in [BEHIND, DIRECT] {
        for reader in [&[NAVIGATES][..], &[FETCHES], &[]] {
            for kind in [
                &[("content-type", "text/html")][..],
                &[("content-type", "application/xhtml+xml")],
                &[("content-type", "image/svg+xml")],
                &[("content-type", "text/xml")],
                &[
                    ("content-type", "image/png"),
                    ("x-content-type-options", "sniff"),
                ],
                &[
                    ("content-type", "text/plain"),
                    ("content-type", "text/html"),
                ],
                &[("content-type", "text/plain, text/html")],
                &[("content-security-policy", "sandbox allow-same-origin")],
                &[],
            ] {
                for status in [200, 204, 206, 304, 401, 404, 500] {
                    let mut asked = Asked::of(via, reader);
                    asked.settings = asked.settings.sandboxed();
                    let kept = asked.answered(backend_response(status, kind, "")).unwrap();
                    let case = format!("{via:?} {reader:?} {kind:?} {status}");
                    let policies = all(&kept, "content-security-policy");
                    assert_eq!(policies.last().unwrap(), SANDBOX, "{case}");
                    assert_eq!(all(&kept, "x-content-type-options"), ["nosniff"], "{case}");
                }
            }
        }
    }
}

#[test]
fn other_targets_decide_for_themselves() {
    let asked = Asked::of(BEHIND, &[NAVIGATES]);
    let svg = backend_response(200, &[("content-type", "image/svg+xml")], "");
    let svg = asked.answered(svg).unwrap();
    assert_eq!(svg.headers().len(), 1);
}

#[tokio::test]
async fn what_a_browser_takes_for_text_stays_text() {
    const PAGE: &str = "<a href=/x>";
    for (kinds, is_page) in [
        (&["text/html"][..], true),
        (&["text/plain", "text/html"], true),
        (&["text/plain, text/html"], true),
        (&["text/html", "text/plain"], false),
        (&["TEXT/HTML, text/plain"], false),
        (&["text/html", "text/html;charset=utf-8"], true),
    ] {
        let kind = |kind: &&'static str| ("content-type", *kind);
        let kinds: Vec<(&str, &str)> = kinds.iter().map(kind).collect();
        let asked = Asked::of(BEHIND, &[FETCHES]);
        let sent = backend_response(200, &kinds, PAGE);
        let given = asked.answered(sent).unwrap();
        // The same lines in the same order, but for the case that kube-aggregator looks at.
        let types = all(&given, "content-type");
        let sent: Vec<&str> = kinds.iter().map(|(_, kind)| *kind).collect();
        assert!(
            types
                .iter()
                .zip(&sent)
                .all(|(now, was)| now.eq_ignore_ascii_case(was))
        );
        assert_eq!(types.len(), sent.len(), "{kinds:?}");
        assert!(!types[0].starts_with("text/html"), "{types:?}");
        let varies = given.headers().contains_key("vary");
        assert_eq!(varies, is_page, "{kinds:?}");
    }
}

#[test]
fn caches_are_told_what_a_response_depends_on() {
    let page = || {
        backend_response(
            200,
            &[("content-type", "text/html"), ("vary", "origin")],
            "",
        )
    };
    let on_reader = "Sec-Fetch-Mode, Accept, Throughway-Redirect";
    let document = Asked::of(BEHIND, &[NAVIGATES]).answered(page()).unwrap();
    assert_eq!(all(&document, "vary"), ["origin", on_reader]);
    let fragment = Asked::of(BEHIND, &[FETCHES]).answered(page()).unwrap();
    let and_referer = format!("{on_reader}, Referer");
    assert_eq!(all(&fragment, "vary"), ["origin", &and_referer]);
    let moved = backend_response(302, &[("location", "/x")], "");
    let moved = Asked::of(BEHIND, &[NAVIGATES]).answered(moved).unwrap();
    assert_eq!(all(&moved, "vary"), [on_reader]);

    for kind in ["text/css", "application/json", "image/png"] {
        let plain = backend_response(
            200,
            &[("content-type", kind), ("cache-control", "max-age=9")],
            "",
        );
        let plain = Asked::of(BEHIND, &[FETCHES]).answered(plain).unwrap();
        assert_eq!(all(&plain, "vary"), [""; 0], "{kind}");
        assert_eq!(all(&plain, "cache-control"), ["max-age=9"], "{kind}");
    }
    let by_header = Asked::of(BEHIND, &[FETCHES, ("throughway-path", "/x")]);
    for kind in ["text/html", "image/png"] {
        let other = backend_response(
            200,
            &[("content-type", kind), ("cache-control", "max-age=9")],
            "",
        );
        let other = by_header.answered(other).unwrap();
        assert_eq!(all(&other, "cache-control"), ["no-store"], "{kind}");
    }
}
