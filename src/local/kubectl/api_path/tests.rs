//! The paths that kubectl proxy sent on, as its own handler did it when the table was recorded.

use super::*;
use crate::local::config::Filtering;
use crate::local::config::ServerPath;
use crate::protocol::fetch_metadata::CrossSitePolicy;

/// What kubectl proxy did with each of many requests, recorded.
const RECORDED: &str = include_str!("kubectl.txt");

struct Row<'a> {
    api_prefix: &'a str,
    files_prefix: &'a str,
    server_path: &'a str,
    request: &'a str,
    outcome: &'a str,
}

fn rows() -> impl Iterator<Item = Row<'static>> {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        let [api_prefix, files_prefix, server_path, request, outcome] = fields[..] else {
            panic!("{line}")
        };
        Row {
            api_prefix,
            files_prefix,
            server_path,
            request,
            outcome,
        }
    })
}

fn api(prefix: &str) -> LocalApi {
    LocalApi {
        prefix: prefix.to_owned(),
        server_path: ServerPath::Ignored,
        filter: Filtering::Off,
        cross_site: CrossSitePolicy::Allow,
    }
}

fn request(method: &str, target: &str) -> Request {
    http::Request::builder()
        .method(method)
        .uri(http::Uri::try_from(target).unwrap())
        .body(Body::empty())
        .unwrap()
}

fn outcome(row: &Row<'_>) -> String {
    let (exchange, line) = match row.request.strip_prefix("UP ") {
        Some(line) => (Exchange::Upgrade, line),
        None => (Exchange::Plain, row.request),
    };
    let (method, target) = line.split_once(' ').unwrap();
    let files = (!row.files_prefix.is_empty()).then(|| StaticFiles {
        directory: "/nowhere".into(),
        prefix: row.files_prefix.to_owned(),
    });
    match route(
        &api(row.api_prefix),
        files.as_ref(),
        &request(method, target),
    ) {
        Routed::Api { path, .. } if row.server_path.is_empty() => format!("-> {path}"),
        Routed::Api { path, .. } => {
            format!("-> {}", below_server_path(row.server_path, &path, exchange))
        }
        Routed::Files => "a file".to_owned(),
        Routed::Redirect(response) => {
            let location = response.headers()[header::LOCATION].to_str().unwrap();
            format!("{} {location}", response.status().as_u16())
        }
        Routed::NotFound(response) => response.status().as_u16().to_string(),
    }
}

#[test]
fn every_path_goes_where_kubectl_proxy_sends_it() {
    let mut wrong = Vec::new();
    for row in rows() {
        let found = outcome(&row);
        let is_file = found == "a file"
            && !row.files_prefix.is_empty()
            && ["200", "301", "404"].contains(&&row.outcome[..3]);
        if found != row.outcome && !is_file {
            let prefixes = (row.api_prefix, row.files_prefix, row.server_path);
            wrong.push(format!(
                "{prefixes:?} {}: {found}, not {}",
                row.request, row.outcome
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_filter_sees_the_decoded_path_behind_the_prefix() {
    for (prefix, target, expected) in [
        ("/", "/", ""),
        ("/", "/api/v1", "/api/v1"),
        ("/", "/api/v1/pods/a%2Fexec?x", "/api/v1/pods/a/exec"),
        ("/", "/%2Fapi", "/api"),
        ("/", "/a%FF", "/a\u{FFFD}"),
        ("/custom/", "/custom/", ""),
        ("/custom/", "/custom/%2Fa", "/a"),
        ("/custom/", "/custom/api/%2e%2e/x", "/api/../x"),
        ("/api/", "/api/", "/api/"),
        ("/api-proxy/", "/api-proxy/x", "/api-proxy/x"),
    ] {
        let Routed::Api { decoded, .. } = route(&api(prefix), None, &request("GET", target)) else {
            panic!("{target}")
        };
        assert_eq!(decoded, expected, "{prefix} {target}");
    }
}

#[tokio::test]
async fn a_redirect_has_a_body_for_get_alone() {
    for (method, content_type, expected) in [
        (
            "GET",
            Some("text/html; charset=utf-8"),
            "<a href=\"/a?x=&amp;&#39;\">Temporary Redirect</a>.\n\n",
        ),
        ("HEAD", Some("text/html; charset=utf-8"), ""),
        ("POST", None, ""),
    ] {
        let Routed::Redirect(response) = route(&api("/"), None, &request(method, "//a?x=&'"))
        else {
            panic!("{method}")
        };
        let (parts, body) = response.into_parts();
        assert_eq!(parts.status, 307);
        assert_eq!(parts.headers[header::LOCATION], "/a?x=&'");
        let found = parts
            .headers
            .get(header::CONTENT_TYPE)
            .map(|value| value.to_str().unwrap());
        assert_eq!(found, content_type, "{method}");
        assert_eq!(
            axum::body::to_bytes(body, 1000).await.unwrap(),
            expected,
            "{method}"
        );
    }
}
