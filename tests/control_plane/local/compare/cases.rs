//! What both are asked, flag by flag.

use throughway_testing::control_plane::{Cluster, DEMO};

use super::differences::{self, Difference};
use super::process::Folder;

/// One request.
#[derive(Debug, Clone)]
pub struct Case {
    pub request: Vec<u8>,
    pub differs: Option<&'static Difference>,
}

/// Flags, and what is asked with them.
#[derive(Debug)]
pub struct Group {
    pub flags: Vec<String>,
    pub cases: Vec<Case>,
}

impl Case {
    /// Any request, given by its head. It names itself, so that kubectl does not.
    pub fn of(head: &str) -> Self {
        let named = head.replacen("\nHost:", "\nUser-Agent: one\nHost:", 1);
        Self::bare(&named)
    }

    /// A request exactly as it is given, but for its line ends.
    pub fn bare(head: &str) -> Self {
        Self {
            request: format!("{}\r\n\r\n", head.replace('\n', "\r\n")).into_bytes(),
            differs: None,
        }
    }

    pub fn get(target: &str) -> Self {
        Self::of(&format!("GET {target} HTTP/1.1\nHost: localhost"))
    }

    pub fn by(method: &str, target: &str) -> Self {
        Self::of(&format!("{method} {target} HTTP/1.1\nHost: localhost"))
    }

    pub fn host(host: &str) -> Self {
        Self::of(&format!("GET /version HTTP/1.1\nHost: {host}"))
    }

    pub fn differs(self, difference: &'static Difference) -> Self {
        Self {
            differs: Some(difference),
            ..self
        }
    }
}

pub(super) fn group<const F: usize>(flags: [&str; F], cases: Vec<Case>) -> Group {
    Group {
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        cases,
    }
}

pub(super) fn gets(targets: &[&str]) -> Vec<Case> {
    targets.iter().map(|target| Case::get(target)).collect()
}

/// A backend's account of the request that it received, through the API server's own proxy.
pub(super) fn echo(path: &str) -> String {
    format!("/api/v1/namespaces/{DEMO}/pods/solo-0/proxy/echo{path}")
}

/// Every group.
pub fn groups(cluster: &Cluster, folder: &Folder) -> Vec<Group> {
    let mut groups = vec![no_flags()];
    groups.extend(prefixes(folder));
    groups.extend(filters());
    groups.extend(super::kubeconfigs::groups(cluster, folder));
    groups.extend(rest());
    groups
}

fn no_flags() -> Group {
    let mut cases = gets(&[
        "/",
        "/api",
        "/api/",
        "/version",
        "/apis",
        "/healthz",
        "/metrics/none",
        "/none",
        "/api/v1/namespaces/demo/configmaps/kube-root-ca.crt",
        "/api/v1/namespaces/demo/configmaps/none",
        "/api/v1/namespaces/demo/pods?limit=1&fieldSelector=metadata.name%3Dnone",
        "/api/v1/namespaces/demo/configmaps?watch=1&timeoutSeconds=1&resourceVersion=0&fieldSelector=metadata.name=none",
        "//api",
        "/api/./v1",
        "/api//v1?a='b'&c",
        "/api/v1/namespaces/demo/pods/a%2Fb",
        "/api/v1?",
        "/static/",
        "*",
        "/openapi/v3/apis/none",
        "/api/v1/{x}|\"y\"[z]",
    ]);
    cases.push(Case::get("/api/%zz").differs(&differences::MALFORMED));
    cases.push(Case::get("/openapi/v2").differs(&differences::GZIP));
    cases.push(Case::of(
        "GET /openapi/v2 HTTP/1.1\nHost: localhost\nAccept-Encoding: gzip",
    ));
    cases.push(Case::of(
        "GET /openapi/v2 HTTP/1.1\nHost: localhost\nAccept-Encoding: identity",
    ));
    cases.extend(gets(&["/api/v1/#fragment", "/api/v1?a=<b>", "/api/v1/^`"]));
    cases.push(Case::get("/api//v1?a=<b>").differs(&differences::NO_URL));
    let echoed = echo("/<a>`#{}^?q=up{job=%22a%22}");
    cases.push(Case::get(&echoed));
    for path in ["/a%2Fb//c?x=1;y&z=%20", "/a%20b?x", "/é", "/%7e?a=b&&", "?"] {
        cases.push(Case::get(&echo(path)));
    }
    for method in [
        "HEAD", "OPTIONS", "TRACE", "PROPFIND", "DELETE", "LOWER", "get",
    ] {
        cases.push(Case::by(method, "/version"));
        cases.push(Case::by(method, &echo("/x")));
    }
    cases.push(Case::by("OPTIONS", "*"));
    cases.push(Case::by("HEAD", "//api"));
    cases.push(Case::by("POST", "//api"));
    cases.extend(hosts());
    cases.push(Case::host("[::1]:8001").differs(&differences::IPV6_HOST));
    cases.extend(heads());
    group([], cases)
}

