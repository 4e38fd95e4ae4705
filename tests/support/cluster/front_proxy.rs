//! A front proxy with kube-aggregator's manners: it knows the caller by token, asks RBAC, and speaks for them.
//!
//! Of what kube-aggregator does, this has what decides whether a request arrives and who it is from: the identity
//! headers and the client certificate, the removed `Authorization`, the path and query that are encoded again, the 502
//! for redirects, the upgrade on a connection of its own. It does not rewrite pages.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificates::Authority;
use super::rbac::{self, Wish};
use super::store::{Account, Store};
use crate::serving::Serving;
use crate::tls::presenting;

/// What Go leaves as it is in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b':')
    .remove(b'=')
    .remove(b'@');

/// What Go leaves as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The running front proxy.
#[derive(Debug)]
pub struct FrontProxy {
    pub address: SocketAddr,
    _serving: Serving,
}

struct Shared {
    store: Arc<Store>,
    /// Throughway's address.
    server: SocketAddr,
    http2: Arc<rustls::ClientConfig>,
    http1: Arc<rustls::ClientConfig>,
    kept: Mutex<Option<http2::SendRequest<Body>>>,
}

impl FrontProxy {
    /// Serves at `address`, in front of a Throughway at `server`, with a certificate of the cluster's CA.
    pub async fn start(
        address: SocketAddr,
        server: SocketAddr,
        store: Arc<Store>,
        cluster_ca: &Authority,
        front_proxy_ca: &Authority,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let identity = || front_proxy_ca.issue("front-proxy-client");
        let shared = Arc::new(Shared {
            store,
            server,
            http2: Arc::new(presenting(identity(), b"h2")),
            http1: Arc::new(presenting(identity(), b"http/1.1")),
            kept: Mutex::new(None),
        });
        let tls = TlsAcceptor::from(cluster_ca.server_config("kube-apiserver"));
        let serving = Serving::each(listener, move |stream, peer| {
            let (tls, shared) = (tls.clone(), Arc::clone(&shared));
            async move {
                let Ok(stream) = tls.accept(stream).await else {
                    return;
                };
                let service = service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(shared.respond(peer, request).await) }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // A caller that leaves is no failure.
                let _ = builder
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await;
            }
        });
        Ok(Self {
            address: serving.address,
            _serving: serving,
        })
    }
}

impl Shared {
    async fn respond(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let authorization = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let who = match token {
            Some(token) => self.store.account(token),
            None => Some(Account {
                name: "system:anonymous".into(),
                groups: vec!["system:unauthenticated".into()],
            }),
        };
        let Some(who) = who else {
            return refusal(StatusCode::UNAUTHORIZED, "Unauthorized");
        };
        if let Some(wish) = wish(&request)
            && !rbac::allows(&self.store, &who, &wish)
        {
            let Wish {
                verb,
                group,
                resource,
                namespace,
                name,
                ..
            } = &wish;
            let kind = resource.split('/').next().unwrap_or_default();
            let words = format!(
                "{kind}.{group} {name:?} is forbidden: User {:?} cannot {verb} resource {resource:?} in API group {group:?} in the namespace {namespace:?}",
                who.name
            );
            return refusal(StatusCode::FORBIDDEN, &words);
        }
        let sent = self.send_on(peer, &who, request).await;
        sent.unwrap_or_else(|failed| {
            refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("error trying to reach service: {failed}"),
            )
        })
    }

    async fn send_on(
        &self,
        peer: SocketAddr,
        who: &Account,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
        let connection = request
            .headers()
            .get(header::CONNECTION)
            .map_or(&b""[..], HeaderValue::as_bytes);
        let wants_upgrade = String::from_utf8_lossy(connection)
            .to_ascii_lowercase()
            .contains("upgrade");
        let caller = hyper::upgrade::on(&mut request);
        let (mut parts, body) = request.into_parts();
        speak_for(&mut parts.headers, who, peer);
        let target = encode_again(&parts.uri);
        if wants_upgrade {
            parts.uri = target.parse()?;
            parts
                .headers
                .insert(header::HOST, self.server.to_string().parse()?);
            return self
                .upgrade(caller, Request::from_parts(parts, Body::new(body)))
                .await;
        }
        for name in [
            "connection",
            "host",
            "keep-alive",
            "transfer-encoding",
            "upgrade",
        ] {
            parts.headers.remove(name);
        }
        parts
            .headers
            .insert("x-forwarded-host", self.server.to_string().parse()?);
        parts
            .headers
            .insert("x-forwarded-proto", HeaderValue::from_static("https"));
        parts
            .headers
            .entry(header::ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("gzip"));
        parts.uri = format!("https://{}{target}", self.server).parse()?;
        parts.version = http::Version::HTTP_2;
        let mut sender = self.sender().await?;
        let response = sender
            .send_request(Request::from_parts(parts, Body::new(body)))
            .await?;
        if response.status().is_redirection() && response.headers().contains_key(header::LOCATION) {
            let words = "the backend attempted to redirect this request, which is not permitted";
            return Ok(refusal(StatusCode::BAD_GATEWAY, words));
        }
        Ok(response.map(Body::new))
    }

    async fn upgrade(
        &self,
        caller: hyper::upgrade::OnUpgrade,
        request: Request<Body>,
    ) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TokioIo::new(self.connect(&self.http1).await?);
        let (mut sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection.with_upgrades());
        let mut response = sender.send_request(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            if response.status().as_u16() < 400 {
                let words = format!(
                    "invalid upgrade response: status code {}",
                    response.status().as_u16()
                );
                return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, &words));
            }
            return Ok(response.map(Body::new));
        }
        let server = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let Ok((caller, server)) = tokio::try_join!(caller, server) {
                let (mut caller, mut server) = (TokioIo::new(caller), TokioIo::new(server));
                // A tunnel that breaks off has ended.
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut server).await;
            }
        });
        Ok(response.map(|_| Body::empty()))
    }

    async fn sender(
        &self,
    ) -> Result<http2::SendRequest<Body>, Box<dyn std::error::Error + Send + Sync>> {
        let mut kept = self.kept.lock().await;
        if let Some(sender) = kept.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = TokioIo::new(self.connect(&self.http2).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        *kept = Some(sender.clone());
        Ok(sender)
    }

    async fn connect(
        &self,
        tls: &Arc<rustls::ClientConfig>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.server).await?;
        let name = ServerName::IpAddress(self.server.ip().into());
        TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await
    }
}

