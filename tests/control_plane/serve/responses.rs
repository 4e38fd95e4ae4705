//! What kube-aggregator lets pass of a response: redirects, pages, what is said of a wrong annotation.

use serde_json::json;
use throughway_testing::client::{ClientResponse, request};
use throughway_testing::control_plane::{Cluster, DEMO, alone_on_cluster, on_cluster};

fn solo(path: &str) -> String {
    format!("/apis/throughway.dev/v1/namespaces/{DEMO}/services/solo:80/proxy{path}")
}

const NAVIGATES: [(&str, &str); 3] = [
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
    ("accept", "text/html"),
];

async fn navigate(cluster: &Cluster, method: &str, path: &str) -> ClientResponse {
    let asked = request(method, path, &NAVIGATES, "");
    cluster.admin().ask(asked).await
}

#[test]
fn a_redirected_navigation_is_led_on_by_a_page() {
    on_cluster(async |cluster: &Cluster| {
        for code in [301, 302, 303, 307, 308] {
            for method in ["GET", "POST"] {
                let path = solo(&format!("/status/{code}?location=/login"));
                let response = navigate(cluster, method, &path).await;
                assert_eq!(response.status, code, "{method}");
                assert_eq!(response.header("refresh"), Some("0; url=../login"));
                assert_eq!(response.header("location"), None);
                assert_eq!(
                    response.header("content-type"),
                    Some("Text/html; charset=utf-8")
                );
                assert!(
                    response.text().contains("href=\"../login\""),
                    "{}",
                    response.text()
                );
            }
        }
    });
}

#[test]
fn a_tool_gets_what_a_redirect_leads_to() {
    on_cluster(async |cluster: &Cluster| {
        for code in [301, 302, 303, 307, 308] {
            let path = solo(&format!("/status/{code}?location=/echo/x"));
            let said = cluster.kubectl(&["get", "--raw", &path]);
            let said: serde_json::Value = serde_json::from_str(&said).unwrap();
            assert_eq!(said["uri"], "/echo/x");
            let response = cluster
                .admin()
                .ask(request("POST", &path, &[], "body"))
                .await;
            assert_eq!(
                response.header("throughway-location"),
                Some(&*solo("/echo/x"))
            );
            let said = response.json();
            let kept = matches!(code, 307 | 308);
            let expected = if kept { ("POST", 4) } else { ("GET", 0) };
            assert_eq!(
                (said["method"].as_str(), said["length"].as_u64()),
                (Some(expected.0), Some(expected.1))
            );
        }
    });
}

#[test]
fn no_redirect_of_any_kind_becomes_a_502() {
    on_cluster(async |cluster: &Cluster| {
        // A loop, elsewhere, other schemes, what is no redirect, and a location that says nothing.
        for location in [
            "/status/302?location=/x",
            "http://10.77.0.1:6443/api",
            "//evil.example",
            "ftp://x",
            "",
        ] {
            for code in [300, 301, 302, 303, 304, 305, 307, 308, 399] {
                let path = solo(&format!("/status/{code}?location={location}"));
                for response in [
                    cluster.admin().get(&path).await,
                    navigate(cluster, "GET", &path).await,
                ] {
                    assert_ne!(
                        response.status,
                        502,
                        "{code} {location}: {}",
                        response.text()
                    );
                    assert_eq!(response.header("location"), None);
                }
            }
        }
        let response = cluster.admin().get(&solo("/loop")).await;
        assert_eq!(response.status, 302);
        assert_eq!(
            response.header("throughway-location"),
            Some(&*solo("/loop"))
        );
    });
}

#[test]
fn the_missing_slash_leads_a_browser_on_and_gives_tools_the_page() {
    on_cluster(async |cluster: &Cluster| {
        let response = navigate(cluster, "GET", &solo("?a=b")).await;
        assert_eq!(response.status, 301);
        assert_eq!(response.header("refresh"), Some("0; url=proxy/?a=b"));
        assert_eq!(
            cluster.kubectl(&["get", "--raw", &solo("")]),
            "hello from solo-0"
        );
    });
}

#[test]
fn a_wrong_annotation_is_said_in_an_event_on_the_service() {
    on_cluster(async |cluster: &Cluster| {
        let object = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "wrong", "namespace": DEMO, "annotations": {"throughway.dev/prefix": "both"}},
            "spec": {"selector": {"app": "solo"}, "ports": [{"port": 80, "targetPort": 8080}]}});
        cluster.apply(&object);
        let selector = "--field-selector=involvedObject.name=wrong,reason=AnnotationNotUnderstood";
        let events =
            |output: &str| cluster.kubectl(&["get", "events", selector, "-n", DEMO, "-o", output]);
        let started = std::time::Instant::now();
        let said = loop {
            match events("jsonpath={.items[*].message}") {
                said if !said.is_empty() => break said,
                _ => assert!(started.elapsed().as_secs() < 30, "no event came"),
            }
        };
        let expected =
            "annotation throughway.dev/prefix: \"both\" is not understood (strip or keep)";
        assert!(said.starts_with(expected), "{said}");
        assert_eq!(
            events("name").lines().count(),
            1,
            "both replicas write the same one"
        );
    });
}

