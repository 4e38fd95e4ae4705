//! What a request asks for, read a second time as `RequestInfoFactory.NewRequestInfo` of k8s.io/apiserver does
//! (`pkg/endpoints/request/requestinfo.go`), with the rules of names from k8s.io/apimachinery (`pkg/util/validation`).
//!
//! An input is a line `METHOD PATH`, and perhaps a second line with a `Throughway-Path`. What is read here and there is
//! the same; what Kubernetes takes for a request of a proxy, with names that can be, is not refused; and what is inside
//! the target stays byte for byte.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue, Method, Uri};
use regex::Regex;

use crate::serve::api::{RequestInfo, Unserved};
use crate::serve::config::ApiGroup;

/// What Kubernetes reads.
#[derive(Debug, Default, PartialEq)]
struct Read {
    verb: String,
    group: String,
    version: String,
    namespace: String,
    resource: String,
    subresource: String,
    name: String,
}

pub(super) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (first, raw) = match text.split_once('\n') {
        Some((first, raw)) => (first, Some(raw)),
        None => (text, None),
    };
    let Some((method, path)) = first.split_once(' ') else {
        return;
    };
    let (Ok(method), Ok(uri)) = (Method::try_from(method), Uri::try_from(path)) else {
        return;
    };
    if uri.authority().is_some() || !path.starts_with('/') {
        return;
    }
    // `http` cuts it off, and no request line has one.
    let path = path.split('#').next().unwrap();
    let group = ApiGroup::for_tests();
    let read = RequestInfo::read(&group, &method, &uri);
    compare(&read, &method, path);
    if let (Ok(asked), Some(raw)) = (&read, raw) {
        with_raw_path(&group, asked, &method, &uri, raw);
    }
}

/// The path as Kubernetes has it, decoded; `None`: Go answers 400.
fn decoded(path: &str) -> Option<Vec<u8>> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            decoded.push((high * 16 + low) as u8);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// `NewRequestInfo`, for what begins with `/apis`.
fn by_kubernetes(method: &str, path: &str) -> Option<Read> {
    let path = path.trim_matches('/');
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.len() < 3 || parts[0] != "apis" {
        return None;
    }
    let mut read = Read {
        group: parts[1].into(),
        version: parts[2].into(),
        ..Read::default()
    };
    parts.drain(..3);
    read.verb = match method {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
    .into();
    if parts
        .first()
        .is_some_and(|first| ["proxy", "watch"].contains(first))
    {
        read.verb = parts.remove(0).into();
    }
    if parts.first() == Some(&"namespaces") && parts.len() > 1 {
        read.namespace = parts[1].into();
        if parts.len() > 2 && parts[2] != "status" && parts[2] != "finalize" {
            parts.drain(..2);
        }
    }
    let mut parts = parts.into_iter().map(str::to_owned);
    read.resource = parts.next()?;
    read.name = parts.next().unwrap_or_default();
    read.subresource = parts.next().unwrap_or_default();
    Some(read)
}

/// Whether it is one of the requests that are served, whose namespace and name can be.
fn is_served(read: &Read) -> bool {
    static LABEL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\A[a-z0-9]([-a-z0-9]*[a-z0-9])?\z").unwrap());
    static SUBDOMAIN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\A[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\z").unwrap()
    });
    static PORT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\A[-a-z0-9]{0,15}\z").unwrap());
    let parts: Vec<&str> = read.name.split(':').collect();
    let (scheme, name, port) = match *parts {
        [name] => ("", name, ""),
        [name, port] => ("", name, port),
        [scheme, name, port] => (scheme, name, port),
        _ => return false,
    };
    let scope = match &*read.resource {
        "nodes" => read.namespace.is_empty(),
        "pods" | "services" => LABEL.is_match(&read.namespace) && read.namespace.len() <= 63,
        _ => false,
    };
    scope
        && !["proxy", "watch"].contains(&&*read.verb)
        && read.subresource == "proxy"
        && ["", "http", "https"].contains(&scheme)
        && SUBDOMAIN.is_match(name)
        && name.len() <= 253
        && PORT.is_match(port)
}

