//! `Location`: what leads into the same target leads through the proxy again, as a relative reference.
//!
//! Relative, as it is the one form that means the same below every prefix: kube-aggregator's, `kubectl proxy`'s, a
//! dashboard's. What leads elsewhere, and what is relative already, passes as it came. Dot segments are resolved inside the
//! target first, so no reference climbs out of it.
//!
//! RFC 3986 section 5.2; kube-apiserver's `pkg/util/proxy/transport.go` rewrites the same ones to absolute paths.

use http::header::{HeaderMap, HeaderValue, LOCATION};
use http::uri::Authority;

use crate::api::RequestInfo;
use crate::endpoint::Endpoint;
use crate::target::Scheme;

/// Makes `Location` relative where it leads into the target.
pub(super) fn rewrite(asked: &RequestInfo, endpoint: &Endpoint, headers: &mut HeaderMap) {
    let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let Some(inside) = inside_target(location, endpoint) else {
        return;
    };
    let relative = relative_to(asked.path_inside(), inside);
    if let Ok(value) = HeaderValue::try_from(relative) {
        headers.insert(LOCATION, value);
    }
}

/// The path, query and fragment inside the target that a location names; `None` for any other place.
fn inside_target<'a>(location: &'a str, endpoint: &Endpoint) -> Option<&'a str> {
    if let Some(rest) = location.strip_prefix('/') {
        // Two slashes begin a host, and browsers take a backslash for a slash.
        return (!rest.starts_with(['/', '\\'])).then_some(location);
    }
    let (scheme, rest) = location.split_once("://")?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    names(authority, default_port, endpoint).then_some(path)
}

/// Whether an authority is the backend's own, by its address or by the `Host` that it was sent.
fn names(authority: &str, default_port: u16, endpoint: &Endpoint) -> bool {
    let Ok(named) = authority.parse::<Authority>() else {
        return false;
    };
    if authority.contains('@') {
        return false;
    }
    let port = named.port_u16().unwrap_or(default_port);
    let own_default = if endpoint.scheme == Scheme::Http {
        80
    } else {
        443
    };
    let host = endpoint
        .host
        .to_str()
        .ok()
        .and_then(|host| host.parse::<Authority>().ok());
    let by_host = host.is_some_and(|own| {
        own.host().eq_ignore_ascii_case(named.host())
            && own.port_u16().unwrap_or(own_default) == port
    });
    let address = named
        .host()
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>();
    by_host || (address == Ok(endpoint.address.ip()) && port == endpoint.address.port())
}

/// A reference from the page at `base` to `target`, both inside the same prefix that ends in `proxy`.
fn relative_to(base: &str, target: &str) -> String {
    let end = target.find(['?', '#']).unwrap_or(target.len());
    let (path, rest) = target.split_at(end);
    let path = without_dots(path);
    let below = path.strip_prefix('/').unwrap_or(&path);
    let up = match base {
        // Without its slash the prefix itself is the page, so its last segment has to be said again.
        "" => "proxy/".to_owned(),
        base => match without_dots(base).matches('/').count() - 1 {
            0 => "./".to_owned(),
            depth => "../".repeat(depth),
        },
    };
    format!("{up}{below}{rest}")
}

/// RFC 3986 section 5.2.4, with `%2e` for a dot, as browsers read it.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_dots = false;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        ends_in_dots = true;
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                ends_in_dots = false;
                kept.push(segment);
            }
        }
    }
    let slash = if ends_in_dots && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{slash}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;

    use super::*;
    use crate::config::ApiGroup;

    const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy";

    fn endpoint() -> Endpoint {
        Endpoint {
            address: ([10, 77, 0, 10], 8080).into(),
            scheme: Scheme::Http,
            host: HeaderValue::from_static("web.demo.svc"),
            pod: "demo/web-0".into(),
            settings: crate::cluster::ServiceSettings::unset(),
        }
    }

    fn rewritten(base: &str, location: &str) -> String {
        let group = ApiGroup {
            name: "throughway.dev".into(),
            version: "v1",
        };
        let asked = RequestInfo::read(
            &group,
            &Method::GET,
            &format!("{PREFIX}{base}").parse().unwrap(),
        )
        .unwrap();
        let mut headers =
            HeaderMap::from_iter([(LOCATION, HeaderValue::try_from(location).unwrap())]);
        rewrite(&asked, &endpoint(), &mut headers);
        headers[LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn what_leads_into_the_target_becomes_relative() {
        for (base, location, expected) in [
            ("/", "/login", "./login"),
            ("/", "/", "./"),
            ("", "/login", "proxy/login"),
            ("/a/b", "/login?next=/x#y", "../login?next=/x#y"),
            ("/a/b/", "/a/", "../../a/"),
            ("/", "http://web.demo.svc/login", "./login"),
            ("/", "http://WEB.demo.svc:80/login", "./login"),
            ("/", "http://10.77.0.10:8080/login", "./login"),
            ("/", "http://web.demo.svc", "./"),
            ("/", "http://web.demo.svc?a=b", "./?a=b"),
            ("/", "/a:b", "./a:b"),
            ("/", "/a//b", "./a//b"),
            ("/x", "http://web.demo.svc//b", ".//b"),
        ] {
            assert_eq!(rewritten(base, location), expected, "{base} -> {location}");
        }
    }

    #[test]
    fn no_reference_climbs_out_of_the_target() {
        for location in [
            "/../../x",
            "/%2e%2e/%2E./x",
            "/a/../../x",
            "http://web.demo.svc/../x",
        ] {
            assert_eq!(rewritten("/", location), "./x", "{location}");
        }
    }

    #[test]
    fn other_places_and_relative_references_pass_as_they_came() {
        for location in [
            "login",
            "./login",
            "../x",
            "?a",
            "#b",
            "",
            "//evil.example/x",
            "/\\evil.example/x",
            "https://web.demo.svc/x",
            "http://web.demo.svc:81/x",
            "http://web.demo.svc@evil.example/",
            "http://user@web.demo.svc/",
            "http://10.77.0.10/x",
            "ftp://web.demo.svc/x",
            "http://evil.example/http://web.demo.svc/",
            "http://web.demo.svc.evil.example/",
        ] {
            assert_eq!(rewritten("/", location), location, "{location}");
        }
    }

    proptest! {
        /// No segment looks like `a:`: the url crate takes that for a drive letter, which no `..` removes, below every
        /// scheme, where the URL standard has it for `file:` alone.
        #[test]
        fn a_relative_location_leads_where_the_absolute_one_led(
            base in "(/[a-z.]{0,3}){1,4}",
            target in "(/([a-z.]{0,3}|[a-z.:]{3})){1,4}(\\?[a-z/]{0,3})?",
        ) {
            prop_assume!(!target.starts_with("//"));
            let page = url::Url::parse(&format!("http://host{PREFIX}{base}")).unwrap();
            prop_assume!(page.path().starts_with(&format!("{PREFIX}/")));
            let resolved = page.join(&rewritten(&base, &target)).unwrap();
            let expected = url::Url::parse(&format!("http://host{target}")).unwrap();
            let path = resolved.path().strip_prefix(PREFIX).unwrap();
            prop_assert_eq!((path, resolved.query()), (expected.path(), expected.query()));
        }
    }
}
