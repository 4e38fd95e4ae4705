//! What becomes of responses on their whole way: annotations, headers of ours, raw paths, the page as it leaves.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use throughway::serve::telemetry::AccessLog;
use throughway_testing::client::request;

use crate::{Setting, service};

/// Gives the sample Service an annotation, and waits until a response shows it.
async fn annotated(s: &Setting, name: &str, value: &str, shows: impl AsyncFn(&Setting) -> bool) {
    s.cluster.store.put(
        "services",
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "demo", "name": "web", "annotations": {name: value}},
            "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": "web"}}}),
    );
    s.until(&format!("{name}: {value} is in force"), shows)
        .await;
}

async fn page(s: &Setting) -> String {
    let path = service("web", "/page?href=/login");
    let asked = request("GET", &path, &[("sec-fetch-mode", "navigate")], "");
    s.client("alice").ask(asked).await.text().to_owned()
}

const PLAIN: &str = "<html><body><a href=\"/login\">link</a></body></html>";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_rewritten_unless_its_service_says_otherwise() {
    let s = Setting::new().await;
    let rewritten = page(&s).await;
    assert!(rewritten.contains("href=\"././login\""), "{rewritten}");
    assert!(rewritten.contains("page.js"), "{rewritten}");
    annotated(&s, "throughway.dev/rewrite", "off", async |s| {
        page(s).await == PLAIN
    })
    .await;
    annotated(&s, "throughway.dev/page-helper", "off", async |s| {
        page(s).await == PLAIN.replace("/login", "././login")
    })
    .await;
    // Nothing is rewritten for an app that knows its prefix; the sample backend shows the whole path that it got.
    annotated(&s, "throughway.dev/prefix", "keep", async |s| {
        page(s).await.contains(&service("web", "/page?href=/login"))
    })
    .await;
    annotated(&s, "throughway.dev/host", "app.example:81", async |s| {
        let echoed = s.get("alice", &service("web", "/echo")).await.json();
        echoed["headers"].to_string().contains("app.example:81")
    })
    .await;
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_path_arrives_as_it_was_sent_and_none_of_our_headers_does() {
    let s = Setting::new().await;
    let raw = "/echo/%2F/a;b//c?b=2&a&=%zz";
    let headers = [("throughway-path", raw), ("throughway-redirect", "manual")];
    let asked = request("GET", &service("web", "/other"), &headers, "");
    let echoed = s.client("alice").ask(asked).await.json();
    assert_eq!(echoed["uri"], raw);
    assert!(!echoed["headers"].to_string().contains("throughway-"));
    let wrong = [("throughway-path", "http://evil.example/")];
    let asked = request("GET", &service("web", "/"), &wrong, "");
    assert_eq!(s.client("alice").ask(asked).await.status, 400);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_speaks_for_nobody_but_itself() {
    let s = Setting::new().await;
    let path = service(
        "web",
        "/headers?set-cookie=a%3Db;Path%3D/;Domain%3Dx&throughway-location=/x&clear-site-data=x\
         &access-control-allow-origin=*&content-location=/y&x-kept=1",
    );
    let response = s.get("alice", &path).await;
    let cookie = format!("a=b;Path={}/", service("web", ""));
    assert_eq!(response.header("set-cookie"), Some(&*cookie));
    assert_eq!(response.header("content-location"), Some("./y"));
    let mut names: Vec<&str> = response
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    names.sort_unstable();
    let expected = [
        "audit-id",
        "content-length",
        "content-location",
        "date",
        "set-cookie",
        "x-kept",
    ];
    assert_eq!(names, expected);
    s.end().await;
}

/// What was written to the access log so far.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_says_from_where_and_for_what_path_a_request_came() {
    let lines = Lines::default();
    let access = AccessLog::to(lines.clone()).unwrap();
    let s = Setting::logging_to(access.clone(), |_| {}).await;
    let headers = [
        ("throughway-path", "/inner/path?secret"),
        ("x-forwarded-for", "192.0.2.1, 192.0.2.7"),
    ];
    for (user, status) in [("alice", 200), ("nobody", 401)] {
        let client = s.client(user);
        let asked = request("GET", &service("web", "/outer"), &headers, "");
        assert_eq!(client.ask(asked).await.status, status);
    }
    s.end().await;
    access.finish();
    let written = lines.0.lock().unwrap().clone();
    let written = String::from_utf8(written).unwrap();
    let lines: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{written}");
    for line in lines {
        let peer = line["peer"].as_str().unwrap_or_default();
        assert!(peer.starts_with("127.0.0.1:"), "{line}");
        assert_eq!(line["forwarded_for"], "192.0.2.7", "{line}");
        assert_eq!(line["inner_path"], "/inner/path", "{line}");
    }
}