fn compare(read: &Result<RequestInfo, Unserved>, method: &Method, whole: &str) {
    let path = whole.split('?').next().unwrap();
    let asked = match read {
        Ok(asked) => asked,
        Err(refused) => return refused_rightly(refused, method, path),
    };
    assert!(!matches!(method.as_str(), "TRACE" | "CONNECT"));
    let query = asked.query().map(|query| format!("?{query}"));
    let again = [
        asked.prefix(),
        asked.path_inside(),
        &query.unwrap_or_default(),
    ]
    .concat();
    assert_eq!(again, whole, "something of it is lost");
    let inside = asked.path_inside();
    assert!(inside.is_empty() || inside.starts_with('/'));
    // Behind the prefix there may be escapes that Go takes for none; who is asked for is settled before.
    let prefix = decoded(asked.prefix()).expect("Go reads the prefix");
    let prefix = String::from_utf8(prefix).expect("the prefix is text");
    let by_kubernetes = by_kubernetes(method.as_str(), &prefix).expect("it is a resource's");
    let read = Read {
        verb: asked.verb.as_str().into(),
        group: "throughway.dev".into(),
        version: "v1".into(),
        namespace: asked.namespace.to_string(),
        resource: asked.resource.as_str().into(),
        subresource: "proxy".into(),
        name: asked.name.to_string(),
    };
    assert_eq!(by_kubernetes, read);
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-_.:".contains(one);
    assert!(
        asked.name.chars().all(is_plain) && !asked.name.split(':').any(|part| part == ".."),
        "{:?} means something elsewhere",
        asked.name
    );
    assert!(!asked.namespace.contains(['.', ':', '_']));
}

/// What is refused is not served by Kubernetes' reading either, but for what two readers could split differently.
fn refused_rightly(refused: &Unserved, method: &Method, path: &str) {
    let Some(decoded) = decoded(path).and_then(|path| String::from_utf8(path).ok()) else {
        return;
    };
    // kube-apiserver ignores slashes around the path, this server does not.
    if decoded.starts_with("//") {
        return;
    }
    let served = by_kubernetes(method.as_str(), &decoded)
        .filter(|read| is_served(read) && read.group == "throughway.dev" && read.version == "v1");
    match refused {
        Unserved::Method(_) => {
            let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
            assert!(!known.contains(&method.as_str()));
        }
        Unserved::RawPath => panic!("there is no Throughway-Path"),
        Unserved::Ambiguous => {
            let escape = path.to_ascii_lowercase();
            let has_odd = ["%2f", "%5c", "%00", "\\"]
                .iter()
                .any(|odd| escape.contains(odd));
            assert!(has_odd || served.is_none(), "{served:?}");
        }
        Unserved::NothingHere => {
            // An escaped slash moves the borders of Kubernetes' segments.
            let is_split_elsewhere = path.to_ascii_lowercase().contains("%2f");
            // To Kubernetes a namespace without a name is none, here it is no path.
            let has_no_name = decoded.contains("/namespaces//");
            assert!(
                is_split_elsewhere || has_no_name || served.is_none(),
                "{served:?}"
            );
        }
    }
}

fn with_raw_path(group: &ApiGroup, asked: &RequestInfo, method: &Method, uri: &Uri, raw: &str) {
    let Ok(value) = HeaderValue::from_str(raw) else {
        return;
    };
    let headers = HeaderMap::from_iter([(crate::serve::api::THROUGHWAY_PATH, value)]);
    // A method for which Kubernetes has no verb may stand before the path.
    let (inner, inside) = match raw.split_once(' ') {
        Some((inner, inside)) => (Some(inner), inside),
        None => (None, raw),
    };
    match RequestInfo::of(group, method, uri, &headers) {
        Ok(moved) => {
            let query = moved.query().map(|query| format!("?{query}"));
            let now = [moved.path_inside(), &query.unwrap_or_default()].concat();
            assert_eq!(now, inside);
            assert_eq!(moved.prefix(), asked.prefix());
            assert_eq!(
                (&moved.name, &moved.namespace, moved.resource, moved.verb),
                (&asked.name, &asked.namespace, asked.resource, asked.verb)
            );
            assert_eq!(moved.method.as_str(), inner.unwrap_or(method.as_str()));
            if let Some(inner) = inner {
                let known = [
                    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE",
                ];
                assert!(method == Method::POST && !known.contains(&&*inner.to_uppercase()));
                assert!(!asked.namespace.is_empty(), "kubelets know no such method");
            }
        }
        Err(refused) => {
            assert!(refused == Unserved::RawPath || inner.is_some());
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%?=&".contains(&byte);
            let is_good = raw.starts_with('/') && raw.bytes().all(is_plain);
            assert!(!is_good || raw.len() > 60_000, "{raw:?} is a path");
        }
    }
}
