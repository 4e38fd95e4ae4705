//! A login at an app that asks for Basic, all the way: through the front proxy, which takes `Authorization`.

use serde_json::Value;
use throughway_testing::backend::BASIC;
use throughway_testing::client::{Client, ClientResponse, request};
use throughway_testing::cluster::front_proxy::FrontProxy;

use crate::{ANY_PORT, Setting, service};

const NAVIGATION: [(&str, &str); 3] = [
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "none"),
    ("Accept", "text/html"),
];

const FILLED: &str = "next=%2Fbasic%2Fa%3Fb%3Dc&username=guest&password=pa55word-canary";

/// A front proxy that is believed; `demo/other` leads to the same pod, and bob may do what alice may.
async fn set_up() -> (Setting, FrontProxy) {
    let s = Setting::new().await;
    s.cluster
        .service("demo", "other", 80, &[("web-0", s.backend.address)]);
    s.cluster
        .allow("bob", "demo", "services/proxy", &["get", "create"]);
    let front_proxy = s
        .cluster
        .front_proxy(ANY_PORT.into(), s.address)
        .await
        .unwrap();
    let alice = user(&front_proxy, "alice");
    s.until("the front proxy is believed", async |_| {
        alice.get(&service("other", "/")).await.status.is_success()
    })
    .await;
    (s, front_proxy)
}

fn user(front_proxy: &FrontProxy, name: &str) -> Client {
    Client::new(front_proxy.address, None).with_token(&format!("{name}-token"))
}

async fn navigate(client: &Client, path: &str, more: &[(&str, &str)]) -> ClientResponse {
    let headers = [&NAVIGATION, more].concat();
    client.ask(request("GET", path, &headers, "")).await
}