#[test]
fn an_app_that_knows_its_prefix_gets_the_whole_path() {
    on_cluster(async |cluster: &Cluster| {
        let object = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "keeps", "namespace": DEMO,
                "annotations": {"throughway.dev/prefix": "keep", "throughway.dev/host": "app.example:81"}},
            "spec": {"selector": {"app": "solo"}, "ports": [{"port": 80, "targetPort": 8080}]}});
        cluster.apply(&object);
        cluster.kubectl(&[
            "wait",
            "--for=jsonpath={.endpoints[0].conditions.ready}=true",
            "endpointslice",
            "-l",
            "kubernetes.io/service-name=keeps",
            "-n",
            DEMO,
            "--timeout=30s",
        ]);
        let path = solo("/a?b=").replace("solo:80", "keeps");
        let said = cluster.admin().get(&path).await.json();
        assert_eq!(said["uri"], path.as_str());
        let headers = said["headers"].to_string();
        assert!(
            headers.contains(r#"["host","app.example:81"]"#),
            "{headers}"
        );
    });
}

#[test]
fn a_page_passes_kube_aggregator_with_relative_links_and_the_helper_first() {
    on_cluster(async |cluster: &Cluster| {
        let path = solo("/page?href=/rewriteme");
        let response = navigate(cluster, "GET", &path).await;
        assert_eq!(response.header("content-type"), Some("Text/html"));
        let page = response.text();
        let helper = page.find("<script src=\"././.throughway/page.js\"");
        let link = page.find("<a href=\"././rewriteme\"");
        assert!(helper.is_some() && helper < link, "{page}");
        let tool = cluster.kubectl(&["get", "--raw", &path]);
        assert!(
            !tool.contains("<script") && tool.contains("href=\"././rewriteme\""),
            "{tool}"
        );
        let script = cluster.admin().get(&solo("/.throughway/page.js")).await;
        assert_eq!(
            script.header("content-type"),
            Some("text/javascript; charset=utf-8")
        );
    });
}

#[test]
fn links_are_absolute_paths_below_the_prefix_where_the_flag_says_so() {
    alone_on_cluster(async |cluster: &Cluster| {
        let add = r#"[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--links=absolute"}]"#;
        let deployment = ["deployment/throughway", "-n", "throughway"];
        cluster.kubectl(&[&["patch"][..], &deployment, &["--type=json", "-p", add]].concat());
        cluster.wait_until_available();
        let expected = format!("<a href=\"{}\">", solo("/rewriteme"));
        let started = std::time::Instant::now();
        loop {
            let page = cluster.kubectl(&["get", "--raw", &solo("/page?href=/rewriteme")]);
            if page.contains(&expected) {
                break;
            }
            // A pod of before may answer until it is gone.
            assert!(started.elapsed().as_secs() < 30, "{page}");
        }
        cluster.kubectl(&[&["rollout", "undo"][..], &deployment].concat());
        cluster.wait_until_available();
    });
}

/// kube-apiserver sets `Audit-Id` and `Cache-Control` itself and passes what comes from here on as further lines.
#[test]
fn every_header_comes_once_and_none_is_added_to_those_of_the_backend() {
    on_cluster(async |cluster: &Cluster| {
        let document = "/apis/throughway.dev/v1".to_owned();
        let not_there = solo("/").replace("solo", "not-there");
        let mut found = Vec::new();
        for path in [solo("/headers?x-kept=1"), not_there, document] {
            let response = cluster.admin().get(&path).await;
            let lines = response.headers.iter();
            let mut lines: Vec<String> = lines
                .map(|(name, value)| match name.as_str() {
                    "cache-control" => format!("{name}: {}", value.to_str().unwrap()),
                    other => other.to_owned(),
                })
                .collect();
            lines.sort_unstable();
            found.push((response.status.as_u16(), lines.join(", ")));
        }
        let own = "audit-id, cache-control: no-cache, private, content-length, content-type, date";
        // What has no long answer passes API Priority and Fairness, which says so.
        let fair = "x-kubernetes-pf-flowschema-uid, x-kubernetes-pf-prioritylevel-uid";
        let expected = [
            (200, format!("{own}, x-kept")),
            (404, format!("{own}, x-content-type-options")),
            (200, format!("{own}, etag, vary, {fair}")),
        ];
        assert_eq!(found, expected);
    });
}

/// hyper#3960. Longer ones can't be had; docs/differences.md and docs/local.md have what is seen.
#[test]
fn a_url_has_a_longest_length_and_what_is_longer_is_refused_as_documented() {
    on_cluster(async |cluster: &Cluster| {
        let of_length = |length: usize| solo(&format!("/echo?{}", "x".repeat(length)));
        let said = cluster.kubectl(&["get", "--raw", &of_length(60_000)]);
        assert!(said.contains("\"uri\""), "{said:.200}");
        for length in [65_534, 70_000] {
            let refused = cluster.kubectl_refused(&["get", "--raw", &of_length(length)]);
            let expected = "Error from server (ServiceUnavailable)";
            assert!(refused.starts_with(expected), "{length}: {refused}");
        }
        cluster.assert_alive();
    });
}
