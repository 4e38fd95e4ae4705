//! Redirects that a browser which navigates gets as a page.

use super::*;

#[tokio::test]
async fn a_navigation_gets_the_status_with_refresh_and_a_page() {
    for (status, inside, location, refresh) in [
        (302, "/", "/graph?a=b#c", "0; url=./graph?a=b#c"),
        (301, "/a/b", "/login", "0; url=../login"),
        (303, "/a/", "http://web.demo.svc/x", "0; url=../x"),
        (307, "/a/b", "../c", "0; url=../c"),
        (308, "/a/b", "c", "0; url=../a/c"),
        (
            302,
            "/a",
            "https://idp.example/auth?x=%22",
            "0; url=https://idp.example/auth?x=%22",
        ),
        (302, "/a", "//idp.example/auth", "0; url=//idp.example/auth"),
        (302, "/a", "/../../../etc", "0; url=./etc"),
        (
            302,
            "/a",
            "../../../../api/v1/secrets",
            "0; url=./api/v1/secrets",
        ),
    ] {
        let exchange = Exchange::get(inside, &[NAVIGATES]);
        let sent = [
            ("location", location),
            ("set-cookie", "a=b"),
            ("content-length", "17"),
            ("content-encoding", "gzip"),
        ];
        let response = answered(exchange.decide(backend_response(status, &sent)));
        assert_eq!(response.status(), status);
        let expected = header_map(&[
            ("set-cookie", "a=b"),
            ("refresh", refresh),
            ("content-type", "Text/html; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'"),
        ]);
        assert_eq!(*response.headers(), expected, "{location}");
        let page = response.into_body().collect().await.unwrap().to_bytes();
        let link = refresh.trim_start_matches("0; url=").replace('&', "&amp;");
        assert!(String::from_utf8_lossy(&page).contains(&format!("href=\"{link}\"")));
    }
}

#[test]
fn a_navigation_is_told_by_accept_where_the_browser_says_nothing_else() {
    let accepts = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    let exchange = Exchange::get("/", &[accepts]);
    let response = answered(exchange.decide(backend_response(302, &[("location", "/x")])));
    assert_eq!(response.headers()["refresh"], "0; url=./x");
    let exchange = Exchange::get("/", &[("accept", "application/json, */*")]);
    assert_eq!(
        followed(exchange.decide(backend_response(302, &[("location", "/x")]))),
        ("GET".into(), "/x".into())
    );
}

#[test]
fn a_navigation_is_led_elsewhere_however_the_slashes_are_written() {
    for location in [
        "//e.example/x",
        "/\\e.example/x",
        "\\\\e.example/x",
        "https:\\\\e.example/",
    ] {
        let exchange = Exchange::get("/", &[NAVIGATES]);
        let response = answered(exchange.decide(backend_response(302, &[("location", location)])));
        assert_eq!(
            response.headers()["refresh"],
            format!("0; url={location}"),
            "{location}"
        );
    }
}

/// A host in a path is no host, whoever wrote it there.
#[test]
fn a_path_that_begins_with_two_slashes_leads_to_no_host() {
    for (page, location, mapped) in [
        ("//e.example/a/", "?q", "../../..//e.example/a/?q"),
        ("//e.example/a", "b", "../..//e.example/b"),
        ("/a", "/.//e.example/b", ".//e.example/b"),
        ("/a/b", "..//e.example/", "..//e.example/"),
    ] {
        let sent = [("location", location)];
        let exchange = Exchange::get(page, &[NAVIGATES]);
        let response = answered(exchange.decide(backend_response(302, &sent)));
        assert_eq!(response.headers()["refresh"], format!("0; url={mapped}"));
    }
}

#[test]
fn a_navigation_is_led_to_no_other_scheme() {
    for location in [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
    ] {
        let exchange = Exchange::get("/", &[NAVIGATES]);
        let response = answered(exchange.decide(backend_response(302, &[("location", location)])));
        assert!(!response.headers().contains_key("refresh"), "{location}");
        assert!(!response.headers().contains_key("location"), "{location}");
    }
}