/// Fills in the form of a page of the target; gives the response and the cookie.
async fn log_in(client: &Client, body: &'static str) -> (ClientResponse, String) {
    let referer = format!("http://127.0.0.1:8001{}", service("web", "/basic/a"));
    let headers = [
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Origin", "http://127.0.0.1:8001"),
        ("Referer", referer.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let path = service("web", "/.throughway/login");
    let response = client.ask(request("POST", &path, &headers, body)).await;
    let cookie = response.header("set-cookie").unwrap_or_default();
    let pair = cookie.split(';').next().unwrap().to_owned();
    (response, pair)
}

/// The values of a header that the backend got.
fn arrived<'a>(echoed: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = echoed["headers"].as_array().unwrap().iter();
    headers
        .filter(|header| header[0].as_str().unwrap().eq_ignore_ascii_case(name))
        .map(|header| header[1].as_str().unwrap())
        .collect()
}

/// The address alone asks first; the link of its page makes the browser forget the login.
async fn log_out(alice: &Client, cookie: &str) {
    let asked = navigate(
        alice,
        &service("web", "/.throughway/logout"),
        &[("Cookie", cookie)],
    )
    .await;
    assert_eq!(asked.status, 200);
    assert_eq!(asked.header("set-cookie"), None);
    let by_a_link = [
        ("Cookie", cookie),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Dest", "document"),
    ];
    let logout = service("web", "/.throughway/logout");
    let gone = alice.ask(request("GET", &logout, &by_a_link, ""));
    let gone = gone.await;
    assert_eq!(gone.status, 200);
    let forgotten = format!(
        "Throughway-Login=; Path={}; HttpOnly; SameSite=Lax; Max-Age=0",
        service("web", "/")
    );
    assert_eq!(gone.header("set-cookie"), Some(forgotten.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_at_an_app_and_out_again() {
    let (s, front_proxy) = set_up().await;
    let alice = user(&front_proxy, "alice");
    let path = service("web", "/basic/a?b=c");

    let page = navigate(&alice, &path, &[]).await;
    assert_eq!(page.status, 401);
    assert_eq!(
        page.header("content-type"),
        Some("Text/html; charset=utf-8")
    );
    assert_eq!(page.header("www-authenticate"), None);
    let text = page.text();
    assert!(text.contains("<q>&lt;the&gt; app</q>"), "{text}");
    assert!(text.contains("action=\"../.throughway/login\""), "{text}");
    assert!(text.contains("value=\"/basic/a?b=c\""), "{text}");
    assert!(!text.contains("role=\"alert\""), "{text}");

    let (response, cookie) = log_in(&alice, FILLED).await;
    assert_eq!(response.status, 303, "{}", response.text());
    assert_eq!(response.header("location"), None);
    assert_eq!(response.header("refresh"), Some("0; url=../basic/a?b=c"));
    let attributes = format!(
        "; Path={}; HttpOnly; SameSite=Lax; Max-Age=43200",
        service("web", "/")
    );
    assert_eq!(
        response.header("set-cookie"),
        Some(format!("{cookie}{attributes}").as_str())
    );

    let cookies = format!("app=1; {cookie}; z=2");
    let reached = navigate(&alice, &path, &[("Cookie", &cookies)]).await;
    assert_eq!(reached.status, 200, "{}", reached.text());
    let echoed = reached.json();
    assert_eq!(arrived(&echoed, "authorization"), [BASIC]);
    assert_eq!(arrived(&echoed, "cookie"), ["app=1; z=2"]);

    log_out(&alice, &cookie).await;
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_one_users_at_one_target() {
    let (s, front_proxy) = set_up().await;
    let (alice, bob) = (user(&front_proxy, "alice"), user(&front_proxy, "bob"));
    let (_, cookie) = log_in(&alice, FILLED).await;
    let with = [("Cookie", cookie.as_str())];
    for (client, name) in [(&bob, "web"), (&bob, "other"), (&alice, "other")] {
        let refused = navigate(client, &service(name, "/basic"), &with).await;
        assert_eq!(refused.status, 401);
        assert!(!refused.text().contains("role=\"alert\""));
        let echoed = navigate(client, &service(name, "/echo"), &with).await;
        assert_eq!(arrived(&echoed.json(), "authorization"), [""; 0]);
        assert_eq!(arrived(&echoed.json(), "cookie"), [""; 0]);
    }
    let own = navigate(&alice, &service("web", "/basic"), &with).await;
    assert_eq!(own.status, 200);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_said_and_forgotten() {
    let (s, front_proxy) = set_up().await;
    let alice = user(&front_proxy, "alice");
    let (_, cookie) = log_in(&alice, "username=guest&password=wrong").await;
    let page = navigate(&alice, &service("web", "/basic"), &[("Cookie", &cookie)]).await;
    assert_eq!(page.status, 401);
    assert!(page.text().contains("role=\"alert\""));
    let forgotten = page.header("set-cookie").unwrap();
    assert!(forgotten.starts_with("Throughway-Login=; ") && forgotten.ends_with("Max-Age=0"));
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_see_the_challenge_and_scripts_do_not() {
    let (s, front_proxy) = set_up().await;
    let alice = user(&front_proxy, "alice");
    let path = service("web", "/basic");
    let tool = alice.get(&path).await;
    assert_eq!((tool.status.as_u16(), tool.text()), (401, ""));
    let challenge = tool.header("www-authenticate").unwrap();
    assert_eq!(
        challenge,
        "Negotiate, Basic realm=\"<the> app\", charset=\"UTF-8\""
    );
    let fetch = [
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let script = alice.ask(request("GET", &path, &fetch, "")).await;
    assert_eq!((script.status.as_u16(), script.text()), (401, ""));
    assert_eq!(script.header("www-authenticate"), None);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throughway_authorization_arrives_as_authorization_and_alone() {
    let (s, front_proxy) = set_up().await;
    let alice = user(&front_proxy, "alice");
    let (_, cookie) = log_in(&alice, FILLED).await;
    let headers = [
        ("Throughway-Authorization", "Bearer of-the-app"),
        ("throughway_authorization", "Bearer spoofed"),
        ("Cookie", cookie.as_str()),
    ];
    // Directly too: the caller's own Authorization goes no further than here.
    for client in [&alice, &s.client("alice")] {
        let path = service("web", "/echo");
        let echoed = client.ask(request("GET", &path, &headers, "")).await.json();
        assert_eq!(arrived(&echoed, "authorization"), ["Bearer of-the-app"]);
        let said = echoed.to_string().to_lowercase();
        assert!(!said.contains("spoofed"), "{said}");
        assert!(
            !said.contains("alice-token") && !said.contains("throughway-login"),
            "{said}"
        );
        let plain = client.get(&path).await.json();
        assert_eq!(arrived(&plain, "authorization"), [""; 0]);
    }
    // It is no way to be somebody here.
    let nobody = Client::new(s.address, None);
    let claimed = [("Throughway-Authorization", "Bearer alice-token")];
    let refused = nobody
        .ask(request("GET", &service("web", "/"), &claimed, ""))
        .await;
    assert_eq!(refused.status, 401, "{}", refused.text());
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_logged_in_by_another_sites_form() {
    let (s, front_proxy) = set_up().await;
    let alice = user(&front_proxy, "alice");
    let path = service("web", "/.throughway/login");
    for site in ["cross-site", "same-site"] {
        let headers = [
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Site", site),
            ("Origin", "http://127.0.0.1:9999"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let refused = alice.ask(request("POST", &path, &headers, FILLED)).await;
        assert_eq!(refused.status, 403);
        assert_eq!(refused.header("set-cookie"), None);
    }
    // Who may only read may not log in either: it is a POST.
    s.cluster.store.token("carol-token", "carol", &[]);
    s.cluster.allow("carol", "demo", "services/proxy", &["get"]);
    let (refused, _) = log_in(&user(&front_proxy, "carol"), FILLED).await;
    assert_eq!(refused.status, 403);
    s.end().await;
}
