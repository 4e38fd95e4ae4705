//! What the page shows of clusters that may be seen whole, in part, or not at all.

use serde_json::json;
use throughway_testing::fake_api::rules_status;
use tokio::time::Instant;

use super::{World, text};
use crate::local::targets::mode::ProxyMode;

const NO_NOTICE: &str = r#"<div id="notices" role="status"></div>"#;

/// The links of a page.
fn links(page: &str) -> Vec<String> {
    let parts = page.split("href=\"http://").skip(1);
    let hosts = parts.map(|part| part.split('"').next().unwrap().to_owned());
    hosts.collect()
}

#[tokio::test]
async fn a_cluster_is_shown_whole_at_the_first_look() {
    let world = World::new();
    let ports = json!([{"name": "web", "port": 3000}]);
    world.api.service("monitoring", "grafana", &ports);
    let ports =
        json!([{"name": "https", "port": 5556}, {"port": 53, "protocol": "UDP", "name": "dns"}]);
    world.api.service("demo", "dex", &ports);
    world.api.endpoints("monitoring", "grafana", &[true, false]);
    let page = world.text().await;
    assert_eq!(
        links(&page),
        [
            "https-5556.dex.demo.svc.localhost:8001/",
            "grafana.monitoring.svc.localhost:8001/"
        ]
    );
    for said in [
        "2 services in 2 namespaces",
        "1 of 2 ready",
        "no endpoints",
        "<small>UDP</small>",
        "kind-demo",
    ] {
        assert!(page.contains(said), "{said} in {page}");
    }
    assert!(page.contains(NO_NOTICE), "{page}");
    let asked = world.api.asked();
    let reviews: Vec<&String> = asked
        .iter()
        .filter(|line| line.starts_with("REVIEW"))
        .collect();
    assert_eq!(reviews, ["REVIEW / throughway.dev"]);
}

