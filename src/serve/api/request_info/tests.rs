//! Paths: what is asked for, under which verb, and which paths are nobody's.

use proptest::prelude::*;

use super::*;

fn read(method: &str, path: &str) -> Result<RequestInfo, Unserved> {
    let group = ApiGroup::for_tests();
    RequestInfo::read(&group, &method.parse().unwrap(), &path.parse().unwrap())
}

fn inside(path: &str) -> RequestInfo {
    read(
        "GET",
        &format!("/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy{path}"),
    )
    .unwrap()
}

#[test]
fn a_service_is_named_by_namespace_and_whole_segment() {
    let asked = read(
        "GET",
        "/apis/throughway.dev/v1/namespaces/demo/services/https:web:8443/proxy/a?b=c",
    )
    .unwrap();
    assert_eq!(asked.resource, Resource::Services);
    assert_eq!(
        (&*asked.namespace, &*asked.name),
        ("demo", "https:web:8443")
    );
    assert_eq!((asked.path_inside(), asked.query()), ("/a", Some("b=c")));
    assert_eq!(
        asked.prefix(),
        "/apis/throughway.dev/v1/namespaces/demo/services/https:web:8443/proxy"
    );
}

#[test]
fn a_node_has_no_namespace() {
    let asked = read("GET", "/apis/throughway.dev/v1/nodes/n1:10250/proxy/pods").unwrap();
    assert_eq!((asked.resource, &*asked.namespace), (Resource::Nodes, ""));
    assert_eq!((&*asked.name, asked.path_inside()), ("n1:10250", "/pods"));
}

#[test]
fn an_escaped_name_is_decoded_and_the_path_inside_is_not() {
    let asked = read(
        "GET",
        "/apis/throughway.dev/v1/namespaces/demo/services/edge%3Aweb/proxy/%2F/a%20b",
    )
    .unwrap();
    assert_eq!(
        (&*asked.name, asked.path_inside()),
        ("edge:web", "/%2F/a%20b")
    );
}

#[test]
fn what_is_inside_arrives_byte_for_byte() {
    for path in [
        "",
        "/",
        "//",
        "/a//b",
        "/../a",
        "/%2e%2e/a",
        "/a;b",
        "/!*'()[]",
        "/a/..",
    ] {
        assert_eq!(inside(path).path_inside(), path);
    }
    assert_eq!(
        inside("/?b=2&a=1;c&empty&%zz").query(),
        Some("b=2&a=1;c&empty&%zz")
    );
}

#[test]
fn verbs_are_those_of_kubernetes() {
    let path = "/apis/throughway.dev/v1/namespaces/demo/pods/web/proxy/";
    for (method, verb) in [
        ("GET", "get"),
        ("HEAD", "get"),
        ("POST", "create"),
        ("PUT", "update"),
        ("PATCH", "patch"),
        ("DELETE", "delete"),
        ("OPTIONS", ""),
    ] {
        assert_eq!(read(method, path).unwrap().verb.as_str(), verb);
    }
    for method in ["TRACE", "CONNECT", "PROPFIND", "get"] {
        assert_eq!(
            read(method, path),
            Err(Unserved::Method(method.parse().unwrap()))
        );
    }
}

#[test]
fn scopes_can_not_be_mixed() {
    for path in [
        "/apis/throughway.dev/v1/namespaces/demo/nodes/n1/proxy/x",
        "/apis/throughway.dev/v1/services/web/proxy/",
        "/apis/throughway.dev/v1/pods/web/proxy/",
        "/apis/throughway.dev/v1/namespaces//services/web/proxy/x",
        "/apis/throughway.dev/v1/namespaces/demo/services//proxy/x",
        "/apis/throughway.dev/v1/namespaces/../services/web/proxy/x",
        "/apis/throughway.dev/v1/namespaces/demo/services/%2e%2e/proxy/x",
        "/apis/throughway.dev/v1/namespaces/demo/services/http:%2e%2e:80/proxy/x",
        "/apis/throughway.dev/v1/namespaces/kube-system%252Fpods%252Fetcd-cp-1%23/pods/x:2379/proxy/",
        "/apis/throughway.dev/v1/namespaces/a.b/pods/x/proxy/",
        "/apis/throughway.dev/v1/namespaces/demo/pods/a;Domain=evil/proxy/",
        "/apis/throughway.dev/v1/namespaces/demo/pods/a%0a/proxy/",
        "/apis/throughway.dev/v1/proxy/namespaces/demo/services/web/x",
        "/apis/throughway.dev/v1/watch/namespaces/demo/services/web/proxy",
        "/apis/throughway.dev/v1/namespaces/demo/status",
        "/apis/throughway.dev/v1/namespaces/demo/services/web",
        "/apis/throughway.dev/v1/namespaces/demo/services/web/proxyx",
        "/apis/other.dev/v1/namespaces/demo/services/web/proxy/",
        "/apis/throughway.dev/v2/namespaces/demo/services/web/proxy/",
        "//apis/throughway.dev/v1/namespaces/demo/services/web/proxy/",
        "/api/v1/namespaces/demo/services/web/proxy/",
        "/",
    ] {
        assert_eq!(read("GET", path), Err(Unserved::NothingHere), "{path}");
    }
}

