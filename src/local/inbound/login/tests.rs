//! Tokens, tickets, and where a login leads.

use super::*;

const TARGET: &str = "app.demo.svc.localhost:8001";

fn get(path: &str, cookie: Option<&str>) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    if let Some(cookie) = cookie {
        let cookie = HeaderValue::from_str(cookie).unwrap();
        request.headers_mut().insert(header::COOKIE, cookie);
    }
    request
}

fn admit(logins: &BrowserLogins, host: &str, request: &mut Request) -> Result<LoginCheck, Problem> {
    let route = HostRoute::of(host).unwrap();
    logins.check(host, &route, ClientKind::Navigation, request)
}

fn answered(
    logins: &BrowserLogins,
    host: &str,
    path: &str,
    cookie: Option<&str>,
) -> Option<(String, Option<String>)> {
    let Ok(LoginCheck::Respond(response)) = admit(logins, host, &mut get(path, cookie)) else {
        return None;
    };
    let text = |name| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let cookie = text(header::SET_COOKIE).map(|set| set.split(';').next().unwrap().to_owned());
    Some((text(header::LOCATION).unwrap(), cookie))
}

/// Path and query of an address of the API's host.
fn path(address: &str) -> &str {
    address.strip_prefix("http://localhost:8001").unwrap()
}

#[tokio::test]
async fn a_token_lets_one_browser_in_and_no_second() {
    let logins = BrowserLogins::new("localhost:8001".to_owned(), Tasks::new()).unwrap();
    let address = logins.address("");
    let (location, cookie) = answered(&logins, "localhost:8001", path(&address), None).unwrap();
    assert_eq!(location, "/");
    let cookie = cookie.unwrap();
    assert!(answered(&logins, "localhost:8001", path(&address), None).is_none());
    assert_ne!(logins.address(""), address);
    let mut request = get("/api", Some(&format!("a=1; {cookie}; b=2")));
    assert!(matches!(
        admit(&logins, "localhost:8001", &mut request),
        Ok(LoginCheck::LoggedIn)
    ));
    assert_eq!(request.headers()[header::COOKIE], "a=1; b=2");
}

#[tokio::test]
async fn the_page_that_leads_to_a_token_goes_with_it() {
    let logins = BrowserLogins::new("localhost:8001".to_owned(), Tasks::new()).unwrap();
    let page = std::env::temp_dir().join(format!("throughway-login-{}", std::process::id()));
    logins.opened(TemporaryFile::create(page.clone(), b"").unwrap());
    let address = logins.address("");
    assert!(
        answered(
            &logins,
            "localhost:8001",
            "/.throughway/login?token=no",
            None
        )
        .is_none()
    );
    assert!(page.exists());
    assert!(answered(&logins, "localhost:8001", path(&address), None).is_some());
    assert!(!page.exists());
}

#[tokio::test]
async fn nobody_else_gets_anything() {
    let logins = BrowserLogins::new("localhost:8001".to_owned(), Tasks::new()).unwrap();
    for cookie in [
        None,
        Some("Throughway-Local="),
        Some("Throughway-Local=x; a=1"),
        Some("Throughway-Loca"),
    ] {
        let refused = admit(&logins, "localhost:8001", &mut get("/api", cookie)).unwrap_err();
        assert_eq!(refused.status.code, 401);
    }
    let mut post = get("/", None);
    *post.method_mut() = Method::POST;
    assert!(admit(&logins, TARGET, &mut post).is_err());
    assert!(answered(&logins, "localhost:8001", "/.throughway/login?token=", None).is_none());
    assert!(answered(&logins, TARGET, "/.throughway/enter?ticket=&to=/", None).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_for_one_host_once_and_not_for_long() {
    let logins = BrowserLogins::new("localhost:8001".to_owned(), Tasks::new()).unwrap();
    let (home, none) = answered(&logins, TARGET, "/deep?a=b", None).unwrap();
    assert_eq!(none, None);
    let (_, cookie) = answered(&logins, "localhost:8001", path(&logins.address("")), None).unwrap();
    let cookie = cookie.as_deref();
    let ticket = || {
        let (entrance, _) = answered(&logins, "localhost:8001", path(&home), cookie).unwrap();
        entrance
            .strip_prefix(&format!("http://{TARGET}"))
            .unwrap()
            .to_owned()
    };
    let first = ticket();
    assert!(answered(&logins, "other.demo.svc.localhost:8001", &first, None).is_none());
    assert!(
        answered(&logins, TARGET, &first, None).is_none(),
        "it was used up"
    );
    let second = ticket();
    let (location, own) = answered(&logins, TARGET, &second, None).unwrap();
    assert_eq!((location.as_str(), own.as_deref()), ("/deep?a=b", cookie));
    let third = ticket();
    tokio::time::advance(TICKET_LIFETIME + Duration::from_secs(1)).await;
    assert!(answered(&logins, TARGET, &third, None).is_none());
}

#[tokio::test]
async fn a_login_leads_nowhere_else() {
    let logins = BrowserLogins::new("localhost:8001".to_owned(), Tasks::new()).unwrap();
    for to in [
        "http://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "https://app.demo.svc.localhost:8001/",
        "http://app.demo.svc.localhost:9000/",
        "http://x@app.demo.svc.localhost:8001/",
        "http://localhost:8001/",
        "javascript:alert(1)",
        "",
    ] {
        let (location, _) =
            answered(&logins, "localhost:8001", path(&logins.address(to)), None).unwrap();
        assert_eq!(location, "/", "{to}");
    }
    let (_, cookie) = answered(&logins, "localhost:8001", path(&logins.address("")), None).unwrap();
    for inside in ["/%5Cevil.example/", "//evil.example/"] {
        let home = format!("/.throughway/login?to=http://{TARGET}{inside}");
        let (entrance, _) = answered(&logins, "localhost:8001", &home, cookie.as_deref()).unwrap();
        let entrance = entrance.strip_prefix(&format!("http://{TARGET}")).unwrap();
        let (location, _) = answered(&logins, TARGET, entrance, None).unwrap();
        assert_eq!(location, "/", "{inside}");
    }
    let (location, _) = answered(
        &logins,
        "localhost:8001",
        path(&logins.address("/version?x")),
        None,
    )
    .unwrap();
    assert_eq!(location, "/version?x");
}

#[test]
fn cookies_that_are_no_ascii_hide_nothing() {
    let logins = BrowserLogins::new("localhost:8001".to_owned(), Tasks::new()).unwrap();
    let own = format!("{COOKIE}={}", logins.session);
    let line = format!("name=\u{fc}; {own}; a=\"1\"; b");
    let mut request = get("/", None);
    let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
    request.headers_mut().insert(header::COOKIE, line);
    assert!(matches!(
        admit(&logins, TARGET, &mut request),
        Ok(LoginCheck::LoggedIn)
    ));
    let left = request.headers()[header::COOKIE].as_bytes();
    assert_eq!(left, "name=\u{fc}; a=\"1\"; b".as_bytes());
}