#[tokio::test]
async fn links_keep_the_port_of_this_server() {
    let world = World::new();
    world.api.service("demo", "web", &json!([{"port": 80}]));
    for (host, port) in [
        ("localhost:18001", ":18001"),
        ("127.0.0.1:1", ":1"),
        ("localhost", ""),
        ("[::1]", ""),
    ] {
        let page = text(world.page.respond(host, None).await).await;
        assert_eq!(
            links(&page),
            [format!("web.demo.svc.localhost{port}/")],
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_page_that_is_opened_from_another_machine_says_where_its_links_lead() {
    let world = World::new();
    for (host, is_elsewhere) in [
        ("localhost:8001", false),
        ("LocalHost", false),
        ("127.0.0.1:8001", false),
        ("[::1]:8001", false),
        ("laptop.example:8001", true),
        ("192.0.2.1", true),
    ] {
        let page = text(world.page.respond(host, None).await).await;
        assert_eq!(
            page.contains("Opened from elsewhere"),
            is_elsewhere,
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_search_works_without_scripts() {
    let world = World::new();
    for (namespace, name) in [
        ("red", "web"),
        ("red", "db"),
        ("blue", "web"),
        ("blue", "Ünï"),
    ] {
        world
            .api
            .service(namespace, name, &json!([{"port": 80, "name": "http"}]));
    }
    for (query, found, said) in [
        ("search=web", vec!["web.blue", "web.red"], "2 of 4 services"),
        ("x=1&search=BLUE+WEB", vec!["web.blue"], "1 of 4 services"),
        ("search=80%20db", vec!["db.red"], "1 of 4 services"),
        (
            "search=",
            vec!["web.blue", "db.red", "web.red"],
            "4 services in 2",
        ),
        ("search=nothing", vec![], "Nothing here has that name"),
        (
            "search=%22%3E%3Cscript%3E",
            vec![],
            "value=\"&quot;&gt;&lt;script&gt;\"",
        ),
    ] {
        let page = text(world.page.respond("localhost:8001", Some(query)).await).await;
        let found: Vec<String> = found
            .iter()
            .map(|name| format!("{name}.svc.localhost:8001/"))
            .collect();
        assert_eq!(links(&page), found, "{query}");
        assert!(page.contains(said), "{said} in {page}");
    }
}

#[tokio::test]
async fn who_may_not_list_the_cluster_sees_the_namespaces_where_that_is_allowed() {
    let world = World::new();
    for namespace in ["demo", "open", "closed"] {
        world
            .api
            .put("namespaces", json!({"metadata": {"name": namespace}}));
        world.api.service(namespace, "web", &json!([{"port": 80}]));
        world.api.endpoints(namespace, "web", &[true]);
    }
    world.api.responses("/api/v1/services", 403);
    world
        .api
        .responses("/apis/discovery.k8s.io/v1/endpointslices", 403);
    world.api.responses("/api/v1/namespaces/closed/", 403);
    let page = world.text().await;
    assert_eq!(
        links(&page),
        [
            "web.demo.svc.localhost:8001/",
            "web.open.svc.localhost:8001/"
        ]
    );
    assert!(page.contains("Not all namespaces are shown"), "{page}");
    assert_eq!(page.matches("1 ready").count(), 2);
}

#[tokio::test]
async fn who_may_not_even_list_namespaces_sees_the_default_one() {
    let world = World::new();
    world.api.service("demo", "web", &json!([{"port": 80}]));
    world.api.service("other", "web", &json!([{"port": 80}]));
    world.api.responses("/api/v1/services", 403);
    world.api.responses("/api/v1/namespaces", 403);
    world.api.responses("/api/v1/namespaces/demo/services", 200);
    world.api.responses("/api/v1/namespaces/demo/services", 0);
    let page = world.text().await;
    assert!(page.contains("No right to list Services"), "{page}");
    assert_eq!(links(&page), Vec::<String>::new());
}

#[tokio::test]
async fn endpoints_that_may_not_be_read_are_absent_and_nothing_else() {
    let world = World::new();
    world.api.service("demo", "web", &json!([{"port": 80}]));
    world.api.responses("/apis/discovery.k8s.io", 403);
    let page = world.text().await;
    assert_eq!(links(&page), ["web.demo.svc.localhost:8001/"]);
    assert!(!page.contains("class=\"endpoints"), "{page}");
    assert!(page.contains(NO_NOTICE), "{page}");
}

#[tokio::test]
async fn what_may_not_be_reached_is_no_link() {
    let world = World::new();
    let ports = json!([{"port": 80, "name": "http"}, {"port": 8443, "name": "admin"}]);
    world.api.service("demo", "web", &ports);
    world.api.service("closed", "web", &json!([{"port": 80}]));
    world.api.rules("demo", rules_status(&["web:http"]));
    let page = world.text().await;
    assert_eq!(links(&page), ["http.web.demo.svc.localhost:8001/"]);
    assert_eq!(page.matches("no right</small>").count(), 2);
    assert_eq!(page.matches("You have no right to reach these").count(), 1);
}

#[tokio::test]
async fn where_rules_are_incomplete_names_are_asked_for() {
    let world = World::new();
    world
        .api
        .service("demo", "web", &json!([{"port": 80, "name": "http"}]));
    let mut incomplete = rules_status(&[]);
    incomplete["incomplete"] = true.into();
    world.api.rules("demo", incomplete);
    world.api.allow("demo/web:80");
    let page = world.text().await;
    assert_eq!(links(&page), ["80.web.demo.svc.localhost:8001/"]);
}

#[tokio::test]
async fn the_built_in_proxy_has_rights_of_its_own_and_limits_that_are_said() {
    let world = World::with_mode(ProxyMode::BuiltIn {
        limits: vec!["Paths with %2F arrive decoded <b>"],
    });
    world
        .api
        .service("demo", "web", &json!([{"port": 80, "name": "http"}]));
    let page = world.text().await;
    assert_eq!(links(&page), ["80.web.demo.svc.localhost:8001/"]);
    assert!(
        page.contains("<li>Paths with %2F arrive decoded &lt;b&gt;</li>"),
        "{page}"
    );
    assert!(world.api.asked().contains(&"REVIEW / ".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_respond_costs_a_page_a_few_seconds() {
    let world = World::new();
    world.api.falls_silent();
    for _ in 0..2 {
        let start = Instant::now();
        let page = world.text().await;
        assert!(start.elapsed().as_secs() <= 3);
        assert!(page.contains("The cluster is being asked"), "{page}");
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    }
}

#[tokio::test]
async fn refused_credentials_are_said_and_tried_again_when_somebody_looks() {
    let world = World::new();
    world.api.service("demo", "web", &json!([{"port": 80}]));
    world.api.responses("/", 401);
    let page = world.text().await;
    assert!(page.contains("Not logged in"), "{page}");
    assert!(!page.contains("0 services"), "{page}");
    assert!(
        page.contains("<code>kubectl auth whoami --context kind-demo</code>"),
        "{page}"
    );
    world.api.responses("/", 0);
    let page = world.text().await;
    assert_eq!(links(&page), ["web.demo.svc.localhost:8001/"]);
    assert!(!page.contains("Not logged in"));
}

#[tokio::test(start_paused = true)]
async fn credentials_that_expire_while_watches_go_on_are_noticed_by_the_next_look() {
    let world = World::new();
    world.api.rules("demo", rules_status(&[]));
    world.text().await;
    world.api.responses("/", 401);
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    world.text().await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let page = world.text().await;
    assert!(page.contains("Not logged in"), "{page}");
}

#[tokio::test]
async fn a_failing_api_server_is_quoted_without_its_markup() {
    let world = World::new();
    world.api.responses("/", 500);
    let page = world.text().await;
    assert!(
        page.contains("answered 500: refused with &lt;b&gt;500&lt;/b&gt;"),
        "{page}"
    );
}