fn hosts() -> Vec<Case> {
    [
        "localhost:8001",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::2]:8001",
        "LOCALHOST",
        "localhost.",
        "example.com",
        "",
        "127.0.0.2",
    ]
    .map(Case::host)
    .to_vec()
}

/// Header lines and versions of HTTP.
fn heads() -> Vec<Case> {
    let echo = echo("/x");
    let lines = [
        "Accept: */*",
        "X-Forwarded-For: 1.2.3.4\nX-Forwarded-Host: other\nX-Forwarded-Proto: https\nForwarded: for=1",
        "Connection: keep-alive, X-Gone\nX-Gone: 1\nKeep-Alive: 5\nProxy-Authorization: x\nTe: trailers\nTrailer: X",
        "Connection: close",
        "Accept-Encoding: gzip",
        "Accept-Encoding: identity\nRange: bytes=0-3",
        "X-Twice: 1\nX-Twice: 2\nx-lower: a\nCookie: a=b\nCookie: c=d",
        "Origin: http://localhost",
        "Referer: http://localhost:8001/x",
        "Content-Type: text/plain",
        "Expect: 100-continue",
        "Impersonate-User: somebody",
        "Authorization: Bearer wrong",
        "Authorization: Basic d3Jvbmc6d3Jvbmc=",
    ];
    let mut cases: Vec<Case> = lines
        .iter()
        .map(|lines| Case::of(&format!("GET {echo} HTTP/1.1\nHost: localhost\n{lines}")))
        .collect();
    cases.push(
        Case::bare(&format!("GET {echo} HTTP/1.1\nHost: localhost"))
            .differs(&differences::USER_AGENT),
    );
    for head in [
        "GET /version HTTP/1.0\nHost: localhost",
        "GET /version HTTP/1.1\nHost: localhost\nAccept: application/yaml",
        "GET /version HTTP/1.1\nHost: localhost\nAccept-Encoding: gzip",
        "GET http://localhost/version HTTP/1.1\nHost: example.com",
        "GET http://example.com/version HTTP/1.1\nHost: localhost",
    ] {
        cases.push(Case::of(head));
    }
    cases.push(Case::of(&format!("GET {echo} HTTP/1.0\nHost: localhost")));
    for (method, lines) in [
        ("POST", "Content-Length: 4\n\nbody"),
        ("POST", "Transfer-Encoding: chunked\n\n4\nbody\n0"),
        ("POST", "Content-Length: 0"),
        ("GET", "Content-Length: 4\n\nbody"),
    ] {
        cases.push(Case::of(&format!(
            "{method} {echo} HTTP/1.1\nHost: localhost\n{lines}"
        )));
    }
    cases.extend(that_differ());
    cases
}

/// Heads with a difference each.
static DIFFER: [(&str, &Difference); 9] = [
    (
        "GET / HTTP/1.1\nHost: localhost\nAccept: text/html",
        &differences::START_PAGE,
    ),
    (
        "GET /api/v1/namespaces/demo/pods/solo-0/proxy/echo HTTP/1.1\nHost: localhost\nAccept: text/html",
        &differences::TARGET_PAGE,
    ),
    (
        "GET /api/v1/namespaces/demo/pods/solo-0/proxy/page HTTP/1.1\nHost: localhost",
        &differences::INERT,
    ),
    (
        "GET /version HTTP/1.1\nHost: localhost\nService-Worker: script",
        &differences::INERT,
    ),
    (
        "GET //version HTTP/1.1\nHost: example.com",
        &differences::OTHER_HOST,
    ),
    (
        "CONNECT example.com:443 HTTP/1.1\nHost: example.com:443",
        &differences::OTHER_HOST,
    ),
    (
        "GET /version HTTP/1.1\nHost: web.demo.svc.localhost",
        &differences::TARGET_HOST,
    ),
    (
        "GET /version HTTP/1.1\nHost: example.com\nAccept: text/html",
        &differences::REFUSED_BROWSER,
    ),
    (
        "GET /version HTTP/1.0\nHost: localhost\nConnection: keep-alive",
        &differences::OLD_KEEP_ALIVE,
    ),
];

