//! Which part of kubectl proxy a request's path belongs to, and which path is sent on to the API server.
//!
//! In: `--api-prefix`, `--www-prefix` and a request. Out: the path for the API server, or "that is a file", or a
//! response: a redirect to the path without `.`, `..` and empty segments, to the prefix with its slash, or 404.
//!
//! Exactly as kubectl, which has some edges: prefixes are compared segment by segment with escapes undone; a prefix
//! that begins with `/api` stays on the path, any other goes; when it went, escapes of the rest are written in the
//! usual way (`%2F` becomes a slash) unless the prefix is `/`; a redirect escapes a `%` of the path once more. A prefix
//! without a slash at its beginning serves nothing. The query goes on as it came.
//!
//! kubectl: `NewServer` and `stripLeaveSlash` in `pkg/proxy/proxy_server.go`; `ServeMux` of Go's `net/http`;
//! `joinURLPath` of `net/http/httputil`.

use axum::body::Body;
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::plain;
use super::request_path::{RequestPath, as_text, clean, escape, unescape};
use crate::local::config::{LocalApi, StaticFiles};
use crate::protocol::status::{Request, Response};

/// Bytes beyond ASCII are always escaped, and nothing else is here.
const NOT_ASCII: &AsciiSet = &AsciiSet::EMPTY;

/// Where a request goes.
#[derive(Debug)]
pub(in crate::local) enum Routed {
    Api {
        /// Path and query for the API server, before [`below_server_path`].
        path: String,
        /// The decoded path, for the filter.
        decoded: String,
    },
    /// To the static files, with its own path.
    Files,
    /// To another path of this server.
    Redirect(Response),
    /// Nothing is served there; also a path that is none (400).
    NotFound(Response),
}

/// What happens on the connection after the request, which kubectl has two ways of writing paths for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum Exchange {
    Plain,
    /// exec, attach, port-forward, WebSockets.
    Upgrade,
}

/// Finds out where a request goes.
pub(in crate::local) fn route(
    api: &LocalApi,
    files: Option<&StaticFiles>,
    request: &Request,
) -> Routed {
    let uri = request.uri();
    // The escaped spelling decides, as in Go's ServeMux.
    let path = match uri.path_and_query() {
        Some(whole) => whole.path(),
        // The host of a CONNECT, which no prefix covers.
        None => return Routed::NotFound(plain::not_found()),
    };
    if path == "*" {
        return Routed::NotFound(if *request.method() == Method::OPTIONS {
            plain::empty(StatusCode::OK)
        } else {
            no_path("")
        });
    }
    let Ok(path) = RequestPath::parse(path) else {
        return Routed::NotFound(no_path("400 Bad Request"));
    };
    let prefixes = Prefixes { api, files };
    let escaped = path.escaped();
    // ServeMux does not clean the path of a CONNECT.
    if *request.method() == Method::CONNECT {
        return match prefixes.owner(&escaped) {
            _ if prefixes.lacks_its_slash(&escaped) => redirect_to_slash(request, &path),
            Some(Owner::Api) => to_api(api, path, request),
            Some(Owner::Files) => Routed::Files,
            None => Routed::NotFound(plain::not_found()),
        };
    }
    let cleaned = as_text(&clean(escaped.as_bytes()));
    // Before the comparison below: this redirect adds a slash and cleans nothing else.
    if prefixes.lacks_its_slash(&cleaned) {
        return redirect_to_slash(request, &path);
    }
    if cleaned != escaped {
        return Routed::Redirect(redirect(request, cleaned.as_bytes()));
    }
    match prefixes.owner(&escaped) {
        Some(Owner::Api) => to_api(api, path, request),
        Some(Owner::Files) => Routed::Files,
        None => Routed::NotFound(plain::not_found()),
    }
}

/// The path and query of [`Routed::Api`] below the path of the kubeconfig's server address, for `--append-server-path`.
///
/// An upgrade loses the spelling of its path there: escapes are written in the usual way.
pub(in crate::local) fn below_server_path(
    server_path: &str,
    path: &str,
    exchange: Exchange,
) -> String {
    let (path, query) = match path.find('?') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    // As Go's `URL.EscapedPath` writes a path whose spelling is not known.
    let usual = |path: &str| unescape(path).map(|decoded| escape(&decoded));
    let server_path = usual(server_path).unwrap_or_else(|| server_path.to_owned());
    let path = match exchange {
        Exchange::Plain => path.to_owned(),
        Exchange::Upgrade => usual(path).unwrap_or_else(|| path.to_owned()),
    };
    let server_path = server_path.trim_end_matches('/');
    format!(
        "{server_path}/{}{query}",
        path.strip_prefix('/').unwrap_or(&path)
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Api,
    Files,
}

struct Prefixes<'a> {
    api: &'a LocalApi,
    files: Option<&'a StaticFiles>,
}