#[test]
fn a_name_that_two_readers_could_split_differently_is_ambiguous() {
    for name in ["a%2Fb", "a%2fb", "a%5Cb", "a%00b", "a%zz", "a%2", "%ff"] {
        let path = format!("/apis/throughway.dev/v1/namespaces/demo/services/{name}/proxy/x");
        assert_eq!(read("GET", &path), Err(Unserved::Ambiguous), "{name}");
    }
}

proptest! {
    #[test]
    fn reading_is_total(path in "/[ -~]{0,80}") {
        if let Ok(uri) = path.parse::<Uri>() {
            let group = ApiGroup { name: "throughway.dev".into(), version: "v1" };
            let _ = RequestInfo::read(&group, &Method::GET, &uri);
        }
    }

    #[test]
    fn prefix_and_inside_are_the_whole_path(name in "[a-z:%0-9.]{1,12}", path in "(/[a-z%.;0-9]{0,6}){0,4}") {
        let whole = format!("/apis/throughway.dev/v1/namespaces/demo/services/{name}/proxy{path}");
        if let Ok(asked) = read("GET", &whole) {
            prop_assert_eq!(format!("{}{}", asked.prefix(), asked.path_inside()), whole);
            prop_assert!(!asked.name.contains('/') && !asked.name.is_empty());
        }
    }
}

#[test]
fn throughway_path_takes_the_place_of_what_the_url_has_inside_the_target() {
    let group = ApiGroup::for_tests();
    let uri = "/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy/a?b="
        .parse()
        .unwrap();
    let of = |values: &[&str]| {
        let named = |value: &&str| (THROUGHWAY_PATH, value.parse().unwrap());
        let headers: HeaderMap = values.iter().map(named).collect();
        RequestInfo::of(&group, &Method::GET, &uri, &headers)
    };
    let asked = of(&["/api/%2F/x;y//z?b=2&a&c=%zz"]).unwrap();
    assert_eq!(asked.path_inside(), "/api/%2F/x;y//z");
    assert_eq!(asked.query(), Some("b=2&a&c=%zz"));
    assert_eq!((&*asked.name, &*asked.namespace), ("web:80", "demo"));
    assert_eq!(of(&[]).unwrap().path_inside(), "/a");
    for refused in [
        &["x"][..],
        &[""],
        &["/a#b"],
        &["/a b"],
        &["http://evil/"],
        &["/a", "/b"],
    ] {
        assert_eq!(of(refused), Err(Unserved::RawPath), "{refused:?}");
    }
}

#[test]
fn a_method_without_a_verb_may_stand_before_the_path_for_who_may_create() {
    let group = ApiGroup::for_tests();
    let of = |method: Method, kind: &str, line: &str| {
        let uri = format!("/apis/throughway.dev/v1/{kind}/web/proxy/");
        let mut headers = HeaderMap::new();
        headers.insert(THROUGHWAY_PATH, line.parse().unwrap());
        RequestInfo::of(&group, &method, &uri.parse().unwrap(), &headers)
    };
    let services = "namespaces/demo/services";
    for inner in ["PROPFIND", "REPORT", "OPTIONS"] {
        let asked = of(Method::POST, services, &format!("{inner} /dav/?x")).unwrap();
        assert_eq!((asked.method.as_str(), asked.verb), (inner, Verb::Create));
        assert_eq!((asked.path_inside(), asked.query()), ("/dav/", Some("x")));
    }
    // A right for one verb is none for another.
    for (outer, kind, inner) in [
        (Method::POST, services, "DELETE"),
        (Method::POST, services, "delete"),
        (Method::POST, services, "GET"),
        (Method::POST, services, "CONNECT"),
        (Method::POST, services, "TRACE"),
        (Method::POST, "nodes", "PROPFIND"),
        (Method::GET, services, "PROPFIND"),
        (Method::DELETE, services, "PROPFIND"),
    ] {
        let refused = of(outer, kind, &format!("{inner} /x"));
        assert_eq!(refused, Err(Unserved::Method(inner.parse().unwrap())));
    }
    for wrong in [
        "PROPFIND x",
        "PROPFIND  /x",
        "PROPFIND /x HTTP/1.1",
        " /x",
        "P: /x",
    ] {
        let refused = of(Method::POST, services, wrong);
        assert_eq!(refused, Err(Unserved::RawPath), "{wrong}");
    }
}
