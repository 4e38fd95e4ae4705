//! Where a target's redirects lead: to its own origin, where they name the target itself otherwise.
//!
//! Apps don't know how they are seen. They redirect to `https:` of their name, to the port that they listen on, or to
//! the name that they have inside of the cluster; nothing of that answers on the user's machine. In: a response, and
//! what it is a response to. Out: the response, whose `Location` leads to the origin that the browser is at; all others
//! stay byte for byte. A target has all ports of its own names here, as they are the same Service or pod
//! (`HostRoute::of`).
//!
//! Refuses, for a browser that navigates: a redirect to where it is already, by TLS alone. It would lead in a circle.

use http::{HeaderValue, header};

use super::request::{TargetRequest, raw_path};
use crate::local::config::{TargetKind, TargetScheme};
use crate::local::inbound::client_kind::ClientKind;
use crate::local::inbound::host_route::Target;
use crate::local::problem::{Advice, Problem};
use crate::protocol::host::without_port;
use crate::protocol::status::{Response, Status};

/// What nearly all clusters put behind the names of Services.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// Browsers take a backslash for a slash.
const SLASHES: [char; 2] = ['/', '\\'];

/// The request that a response is about.
#[derive(Debug, Clone)]
pub(super) struct RedirectContext<'a> {
    target: &'a Target,
    host: &'a str,
    client: ClientKind,
    /// Path and query.
    path: String,
}

impl<'a> RedirectContext<'a> {
    pub(super) fn of(request: &TargetRequest<'a>) -> Self {
        Self {
            target: request.target,
            host: request.host,
            client: request.client,
            path: raw_path(request.request.uri()).to_owned(),
        }
    }

    /// Lets redirects that lead to the target lead to its origin.
    pub(super) fn keep_at_home(&self, response: &mut Response) -> Result<(), Problem> {
        let location = response.headers().get(header::LOCATION);
        let Some(url) = location.and_then(|url| HostUrl::read(url.to_str().ok()?)) else {
            return Ok(());
        };
        // Where the URL names this origin already, it stays byte for byte.
        if !self.is_target(url.authority) || url.is_at(self.host) {
            return Ok(());
        }
        // A target that was asked for by TLS may well redirect to https: that is what it is seen by.
        let by_tls = url.scheme == Some("https") && self.target.scheme != Some(TargetScheme::Https);
        if by_tls && response.status().is_redirection() && url.is_path(&self.path) {
            return match self.client {
                ClientKind::Navigation => Err(self.wants_tls()),
                // It can't get there, which says more than a circle does.
                ClientKind::Program => Ok(()),
            };
        }
        let slash = if url.rest.starts_with(SLASHES) {
            ""
        } else {
            "/"
        };
        // By http, whatever was named: the companion's origins have no TLS.
        let mapped = format!("http://{}{slash}{}", self.host, url.rest);
        if let Ok(mapped) = HeaderValue::try_from(mapped) {
            response.headers_mut().insert(header::LOCATION, mapped);
        }
        Ok(())
    }

    /// Whether a host is the target, by the name that the browser has for it or by the one in the cluster, at whatever
    /// port.
    fn is_target(&self, authority: &str) -> bool {
        let name = without_port(authority);
        // The browser's own name first, as apps that trust Host or X-Forwarded-Host redirect to that.
        if name.eq_ignore_ascii_case(without_port(self.host)) {
            return true;
        }
        let Target {
            kind,
            name: own,
            namespace,
            ..
        } = self.target;
        let own = format!("{own}.{namespace}.svc");
        *kind == TargetKind::Service
            && (name.eq_ignore_ascii_case(&own)
                || name.eq_ignore_ascii_case(&format!("{own}.{CLUSTER_DOMAIN}")))
    }

    fn wants_tls(&self) -> Problem {
        let status = Status::bad_gateway(
            "the target answers plain HTTP with a redirect to itself by TLS, and does not see that it is asked for by a proxy",
        );
        let by_tls = Target {
            scheme: Some(TargetScheme::Https),
            // The port that was named is the one without TLS.
            port: None,
            ..self.target.clone()
        };
        let port = self.host.strip_prefix(without_port(self.host));
        let url = format!("http://{}{}/", by_tls.host(), port.unwrap_or_default());
        Problem::new(status, "The target wants TLS")
            .advise(Advice::Link {
                label: "Its TLS port, if it has one".to_owned(),
                url,
            })
            .advise(Advice::Sentence(
                "Or let the app trust X-Forwarded-Proto, or switch its redirect to https off."
                    .to_owned(),
            ))
    }
}

/// A URL that names a host.
struct HostUrl<'u> {
    /// `http` or `https`; without one it is that of the page.
    scheme: Option<&'static str>,
    authority: &'u str,
    /// Path, query and fragment.
    rest: &'u str,
}

