//! `throughway local` in front of a real cluster: targets at origins of their own, through Throughway and through the
//! built-in proxy.

use std::net::SocketAddr;

use throughway_testing::backend::{BASIC, sha256};
use throughway_testing::client::{ClientResponse, request};
use throughway_testing::companion::{Companion, send, whole};
use throughway_testing::control_plane::{Cluster, on_cluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) fn companion(cluster: &Cluster, flags: &[&str]) -> Companion {
    Companion::start(&cluster.kubeconfig(), flags)
}

/// The headers that a backend says it received, those that this test's client or the way adds aside.
fn arrived(response: &ClientResponse) -> Vec<(String, String)> {
    let said = response.json();
    let lines = said["headers"].as_array().expect("headers").iter();
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let mut lines: Vec<_> = lines.map(|line| (text(&line[0]), text(&line[1]))).collect();
    lines.sort();
    lines
}

/// What comes for the bytes of a request, until the connection's end.
async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut response = Vec::new();
    // What is refused unread may end as a reset.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

#[test]
fn a_request_arrives_as_the_browser_sent_it_and_the_response_too() {
    on_cluster(async |cluster: &Cluster| {
        let local = companion(cluster, &[]);
        let host = local.host("solo.demo.svc");
        let origin = local.origin("solo.demo.svc");
        let path = "/echo/a%2Fb//c/./%7Euser/..;x?b=2&a=1&a=&c=%20;d&%zz";
        let lines = [
            ("accept", "text/html,*/*;q=0.8"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("authorization", "Basic dGhlaXJzOm93bg=="),
            (
                "cookie",
                "argocd.token=mine; _oauth2_proxy=mine; a=\"1, 2\"",
            ),
            ("impersonate-user", "system:admin"),
            ("origin", origin.as_str()),
            ("referer", "http://solo.demo.svc.localhost/x"),
            ("user-agent", "one that nobody knows"),
            ("x-remote-user", "somebody"),
            ("x-own", "a, b"),
        ];
        let asked = request("PUT", path, &lines, "a body");
        let response = local.ask(&host, asked).await;
        assert_eq!(response.status, 200, "{}", response.text());
        let said = response.json();
        assert_eq!(
            (said["method"].as_str(), said["uri"].as_str()),
            (Some("PUT"), Some(path))
        );
        assert_eq!(said["sha256"].as_str(), Some(&*sha256(b"a body")));
        let mut expected: Vec<(String, String)> = lines
            .iter()
            .filter(|(name, _)| !matches!(*name, "impersonate-user" | "x-remote-user"))
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let own = arrived(&response);
        for (name, value) in [
            ("content-length", "6"),
            ("host", host.as_str()),
            ("x-forwarded-host", host.as_str()),
            ("x-forwarded-proto", "http"),
        ] {
            expected.push((name.to_owned(), value.to_owned()));
        }
        expected.extend(
            own.iter()
                .filter(|(name, _)| name == "x-forwarded-for")
                .cloned(),
        );
        expected.sort();
        assert_eq!(own, expected);
        let mut names: Vec<_> = response
            .headers
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "content-type", "date"]);
    });
}

#[test]
fn responses_keep_what_the_way_would_take() {
    on_cluster(async |cluster: &Cluster| {
        let local = companion(cluster, &[]);
        let host = local.host("solo.demo.svc");
        let query = "set-cookie=a%3D1;%20Domain%3Dsvc.localhost;%20Path%3D/&set-cookie=__Host-b%3D2;%20Secure&cache-control=max-age%3D60\
            &access-control-allow-origin=*&clear-site-data=%22cache%22&content-type=text/html&x-own=1&www-authenticate=Basic";
        let asked = request("GET", &format!("/headers?{query}"), &[], "");
        let response = local.ask(&host, asked).await;
        let all = |name: &str| -> Vec<&str> {
            let values = response.headers.get_all(name).iter();
            values.map(|value| value.to_str().unwrap()).collect()
        };
        assert_eq!(all("set-cookie"), ["a=1; Path=/", "__Host-b=2; Secure"]);
        for (name, value) in [
            ("cache-control", "max-age=60"),
            ("access-control-allow-origin", "*"),
            ("clear-site-data", "\"cache\""),
            ("content-type", "text/html"),
            ("x-own", "1"),
            ("www-authenticate", "Basic"),
        ] {
            assert_eq!(all(name), [value]);
        }
        assert_eq!(response.text(), "headers");
    });
}

