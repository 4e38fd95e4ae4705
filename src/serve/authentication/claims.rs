//! A look at a JWT that nobody has verified: when it ends, so that nothing remembers it for longer.
//!
//! Only ever shortens how long a verified result holds; nothing else is read from here.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

/// How long the token has to live at `now`; `None` when it does not say.
pub(super) fn remaining_life(token: &str, now: SystemTime) -> Option<Duration> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let ends = Duration::try_from_secs_f64(claims.exp?).ok()?;
    let end = SystemTime::UNIX_EPOCH.checked_add(ends)?;
    // A token that is over has no life left, and is remembered for no time at all.
    Some(end.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn the_end_of_a_token_is_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(
            remaining_life(&token(r#"{"exp":1005}"#), now),
            Some(Duration::from_secs(5))
        );
        assert_eq!(
            remaining_life(&token(r#"{"exp":900}"#), now),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn what_is_no_jwt_says_nothing() {
        let now = SystemTime::now();
        for text in ["", "opaque", "a.b", "a.b.c", "e30.e30.e30"] {
            assert_eq!(remaining_life(text, now), None, "{text}");
        }
        assert_eq!(remaining_life(&token(r#"{"exp":-1}"#), now), None);
        assert_eq!(remaining_life(&token(r#"{"exp":1e300}"#), now), None);
    }
}
