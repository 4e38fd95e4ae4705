//! The file server, as a client of kubectl proxy would use it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use http::Method;

use std::path::PathBuf;

use super::*;

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("throughway-files-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("www/sub/deep")).unwrap();
        fs::create_dir_all(path.join("www/indexed")).unwrap();
        fs::write(path.join("secret.txt"), "outside").unwrap();
        fs::write(path.join("www/a.txt"), "0123456789").unwrap();
        fs::write(path.join("www/.hidden"), "dot").unwrap();
        fs::write(path.join("www/a b%20<c>"), "<html>").unwrap();
        fs::write(path.join("www/empty.txt"), "").unwrap();
        fs::write(path.join("www/sub/c:d"), [0, 1, 2]).unwrap();
        fs::write(path.join("www/indexed/index.html"), "<p>index").unwrap();
        symlink("../../secret.txt", path.join("www/sub/link")).unwrap();
        symlink("deep", path.join("www/sub/to-deep")).unwrap();
        Self(path)
    }

    async fn get(&self, target: &str) -> ClientResponse {
        self.ask(Method::GET, target, &[]).await
    }

    async fn ask(&self, method: Method, target: &str, headers: &[(&str, &str)]) -> ClientResponse {
        let files = StaticFiles {
            directory: self.0.join("www"),
            prefix: "/static/".to_owned(),
        };
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = serve(&files, &request.body(()).unwrap()).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        ClientResponse {
            status: parts.status.as_u16(),
            location: header("location"),
            content_type: header("content-type"),
            content_range: header("content-range"),
            length: header("content-length"),
            last_modified: header("last-modified"),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

struct ClientResponse {
    status: u16,
    location: Option<String>,
    content_type: Option<String>,
    content_range: Option<String>,
    length: Option<String>,
    last_modified: Option<String>,
    body: String,
}

#[tokio::test]
async fn files_are_served_with_their_types() {
    let directory = Directory::new("types");
    for (target, content_type, body) in [
        ("/static/a.txt", "text/plain; charset=utf-8", "0123456789"),
        ("/static/.hidden", "text/plain; charset=utf-8", "dot"),
        (
            "/static/a%20b%2520%3Cc%3E",
            "text/html; charset=utf-8",
            "<html>",
        ),
        ("/static/empty.txt?x", "text/plain; charset=utf-8", ""),
        (
            "/static/sub%2Fc:d",
            "application/octet-stream",
            "\0\x01\x02",
        ),
        ("/static/sub/link", "text/plain; charset=utf-8", "outside"),
        ("/static/indexed/", "text/html; charset=utf-8", "<p>index"),
    ] {
        let response = directory.get(target).await;
        assert_eq!(response.status, 200, "{target}");
        assert_eq!(
            response.content_type.as_deref(),
            Some(content_type),
            "{target}"
        );
        assert_eq!(response.body, body, "{target}");
        assert_eq!(response.length, Some(body.len().to_string()), "{target}");
        assert!(response.last_modified.is_some(), "{target}");
    }
}

#[tokio::test]
async fn no_path_leads_out_of_the_directory() {
    let directory = Directory::new("out");
    for target in [
        "/static/%2e%2e/secret.txt",
        "/static/..%2fsecret.txt",
        "/static/sub/..%2f..%2fsecret.txt",
        "/static/%2Fetc/passwd",
        "/static/a.txt%00",
        "/static/%FF",
        "/static/a.txt/more",
        "/static/none",
        "/st%61tic/a.txt",
        "/other/a.txt",
        "/static/%zz",
    ] {
        let response = directory.get(target).await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (404, "404 page not found\n"),
            "{target}"
        );
    }
}

#[tokio::test]
async fn slashes_are_put_where_they_belong() {
    let directory = Directory::new("slashes");
    for (target, location) in [
        ("/static/sub", "sub/"),
        ("/static/sub/deep?q=1", "deep/?q=1"),
        ("/static/sub/to-deep", "to-deep/"),
        ("/static/a.txt/", "../a.txt"),
        ("/static/a%20b%2520%3Cc%3E/", "../a b%20<c>"),
        ("/static/indexed/index.html", "./"),
        ("/static/none/index.html?x", "./?x"),
        ("/static/sub/%2e%2e", "../"),
    ] {
        let response = directory.get(target).await;
        assert_eq!(
            (response.status, response.location.as_deref()),
            (301, Some(location)),
            "{target}"
        );
        assert_eq!(response.body, "", "{target}");
    }
}

#[tokio::test]
async fn a_directory_without_an_index_is_listed() {
    let directory = Directory::new("listing");
    let response = directory.get("/static/").await;
    assert_eq!(
        response.body,
        "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n\
         <a href=\".hidden\">.hidden</a>\n\
         <a href=\"a%20b%2520%3Cc%3E\">a b%20&lt;c&gt;</a>\n\
         <a href=\"a.txt\">a.txt</a>\n\
         <a href=\"empty.txt\">empty.txt</a>\n\
         <a href=\"indexed/\">indexed/</a>\n\
         <a href=\"sub/\">sub/</a>\n</pre>\n"
    );
    let response = directory.get("/static/sub/").await;
    assert!(
        response.body.contains("<a href=\"./c:d\">c:d</a>\n"),
        "{}",
        response.body
    );
    assert!(
        response.body.contains("<a href=\"to-deep\">to-deep</a>\n"),
        "{}",
        response.body
    );
}

#[tokio::test]
async fn parts_of_a_file_are_served() {
    let directory = Directory::new("ranges");
    for (range, status, content_range, body) in [
        ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("bytes=-3", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=0-9,0-9", 200, None, "0123456789"),
        (
            "bytes=10-",
            416,
            Some("bytes */10"),
            "invalid range: failed to overlap\n",
        ),
        ("bytes=x", 416, None, "invalid range\n"),
    ] {
        let response = directory
            .ask(Method::GET, "/static/a.txt", &[("range", range)])
            .await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (status, body),
            "{range}"
        );
        assert_eq!(response.content_range.as_deref(), content_range, "{range}");
        assert_eq!(response.last_modified.is_none(), status == 416, "{range}");
    }
    let several = [("range", "bytes=0-1,8-9")];
    let response = directory.ask(Method::GET, "/static/a.txt", &several).await;
    assert_eq!(response.status, 206);
    assert_eq!(response.length, Some(response.body.len().to_string()));
    assert!(
        response.body.contains("\r\n\r\n01\r\n--") && response.body.contains("\r\n\r\n89\r\n--")
    );
}

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let directory = Directory::new("known");
    for target in ["/static/a.txt", "/static/"] {
        let date = directory.get(target).await.last_modified.unwrap();
        let condition = [("if-modified-since", date.as_str())];
        let response = directory.ask(Method::GET, target, &condition).await;
        assert_eq!(
            (response.status, response.body.as_str()),
            (304, ""),
            "{target}"
        );
        assert_eq!(response.content_type, None, "{target}");
    }
}

