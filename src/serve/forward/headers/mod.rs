//! Every deliberate change to headers, in both directions, and which header of a caller never reaches a backend.
//!
//! To the backend, in this order: what belongs to one connection goes first, with everything that `Connection` names
//! (RFC 9110 section 7.6.1), so that no caller can make a header of ours go (CVE-2021-31999); then what claims an
//! identity, in any spelling; our own headers come last. What stays keeps its order.
//!
//! | header | what the backend gets | why |
//! |---|---|---|
//! | `Host` | the Service's DNS name with the port, or the pod's or node's address | through the front proxy the caller's never arrives |
//! | `X-Forwarded-For` | what came, and the peer's address | as every proxy does |
//! | `X-Forwarded-Host`, `-Proto` | the origin as the browser sees it, or `--external-origin`; of a direct caller `Host`, `https` | apps build links with it; what the front proxy says is this server's own address |
//! | `X-Forwarded-Uri`, `-Prefix`, `X-Script-Name` | the whole path; the path up to `/proxy` | apps that know how to live below a prefix |
//! | `Origin`, `Referer` | the same for the backend's own `Host`, if they come from a page of the target | apps compare them with `Host` |
//! | `Cookie` | in one line, all but those that `--never-forward-cookies` names, and this server's own; `Throughway-Host-` is `__Host-` again, and `Throughway-Own-` goes | other parts of the origin live by them |
//! | `Throughway-*` | none | they are for this server |
//! | `Audit-Id` | a direct caller's own | the front proxy's is no business of the backend |
//! | `Authorization` | a kubelet: the token for kubelets; others: what `app_login` makes of the request | the caller's ended at authentication |
//! | `X-Remote-*`, `Impersonate-*`, the front proxy's own names for them | none, in any spelling | they claim an identity; `authentication/credentials.rs` takes them away before any stage sees them |
//! | `Connection` and what it names, `Keep-Alive`, `Transfer-Encoding`, ... | none; `TE: trailers` and what an upgrade needs are said anew | they are of one connection: `protocol/hop_by_hop.rs` |
//!
//! A target that is seen at an origin of its own (`envelope`) gets that origin's `Host`, all cookies, `Origin`,
//! `Referer` and `Authorization` as they were sent, and of the `X-Forwarded-*` only `-For`, `-Host` and `-Proto`.
//!
//! To the caller: what belongs to one connection goes; `rewrite/` decides on the rest.

mod cookies;
mod forwarded;
mod origin;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub use cookies::{HOST_COOKIES, OWN_COOKIES, cookie_name, is_own_cookie};
pub use origin::{ORIGIN_HEADERS, speaks_for_the_origin};

use super::ForwardContext;
use crate::protocol::hop_by_hop::{
    accepts_trailers, is_hop_by_hop, is_trailer, keep, named_by_connection,
};
use crate::serve::authentication::Method;
use crate::serve::config::CookieNames;
use crate::serve::endpoint::Endpoint;
use forwarded::View;

/// The headers that the backend gets; `authorization` is the one that is meant for it.
pub(super) fn to_backend(
    context: ForwardContext<'_>,
    endpoint: &Endpoint,
    authority: Option<&str>,
    mut before: HeaderMap,
    authorization: Option<HeaderValue>,
) -> HeaderMap {
    // Before anything is removed, as `Connection` itself is one of the first that go.
    let named = named_by_connection(&before);
    // What `X-Forwarded-*` said is read before those headers go, and is written anew at the end: no caller can add to
    // them.
    let view = View::of(&before, authority, context);
    let via_front_proxy = context.permit.caller().method == Method::FrontProxy;
    // `TE` belongs to the connection, yet gRPC servers refuse a request without it; so `trailers` is said again, and
    // nothing else of it.
    let trailers = accepts_trailers(&before);
    let mut headers = HeaderMap::with_capacity(before.len() + 8);
    let own = context.client.target_origin.as_ref();
    // An own origin is the app's only name to the browser, so the app has to see it as its `Host`.
    let host = own.map_or(&endpoint.host, |own| &own.host);
    headers.insert(header::HOST, host.clone());
    keep(&mut before, &mut headers, |name| {
        // The front proxy puts it on every request; that of a direct caller is a header like any other.
        let is_front_proxys_own = via_front_proxy && name.as_str() == "audit-id";
        let is_replaced = *name == header::HOST || is_ours_or_an_identity(name);
        !is_hop_by_hop(name, &named) && !is_replaced && !is_front_proxys_own
    });
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    // After the caller's own went with the identities above, so that this is the only one.
    if let Some(authorization) = authorization {
        headers.insert(header::AUTHORIZATION, authorization);
    }
    match own {
        // Nobody else is on that origin, so there is nothing to keep from this target.
        Some(_) => cookies::to_backend(&mut headers, &CookieNames::default()),
        None => cookies::to_backend(&mut headers, &context.config.never_forward_cookies),
    }
    match own {
        Some(own) => view.tell_at_target_origin(&mut headers, own),
        None => view.tell(&mut headers, endpoint, context),
    }
    headers
}

/// Whether a caller's trailer reaches the backend: as a header it would, and as a trailer it may mean something. Names
/// that only this cluster's front proxy uses for an identity are gone since authentication.
pub(super) fn is_request_trailer(name: &HeaderName) -> bool {
    is_trailer(name) && !is_ours_or_an_identity(name)
}

/// Whether a backend's trailer reaches the caller: as a header it would, and as a trailer it may mean something.
pub(super) fn is_response_trailer(name: &HeaderName) -> bool {
    is_trailer(name) && !speaks_for_the_origin(name)
}

/// Headers that only this server or nobody may set, however they are spelled: some backends read `_` as `-`.
fn is_ours_or_an_identity(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Almost no name has an underscore, so most are compared where they stand.
    let plain: Cow<'_, str> = if name.contains('_') {
        name.replace('_', "-").into()
    } else {
        name.into()
    };
    let ours = ["x-remote-", "impersonate-", "throughway-"];
    if ours.iter().any(|start| plain.starts_with(start)) {
        return true;
    }
    matches!(
        &*plain,
        "authorization"
            | "proxy-authorization"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-proto"
            | "x-forwarded-uri"
            | "x-forwarded-prefix"
            | "x-script-name"
            | "http2-settings"
    )
}
