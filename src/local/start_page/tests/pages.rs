//! Pages as documents: their headers, and what becomes of hostile texts.

use axum::body::Body;
use http::{Method, Request, StatusCode};

use super::{World, text};
use crate::local::pages::document::static_page;
use crate::local::pages::problem::problem_page;
use crate::local::problem::{Advice, Problem};
use crate::protocol::status::{Reason, Status};

const HOSTILE: &str = "</style><script>alert(1)</script>\"'{{advice}}&";

#[tokio::test]
async fn a_page_is_held_in_by_its_headers() {
    let world = World::new();
    let start = world.page.respond("localhost:8001", None).await;
    let other = static_page("page".to_owned());
    for (response, policy) in [(start, "script-src 'self'"), (other, "style-src 'sha256-")] {
        let headers = response.headers();
        let value = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(value("content-type"), "text/html; charset=utf-8");
        assert_eq!(value("x-frame-options"), "DENY");
        assert_eq!(value("x-content-type-options"), "nosniff");
        assert_eq!(value("cache-control"), "no-store");
        assert_eq!(value("referrer-policy"), "no-referrer");
        assert_eq!(value("cross-origin-opener-policy"), "same-origin");
        assert_eq!(value("cross-origin-resource-policy"), "same-origin");
        let found = value("content-security-policy");
        assert!(
            found.starts_with("default-src 'none'; ") && found.contains(policy),
            "{found}"
        );
        assert!(!found.contains("unsafe"), "{found}");
        assert_eq!(headers.len(), 8);
    }
}

#[test]
fn everything_in_a_problem_is_text() {
    let status = Status::new(StatusCode::BAD_GATEWAY, Reason::Unknown, HOSTILE);
    let hostile = || HOSTILE.to_owned();
    let problem = Problem::new(status, "No <answer>")
        .advise(Advice::Sentence(hostile()))
        .advise(Advice::Command {
            purpose: hostile(),
            line: hostile(),
        })
        .advise(Advice::Link {
            label: hostile(),
            url: "javascript:alert(1)".to_owned(),
        })
        .advise(Advice::Link {
            label: hostile(),
            url: format!("http://x.localhost/{HOSTILE}"),
        });
    let page = problem_page(&problem);
    assert!(
        !page.contains("<script") && !page.contains("javascript:"),
        "{page}"
    );
    assert_eq!(page.matches("</style>").count(), 1);
    assert_eq!(page.matches("&lt;/style&gt;&lt;script&gt;").count(), 7);
    assert!(page.contains("<h1>No &lt;answer&gt;</h1>"));
    assert!(page.contains("status 502 Bad Gateway"));
    assert!(page.contains("<pre><code>&lt;/style"));
}

#[tokio::test]
async fn names_from_the_cluster_are_text() {
    let world = World::new();
    let ports =
        serde_json::json!([{"port": 80, "name": HOSTILE}, {"port": 81, "protocol": HOSTILE}]);
    world.api.service("demo", HOSTILE, &ports);
    let page = world.text().await;
    assert!(page.contains("&lt;/style&gt;&lt;script&gt;"), "{page}");
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(page.contains("no address"));
}

#[tokio::test]
async fn only_the_pages_own_files_are_found() {
    let world = World::new();
    let asked = |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(path);
        request.body(Body::empty()).unwrap()
    };
    for (path, content_type) in [
        ("/.throughway/style.css", "text/css; charset=utf-8"),
        ("/.throughway/page.js", "text/javascript; charset=utf-8"),
        ("/.throughway/icon.svg", "image/svg+xml"),
    ] {
        let response = world.page.asset(&asked(Method::GET, path)).unwrap();
        assert_eq!(response.headers()["content-type"], content_type);
        assert!(!text(response).await.is_empty());
        assert!(world.page.asset(&asked(Method::POST, path)).is_none());
    }
    for path in [
        "/.throughway/",
        "/.throughway/../style.css",
        "/.throughway/mod.rs",
        "/",
    ] {
        assert!(
            world.page.asset(&asked(Method::GET, path)).is_none(),
            "{path}"
        );
    }
}

#[test]
fn the_script_is_small() {
    let script = include_str!("../view/page.js");
    assert!(script.len() <= 6 * 1024, "{} bytes", script.len());
}
