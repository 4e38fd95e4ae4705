//! Who the caller is to the API server. In: what the kubeconfig says about the user. Out: the `Authorization` and `Impersonate-*` headers.
//!
//! A header that the caller sent itself stays. Everything that ends by itself is made anew when it is needed: files are read again, plugins
//! run again.
//!
//! client-go: `transport/round_trippers.go`.

mod impersonate;
mod token_file;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

pub(super) use impersonate::Impersonate;
use token_file::TokenFile;

use super::access::CredentialSource;
use super::error::{AccessError, CredentialError};
use super::identity::Identity;

/// A user's credential.
pub(super) enum Credentials {
    Nothing,
    /// The same for every request.
    Fixed(HeaderValue),
    TokenFile(TokenFile),
}

impl Credentials {
    pub(super) async fn of(source: CredentialSource) -> Result<Self, AccessError> {
        Ok(match source {
            CredentialSource::Nothing => Self::Nothing,
            CredentialSource::Token(token) => {
                Self::Fixed(bearer(&token, "the kubeconfig or --token")?)
            }
            CredentialSource::TokenFile { path, fallback } => {
                Self::TokenFile(TokenFile::open(path, fallback).await?)
            }
            CredentialSource::Basic { username, password } => {
                Self::Fixed(basic(&username, &password))
            }
            CredentialSource::Exec(_) | CredentialSource::Provider(_) => Self::Nothing,
        })
    }

    /// Adds the `Authorization` header, unless the caller sent one.
    pub(super) async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), CredentialError> {
        if headers
            .get(AUTHORIZATION)
            .is_some_and(|value| !value.is_empty())
        {
            return Ok(());
        }
        let value = match self {
            Self::Nothing => None,
            Self::Fixed(value) => Some(value.clone()),
            Self::TokenFile(file) => Some(file.header().await),
        };
        if let Some(value) = value {
            headers.insert(AUTHORIZATION, value);
        }
        Ok(())
    }

    /// The client certificate that comes with the credential.
    pub(super) async fn identity(&self) -> Result<Option<Identity>, CredentialError> {
        match self {
            Self::Nothing | Self::Fixed(_) | Self::TokenFile(_) => Ok(None),
        }
    }

    /// The API server did not take the credential.
    pub(super) fn rejected(&self) {
        match self {
            Self::Nothing | Self::Fixed(_) => {}
            Self::TokenFile(file) => file.rejected(),
        }
    }
}

fn bearer(token: &SecretString, origin: &str) -> Result<HeaderValue, CredentialError> {
    let unsendable = || CredentialError::Unsendable {
        origin: origin.to_owned(),
    };
    let token = token.expose_secret().trim();
    if token.is_empty() {
        return Err(unsendable());
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}

fn basic(username: &str, password: &SecretString) -> HeaderValue {
    let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    let mut value =
        HeaderValue::try_from(format!("Basic {pair}")).expect("base64 can be sent in a header");
    value.set_sensitive(true);
    value
}