/// What the path of a request for a proxy subresource asks of RBAC.
fn wish(request: &Request<Incoming>) -> Option<Wish> {
    let path = percent_decode_str(request.uri().path())
        .decode_utf8()
        .ok()?
        .into_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, namespace, resource, name) = match *parts.as_slice() {
        [
            "apis",
            group,
            _,
            "namespaces",
            namespace,
            resource,
            name,
            "proxy",
            ..,
        ] => (group, namespace, resource, name),
        ["apis", group, _, resource, name, "proxy", ..] => (group, "", resource, name),
        _ => return None,
    };
    let verb = match request.method().as_str() {
        "GET" | "HEAD" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    };
    Some(Wish {
        verb: verb.to_owned(),
        group: group.to_owned(),
        resource: format!("{resource}/proxy"),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        path: String::new(),
    })
}

fn speak_for(headers: &mut HeaderMap, who: &Account, peer: SocketAddr) {
    let claims = |name: &HeaderName| {
        name.as_str().starts_with("x-remote-") || *name == header::AUTHORIZATION
    };
    let claimed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| claims(name))
        .cloned()
        .collect();
    for name in claimed {
        headers.remove(name);
    }
    headers.insert(
        "x-remote-user",
        who.name.parse().expect("a name is header text"),
    );
    for group in &who.groups {
        headers.append(
            "x-remote-group",
            group.parse().expect("a group is header text"),
        );
    }
    let before = headers
        .get("x-forwarded-for")
        .and_then(|value| value.to_str().ok())
        .map(|list| format!("{list}, "));
    let list = format!("{}{}", before.unwrap_or_default(), peer.ip());
    headers.insert(
        "x-forwarded-for",
        list.parse().expect("addresses are header text"),
    );
}

/// Path and query as Go writes them after it has read them: escapes decoded and made anew, keys sorted, odd parts lost.
fn encode_again(uri: &Uri) -> String {
    let path = percent_decode_str(uri.path()).collect::<Vec<u8>>();
    let path = percent_encoding::percent_encode(&path, PATH).to_string();
    let mut pairs: Vec<(String, String)> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|part| !part.is_empty() && !part.contains(';'))
        .filter_map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let decode = |text: &str| {
                Some(
                    percent_decode_str(&text.replace('+', " "))
                        .decode_utf8()
                        .ok()?
                        .into_owned(),
                )
            };
            Some((decode(key)?, decode(value)?))
        })
        .collect();
    pairs.sort_by(|one, other| one.0.cmp(&other.0));
    let encode = |text: &str| {
        utf8_percent_encode(text, QUERY)
            .to_string()
            .replace("%20", "+")
    };
    let query: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    if query.is_empty() {
        path
    } else {
        format!("{path}?{}", query.join("&"))
    }
}

fn refusal(code: StatusCode, words: &str) -> Response<Body> {
    let text = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": words, "code": code.as_u16()});
    let mut response = Response::new(Body::from(text.to_string()));
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
