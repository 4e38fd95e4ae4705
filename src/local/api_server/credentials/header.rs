//! Values of `Authorization`. They are marked as sensitive, so that no log shows them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::local::api_server::error::CredentialError;

/// `origin` says in an error where the token comes from.
pub(super) fn bearer(token: &SecretString, origin: &str) -> Result<HeaderValue, CredentialError> {
    let unsendable = || CredentialError::Unsendable {
        origin: origin.to_owned(),
    };
    // Files and plugins often end a token with a line break.
    let token = token.expose_secret().trim();
    if token.is_empty() {
        return Err(unsendable());
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn basic(username: &str, password: &SecretString) -> HeaderValue {
    let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    let mut value =
        HeaderValue::try_from(format!("Basic {pair}")).expect("base64 can be sent in a header");
    value.set_sensitive(true);
    value
}
