//! Through the built-in proxy, as far as it goes: its changes to links, redirects and headers are undone, and what
//! can't be undone is said ([`mode`]).
//!
//! `Host` and `:authority` are the origin's, which kube-apiserver passes on to the target; not where the API server
//! itself lies below a path, as something in front of it then chooses by `Host`. Pages are redirects for without an
//! encoding: the built-in proxy fails on those that it can't rewrite in. Nothing that claims an identity at the API
//! server goes along.
//!
//! Kubernetes: `pkg/util/proxy/transport.go` of k8s.io/apimachinery, `pkg/registry/core/service/proxy.go`.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use percent_encoding::percent_decode_str;

use super::cookies;
use super::location::RedirectContext;
use super::mode::ProxyMode;
use super::ports::{PortCache, PortLookup};
use super::refusal;
use super::request::{TargetRequest, raw_path, send as send_to_api_server};
use super::unprefix::PrefixRemover;
use crate::local::problem::Problem;
use crate::local::upstream::Upstream;
use crate::local::upstream::upgrade::requested_upgrade;
use crate::protocol::fetch_metadata::SEC_FETCH_DEST;
use crate::protocol::hop_by_hop;
use crate::protocol::status::{Response, Status};

const CORE_API: &str = "/api/v1";

/// What kube-apiserver says of its own, beside or in the place of what the target says.
const API_SERVER_HEADERS: [&str; 3] = [
    "audit-id",
    "x-kubernetes-pf-flowschema-uid",
    "x-kubernetes-pf-prioritylevel-uid",
];

/// What the API server adds to every response (`WithCacheControl` of k8s.io/apiserver).
const API_SERVER_CACHE_CONTROL: &str = "no-cache, private";

/// A WebSocket protocol that kube-apiserver takes for a token.
const TOKEN_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// The mode, with what a person is told of its limits.
pub(super) fn mode() -> ProxyMode {
    ProxyMode::BuiltIn {
        limits: vec![
            "Logins that use the Authorization header (Basic dialogs, API tokens) do not work: it never reaches the app.",
            "WebSockets lose the query of their address, and some apps need it.",
            "In paths, encoded slashes and doubled slashes arrive decoded and joined.",
            "A page arrives when it is complete, and a little changed; one in an encoding that the built-in proxy does not know breaks off.",
        ],
    }
}

pub(super) async fn send(
    upstream: &Upstream,
    ports: &PortCache,
    request: TargetRequest<'_>,
) -> Result<Response, Problem> {
    // Read before the request is changed: redirects are judged by what the browser asked for.
    let redirects = RedirectContext::of(&request);
    let context = request.context(upstream);
    let TargetRequest {
        host, mut request, ..
    } = request;
    // First of all, as the name of the port is part of the path; it may cost a question to the API server.
    let target_with_port = match ports.name(context).await? {
        PortLookup::Target(target_with_port) => target_with_port,
        PortLookup::Response(response) => return Ok(response),
    };
    // Before the path is put behind the prefix, where it would be one of the API.
    refuse_leading_out(request.uri().path())?;
    let prefix = target_with_port.proxy_path(CORE_API);
    let path = format!("{prefix}{}", raw_path(request.uri()));
    *request.uri_mut() = Uri::try_from(path).map_err(|_| {
        let status = Status::bad_request("the path has bytes that no path has");
        Problem::new(status, "No such path")
    })?;
    let upgrade = requested_upgrade(request.headers());
    let headers = request.headers_mut();
    to_api_server(headers);
    let before = upstream.api().url().path().trim_end_matches('/');
    // With a path before it, something in front of the API server chooses by `Host`.
    match HeaderValue::from_str(host) {
        Ok(host) if before.is_empty() => headers.insert(header::HOST, host),
        _ => headers.remove(header::HOST),
    };
    if let Some(upgrade) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, upgrade);
    }
    let response =
        // Before the headers are changed: whether a refusal is the API server's own is read from them.
        refusal::explain_status(context, send_to_api_server(upstream, request).await?).await?;
    // What stands in front of the API server may put its own path before, or leave it away, so both are undone.
    let longer = (!before.is_empty()).then(|| format!("{before}{prefix}"));
    let mut response = response;
    for prefix in longer.iter().chain([&prefix]) {
        from_api_server(response.headers_mut(), prefix, host);
        response = without_prefix(response, prefix);
    }
    // After the paths, and for every response: a cookie is the one thing that leaves the origin by itself.
    cookies::keep_at_home(response.headers_mut(), host);
    redirects.keep_at_home(&mut response)?;
    Ok(response)
}

/// Refuses a path that leads out of its target for whoever undoes its escapes. The API server does so inside the target
/// alone, but what stands in front of it may take the path for another one of the API.
fn refuse_leading_out(path: &str) -> Result<(), Problem> {
    if !path.contains('%') && !path.contains("..") {
        return Ok(());
    }
    let mut depth: usize = 0;
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        depth = match segment {
            b"" | b"." => depth,
            b".." => depth.checked_sub(1).ok_or_else(leads_out)?,
            _ => depth + 1,
        };
    }
    Ok(())
}

