//! Static files through both: every kind of file, listing, redirect, range and condition.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, UNIX_EPOCH};

use throughway_testing::control_plane::{Cluster, on_cluster};

use super::cases::Case;
use super::difference;
use super::differences;
use super::process::{Folder, Pair};

/// The date of `dated.txt`.
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

const FILES: [(&str, &[u8]); 26] = [
    ("secret.txt", b"outside"),
    ("www/a.txt", b"0123456789"),
    ("www/dated.txt", b"0123456789"),
    ("www/empty.txt", b""),
    ("www/empty", b""),
    ("www/.hidden", b"dot"),
    ("www/page.HTML", b"<p>"),
    ("www/script.mjs", b"1"),
    ("www/data.json", b"{}"),
    ("www/style.css", b"a{}"),
    ("www/picture.png", b"\x89PNG\r\n\x1a\n"),
    ("www/sniffed", b"<!DOCTYPE html><p>"),
    ("www/sniffed-gif", b"GIF89a"),
    ("www/binary", b"\x00\x01\x02\x03"),
    ("www/source.c", b"int x;"),
    ("www/source.C", b"int x;"),
    ("www/code.rs", b"fn main() {}"),
    ("www/archive.tar.gz", b"\x1f\x8b\x08"),
    ("www/odd.unknown", b"plain"),
    ("www/a b%20<c>&'\"", b"odd"),
    ("www/sub/c:d", b"colon"),
    ("www/sub/*", b"star"),
    ("www/sub/question?", b"question"),
    ("www/indexed/index.html", b"<p>index"),
    ("www/odd/index.html/inner", b"x"),
    ("www/ü/€.txt", b"euro"),
];

fn fill(folder: &Folder) {
    for directory in [
        "www/sub/deep",
        "www/indexed",
        "www/odd/index.html",
        "www/ü",
        "www/many",
    ] {
        std::fs::create_dir_all(folder.path(directory)).unwrap();
    }
    for (name, content) in FILES {
        std::fs::write(folder.path(name), content).unwrap();
    }
    std::fs::write(folder.path("www/large.bin"), vec![7; 3_000_000]).unwrap();
    let dated = std::fs::File::options()
        .write(true)
        .open(folder.path("www/dated.txt"))
        .unwrap();
    dated
        .set_modified(UNIX_EPOCH + Duration::from_millis(784_111_777_900))
        .unwrap();
    let unknown = std::fs::File::options()
        .write(true)
        .open(folder.path("www/empty"))
        .unwrap();
    unknown.set_modified(UNIX_EPOCH).unwrap();
    symlink("../../secret.txt", folder.path("www/sub/link")).unwrap();
    symlink("deep", folder.path("www/sub/to-deep")).unwrap();
    symlink("nowhere", folder.path("www/sub/dangling")).unwrap();
    symlink("loop", folder.path("www/sub/loop")).unwrap();
    for number in 0..200 {
        std::fs::write(folder.path(&format!("www/many/file-{number:04}")), "").unwrap();
    }
    std::fs::set_permissions(
        folder.path("www/binary"),
        std::fs::Permissions::from_mode(0o0),
    )
    .unwrap();
}

