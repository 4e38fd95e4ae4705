//! Links: what a URL becomes, as a browser resolves it afterwards, and which stay as they are.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

pub(crate) const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy";

pub(crate) fn backend() -> BackendNames {
    BackendNames {
        scheme: BackendScheme::Http,
        host: HeaderValue::from_static("web.demo.svc"),
        address: ([10, 77, 0, 10], 8080).into(),
    }
}

pub(crate) fn links(page: &str, form: LinkForm) -> Links {
    let path = page.split('?').next().unwrap_or_default();
    Links::new(PREFIX, path, backend(), form)
}

fn relative(page: &str, url: &str) -> Option<String> {
    links(page, LinkForm::Relative).map(url)
}

#[test]
fn below_a_path_of_more_than_a_kilobyte_links_stay_as_they_are() {
    let mut deep = links(&"/a".repeat(200), LinkForm::Relative);
    for (length, is_mapped) in [(MAX_PREFIX, true), (MAX_PREFIX + 2, false)] {
        let seen = "/p".repeat(length / 2);
        deep.external_prefix = Some(seen.clone());
        let expected = is_mapped.then(|| format!("{seen}/x"));
        assert_eq!(deep.map("/x"), expected, "{length}");
    }
}

#[test]
fn what_leads_into_the_target_becomes_relative() {
    for (page, url, expected) in [
        ("/", "/login", "./login"),
        ("/", "/", "./"),
        ("", "/login", "proxy/login"),
        ("/a/b", "/login?next=/x#y", "../login?next=/x#y"),
        ("/a/b/", "/a/", "../../a/"),
        ("/", "http://web.demo.svc/login", "./login"),
        ("/", "http://WEB.demo.svc:80/login", "./login"),
        ("/", "http://10.77.0.10:8080/login", "./login"),
        ("/", "//web.demo.svc/login", "./login"),
        ("/", "//10.77.0.10:8080/login", "./login"),
        ("/", "https://web.demo.svc/login", "./login"),
        ("/", "https://web.demo.svc:443/login", "./login"),
        ("/", "http://web.demo.svc:8080/login", "./login"),
        ("/", "https://web.demo.svc:8080/login", "./login"),
        ("/", "http://web.demo.svc.cluster.local/login", "./login"),
        ("/", "//Web.demo.svc.CLUSTER.local:80/login", "./login"),
        ("/", "http://web.demo.svc", "./"),
        ("/", "http://web.demo.svc?a=b", "./?a=b"),
        ("/", "/a:b", "./a:b"),
        ("/", "/a//b", "./a//b"),
        ("/x", "http://web.demo.svc//b", ".//b"),
        ("/x", " \n/a\t/b \r", "./a/b"),
        ("/x", "\\a\\b", "./a/b"),
        ("/x", "\\\\web.demo.svc\\b", "./b"),
        ("/x", "\\/\\web.demo.svc\\b", "./b"),
        ("/x", "///web.demo.svc/b", "./b"),
        ("/x", "/\t////web.demo.svc/b", "./b"),
        ("/x", "http:///web.demo.svc/b", "./b"),
        ("/x", "https:\\\\web.demo.svc/b", "./b"),
        ("/x", "http:/\\web.demo.svc/b", "./b"),
        ("/x", "//@web.demo.svc/b", "./b"),
        ("/x", "http://:@web.demo.svc/b", "./b"),
    ] {
        let mapped = relative(page, url);
        assert_eq!(mapped.as_deref(), Some(expected), "{page} -> {url}");
    }
}

#[test]
fn no_reference_climbs_out_of_the_target() {
    for url in [
        "/../../x",
        "/%2e%2e/%2E./x",
        "/a/../../x",
        "http://web.demo.svc/../x",
        "/a\\..\\..\\x",
        "/.\t./x",
    ] {
        assert_eq!(relative("/", url).as_deref(), Some("./x"), "{url}");
    }
}

#[test]
fn other_places_and_relative_references_stay() {
    for url in [
        "login",
        "./login",
        "../x",
        "?a",
        "#b",
        "",
        "//evil.example/x",
        "/\\evil.example/x",
        "/\t/evil.example/x",
        "///evil.example/x",
        "\\/\\evil.example\\x",
        "///",
        "http:/web.demo.svc/x",
        "http:web.demo.svc/x",
        "http://web.demo.svc:443/x",
        "http://web.demo/x",
        "http://web/x",
        "http://web.demo.svc.cluster/x",
        "http://other.demo.svc.cluster.local/x",
        "http://.cluster.local/x",
        "http://\u{e9}cluster.local/x",
        "http://web.demo.svc:81/x",
        "http://web.demo.svc:65616/x",
        "http://web.demo.svc:x/x",
        "http://web.demo.svc@evil.example/",
        "http://user@web.demo.svc/",
        "http://:word@web.demo.svc/",
        "http://@@web.demo.svc/",
        "http://@",
        "http://10.77.0.10/x",
        "ftp://web.demo.svc/x",
        "data:text/html,/x",
        "javascript:location='/x'",
        "http://evil.example/http://web.demo.svc/",
        "http://web.demo.svc.evil.example/",
    ] {
        assert_eq!(relative("/", url), None, "{url}");
        let absolute = links("/", LinkForm::Absolute("/p".into())).map(url);
        assert_eq!(absolute, None, "{url}");
    }
}