fn leads_out() -> Problem {
    let status = Status::bad_request("the path leads out of its target");
    Problem::new(status, "No such path")
}

fn to_api_server(headers: &mut HeaderMap) {
    let trailers = hop_by_hop::accepts_trailers(headers);
    hop_by_hop::remove(headers);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    // After the connection's own, so that `Connection` can't bring one of these back.
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            let starts = ["impersonate-", "x-remote-", "throughway-"];
            // The target never gets it anyway: the API server would take it for the caller's.
            name == "authorization" || starts.iter().any(|start| name.starts_with(start))
        })
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
    // A page must come without an encoding, as the built-in proxy fails on those that it can't rewrite in.
    let is_part_of_a_page = headers.get(SEC_FETCH_DEST).is_some_and(|dest| {
        !matches!(
            dest.as_bytes(),
            b"document" | b"iframe" | b"frame" | b"empty"
        )
    });
    let takes_gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|accepted| accepted.to_str().ok())
        .is_some_and(|accepted| accepted.contains("gzip"));
    headers.remove(header::ACCEPT_ENCODING);
    if is_part_of_a_page && takes_gzip {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    remove_token_protocols(headers);
}

/// Takes out of a WebSocket's protocols what kube-apiserver would read as a token.
fn remove_token_protocols(headers: &mut HeaderMap) {
    let Some(offered) = headers.get(header::SEC_WEBSOCKET_PROTOCOL) else {
        return;
    };
    let offered = offered.to_str().unwrap_or_default();
    let kept: Vec<&str> = offered
        .split(',')
        .map(str::trim)
        .filter(|protocol| !protocol.starts_with(TOKEN_PROTOCOL))
        .collect();
    match HeaderValue::try_from(kept.join(", ")) {
        Ok(kept) if !kept.is_empty() => headers.insert(header::SEC_WEBSOCKET_PROTOCOL, kept),
        _ => headers.remove(header::SEC_WEBSOCKET_PROTOCOL),
    };
}

fn from_api_server(headers: &mut HeaderMap, prefix: &str, host: &str) {
    for name in API_SERVER_HEADERS {
        headers.remove(name);
    }
    let own: Vec<HeaderValue> = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .cloned()
        .collect();
    // The API server puts its own first, and the target's after it.
    if own
        .first()
        .is_some_and(|first| first == API_SERVER_CACHE_CONTROL)
    {
        headers.remove(header::CACHE_CONTROL);
        for value in own.into_iter().skip(1) {
            headers.append(header::CACHE_CONTROL, value);
        }
    }
    if let Some(location) = headers
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok())
        && let Ok(location) = HeaderValue::try_from(inside(location, prefix, host))
    {
        headers.insert(header::LOCATION, location);
    }
}

/// A redirect's target without the proxy's own path: whether it is a path, or names the origin.
pub(super) fn inside(location: &str, prefix: &str, host: &str) -> String {
    let origin = format!("//{host}");
    // Browsers read nothing around a URL, and no tabs within.
    let read = location
        .trim_matches(|one: char| one <= ' ')
        .replace('\t', "");
    // Elsewhere, as in a query, it is what an app says and no place that this leads to.
    let after = ["", "http:", "https:"]
        .iter()
        .find_map(|scheme| read.strip_prefix(scheme)?.strip_prefix(&*origin));
    let start = after.map_or(0, |after| read.len() - after.len());
    let (origin, path) = read.split_at(start);
    match path.strip_prefix(prefix) {
        // Without an origin, two slashes would make what follows a host.
        Some(path) if origin.is_empty() && begins_a_host(path) => format!("/.{path}"),
        Some(path) if path.starts_with(['/', '\\']) => format!("{origin}{path}"),
        Some(rest) if rest.is_empty() || rest.starts_with(['?', '#']) => format!("{origin}/{rest}"),
        // Another path that begins with the same letters, or none of the proxy's.
        Some(_) | None => location.to_owned(),
    }
}

/// Whether browsers take a URL that begins so for one with a host.
fn begins_a_host(path: &str) -> bool {
    let rest = path.trim_start_matches(['/', '\\']);
    path.len() - rest.len() >= 2
}

fn without_prefix(response: Response, prefix: &str) -> Response {
    let headers = response.headers();
    // Exactly what the built-in proxy takes for a page.
    let is_page = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.split(';').next() == Some("text/html"));
    // With an encoding the built-in proxy has rewritten nothing.
    if !is_page || headers.contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // What is removed makes the page shorter.
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::new(PrefixRemover::new(body, prefix)))
}

#[cfg(test)]
mod tests;