const TARGETS: [&str; 64] = [
    "/static",
    "/static/",
    "/static/?a=b",
    "/static/a.txt",
    "/static/a.txt?x=1",
    "/static/a.txt/",
    "/static/a.txt/more",
    "/static/dated.txt",
    "/static/empty.txt",
    "/static/empty",
    "/static/.hidden",
    "/static/page.HTML",
    "/static/script.mjs",
    "/static/data.json",
    "/static/style.css",
    "/static/picture.png",
    "/static/sniffed",
    "/static/sniffed-gif",
    "/static/binary",
    "/static/source.c",
    "/static/source.C",
    "/static/code.rs",
    "/static/archive.tar.gz",
    "/static/odd.unknown",
    "/static/large.bin",
    "/static/a%20b%2520%3Cc%3E&'%22",
    "/static/a%20b%2520%3Cc%3E&'%22/",
    "/static/sub",
    "/static/sub?q=1&%22",
    "/static/sub/",
    "/static/sub%2F",
    "/static/sub/c:d",
    "/static/sub/c%3Ad/",
    "/static/sub/*",
    "/static/sub/question%3F",
    "/static/sub/link",
    "/static/sub/to-deep",
    "/static/sub/to-deep/",
    "/static/sub/dangling",
    "/static/sub/loop",
    "/static/sub/deep/",
    "/static/indexed",
    "/static/indexed/",
    "/static/indexed/index.html",
    "/static/indexed/index.html?x",
    "/static/odd/",
    "/static/none/index.html",
    "/static/none",
    "/static/%C3%BC",
    "/static/%C3%BC/",
    "/static/%C3%BC/%E2%82%AC.txt",
    "/static/%FF",
    "/static/a%00",
    "/static/a%0Ab",
    "/static/../secret.txt",
    "/static/%2e%2e/secret.txt",
    "/static/..%2fsecret.txt",
    "/static/%2e%2e",
    "/static/sub/%2e%2e",
    "/static/sub/%2e",
    "/static/%2Fa.txt",
    "/static//a.txt",
    "/st%61tic/a.txt",
    "/static%2Fa.txt",
];

fn targets() -> Vec<Case> {
    let mut cases: Vec<Case> = TARGETS.iter().map(|target| Case::get(target)).collect();
    cases.push(Case::get(&format!("/static/{}", "x".repeat(300))));
    for method in ["HEAD", "POST", "DELETE", "OPTIONS"] {
        for target in [
            "/static/a.txt",
            "/static/",
            "/static/sub",
            "/static/none",
            "/static",
            "/static/empty.txt",
        ] {
            cases.push(Case::by(method, target));
        }
    }
    let elsewhere = Case::of("GET /static/a.txt HTTP/1.1\nHost: example.com");
    cases.push(elsewhere.differs(&differences::OTHER_HOST));
    cases
}

/// Requests with conditions and ranges.
fn conditions() -> Vec<Case> {
    let later = "Mon, 07 Nov 1994 08:49:37 GMT";
    let mut cases = Vec::new();
    for lines in [
        format!("If-Modified-Since: {DATE}"),
        "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT".to_owned(),
        "If-Modified-Since: Sun Nov  6 08:49:37 1994".to_owned(),
        "If-Modified-Since: Sat, 05 Nov 1994 08:49:37 GMT".to_owned(),
        "If-Modified-Since: nonsense".to_owned(),
        format!("If-Unmodified-Since: {DATE}"),
        "If-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT".to_owned(),
        "If-Match: *".to_owned(),
        "If-Match: \"a\"".to_owned(),
        "If-None-Match: *".to_owned(),
        format!("If-None-Match: \"a\"\nIf-Modified-Since: {later}"),
        "Range: bytes=0-3".to_owned(),
        "Range: bytes=-3".to_owned(),
        "Range: bytes=8-".to_owned(),
        "Range: bytes=-0".to_owned(),
        "Range: bytes=10-".to_owned(),
        "Range: bytes=0-9,0-9".to_owned(),
        "Range: bytes=5-2".to_owned(),
        "Range: lines=1-2".to_owned(),
        "Range: bytes=".to_owned(),
        format!("Range: bytes=0-3\nIf-Range: {DATE}"),
        format!("Range: bytes=0-3\nIf-Range: {later}"),
        "Range: bytes=0-3\nIf-Range: \"a\"".to_owned(),
    ] {
        for method in ["GET", "HEAD", "POST"] {
            cases.push(Case::of(&format!(
                "{method} /static/dated.txt HTTP/1.1\nHost: localhost\n{lines}"
            )));
        }
        for target in ["/static/empty.txt", "/static/sub/", "/static/none"] {
            cases.push(Case::of(&format!(
                "GET {target} HTTP/1.1\nHost: localhost\n{lines}"
            )));
        }
    }
    cases
}