#[test]
fn methods_that_the_api_has_no_verb_for_arrive_as_they_were_sent() {
    on_cluster(async |cluster: &Cluster| {
        let local = companion(cluster, &[]);
        let host = local.host("solo.demo.svc");
        for method in ["PROPFIND", "REPORT", "OPTIONS", "MKCALENDAR"] {
            let asked = request(method, "/echo/dav?x", &[("depth", "1")], "<propfind/>");
            let said = local.ask(&host, asked).await.json();
            assert_eq!(said["method"], method);
            assert_eq!(said["uri"], "/echo/dav?x");
            assert_eq!(said["sha256"].as_str(), Some(&*sha256(b"<propfind/>")));
        }
    });
}

/// `curl -g`, as people ask Prometheus.
#[test]
fn a_query_arrives_that_is_written_as_prometheus_has_it() {
    on_cluster(async |cluster: &Cluster| {
        for via in ["--via=throughway", "--via=built-in"] {
            let local = companion(cluster, &[via]);
            let host = local.host("solo.demo.svc");
            let request = format!(
                "GET /echo?query=up{{job=\"node\"}}>0 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            );
            let response = raw(local.address, request.as_bytes()).await;
            let expected = r#""uri":"/echo?query=up{job=%22node%22}%3E0""#;
            assert!(response.contains(expected), "{via}: {response}");
        }
    });
}

#[test]
fn a_url_may_be_nearly_as_long_as_the_library_takes_it_and_a_longer_one_is_414() {
    on_cluster(async |cluster: &Cluster| {
        let local = companion(cluster, &["--via=throughway"]);
        let host = local.host("solo.demo.svc");
        for (length, code) in [(60_000, "200 OK"), (70_000, "414 URI Too Long")] {
            let target = format!("/echo?{}", "x".repeat(length));
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let response = raw(local.address, request.as_bytes()).await;
            let begin = format!("HTTP/1.1 {code}\r\n");
            assert!(response.starts_with(&begin), "{length}: {response:.200}");
        }
    });
}

#[test]
fn redirects_to_the_target_by_its_other_names_lead_to_its_origin() {
    on_cluster(async |cluster: &Cluster| {
        for via in ["--via=throughway", "--via=built-in"] {
            let local = companion(cluster, &[via]);
            let (host, origin) = (local.host("solo.demo.svc"), local.origin("solo.demo.svc"));
            for location in [
                format!("https://{host}/login"),
                "http://solo.demo.svc.localhost:8080/login".to_owned(),
                "http://solo.demo.svc.cluster.local/login".to_owned(),
                "https://solo.demo.svc/login".to_owned(),
            ] {
                let path = format!("/status/302?location={location}");
                let response = local.ask(&host, request("GET", &path, &[], "")).await;
                let led = response.header("location");
                assert_eq!(led, Some(&*format!("{origin}/login")), "{via} {location}");
            }
        }
    });
}

#[test]
fn what_http_allows_and_proxies_trip_over_arrives() {
    on_cluster(async |cluster: &Cluster| {
        let offer = [
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQBAAAAAAIAAAAA"),
        ];
        for flags in [&[][..], &["--via=built-in"]] {
            let local = companion(cluster, flags);
            for (service, path, lines, code) in [
                ("solo", "/", &offer[..], 200),
                ("raw", "/204-length", &[], 204),
                ("raw", "/304-length", &[], 304),
                ("raw", "/folded", &[], 200),
            ] {
                let host = local.host(&format!("{service}.demo.svc"));
                let response = local.ask(&host, request("GET", path, lines, "")).await;
                assert_eq!(
                    response.status,
                    code,
                    "{flags:?} {path}: {}",
                    response.text()
                );
                let folded = (path == "/folded").then_some("a b");
                assert_eq!(response.header("x-folded"), folded, "{flags:?} {path}");
            }
        }
    });
}

#[test]
fn redirects_stay_redirects_inside_the_origin() {
    on_cluster(async |cluster: &Cluster| {
        for flags in [&[][..], &["--via=built-in"]] {
            let local = companion(cluster, flags);
            let host = local.host("solo.demo.svc");
            for code in [301, 302, 303, 307, 308] {
                for method in ["GET", "POST"] {
                    let path = format!("/status/{code}?location=/login?a=b");
                    let response = local.ask(&host, request(method, &path, &[], "")).await;
                    assert_eq!(response.status, code, "{flags:?}");
                    assert_eq!(response.header("location"), Some("/login?a=b"), "{flags:?}");
                }
            }
        }
    });
}

#[test]
fn an_apps_own_login_works() {
    on_cluster(async |cluster: &Cluster| {
        let local = companion(cluster, &[]);
        let host = local.host("solo.demo.svc");
        let refused = local.ask(&host, request("GET", "/basic/x", &[], "")).await;
        assert_eq!(refused.status, 401);
        let challenge = "Negotiate, Basic realm=\"<the> app\", charset=\"UTF-8\"";
        assert_eq!(refused.header("www-authenticate"), Some(challenge));
        let asked = request("GET", "/basic/x", &[("authorization", BASIC)], "");
        assert_eq!(local.ask(&host, asked).await.status, 200);
    });
}

#[test]
fn pods_ports_and_schemes_have_origins_too() {
    on_cluster(async |cluster: &Cluster| {
        let local = companion(cluster, &[]);
        for (name, expected) in [
            ("80.solo.demo.svc", "hello from solo-0"),
            ("http.two.demo.svc", "hello from web-"),
            ("8080.web-0.demo.pod", "hello from web-0"),
            ("https-8443.secure-0.demo.pod", "hello from secure-0"),
            ("https-.secure.demo.svc", "hello from secure-0"),
        ] {
            let response = local
                .ask(&local.host(name), request("GET", "/", &[], ""))
                .await;
            assert!(
                response.text().starts_with(expected),
                "{name}: {}",
                response.text()
            );
        }
    });
}

#[test]
fn a_forwarded_port_is_the_target_alone() {
    on_cluster(async |cluster: &Cluster| {
        let mut local = companion(cluster, &["--forward=0:svc/solo", "-n", "demo"]);
        let line = local.line();
        let address = line
            .strip_prefix("Forwarding from ")
            .and_then(|rest| rest.strip_suffix(" to solo.demo.svc"))
            .unwrap_or_else(|| panic!("{line}"));
        let address = address.parse().unwrap();
        let cookies = [("cookie", "Throughway-Local=secret; a=1")];
        let response = whole(
            send(
                address,
                &format!("{address}"),
                request("GET", "/echo/x", &cookies, ""),
            )
            .await,
        )
        .await;
        assert_eq!(response.json()["uri"], "/echo/x");
        let own = arrived(&response);
        assert!(
            own.contains(&("cookie".to_owned(), "a=1".to_owned())),
            "{own:?}"
        );
        let rebound = send(address, "evil.example", request("GET", "/echo/x", &[], "")).await;
        assert_eq!(rebound.status(), 421);
    });
}

#[test]
fn through_the_built_in_proxy_links_lose_its_path_again() {
    on_cluster(async |cluster: &Cluster| {
        let local = companion(cluster, &["--via=built-in"]);
        let host = local.host("solo.demo.svc");
        let asked = request(
            "GET",
            "/page?href=/deep/link",
            &[("accept-encoding", "gzip, br")],
            "",
        );
        let response = local.ask(&host, asked).await;
        assert_eq!(
            response.text(),
            "<html><body><a href=\"/deep/link\">link</a></body></html>"
        );
        let echoed = local
            .ask(
                &host,
                request("GET", "/echo/x?a=b", &[("impersonate-user", "x")], ""),
            )
            .await;
        assert_eq!(echoed.json()["uri"], "/echo/x?a=b");
        assert!(arrived(&echoed).contains(&("host".to_owned(), host.clone())));
    });
}

#[test]
fn a_person_is_told_what_is_wrong_and_a_program_gets_the_status() {
    on_cluster(async |cluster: &Cluster| {
        for flags in [&[][..], &["--via=built-in"]] {
            let local = companion(cluster, flags);
            for (name, code, hint) in [
                ("sollo.demo.svc", 404, "http://solo.demo.svc.localhost"),
                ("empty.demo.svc", 503, "kubectl get endpointslices"),
            ] {
                let host = local.host(name);
                let navigates = [
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-site", "none"),
                    ("sec-fetch-dest", "document"),
                ];
                let page = local.ask(&host, request("GET", "/", &navigates, "")).await;
                assert_eq!(page.status, code, "{flags:?} {}", page.text());
                assert!(
                    page.text().contains(hint),
                    "{flags:?} {name}: {}",
                    page.text()
                );
                let status = local.ask(&host, request("GET", "/", &[], "")).await;
                assert_eq!(
                    (status.status, &status.json()["kind"]),
                    (code.try_into().unwrap(), &"Status".into())
                );
            }
        }
    });
}
