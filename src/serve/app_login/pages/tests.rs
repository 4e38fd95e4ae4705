//! The login pages: what a 401 becomes, who may log in, and which cookie comes of it.

use axum::body::Body;
use http_body_util::BodyExt;

use super::*;
use crate::serve::authentication::{self, Caller, User};
use crate::serve::certificates::SessionKey;
use crate::serve::client::tests::describe;
use crate::serve::config::{ApiGroup, ExternalOrigin};
use crate::serve::html::links::tests::PREFIX;

fn permit(via: authentication::Method, method: &str, inside: &str) -> Permit {
    let group = ApiGroup::for_tests();
    let uri = format!("{PREFIX}{inside}").parse().unwrap();
    let asked = RequestInfo::read(&group, &method.parse().unwrap(), &uri).unwrap();
    let caller = Caller {
        user: std::sync::Arc::new(User {
            name: "alice".into(),
            ..User::default()
        }),
        method: via,
    };
    Permit::for_tests(caller, asked)
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::try_from(*name).unwrap();
        map.append(name, HeaderValue::try_from(*value).unwrap());
    }
    map
}

fn logins() -> Logins {
    Logins::new(SessionKey::random())
}

fn client(permit: &Permit, headers: &HeaderMap) -> ClientInfo {
    let listed = [
        ExternalOrigin {
            scheme: "http",
            host: "dash.example".into(),
            path: String::new(),
        },
        ExternalOrigin {
            scheme: "https",
            host: "rancher.example".into(),
            path: "/k8s/c1".into(),
        },
    ];
    describe(permit, headers, &listed)
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

const FRONT: authentication::Method = authentication::Method::FrontProxy;
const NAVIGATION: [(&str, &str); 1] = [("Sec-Fetch-Mode", "navigate")];

/// What a 401 with this challenge becomes, and which headers the backend's response has left.
fn refused(inside: &str, asks: &[(&str, &str)], challenge: &str) -> (Option<Response>, HeaderMap) {
    let permit = permit(FRONT, "GET", inside);
    let client = client(&permit, &headers(asks));
    let mut answered = headers(&[
        ("WWW-Authenticate", challenge),
        ("Set-Cookie", "app=1"),
        ("X-App", "a"),
    ]);
    let page = replace_challenge(&client, &AppLogin::Absent, permit.info(), &mut answered);
    (page, answered)
}

#[tokio::test]
async fn a_navigation_gets_the_page_and_no_challenge() {
    let (page, _) = refused(
        "/a/b?c=d&e",
        &NAVIGATION,
        "Digest realm=\"d\", Basic realm=\"Q\"",
    );
    let page = page.unwrap();
    assert_eq!(page.status(), 401);
    assert!(!page.headers().contains_key("www-authenticate"));
    assert!(!page.headers().contains_key("x-app"));
    assert_eq!(page.headers()["set-cookie"], "app=1");
    let page = text(page).await;
    assert!(page.contains("action=\"../.throughway/login\""), "{page}");
    assert!(
        page.contains("name=\"next\" value=\"/a/b?c=d&amp;e\""),
        "{page}"
    );
    assert!(page.contains("<q>Q</q>") && !page.contains("role=\"alert\""));
}

#[test]
fn scripts_see_no_challenge_that_opens_a_dialog_and_programs_see_it() {
    for (asks, challenge, is_kept) in [
        (&[("Sec-Fetch-Mode", "cors")][..], "Basic realm=a", false),
        (&[("Sec-Fetch-Mode", "cors")], "Negotiate", false),
        (&[("Sec-Fetch-Mode", "cors")], "Bearer realm=a", true),
        (&[], "Basic realm=a", true),
        (&NAVIGATION, "Bearer realm=a", true),
    ] {
        let (page, left) = refused("/", asks, challenge);
        assert!(page.is_none(), "{challenge}");
        assert_eq!(
            left.contains_key("www-authenticate"),
            is_kept,
            "{challenge}"
        );
    }
}

#[tokio::test]
async fn what_was_refused_is_said_and_forgotten_where_it_was_set() {
    let permit = permit(FRONT, "GET", "/");
    let client = client(&permit, &headers(&NAVIGATION));
    let login = AppLogin::Sent {
        path: "/k8s/p/".into(),
    };
    let mut answered = headers(&[("WWW-Authenticate", "Basic")]);
    let page = replace_challenge(&client, &login, permit.info(), &mut answered).unwrap();
    assert_eq!(
        page.headers()["set-cookie"],
        "Throughway-Login=; Path=/k8s/p/; HttpOnly; SameSite=Lax; Max-Age=0"
    );
    assert!(text(page).await.contains("role=\"alert\""));
}

#[test]
fn links_to_the_form_are_relative_to_the_page() {
    for (page, expected) in [
        ("", "proxy/.throughway/login"),
        ("/", "./.throughway/login"),
        ("/a", "./.throughway/login"),
        ("/a/", "../.throughway/login"),
        ("/a/b", "../.throughway/login"),
        ("/a//b", "../../.throughway/login"),
        ("/a/../b", "./.throughway/login"),
    ] {
        assert_eq!(relative(page, LOGIN), expected, "{page}");
    }
}

/// Sends the form, and gives what comes of it.
async fn post(via: authentication::Method, asks: &[(&str, &str)], body: &str) -> Response {
    let permit = permit(via, "POST", LOGIN);
    let mut request = Request::new(Body::from(body.to_owned()));
    *request.headers_mut() = headers(asks);
    request.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    let client = client(&permit, request.headers());
    respond(&client, &permit, &logins(), &mut request)
        .await
        .unwrap()
}

const FORM: &str = "next=%2Fa%3Fb&username=guest&password=secret";

#[tokio::test]
async fn a_login_is_a_cookie_below_the_path_that_the_browser_sees_and_the_way_back() {
    let referer = format!("https://rancher.example/k8s/c1{PREFIX}/a?b");
    let asks = [
        ("Sec-Fetch-Site", "same-origin"),
        ("Referer", referer.as_str()),
    ];
    let response = post(FRONT, &asks, FORM).await;
    assert_eq!(response.status(), 303);
    assert!(!response.headers().contains_key("location"));
    assert_eq!(response.headers()["refresh"], "0; url=../a?b");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    let (value, attributes) = cookie.split_once(';').unwrap();
    assert!(value.starts_with("Throughway-Login=") && !value.contains("secret"));
    assert_eq!(
        attributes,
        format!(" Path=/k8s/c1{PREFIX}/; HttpOnly; SameSite=Lax; Max-Age=43200; Secure")
    );
}

/// The path before the target's would be another server's behind the same origin.
#[tokio::test]
async fn no_cookie_is_set_for_a_path_that_a_script_made_up() {
    let referer = format!("https://rancher.example/k8s/evil{PREFIX}/a?b");
    let asks = [
        ("Sec-Fetch-Site", "same-origin"),
        ("Referer", referer.as_str()),
    ];
    let response = post(FRONT, &asks, FORM).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains(&format!("; Path={PREFIX}/; ")), "{cookie}");
}