#[test]
fn every_file_is_served_as_kubectl_proxy_serves_it() {
    on_cluster(async |cluster: &Cluster| {
        let folder = Folder::new("www");
        fill(&folder);
        let www = format!("--www={}", folder.path("www"));
        let pair = Pair::serve(cluster, &[&www]).await;
        let mut wrong = Vec::new();
        for case in targets().into_iter().chain(conditions()) {
            let (kubectl, ours) = pair.ask(&case.request).await;
            wrong.extend(difference(&case, &kubectl, &ours));
        }
        assert!(
            wrong.is_empty(),
            "{} answers:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    });
}

/// Several parts are divided by a boundary that is another every time.
#[test]
fn several_parts_are_divided_as_kubectl_proxy_divides_them() {
    on_cluster(async |cluster: &Cluster| {
        let folder = Folder::new("parts");
        fill(&folder);
        let www = format!("--www={}", folder.path("www"));
        let pair = Pair::serve(cluster, &[&www]).await;
        for method in ["GET", "HEAD"] {
            for range in ["bytes=0-0,8-9", "bytes=-1, 0-1 ,", "bytes=2-3,100-,5-6"] {
                let head =
                    format!("{method} /static/dated.txt HTTP/1.1\nHost: localhost\nRange: {range}");
                let (kubectl, ours) = pair.ask(&Case::of(&head).request).await;
                let [kubectl, ours] = [kubectl, ours].map(|heard| {
                    let kind = heard.line("content-type").expect("a type").to_owned();
                    let boundary = kind
                        .split_once("boundary=")
                        .expect("a boundary")
                        .1
                        .to_owned();
                    assert_eq!(boundary.len(), 60, "{kind}");
                    let lines = format!("{} {:?}", heard.status, heard.lines);
                    [lines, heard.text()].map(|text| text.replace(&boundary, "BOUNDARY"))
                });
                assert_eq!(ours, kubectl, "{method} {range}");
            }
        }
    });
}

/// kubectl proxy sends a listing of more than two kilobytes in chunks.
#[test]
fn a_long_listing_says_its_length() {
    on_cluster(async |cluster: &Cluster| {
        let folder = Folder::new("listing");
        fill(&folder);
        let www = format!("--www={}", folder.path("www"));
        let pair = Pair::serve(cluster, &[&www]).await;
        let (kubectl, ours) = pair.ask(&Case::get("/static/many/").request).await;
        assert_eq!((&ours.status, &ours.body), (&kubectl.status, &kubectl.body));
        let without = |lines: &[(String, String)], name: &str| {
            let mut lines = lines.to_vec();
            let found = lines.iter().position(|(found, _)| found == name);
            lines.remove(found.unwrap_or_else(|| panic!("no {name}")));
            lines
        };
        assert_eq!(
            without(&ours.lines, "Content-Length"),
            without(&kubectl.lines, "Transfer-Encoding")
        );
    });
}

#[test]
fn of_a_static_file_there_are_a_hundred_parts() {
    on_cluster(async |cluster: &Cluster| {
        let folder = Folder::new("many-parts");
        fill(&folder);
        let www = format!("--www={}", folder.path("www"));
        let pair = Pair::serve(cluster, &[&www]).await;
        for (parts, differs) in [(100, false), (101, true)] {
            // Empty parts, so that Go does not find them longer than the file.
            let range = format!("bytes={}", vec!["-0"; parts].join(","));
            let head = format!("HEAD /static/dated.txt HTTP/1.1\nHost: localhost\nRange: {range}");
            let (kubectl, ours) = pair.ask(&Case::of(&head).request).await;
            assert_eq!(
                kubectl.status != ours.status,
                differs,
                "{parts}: {kubectl:?} {ours:?}"
            );
        }
    });
}
