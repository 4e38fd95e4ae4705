//! What an app asks its own users for. In: a request's `Throughway-Authorization` and login cookie. Out: the `Authorization`
//! that the backend gets.
//!
//! kube-apiserver takes `Authorization` for itself, so a program says `Throughway-Authorization` for the app, and a person
//! fills in a page of ours whose cookie holds what was typed, sealed ([`sealed`]). The header counts before the cookie.
//! Neither goes on to a backend by its own name, which `headers` sees to.
//!
//! Refused, which means that the backend gets no `Authorization`: two such headers, a cookie that does not open, a cookie that
//! comes with another origin's request, and everything for nodes, since a kubelet is shown a token of this server's choosing.
//!
//! A cookie comes with every request that a browser makes, and cookies have no ports: without the look at
//! `Sec-Fetch-Site` a page of another server on `localhost` could act for whoever logged in here. Links from elsewhere work.

mod sealed;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::serve::api::Resource;
use crate::serve::authorization::Permit;
use crate::serve::certificates::SessionKey;
use sealed::Login;

pub(super) use sealed::bound_to;

use super::headers::LOGIN_COOKIE;
use super::seen::Seen;
use crate::protocol::fetch_metadata::{self, Site};

/// How long a login holds.
pub const LOGIN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const THROUGHWAY_AUTHORIZATION: HeaderName = HeaderName::from_static("throughway-authorization");

/// Login cookies that are looked at in one request: each costs a decryption, and a browser has one for each path above.
const MAX_LOGIN_COOKIES: usize = 8;

/// Opens and seals logins.
#[derive(Debug, Clone)]
pub struct Logins {
    key: SessionKey,
}

/// What a request shows of a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Presented {
    #[default]
    Nothing,
    /// A cookie that the backend gets the content of.
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
        let login = Login {
            expires: now().saturating_add(LOGIN_LIFETIME.as_secs()),
            path: path.to_owned(),
            credentials,
        };
        sealed::seal(&self.key.sealing(), permit, &login)
    }

    /// The `Path` of a request's login cookie, if it opens.
    pub fn path(&self, permit: &Permit, headers: &HeaderMap) -> Option<String> {
        Some(self.open(permit, headers)?.path)
    }

    /// Whether the backend gets what a login cookie holds.
    pub fn presented(&self, permit: &Permit, seen: &Seen, headers: &HeaderMap) -> Presented {
        let is_sent = |_: &Login| {
            permit.info().resource != Resource::Nodes
                && !headers.contains_key(THROUGHWAY_AUTHORIZATION)
                && is_of_this_origin(&permit.info().method, seen, headers)
        };
        match self.open(permit, headers).filter(is_sent) {
            Some(login) => Presented::Sent { path: login.path },
            None => Presented::Nothing,
        }
    }

    /// The `Authorization` that the backend gets of what is meant for it.
    pub(super) fn authorization(
        &self,
        permit: &Permit,
        seen: &Seen,
        headers: &HeaderMap,
    ) -> Option<HeaderValue> {
        match permit.info().resource {
            Resource::Nodes => None,
            Resource::Pods | Resource::Services => self.chosen(permit, seen, headers),
        }
    }

    fn chosen(&self, permit: &Permit, seen: &Seen, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut said = headers.get_all(THROUGHWAY_AUTHORIZATION).iter();
        let mut authorization = match (said.next(), said.next()) {
            (Some(only), None) => only.clone(),
            (Some(_), Some(_)) => return None,
            (None, _) => {
                let login = self
                    .open(permit, headers)
                    .filter(|_| is_of_this_origin(&permit.info().method, seen, headers))?;
                let credentials = STANDARD.encode(login.credentials);
                HeaderValue::try_from(format!("Basic {credentials}"))
                    .expect("base64 is header text")
            }
        };
        // Kept out of debug output, and of the tables of HTTP/2's header compression.
        authorization.set_sensitive(true);
        Some(authorization)
    }

    /// The first cookie that opens: a page of another path can put one of the same name before ours.
    fn open(&self, permit: &Permit, headers: &HeaderMap) -> Option<Login> {
        let lines = headers.get_all(header::COOKIE).iter();
        let mut pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| name.trim() == LOGIN_COOKIE)
            .take(MAX_LOGIN_COOKIES)
            .peekable();
        pairs.peek()?;
        let (keys, now) = (self.key.opening(), now());
        pairs.find_map(|(_, value)| {
            let mut keys = keys.clone();
            keys.find_map(|key| sealed::open(&key, permit, value.trim(), now))
        })
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Whether a browser says that this origin asks, or its user, or that somebody follows a link; programs say nothing. What
/// says `Origin` alone, as a WebSocket does, has to be known ([`Seen`]).
fn is_of_this_origin(method: &Method, seen: &Seen, headers: &HeaderMap) -> bool {
    match Site::of(headers) {
        Site::SameOrigin | Site::User => true,
        Site::Other => {
            fetch_metadata::line(headers, &SEC_FETCH_MODE) == Some("navigate")
                && matches!(*method, Method::GET | Method::HEAD)
        }
        Site::Unsaid => !headers.contains_key(header::ORIGIN) || seen.origin.is_some(),
    }
}

#[cfg(test)]
pub(super) mod tests;