#[tokio::test]
async fn a_direct_caller_gets_a_location_and_plain_http_no_secure_cookie() {
    let asks = [
        ("Sec-Fetch-Site", "same-origin"),
        ("Origin", "http://127.0.0.1:1"),
    ];
    let response = post(authentication::Method::BearerToken, &asks, FORM).await;
    assert_eq!(response.headers()["location"], "../a?b");
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with(&format!(
        "; Path={PREFIX}/; HttpOnly; SameSite=Lax; Max-Age=43200"
    )));
}

#[tokio::test]
async fn nobody_is_logged_in_from_another_origin() {
    for (asks, status) in [
        (
            &[("Sec-Fetch-Site", "same-origin"), ("Origin", "http://x")][..],
            303,
        ),
        (
            &[
                ("Sec-Fetch-Site", "same-site"),
                ("Origin", "http://127.0.0.1:9"),
            ],
            403,
        ),
        (&[("Sec-Fetch-Site", "cross-site")], 403),
        (&[("Sec-Fetch-Site", "none")], 403),
        (&[], 303),
        // Any port of the machine has such an origin, a development server's too.
        (&[("Origin", "http://127.0.0.1:8001")], 403),
        (&[("Origin", "http://localhost:9999")], 403),
        (&[("Origin", "http://[::1]:8001")], 403),
        (&[("Origin", "http://web.demo.svc.localhost:1")], 403),
        (&[("Origin", "http://dash.example")], 303),
        (&[("Origin", "http://dash.example:81")], 403),
        (
            &[("Origin", "http://evil.example"), ("Host", "evil.example")],
            403,
        ),
        (&[("Origin", "http://127.0.0.1.evil.example")], 403),
        (&[("Origin", "http://evillocalhost")], 403),
        (&[("Origin", "null")], 403),
        (&[("Origin", "")], 403),
    ] {
        let response = post(FRONT, asks, FORM).await;
        assert_eq!(response.status(), status, "{asks:?}");
        assert_eq!(response.headers().contains_key("set-cookie"), status == 303);
    }
    let own = [
        ("Origin", "https://api.example:8443"),
        ("Host", "api.example:8443"),
    ];
    let response = post(authentication::Method::ClientCertificate, &own, FORM).await;
    assert_eq!(response.status(), 303);
}

