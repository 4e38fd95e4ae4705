//! Which target a path of the API leads to: `/api/v1/namespaces/NS/services/[SCHEME:]NAME[:PORT]/proxy/…`, the same of
//! pods and nodes, and the same in the group of Throughway.
//!
//! In: a path as it came. Out: the target, and the path inside it. What is no such path is `None`; so is a name that
//! has no origin of its own, as its letters or its length are not those of a host name. Pure.
//!
//! Kubernetes: `SplitSchemeNamePort` in `pkg/util/net/port_split.go` of k8s.io/apimachinery.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::host_route::{HostRoute, Target};
use crate::local::config::{TargetKind, TargetScheme};

/// A target, and a path inside it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::local) struct ProxyPath<'p> {
    pub(in crate::local) target: Target,
    /// As it came, with a slash at its beginning.
    pub(in crate::local) inside: &'p str,
}

impl<'p> ProxyPath<'p> {
    /// Reads a path, without its query. `api_group` is Throughway's.
    pub(in crate::local) fn parse(path: &'p str, api_group: &str) -> Option<Self> {
        let rest = match path.strip_prefix("/api/v1/") {
            Some(rest) => rest,
            None => path
                .strip_prefix("/apis/")?
                .strip_prefix(api_group)?
                .strip_prefix("/v1/")?,
        };
        let (first, rest) = segment(rest)?;
        let (namespace, kind, rest) = if first == "namespaces" {
            let (namespace, rest) = segment(rest)?;
            let (kind, rest) = segment(rest)?;
            (namespace, kind, rest)
        } else {
            (Cow::Borrowed(""), first, rest)
        };
        let kind = match &*kind {
            "services" => TargetKind::Service,
            "pods" => TargetKind::Pod,
            "nodes" => TargetKind::Node,
            _ => return None,
        };
        let (name, rest) = segment(rest)?;
        let (proxy, inside) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        // Compared decoded, as kube-apiserver reads it.
        let is_proxy = percent_decode_str(proxy).eq(*b"proxy");
        let target = is_proxy.then(|| target(kind, namespace.into_owned(), &name))??;
        Some(Self { target, inside })
    }
}

/// The first segment, decoded, and what comes after its slash.
fn segment(path: &str) -> Option<(Cow<'_, str>, &str)> {
    let (segment, rest) = path.split_once('/')?;
    Some((percent_decode_str(segment).decode_utf8().ok()?, rest))
}

/// The target that a segment names, if it has an origin of its own.
fn target(kind: TargetKind, namespace: String, segment: &str) -> Option<Target> {
    let parts: Vec<&str> = segment.split(':').collect();
    let (scheme, name, port) = match *parts {
        [name] => ("", name, ""),
        [name, port] => ("", name, port),
        [scheme, name, port] => (scheme, name, port),
        _ => return None,
    };
    let target = Target {
        kind,
        namespace,
        name: name.to_owned(),
        port: (!port.is_empty()).then(|| port.to_owned()),
        scheme: match scheme {
            "" => None,
            "http" => Some(TargetScheme::Http),
            "https" => Some(TargetScheme::Https),
            _ => return None,
        },
    };
    // Read back from its own host: a name that would be another target there has no origin of its own.
    (HostRoute::of(&target.host()) == Ok(HostRoute::Target(target.clone()))).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(path: &str) -> Option<String> {
        let found = ProxyPath::parse(path, "throughway.dev")?;
        Some(format!("{}{}", found.target.host(), found.inside))
    }

    #[test]
    fn a_path_of_the_proxy_has_an_origin() {
        for (path, expected) in [
            (
                "/api/v1/namespaces/kubernetes-dashboard/services/https:kubernetes-dashboard:/proxy/x/",
                "https-.kubernetes-dashboard.kubernetes-dashboard.svc.localhost/x/",
            ),
            (
                "/apis/throughway.dev/v1/namespaces/demo/services/web:http/proxy",
                "http.web.demo.svc.localhost/",
            ),
            (
                "/api/v1/namespaces/demo/services/web:80/proxy//a%2Fb/..%2f",
                "80.web.demo.svc.localhost//a%2Fb/..%2f",
            ),
            (
                "/api/v1/%6eamespaces/demo/services/web%3A80/%70roxy/x",
                "80.web.demo.svc.localhost/x",
            ),
            (
                "/api/v1/namespaces/demo/pods/http:web-0:8080/proxy/",
                "http-8080.web-0.demo.pod.localhost/",
            ),
            (
                "/api/v1/nodes/node-1.example:10250/proxy/metrics",
                "10250.node-1.example.node.localhost/metrics",
            ),
        ] {
            assert_eq!(origin(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn every_other_path_is_the_apis() {
        for path in [
            "/",
            "/api/v1/namespaces/demo/services/web",
            "/api/v1/namespaces/demo/services/web/status/proxy",
            "/api/v1/namespaces/demo/services/proxy",
            "/api/v1/namespaces/demo/configmaps/web/proxy/",
            "/api/v1/namespaces/demo/nodes/x/proxy/",
            "/api/v1/services/web/proxy/",
            "/apis/apps/v1/namespaces/demo/services/web/proxy/",
            "/api/v1/namespaces/demo/services/ftp:web:21/proxy/",
            "/api/v1/namespaces/demo/services/a:b:c:d/proxy/",
            "/api/v1/namespaces/demo/services/we%2Fb/proxy/",
            "/api/v1/namespaces/demo/services/we%ffb/proxy/",
            "/api/v1/namespaces/de.mo/services/web/proxy/",
            "/api/v1/namespaces//services/web/proxy/",
            "//api/v1/namespaces/demo/services/web/proxy/",
            "/api/v1/namespaces/demo/pods/web:named/proxy/",
        ] {
            assert_eq!(origin(path), None, "{path}");
        }
    }
}
