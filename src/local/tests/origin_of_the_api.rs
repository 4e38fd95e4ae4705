//! What runs at the API's origin: nothing of the cluster.

use super::*;

const IN_API: &str = "/api/v1/namespaces/demo/services/evil:80/proxy/x";

#[tokio::test]
async fn a_typed_address_that_leads_to_a_target_in_the_api_ends_at_the_targets_own_origin() {
    let world = World::new(&[]).await;
    for path in [
        IN_API,
        "/apis/throughway.dev/v1/namespaces/demo/services/evil:80/proxy/x",
    ] {
        let response = world.ask(API, &format!("GET {path}?a=b"), &TYPED).await;
        assert_eq!(response.status(), 307, "{path}");
        assert_eq!(
            response.headers()["location"],
            "http://80.evil.demo.svc.localhost:8001/x?a=b"
        );
    }
    assert_eq!(world.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_link_of_another_page_to_a_target_in_the_api_is_one_to_its_own_origin() {
    let world = World::new(&[]).await;
    let link = [("sec-fetch-site", "cross-site"), TYPED[1], TYPED[2]];
    let response = world.ask(API, &format!("GET {IN_API}"), &link).await;
    assert_eq!(response.status(), 307);
    for (line, lines) in [
        (format!("POST {IN_API}"), &link[..]),
        ("GET /api/v1/secrets".to_owned(), &link[..]),
        (
            format!("GET {IN_API}"),
            &[link[0], TYPED[1], ("sec-fetch-dest", "iframe")],
        ),
        (
            format!("GET {IN_API}"),
            &[
                link[0],
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-dest", "empty"),
            ],
        ),
        (
            format!("GET {IN_API}"),
            &[("origin", "http://evil.demo.svc.localhost:8001")],
        ),
    ] {
        assert_eq!(
            world.outcome(API, &line, lines).await,
            (403, 0),
            "{line} {lines:?}"
        );
    }
}

#[tokio::test]
async fn what_the_api_server_sends_is_a_page_without_an_origin() {
    let world = World::new(&[]).await;
    for lines in [&TYPED[..], &[]] {
        let response = world
            .ask(API, "GET /apis/evil.example/v1/page", lines)
            .await;
        let headers = response.headers();
        assert_eq!(headers["content-security-policy"], "sandbox");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!headers.contains_key("service-worker-allowed"));
    }
    let worker = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-dest", "serviceworker"),
        ("service-worker", "script"),
    ];
    let line = format!("GET {IN_API}");
    assert_eq!(world.outcome(API, &line, &worker).await, (403, 0));
}

#[tokio::test]
async fn a_script_and_a_program_reach_a_target_in_the_api_as_with_kubectl_proxy() {
    let world = World::new(&[]).await;
    let script = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-dest", "empty"),
    ];
    for lines in [&script[..], &[]] {
        let line = format!("POST {IN_API}");
        assert_eq!(world.outcome(API, &line, lines).await, (200, 1));
    }
}

#[tokio::test]
async fn where_other_sites_are_allowed_pages_of_targets_are_shown_in_the_api_too() {
    let world = World::new(&["--cross-site=allow"]).await;
    let response = world.ask(API, &format!("GET {IN_API}"), &TYPED).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert!(!headers.contains_key("content-security-policy"));
    assert!(headers.contains_key("service-worker-allowed"));
}

#[tokio::test]
async fn the_page_of_a_target_at_its_own_origin_is_as_the_target_sends_it() {
    let world = World::new(&[]).await;
    let host = "evil.demo.svc.localhost:8001";
    let response = world.ask(host, "GET /x", &TYPED).await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("content-security-policy"));
    assert!(response.headers().contains_key("service-worker-allowed"));
}