impl<'u> HostUrl<'u> {
    fn read(text: &'u str) -> Option<Self> {
        // Browsers strip white space around a URL.
        let text = text.trim();
        let begins = |scheme: &str| {
            let begin = text.get(..scheme.len())?;
            begin
                .eq_ignore_ascii_case(scheme)
                .then(|| &text[scheme.len()..])
        };
        let (scheme, rest) = match (begins("https:"), begins("http:")) {
            (Some(rest), _) => (Some("https"), rest),
            (None, Some(rest)) => (Some("http"), rest),
            (None, None) => (None, text),
        };
        let authority = rest.trim_start_matches(SLASHES);
        // Two slashes are followed by a host, and browsers pass over all further ones.
        if rest.len() - authority.len() < 2 {
            return None;
        }
        let end = authority.find(['/', '\\', '?', '#']);
        let (authority, rest) = authority.split_at(end.unwrap_or(authority.len()));
        Some(Self {
            scheme,
            authority,
            rest,
        })
    }

    /// Whether it is at this origin already.
    fn is_at(&self, host: &str) -> bool {
        self.scheme != Some("https") && self.authority.eq_ignore_ascii_case(host)
    }

    // A fragment never reaches a server, so it makes no other request.
    fn is_path(&self, path: &str) -> bool {
        let rest = self.rest.split('#').next().unwrap_or_default();
        let from_root = |rest: &str| rest.trim_start_matches(SLASHES).to_owned();
        from_root(rest) == from_root(path)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::StatusCode;

    use super::*;
    use crate::local::inbound::host_route::HostRoute;
    use crate::protocol::status::Request;

    const HOST: &str = "web.demo.svc.localhost:8001";

    fn led(host: &str, client: ClientKind, status: u16, location: &str) -> Result<String, Problem> {
        let Ok(HostRoute::Target(target)) = HostRoute::of(host) else {
            panic!("{host}")
        };
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = "/a?b".parse().unwrap();
        let request = TargetRequest {
            target: &target,
            host,
            client,
            request,
        };
        let asked = RedirectContext::of(&request);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let value = HeaderValue::from_str(location).unwrap();
        response.headers_mut().insert(header::LOCATION, value);
        asked.keep_at_home(&mut response)?;
        Ok(response.headers()[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned())
    }

    #[test]
    fn a_redirect_to_the_target_by_another_name_leads_to_its_origin() {
        for (location, path) in [
            ("https://web.demo.svc.localhost:8001/x?y#z", "/x?y#z"),
            ("HTTPS://Web.demo.svc.localhost/x", "/x"),
            ("http://web.demo.svc.localhost:8080/x", "/x"),
            ("http://web.demo.svc.localhost/x", "/x"),
            ("//web.demo.svc.localhost:8080", "/"),
            ("http://web.demo.svc:80?x", "/?x"),
            ("///web.demo.svc/x", "/x"),
            ("http:\\\\web.demo.svc/x", "/x"),
            ("\\/\\web.demo.svc\\x", "\\x"),
            ("http://web.demo.svc.cluster.local/x", "/x"),
            ("https://web.demo.svc.cluster.local:8443/a?b#c", "/a?b"),
            ("https://web.demo.svc.localhost:8001/a", "/a"),
        ] {
            for status in [201, 302, 307] {
                let led = led(HOST, ClientKind::Program, status, location);
                let expected = match path {
                    "/a?b" if status != 201 => location.to_owned(),
                    "/a?b" => format!("http://{HOST}/a?b#c"),
                    path => format!("http://{HOST}{path}"),
                };
                assert_eq!(led.unwrap(), expected, "{status} {location}");
            }
        }
    }

    #[test]
    fn every_other_stays_byte_for_byte() {
        for location in [
            "/x",
            "x",
            "?x",
            "http://web.demo.svc.localhost:8001/x",
            "//web.demo.svc.localhost:8001/x",
            "https://sso.example/?to=http://web.demo.svc/x",
            "http://api.demo.svc.localhost:8001/x",
            "http://8080.web.demo.svc.localhost:8001/x",
            "http://web.other.svc.cluster.local/x",
            "http://web.demo.svc@evil.example/x",
            "http://user@web.demo.svc/x",
            "http://web.demo.svc.evil.example/",
            "ftp://web.demo.svc/",
            "https:web.demo.svc",
            "https:/web.demo.svc/x",
            "///sso.example/x",
            "///",
        ] {
            let led = led(HOST, ClientKind::Navigation, 302, location);
            assert_eq!(led.unwrap(), location);
        }
        let of_pod = "web.demo.pod.localhost:8001";
        let service = "http://web.demo.svc/x";
        let led = led(of_pod, ClientKind::Navigation, 302, service);
        assert_eq!(led.unwrap(), service);
    }

    #[test]
    fn a_circle_by_tls_is_told_to_a_person_and_left_to_a_program() {
        let location = "https://web.demo.svc.localhost:8001/a?b";
        let problem = led(HOST, ClientKind::Navigation, 301, location).unwrap_err();
        let shown = format!("{problem:?}");
        let by_tls = "http://https-.web.demo.svc.localhost:8001/";
        assert!(shown.contains(by_tls), "{shown}");
        let by_program = led(HOST, ClientKind::Program, 301, location);
        assert_eq!(by_program.unwrap(), location);
        // A target that is asked by TLS may say so.
        let of_tls = "https-.web.demo.svc.localhost:8001";
        let location = "https://https-.web.demo.svc.localhost:8001/a?b";
        let led = led(of_tls, ClientKind::Navigation, 302, location).unwrap();
        assert_eq!(led, format!("http://{of_tls}/a?b"));
    }
}
