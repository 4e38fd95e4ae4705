//! Through Throughway: the request in an envelope, its path in `Throughway-Path`, with the method before it where
//! Kubernetes has no verb for that; and the response out of its envelope.

use http::{HeaderName, HeaderValue, Method, Uri, header};

use super::cookies;
use super::location::RedirectContext;
use super::request::{TargetRequest, raw_path, send as send_to_api_server};
use crate::local::problem::Problem;
use crate::local::upstream::Upstream;
use crate::local::upstream::upgrade::requested_upgrade;
use crate::protocol::host::without_port;
use crate::protocol::status::{Response, Status};
use crate::protocol::{envelope, hop_by_hop};

const THROUGHWAY_PATH: HeaderName = HeaderName::from_static("throughway-path");

/// Whose response it is.
pub(super) enum ResponseFrom {
    Target(Response),
    /// A refusal of Throughway, kube-aggregator or kube-apiserver.
    Cluster(Response),
}

/// Where the browser sees the target. A name with the dot of DNS's root is the same, and no name of an origin for
/// Throughway.
fn origin(host: &str) -> String {
    let name = without_port(host);
    let port = &host[name.len()..];
    format!("http://{}{port}", name.trim_end_matches('.'))
}

pub(super) async fn send(
    upstream: &Upstream,
    api_group: &str,
    request: TargetRequest<'_>,
) -> Result<ResponseFrom, Problem> {
    // Read before the request is taken apart, as the response is judged by what the browser asked for.
    let redirects = RedirectContext::of(&request);
    let TargetRequest {
        target,
        host,
        mut request,
        ..
    } = request;
    let no_path = || {
        let status = Status::bad_request("the path has bytes that no path has");
        Problem::new(status, "No such path")
    };
    let path = raw_path(request.uri());
    let path = if envelope::is_inside(request.method()) {
        let line = HeaderValue::from_str(&format!("{} {path}", request.method()));
        // The method that carries it has to have a verb, and POST is the one that takes the right to create.
        *request.method_mut() = Method::POST;
        line
    } else {
        HeaderValue::from_str(path)
    };
    let path = path.map_err(|_| no_path())?;
    let origin = HeaderValue::try_from(origin(host)).map_err(|_| no_path())?;
    // Before hop-by-hop headers are removed, as these two are among them.
    let upgrade = requested_upgrade(request.headers());
    let headers = request.headers_mut();
    let trailers = hop_by_hop::accepts_trailers(headers);
    hop_by_hop::remove(headers);
    // The API server is asked by its own name; the browser's is in the envelope's origin.
    headers.remove(header::HOST);
    let mut wrapped = envelope::wrap_request(std::mem::take(headers), origin);
    // After all others were wrapped, so that nothing that a page sends can be taken for it.
    wrapped.insert(THROUGHWAY_PATH, path);
    // Without it, kube-aggregator would ask for an encoding of its own.
    wrapped.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    // gRPC servers refuse who does not say it.
    if trailers {
        wrapped.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(upgrade) = upgrade {
        wrapped.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        wrapped.insert(header::UPGRADE, upgrade);
    }
    *headers = wrapped;
    let path = format!("{}/", target.proxy_path(&format!("/apis/{api_group}/v1")));
    *request.uri_mut() = Uri::try_from(path).map_err(|_| no_path())?;
    let mut response = send_to_api_server(upstream, request).await?;
    // Without an envelope it came from something in between, and its headers are not the target's.
    if !envelope::unwrap_response(response.headers_mut()) {
        return Ok(ResponseFrom::Cluster(response));
    }
    // Before redirects, which may end in a page of our own.
    cookies::keep_at_home(response.headers_mut(), host);
    redirects.keep_at_home(&mut response)?;
    Ok(ResponseFrom::Target(response))
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_origin_has_no_dot_at_its_end() {
        for (host, expected) in [
            (
                "web.demo.svc.localhost:8001",
                "http://web.demo.svc.localhost:8001",
            ),
            (
                "web.demo.svc.localhost.:8001",
                "http://web.demo.svc.localhost:8001",
            ),
            ("web.demo.svc.localhost.", "http://web.demo.svc.localhost"),
        ] {
            assert_eq!(origin(host), expected);
        }
    }
}
