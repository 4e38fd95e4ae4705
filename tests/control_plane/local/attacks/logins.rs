//! `--login`: what others who reach the port get, and how a browser gets in.

use http::Request;
use serde_json::Value;
use throughway_testing::client::{ClientResponse, request};
use throughway_testing::companion::Companion;
use throughway_testing::control_plane::{Cluster, DEMO, on_cluster};

use super::{EVIL, VICTIM, World, new_path};
use crate::apps::browser;

const PERSON: [(&str, &str); 3] = [
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-dest", "document"),
];

/// A companion that asks for a token, and the address that it printed.
fn start(cluster: &Cluster) -> (Companion, String) {
    let mut local = Companion::start(&cluster.kubeconfig(), &["--login"]);
    let line = local.line();
    let address = line.strip_prefix("To log a browser in, open ");
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    (local, address)
}

/// Opens an address of the API's host as a browser would.
async fn open(local: &Companion, address: &str, cookie: &str) -> ClientResponse {
    let origin = format!("http://localhost:{}", local.address.port());
    let path = address
        .strip_prefix(&origin)
        .expect("an address of the API's host");
    local.ask_api(navigation(path, cookie)).await
}

fn navigation(path: &str, cookie: &str) -> Request<http_body_util::Full<bytes::Bytes>> {
    let mut lines = PERSON.to_vec();
    lines.extend((!cookie.is_empty()).then_some(("cookie", cookie)));
    request("GET", path, &lines, "")
}

/// The cookie that a response sets, as it is sent back.
fn cookie(response: &ClientResponse) -> String {
    let set = response.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap().to_owned()
}

#[test]
fn another_users_request_gets_nothing() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let (local, address) = start(cluster);
        let path = new_path();
        let in_api = format!("/api/v1/namespaces/{DEMO}/services/victim:80/proxy{path}");
        let guess = address.rsplit_once('=').unwrap().1.len();
        let guess = format!("Throughway-Local={}", "0".repeat(guess));
        for cookie in ["", "Throughway-Local=", guess.as_str()] {
            let lines = [("cookie", cookie)];
            for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
                for path in ["/", "/api", "/version", "/.throughway/style.css", &in_api] {
                    let response = local.ask_api(request(method, path, &lines, "")).await;
                    assert_eq!(response.status, 401, "{method} {path} {cookie}");
                }
                let host = local.host(VICTIM);
                let response = local.ask(&host, request(method, &path, &lines, "")).await;
                assert_eq!(response.status, 401, "{method} {cookie}");
            }
            let page = local.ask_api(navigation("/", cookie)).await;
            assert_eq!(page.status, 401);
            assert!(!page.text().contains(DEMO), "{}", page.text());
            let sent_home = local
                .ask(&local.host(VICTIM), navigation(&path, cookie))
                .await;
            assert_eq!(
                (sent_home.status.as_u16(), &*sent_home.body),
                (303, &b""[..])
            );
            let page = open(&local, sent_home.header("location").unwrap(), cookie).await;
            assert_eq!(
                (page.status.as_u16(), page.header("set-cookie")),
                (401, None)
            );
            let upgrade = [
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("cookie", cookie),
            ];
            let response = local
                .ask(&local.host(VICTIM), request("GET", &path, &upgrade, ""))
                .await;
            assert_eq!(response.status, 401);
        }
        assert!(world.victim.seen(&path).is_empty());
    });
}

#[test]
fn a_token_and_a_ticket_work_once_and_a_ticket_for_its_host_alone() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let (mut local, address) = start(cluster);
        let response = open(&local, &address, "").await;
        assert_eq!(
            (response.status.as_u16(), response.header("location")),
            (303, Some("/"))
        );
        let session = cookie(&response);
        assert_eq!(open(&local, &address, "").await.status, 401);
        let next = local.line();
        assert!(
            next.starts_with("A browser logged in. For another one: http://localhost:"),
            "{next}"
        );
        assert!(!next.contains(address.rsplit_once('=').unwrap().1));

        let path = new_path();
        let host = local.host(VICTIM);
        let ticket = async || -> String {
            let home = local.ask(&host, navigation(&path, "")).await;
            let response = open(&local, home.header("location").unwrap(), &session).await;
            let entrance = response.header("location").unwrap().to_owned();
            entrance
                .strip_prefix(&local.origin(VICTIM))
                .unwrap()
                .to_owned()
        };
        let first = ticket().await;
        let entered = local.ask(&host, navigation(&first, "")).await;
        assert_eq!(
            (entered.status.as_u16(), entered.header("location")),
            (303, Some(&*path))
        );
        assert_eq!(local.ask(&host, navigation(&first, "")).await.status, 401);
        let second = ticket().await;
        let elsewhere = local.ask(&local.host(EVIL), navigation(&second, "")).await;
        assert_eq!(elsewhere.status, 401);
        assert_eq!(
            local.ask(&host, navigation(&second, "")).await.status,
            401,
            "it was used up"
        );
        assert!(world.victim.seen(&path).is_empty());

        let own = format!("a=1; {}; \u{fc}=\u{fc}", cookie(&entered));
        let mut asked = request("GET", &path, &[], "");
        let own = http::HeaderValue::from_bytes(own.as_bytes()).unwrap();
        asked.headers_mut().insert("cookie", own);
        assert_eq!(local.ask(&host, asked).await.status, 200);
        let seen = world.victim.seen(&path);
        assert_eq!(seen.len(), 1);
        assert_eq!(
            seen[0].headers["cookie"].as_bytes(),
            "a=1; \u{fc}=\u{fc}".as_bytes()
        );
    });
}