#[tokio::test]
async fn what_can_not_be_sent_is_asked_for_again() {
    let long = format!("username=a&password={}", "x".repeat(3000));
    for body in ["username=a:b&password=c&next=%2Fx", "username=a%0A", &long] {
        let response = post(FRONT, &[], body).await;
        assert_eq!(response.status(), 400);
        assert!(!response.headers().contains_key("set-cookie"));
        assert!(text(response).await.contains("role=\"alert\""));
    }
}

#[tokio::test]
async fn logging_out_forgets_the_cookie_where_it_was_set() {
    let logins = logins();
    let permit = permit(FRONT, "POST", LOGOUT);
    let sealed = logins.seal(&permit, "/k8s/p/", "a:b".into()).unwrap();
    for (cookie, path) in [
        (format!("Throughway-Login={sealed}"), "/k8s/p/".to_owned()),
        ("Throughway-Login=other".to_owned(), format!("{PREFIX}/")),
    ] {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers(&[("Cookie", &cookie)]);
        let client = client(&permit, request.headers());
        let response = respond(&client, &permit, &logins, &mut request)
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["set-cookie"].to_str().unwrap(),
            format!("Throughway-Login=; Path={path}; HttpOnly; SameSite=Lax; Max-Age=0")
        );
        assert!(text(response).await.contains("<a href=\"../\">"));
    }
}

#[tokio::test]
async fn other_methods_are_refused_and_other_paths_are_the_apps() {
    for (method, inside, status) in [
        ("GET", LOGIN, Some(200)),
        ("PUT", LOGIN, Some(405)),
        ("DELETE", LOGOUT, Some(405)),
        ("POST", LOGOUT, Some(200)),
        ("GET", "/login", None),
        ("GET", "/.throughway/login/", None),
    ] {
        let permit = permit(FRONT, method, inside);
        let mut request = Request::new(Body::empty());
        let client = client(&permit, request.headers());
        let response = respond(&client, &permit, &logins(), &mut request).await;
        let found = response.map(|response| response.status().as_u16());
        assert_eq!(found, status, "{method} {inside}");
    }
}

#[tokio::test]
async fn no_page_of_another_site_logs_anybody_out() {
    let forgets = async |method: &str, lines: &[(&str, &str)]| {
        let permit = permit(FRONT, method, LOGOUT);
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method.parse().unwrap();
        *request.headers_mut() = headers(lines);
        let client = client(&permit, request.headers());
        let response = respond(&client, &permit, &logins(), &mut request).await;
        let response = response.unwrap();
        assert_eq!(response.status(), 200);
        let forgets = response.headers().contains_key("set-cookie");
        let page = response.into_body().collect().await.unwrap().to_bytes();
        let page = String::from_utf8(page.to_vec()).unwrap();
        let asks = page.contains("<form method=\"post\" action=\"../.throughway/logout\">");
        assert_ne!(forgets, asks, "{page}");
        forgets
    };
    let link = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let image = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let site = |site| [("sec-fetch-site", site)];
    for (method, site, rest, expected) in [
        ("GET", "same-origin", &link, true),
        ("GET", "none", &link, false),
        ("GET", "cross-site", &link, false),
        ("GET", "same-origin", &image, false),
        ("GET", "cross-site", &image, false),
        ("POST", "same-origin", &link, true),
        ("POST", "cross-site", &link, false),
        ("POST", "same-site", &image, false),
    ]
    .map(|(method, from, rest, expected)| (method, site(from), rest, expected))
    {
        let lines = [&site[..], rest].concat();
        assert_eq!(
            forgets(method, &lines).await,
            expected,
            "{method} {lines:?}"
        );
    }
    assert!(forgets("POST", &[]).await, "a program");
    assert!(!forgets("GET", &[]).await, "nobody knows who");
    assert!(!forgets("POST", &[("origin", "https://evil.example")]).await);
}