#[tokio::test]
async fn head_says_the_length_and_sends_nothing() {
    let directory = Directory::new("head");
    let response = directory.ask(Method::HEAD, "/static/a.txt", &[]).await;
    assert_eq!(
        (
            response.status,
            response.length.as_deref(),
            response.body.as_str()
        ),
        (200, Some("10"), "")
    );
}

#[tokio::test]
async fn what_must_not_be_read_is_refused() {
    let directory = Directory::new("forbidden");
    let file = directory.0.join("www/a.txt");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).unwrap();
    // Root reads everything.
    let expected = match fs::File::open(&file) {
        Ok(_) => (200, "0123456789"),
        Err(_) => (403, "403 Forbidden\n"),
    };
    let response = directory.get("/static/a.txt").await;
    assert_eq!((response.status, response.body.as_str()), expected);
    let long = format!("/static/{}", "x".repeat(300));
    let response = directory.get(&long).await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (500, "500 Internal Server Error\n")
    );
}

#[tokio::test]
async fn a_pipe_keeps_nobody_waiting() {
    let directory = Directory::new("pipe");
    let pipe = directory.0.join("www/pipe");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    let limit = std::time::Duration::from_secs(60);
    let response = tokio::time::timeout(limit, directory.get("/static/pipe")).await;
    assert_eq!(response.expect("it is answered").status, 403);
}
