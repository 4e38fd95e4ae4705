//! What tells an app how it is seen: `X-Forwarded-*` and `X-Script-Name`, and `Origin` and `Referer` in the app's own
//! terms.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::ForwardContext;
use crate::protocol::envelope::TargetOrigin;
use crate::protocol::forwarded_for::{self, X_FORWARDED_FOR};
use crate::serve::authentication::Method;
use crate::serve::client::ExternalUrl;
use crate::serve::cluster::Prefix;
use crate::serve::config::ExternalOrigin;
use crate::serve::destination::Scheme;
use crate::serve::endpoint::Endpoint;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_SCRIPT_NAME: HeaderName = HeaderName::from_static("x-script-name");

/// What is found out from the caller's headers before they are changed.
#[derive(Debug)]
pub(super) struct View {
    external: ExternalUrl,
    forwarded_for: HeaderValue,
    host: Option<HeaderValue>,
    proto: Option<&'static str>,
}

impl View {
    pub(super) fn of(
        headers: &HeaderMap,
        authority: Option<&str>,
        context: ForwardContext<'_>,
    ) -> Self {
        let listed = &context.config.external_origins;
        let external = context.client.external.clone();
        // Found by `client`, which knows whose headers can be believed.
        let (host, proto) = match &external.origin {
            Some(origin) => (
                HeaderValue::from_str(&origin.host).ok(),
                Some(origin.scheme),
            ),
            // Behind the front proxy `Host` is this server's own Service, with which no app could build a link; so it
            // says nothing rather than that.
            None if context.permit.caller().method == Method::FrontProxy => first_listed(listed),
            // A direct caller reached this server by that name over TLS, so it is the one that a link would work with.
            None => (own_host(headers, authority), Some("https")),
        };
        Self {
            // Taken while the old headers are whole: what the front proxy listed goes with the other `X-Forwarded-*` in
            // the next step.
            forwarded_for: forwarded_for::with(headers, context.peer.address_text()),
            external,
            host,
            proto,
        }
    }

    /// Adds what the app is told.
    pub(super) fn tell(
        self,
        headers: &mut HeaderMap,
        endpoint: &Endpoint,
        context: ForwardContext<'_>,
    ) {
        let asked = context.permit.info();
        // First, as it reads the `Origin` that came; nothing below touches it.
        self.turn_origin(headers, endpoint, asked.prefix());
        headers.insert(X_FORWARDED_FOR, self.forwarded_for);
        if let Some(host) = self.host {
            headers.insert(X_FORWARDED_HOST, host);
        }
        if let Some(proto) = self.proto {
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
        }
        let text =
            |text: &str| HeaderValue::from_str(text).expect("a path that was read is header text");
        let (prefix, uri) = match self.external.prefix.as_deref() {
            Some(prefix) => (
                text(prefix),
                text(&format!("{prefix}{}", asked.path_inside())),
                // With no prefix known from outside, the one that kube-apiserver asks for is the only one that there
                // is.
            ),
            None => (text(asked.prefix()), text(asked.uri().path())),
        };
        headers.insert(X_FORWARDED_URI, uri);
        headers.insert(X_SCRIPT_NAME, prefix.clone());
        headers.insert(X_FORWARDED_PREFIX, prefix);
    }

    /// Adds what an app at an origin of its own is told.
    pub(super) fn tell_at_target_origin(self, headers: &mut HeaderMap, own: &TargetOrigin) {
        headers.insert(X_FORWARDED_FOR, self.forwarded_for);
        headers.insert(X_FORWARDED_HOST, own.host.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(own.scheme));
    }

    /// An app compares `Origin` and `Referer` with its own `Host`, so they say that where they come from its own pages.
    fn turn_origin(&self, headers: &mut HeaderMap, endpoint: &Endpoint, prefix: &str) {
        // Without a known origin nobody has seen that the page is the target's, so what the browser said stays as it
        // is.
        if self.external.origin.is_none() {
            return;
        }
        let scheme = match endpoint.scheme {
            Scheme::Http => "http",
            Scheme::Https | Scheme::Kubelet => "https",
        };
        let Ok(host) = endpoint.host.to_str() else {
            return;
        };
        // A sandboxed page says `null`, which an app has to see: it is the page's wish to be nobody.
        let is_null = |origin: &HeaderValue| origin == "null";
        if headers
            .get(header::ORIGIN)
            .is_some_and(|origin| !is_null(origin))
            && let Ok(origin) = HeaderValue::try_from(format!("{scheme}://{host}"))
        {
            headers.insert(header::ORIGIN, origin);
        }
        // `client` finds a page only where the `Referer` is one of this target.
        let Some(page) = &self.external.page else {
            return;
        };
        let prefix = match endpoint.settings.prefix {
            Prefix::Keep => prefix,
            Prefix::Strip => "",
        };
        if let Ok(referer) = HeaderValue::try_from(format!("{scheme}://{host}{prefix}{page}")) {
            headers.insert(header::REFERER, referer);
        }
    }
}

fn first_listed(listed: &[ExternalOrigin]) -> (Option<HeaderValue>, Option<&'static str>) {
    match listed.first() {
        Some(origin) => (
            HeaderValue::from_str(&origin.host).ok(),
            Some(origin.scheme),
        ),
        None => (None, None),
    }
}

fn own_host(headers: &HeaderMap, authority: Option<&str>) -> Option<HeaderValue> {
    let sent = headers.get(header::HOST).cloned();
    sent.or_else(|| HeaderValue::from_str(authority?).ok())
}
