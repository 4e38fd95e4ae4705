//! Acting as somebody else. In: `--as` and its companions, or the kubeconfig's. Out: the `Impersonate-*` headers.
//!
//! A caller that sends `Impersonate-User` itself means what it says, and none of the headers is added then.
//!
//! client-go: `NewImpersonatingRoundTripper` in `transport/round_trippers.go`.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::local::api_server::error::ConfigError;
use crate::local::api_server::kubeconfig::resolve::Impersonation;

const USER: HeaderName = HeaderName::from_static("impersonate-user");
const UID: HeaderName = HeaderName::from_static("impersonate-uid");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");
const EXTRA_PREFIX: &str = "impersonate-extra-";

/// The headers of an impersonation.
#[derive(Debug)]
pub(in crate::local::api_server) struct Impersonate {
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Impersonate {
    pub(in crate::local::api_server) fn of(
        impersonation: &Impersonation,
    ) -> Result<Self, ConfigError> {
        let mut headers = vec![(USER, value("--as", &impersonation.user)?)];
        if let Some(uid) = &impersonation.uid {
            headers.push((UID, value("--as-uid", uid)?));
        }
        for group in &impersonation.groups {
            headers.push((GROUP, value("--as-group", group)?));
        }
        let unsendable = |_| ConfigError::Unsendable {
            name: "--as-user-extra",
        };
        for (key, values) in &impersonation.extra {
            let name = format!("{EXTRA_PREFIX}{}", escaped(key));
            let name = HeaderName::try_from(name).map_err(unsendable)?;
            for extra in values {
                headers.push((name.clone(), value("--as-user-extra", extra)?));
            }
        }
        Ok(Self { headers })
    }

    /// Adds the headers, unless the caller impersonates somebody itself.
    pub(in crate::local::api_server) fn apply(&self, headers: &mut HeaderMap) {
        // As client-go: a caller that names a user means its own groups and extras as well.
        if headers.get(USER).is_some_and(|value| !value.is_empty()) {
            return;
        }
        // An empty one would stand before ours, and the API server reads the first.
        headers.remove(USER);
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
    }
}

fn value(name: &'static str, text: &str) -> Result<HeaderValue, ConfigError> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| ConfigError::Unsendable { name })
}

/// Everything that is no letter of a header's name, and the percent sign, as `%XX`.
fn escaped(key: &str) -> String {
    let mut escaped = String::with_capacity(key.len());
    for byte in key.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
        if is_plain {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a String takes everything");
        }
    }
    escaped
}