impl Prefixes<'_> {
    /// Whose prefix is the longest that covers an escaped path.
    fn owner(&self, escaped: &str) -> Option<Owner> {
        let owners = [
            Some((Owner::Api, self.api.prefix.as_str())),
            self.files
                .map(|files| (Owner::Files, files.prefix.as_str())),
        ];
        owners
            .into_iter()
            .flatten()
            .filter(|(_, prefix)| covers(prefix, escaped))
            // ServeMux takes the longest pattern; where both are as long, the last one here.
            .max_by_key(|(_, prefix)| prefix.matches('/').count())
            .map(|(owner, _)| owner)
    }

    /// Whether an escaped path is a prefix but for the slash at its end.
    fn lacks_its_slash(&self, escaped: &str) -> bool {
        if escaped.ends_with('/') {
            return false;
        }
        let with_slash = format!("{escaped}/");
        let is_whole = |prefix: &str| {
            covers(prefix, &with_slash)
                && prefix.matches('/').count() == with_slash.matches('/').count()
        };
        is_whole(&self.api.prefix) || self.files.is_some_and(|files| is_whole(&files.prefix))
    }
}

/// Whether a path begins with a prefix's segments, each with escapes undone, and goes on with a slash.
fn covers(prefix: &str, escaped: &str) -> bool {
    // A segment that can't be decoded is compared as it stands.
    let segment = |text: &str| unescape(text).unwrap_or_else(|| text.as_bytes().to_vec());
    let (Some(prefix), Some(mut rest)) = (prefix.strip_prefix('/'), escaped.strip_prefix('/'))
    else {
        return false;
    };
    for wanted in prefix.split_terminator('/') {
        let Some((found, after)) = rest.split_once('/') else {
            return false;
        };
        if segment(found) != segment(wanted) {
            return false;
        }
        rest = after;
    }
    true
}

/// What `stripLeaveSlash` and the reverse proxy behind it make of a path.
fn to_api(api: &LocalApi, mut path: RequestPath, request: &Request) -> Routed {
    // kubectl keeps a prefix that begins with `/api`, so that `/api/v1` stays what it is.
    if !api.prefix.starts_with("/api") {
        let Some(rest) = path.decoded.strip_prefix(api.prefix.as_bytes()) else {
            return Routed::NotFound(plain::not_found());
        };
        let mut rest = rest.to_vec();
        if !rest.is_empty() && !rest.starts_with(b"/") {
            rest.insert(0, b'/');
        }
        path.decoded = rest;
    }
    // Written from the decoded path, as `stripLeaveSlash` changes only that: this is where `%2F` becomes a slash.
    let mut written = path.escaped();
    if !written.starts_with('/') {
        written.insert(0, '/');
    }
    // The query goes on as it came, whatever became of the path.
    if let Some(query) = request.uri().query() {
        written.push('?');
        written.push_str(query);
    }
    Routed::Api {
        path: written,
        decoded: as_text(&path.decoded),
    }
}

fn redirect_to_slash(request: &Request, path: &RequestPath) -> Routed {
    let mut target = clean(&path.decoded);
    target.push(b'/');
    Routed::Redirect(redirect(request, &target))
}

/// 307 to a path of this server, with the request's query.
fn redirect(request: &Request, path: &[u8]) -> Response {
    let mut url = escape(path);
    if let Some(query) = request.uri().query().filter(|query| !query.is_empty()) {
        url.push('?');
        url.push_str(query);
    }
    let mut response = plain::empty(StatusCode::TEMPORARY_REDIRECT);
    if let Ok(location) = HeaderValue::try_from(utf8_percent_encode(&url, NOT_ASCII).to_string()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    let is_get = *request.method() == Method::GET;
    if is_get || *request.method() == Method::HEAD {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, html);
    }
    // Go writes this body to a GET alone (`http.Redirect`).
    if is_get {
        let link = plain::escape_html(&url);
        *response.body_mut() =
            Body::from(format!("<a href=\"{link}\">Temporary Redirect</a>.\n\n"));
    }
    response
}

/// 400 to a request whose target is no path; the connection ends.
fn no_path(text: &'static str) -> Response {
    let mut response = plain::empty(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    // Go's server closes after a request that it could not read.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if !text.is_empty() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        *response.body_mut() = Body::from(text);
    }
    response
}

#[cfg(test)]
mod tests;