/// Heads that are answered otherwise.
fn that_differ() -> Vec<Case> {
    let from_elsewhere = [
        "Origin: http://example.com\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors",
        "Origin: http://localhost:8001",
    ];
    let mut cases: Vec<Case> = from_elsewhere
        .iter()
        .map(|lines| Case::of(&format!("GET /version HTTP/1.1\nHost: localhost\n{lines}")))
        .map(|case| case.differs(&differences::CROSS_SITE))
        .collect();
    for head in [
        "GET /version HTTP/1.1",
        "GET /version HTTP/1.1\nHost: localhost\nHost: localhost",
        "GET /version HTTP/1.1\nHost: localhost\nBad Line",
        "GET /version HTTP/9.9\nHost: localhost",
        "NONSENSE",
    ] {
        cases.push(Case::of(head).differs(&differences::MALFORMED));
    }
    for (head, difference) in DIFFER {
        cases.push(Case::of(head).differs(difference));
    }
    cases
}

fn prefixes(folder: &Folder) -> Vec<Group> {
    std::fs::create_dir_all(folder.path("www/sub")).unwrap();
    std::fs::write(folder.path("www/a.txt"), "text").unwrap();
    let www = format!("--www={}", folder.path("www"));
    let paths = [
        "/",
        "/api",
        "/api/v1",
        "/apis",
        "/custom",
        "/custom/",
        "/custom/version",
        "/custom/api/v1/namespaces/demo/pods/a%2Fb",
        "/%63ustom/version",
        "/custom//version",
        "/customs/version",
        "/static",
        "/static/",
        "/static/a.txt",
        "/st%61tic/a.txt",
        "/files/a.txt",
        "/files",
        "/k8s-api",
        "/k8s-api/version",
    ];
    vec![
        group(["--api-prefix=/custom/"], gets(&paths)),
        group(["--api-prefix=/custom"], gets(&paths)),
        group(["--api-prefix=custom"], gets(&paths)),
        group(["--api-prefix", "/api/", &www], gets(&paths)),
        group(
            ["--api-prefix=/apis/", "-w", &folder.path("www")],
            gets(&paths),
        ),
        group(
            ["--api-prefix=/k8s-api", &www, "--www-prefix=/"],
            gets(&paths),
        ),
        group([&www, "--www-prefix=/files"], gets(&paths)),
        group(["-w", &folder.path("www"), "-P", "/files/"], gets(&paths)),
        group(["--www-prefix=/files/"], gets(&paths)),
        group([&format!("--www={}", folder.path("none"))], gets(&paths)),
        group(
            [&format!("--www={}", folder.path("www/a.txt"))],
            gets(&paths),
        ),
    ]
}

fn filters() -> Vec<Group> {
    let exec = "/api/v1/namespaces/demo/pods/web-0/exec?command=ls";
    let attach = "/api/v1/namespaces/demo/pods/web-0/attach";
    let mut all = gets(&[
        "/",
        "/version",
        "/api/v1",
        "/api/v1/namespaces/demo/pods/none",
        "/api/v1/namespaces/demo/pods/none/log",
        "/apis",
        exec,
        attach,
        "/api/v1/namespaces/demo/pods/web-0/ex%65c",
        "/api/v1/%FF/pods/é",
    ]);
    for method in ["POST", "DELETE", "OPTIONS", "PATCH"] {
        all.push(Case::by(method, "/version"));
        all.push(Case::by(method, exec));
    }
    all.extend(hosts());
    vec![
        group(["--accept-hosts=^.*$"], all.clone()),
        group([r"--accept-hosts=^example\.com$,^127"], all.clone()),
        group(["--accept-hosts="], all.clone()),
        group(["--accept-paths=^/api/,^/$"], all.clone()),
        group(
            ["--accept-paths", r"^/api/v1/namespaces/\w+/pods/[a-z]+$"],
            all.clone(),
        ),
        group(["--accept-paths="], all.clone()),
        group(["--reject-paths=^/apis,log$"], all.clone()),
        group(["--reject-paths="], all.clone()),
        group([r"--reject-paths=\xff,/\pL$"], all.clone()),
        group(["--reject-methods=POST,PUT,PATCH"], all.clone()),
        group(["--reject-methods=^(DELETE|OPT)$"], all.clone()),
        group(["--reject-methods="], all.clone()),
        group(["--disable-filter"], all.clone()),
        group(["--disable-filter=true"], all.clone()),
        group(["--disable-filter=false"], all),
    ]
}

fn rest() -> Vec<Group> {
    let few = || gets(&["/version", "/none"]);
    vec![
        group(["--keepalive=10s"], few()),
        group(["--keepalive=0"], few()),
        group(["--keepalive=1m30s"], few()),
        group(["--address=10.77.0.59"], {
            let mut cases = few();
            cases.push(Case::host("10.77.0.59"));
            cases
        }),
        group(
            ["--address=10.77.0.59", "--accept-hosts=^.*"],
            vec![Case::host("10.77.0.59:1")],
        ),
        group(["-p", "0"], few()),
    ]
}