#[test]
fn a_login_leads_to_no_other_server() {
    on_cluster(async |cluster: &Cluster| {
        let (local, address) = start(cluster);
        let session = cookie(&open(&local, &address, "").await);
        let (host, port) = (local.host(VICTIM), local.address.port());
        let home = url::Url::parse(&format!("http://localhost:{port}/.throughway/login")).unwrap();
        for to in [
            "http://evil.example/".to_owned(),
            "//evil.example/".to_owned(),
            "/\\evil.example/".to_owned(),
            "/\t/evil.example/".to_owned(),
            "/\n\\evil.example/".to_owned(),
            "\\\\evil.example/".to_owned(),
            "javascript:alert(1)".to_owned(),
            format!("http://{host}.evil.example/"),
            format!("http://{host}@evil.example/"),
            format!("http://evil.example:80@{host}/"),
            format!("https://{host}/"),
            "http://victim.demo.svc.localhost:1/".to_owned(),
            format!("http://{host}/\\evil.example/"),
            format!("http://{host}//evil.example/"),
            format!("http://{host}"),
        ] {
            let query: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
            let query = query.replace('+', "%20");
            let path = format!("/.throughway/login?to={query}");
            let response = local.ask_api(navigation(&path, &session)).await;
            // As a browser understands it, whatever the server meant.
            let mut at = home.join(response.header("location").unwrap()).unwrap();
            if at.host_str() != Some("localhost") {
                assert_eq!(at.host_str(), Some("victim.demo.svc.localhost"), "{to:?}");
                let path = format!("{}?{}", at.path(), at.query().unwrap());
                let entered = local.ask(&host, navigation(&path, "")).await;
                at = at.join(entered.header("location").unwrap()).unwrap();
                assert_eq!(at.host_str(), Some("victim.demo.svc.localhost"), "{to:?}");
            }
            assert_eq!((at.scheme(), at.port()), ("http", Some(port)), "{to:?}");
        }
    });
}

#[test]
fn a_browser_gets_from_the_printed_address_to_a_services_page() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let (local, address) = start(cluster);
        let path = format!("/page{}", new_path());
        let page = format!("{}{path}", local.origin(VICTIM));
        let stranger = browser().await.tab().await;
        stranger.goto(&page).await;
        let shown = "document.body.innerText.includes('Log in first')";
        assert_eq!(stranger.evaluate(shown).await, true);
        assert!(world.victim.seen(&path).is_empty());

        let tab = browser().await.tab().await;
        tab.goto(&address).await;
        let at_home = format!("http://localhost:{}/", local.address.port());
        assert_eq!(tab.evaluate("location.href").await, at_home);
        tab.wait_for("document.querySelector('h1')").await;
        tab.goto(&page).await;
        tab.wait_for("document.body.innerText.includes('secret of victim')")
            .await;
        assert_eq!(tab.evaluate("location.href").await, page);
        assert_eq!(tab.evaluate("document.cookie").await, Value::from(""));
        // It stays logged in, and the page's own requests pass too.
        tab.reload().await;
        let fetch = format!("fetch('{path}/fetched').then(a => a.text())");
        let fetched = tab.evaluate(&fetch).await;
        assert!(fetched.as_str().unwrap().contains("secret of victim"));
        let seen = world.victim.seen_below(&path);
        assert_eq!(seen.len(), 3);
        for seen in seen {
            assert!(seen.headers.get("cookie").is_none(), "{seen:?}");
        }

        stranger.goto(&address).await;
        assert_eq!(stranger.evaluate(shown).await, true, "the token was used");
        stranger.goto(&page).await;
        assert_eq!(stranger.evaluate(shown).await, true);
        tab.close().await;
        stranger.close().await;
    });
}
