//! The `Authorization` that an app gets. In: a request's `Throughway-Authorization` and login cookie. Out: what the
//! backend gets as `Authorization`.
//!
//! A program says `Throughway-Authorization` for the app, and a person fills in a page of ours whose cookie holds what
//! was typed, sealed ([`super::sealed_cookie`]). The header counts before the cookie. Neither goes on to a backend by
//! its own name, which `forward/headers` sees to.
//!
//! Refused, which means that the backend gets no `Authorization`: two such headers, a cookie that does not open, a
//! cookie that comes with another origin's request, and everything for nodes, since a kubelet is shown a token of this
//! server's choosing.
//!
//! A cookie comes with every request that a browser makes, and cookies have no ports: without the look at
//! `Sec-Fetch-Site` a page of another server on `localhost` could act for whoever logged in here. Links from elsewhere
//! work.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::sealed_cookie::{self, SavedLogin};
use crate::protocol::fetch_metadata::{self, SEC_FETCH_MODE, Site};
use crate::serve::api::Resource;
use crate::serve::authorization::Permit;
use crate::serve::certificates::SessionKey;
use crate::serve::client::ClientInfo;

/// The cookie that keeps a login for an app.
pub const LOGIN_COOKIE: &str = "Throughway-Login";

/// How long a login holds.
pub(super) const LOGIN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

const THROUGHWAY_AUTHORIZATION: HeaderName = HeaderName::from_static("throughway-authorization");

/// Login cookies that are looked at in one request: each costs a decryption, and a browser has one for each path above.
const MAX_LOGIN_COOKIES: usize = 8;

/// Opens and seals logins.
#[derive(Debug, Clone)]
pub struct Logins {
    key: SessionKey,
}

/// Which login at the app goes along with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppLogin {
    Absent,
    /// A cookie, of which the backend gets the content.
    Sent {
        /// The `Path` that it was set with.
        path: String,
    },
}

impl Logins {
    pub fn new(key: SessionKey) -> Self {
        Self { key }
    }

    /// The value of a cookie for what was typed; `None` if it is too long. `path` is the cookie's.
    pub fn seal(&self, permit: &Permit, path: &str, credentials: String) -> Option<String> {
        let login = SavedLogin {
            expires: now().saturating_add(LOGIN_LIFETIME.as_secs()),
            path: path.to_owned(),
            credentials,
        };
        sealed_cookie::seal(&self.key.sealing(), permit, &login)
    }

    /// The `Path` of a request's login cookie, if it opens.
    pub fn path(&self, permit: &Permit, headers: &HeaderMap) -> Option<String> {
        Some(self.open(permit, headers)?.path)
    }

    /// The `Authorization` that the backend gets of what is meant for it, and whether that is what a login cookie
    /// holds.
    pub fn authorization(
        &self,
        permit: &Permit,
        client: &ClientInfo,
        headers: &HeaderMap,
    ) -> (Option<HeaderValue>, AppLogin) {
        let (mut authorization, login) = match (permit.info().resource, &client.target_origin) {
            // What a caller meant for an app must never reach a kubelet, which would take it for an identity.
            (Resource::Nodes, _) => return (None, AppLogin::Absent),
            // At its own origin the target gets what was sent there.
            (Resource::Pods | Resource::Services, Some(_)) => {
                return (
                    headers.get(header::AUTHORIZATION).cloned(),
                    AppLogin::Absent,
                );
            }
            (Resource::Pods | Resource::Services, None) => self.chosen(permit, client, headers),
        };
        // Kept out of debug output, and of the tables of HTTP/2's header compression.
        if let Some(authorization) = &mut authorization {
            authorization.set_sensitive(true);
        }
        (authorization, login)
    }

    fn chosen(
        &self,
        permit: &Permit,
        client: &ClientInfo,
        headers: &HeaderMap,
    ) -> (Option<HeaderValue>, AppLogin) {
        let mut said = headers.get_all(THROUGHWAY_AUTHORIZATION).iter();
        match (said.next(), said.next()) {
            // The header counts before the cookie, so with it the backend does not see what the cookie holds.
            (Some(only), None) => return (Some(only.clone()), AppLogin::Absent),
            // Two would leave it to the backend which one counts, so neither does.
            (Some(_), Some(_)) => return (None, AppLogin::Absent),
            (None, _) => {}
        }
        // A cookie comes by itself with whatever a browser asks for; a header has to be set by somebody. So only the
        // cookie is asked where it came from.
        let is_sent = |_: &SavedLogin| is_of_this_origin(&permit.info().method, client, headers);
        let Some(login) = self.open(permit, headers).filter(is_sent) else {
            return (None, AppLogin::Absent);
        };
        let basic = format!("Basic {}", STANDARD.encode(login.credentials));
        let basic = HeaderValue::try_from(basic).expect("base64 is header text");
        (Some(basic), AppLogin::Sent { path: login.path })
    }

    /// The first cookie that opens: a page of another path can put one of the same name before ours.
    fn open(&self, permit: &Permit, headers: &HeaderMap) -> Option<SavedLogin> {
        let lines = headers.get_all(header::COOKIE).iter();
        let mut pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| name.trim() == LOGIN_COOKIE)
            .take(MAX_LOGIN_COOKIES)
            .peekable();
        // Most requests have none, and then no key is touched.
        pairs.peek()?;
        let (keys, now) = (self.key.opening(), now());
        pairs.find_map(|(_, value)| {
            // The key before the current one counts too: logins outlive a rotation.
            let mut keys = keys.clone();
            keys.find_map(|key| sealed_cookie::open(&key, permit, value.trim(), now))
        })
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Whether a browser says that this origin asks, or its user, or that somebody follows a link; programs say nothing.
/// What says `Origin` alone, as a WebSocket does, has to be known ([`crate::serve::client::ExternalUrl`]).
fn is_of_this_origin(method: &Method, client: &ClientInfo, headers: &HeaderMap) -> bool {
    match Site::of(headers) {
        Site::SameOrigin | Site::User => true,
        Site::Other => {
            // A link from elsewhere may show the app; a form from elsewhere may not act in it.
            fetch_metadata::line(headers, &SEC_FETCH_MODE) == Some("navigate")
                && matches!(*method, Method::GET | Method::HEAD)
        }
        // A WebSocket says `Origin` and no more; a program says neither and has set the cookie itself.
        Site::Unsaid => !headers.contains_key(header::ORIGIN) || client.external.origin.is_some(),
    }
}

#[cfg(test)]
mod tests;