#[test]
fn a_prefix_that_is_there_already_is_not_put_there_twice() {
    let external = format!("/k8s/clusters/c{PREFIX}");
    for (url, inside) in [
        (format!("{PREFIX}/a?b#c"), "a?b#c"),
        (format!("{PREFIX}/"), ""),
        (PREFIX.to_owned(), ""),
        (format!("{PREFIX}?b"), "?b"),
        (format!("http://web.demo.svc{PREFIX}/a"), "a"),
        (format!("{}/a", PREFIX.replace(':', "%3A")), "a"),
        (
            format!("{PREFIX}-other/a"),
            &format!("{PREFIX}-other/a")[1..],
        ),
    ] {
        let relative = relative("/x/", &url);
        assert_eq!(relative, Some(format!("../{inside}")), "{url}");
        let absolute = links("/x/", LinkForm::Absolute(external.clone())).map(&url);
        assert_eq!(absolute, Some(format!("{external}/{inside}")), "{url}");
    }
    let absolute = links("/x/", LinkForm::Absolute(external.clone())).map(&format!("{external}/a"));
    assert_eq!(absolute, Some(format!("{external}/a")));
}

#[test]
fn links_in_pages_carry_the_mark() {
    for (page, url, expected) in [
        ("/a/b", "/x", ".././x"),
        ("/", "/x", "././x"),
        ("", "/x", "proxy/./x"),
        ("/", "/", "././"),
        ("/", "//web.demo.svc//b", "././/b"),
    ] {
        let mapped = links(page, LinkForm::Relative).map_in_page(url);
        assert_eq!(mapped.as_deref(), Some(expected), "{page} -> {url}");
    }
    let absolute = links("/a/b", LinkForm::Absolute("/p".into())).map_in_page("/x");
    assert_eq!(absolute.as_deref(), Some("/p/x"), "no mark is needed");
}

#[test]
fn later_links_are_relative_to_the_base_of_the_page() {
    for (base, expected) in [
        ("/", Some("./x")),
        ("/app/", Some("../x")),
        ("/app/index.html?/a/", Some("../x")),
        ("http://web.demo.svc", Some("./x")),
        ("http://web.demo.svc/app/", Some("../x")),
        ("", Some("../x")),
        ("?a/b", Some("../x")),
        ("#a/b", Some("../x")),
        ("deep/er/", Some("../../../x")),
        ("../", Some("./x")),
        ("../..", Some("proxy/x")),
        ("../../..", Some("./web:80/proxy/x")),
        ("../../../other/proxy/", Some("../../web:80/proxy/x")),
        (PREFIX, Some("./x")),
        ("https://cdn.example/", None),
        ("//cdn.example/app/", None),
        ("data:text/plain,x", Some("../x")),
    ] {
        let mut links = links("/page/", LinkForm::Relative);
        links.rebase(base);
        assert_eq!(links.map("/x").as_deref(), expected, "{base}");
    }
}

#[test]
fn a_link_after_a_base_leads_where_the_browser_expects_it() {
    for base in [
        "a/",
        "../",
        "../../",
        "../../../../",
        "../../../../../../../../..",
        "./x",
    ] {
        let mut links = links("/page/", LinkForm::Relative);
        links.rebase(base);
        let page = url::Url::parse(&format!("http://host{PREFIX}/page/")).unwrap();
        let resolved = page.join(base).unwrap();
        let resolved = resolved.join(&links.map_in_page("/x").unwrap()).unwrap();
        assert_eq!(resolved.path(), format!("{PREFIX}/x"), "{base}");
    }
}

#[test]
fn the_path_inside_is_what_the_backend_would_be_asked_for() {
    let links = links("/", LinkForm::Relative);
    for (url, inside) in [
        ("/a/../b?c#d", Some("/a/../b?c#d")),
        ("http://web.demo.svc/a", Some("/a")),
        ("http://web.demo.svc", Some("")),
        (" /a\n/b ", Some("/a/b")),
        ("a", None),
    ] {
        assert_eq!(links.inside(url).as_deref(), inside, "{url}");
    }
}

proptest! {
    /// No segment looks like `a:`: the url crate takes that for a drive letter, which no `..` removes, below every
    /// scheme, where the URL standard has it for `file:` alone.
    #[test]
    fn a_relative_link_leads_where_the_absolute_one_led(
        base in "(/[a-z.]{0,3}){1,4}",
        target in "(/([a-z.]{0,3}|[a-z.:]{3})){1,4}(\\?[a-z/]{0,3})?",
    ) {
        prop_assume!(!target.starts_with("//"));
        let page = url::Url::parse(&format!("http://host{PREFIX}{base}")).unwrap();
        prop_assume!(page.path().starts_with(&format!("{PREFIX}/")));
        let links = links(&base, LinkForm::Relative);
        let expected = url::Url::parse(&format!("http://host{target}")).unwrap();
        for mapped in [links.map(&target), links.map_in_page(&target)] {
            let resolved = page.join(&mapped.unwrap()).unwrap();
            let path = resolved.path().strip_prefix(PREFIX).unwrap();
            prop_assert_eq!((path, resolved.query()), (expected.path(), expected.query()));
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(url in "[/\\\\:?#.a%2eE\\t@\\[\\]ü]{0,12}", base in "[/\\\\:?#.a%é]{0,8}") {
        let mut links = links("/a/b", LinkForm::Relative);
        links.rebase(&base);
        let _ = (links.map(&url), links.inside(&url));
    }
}
