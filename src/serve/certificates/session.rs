//! The key that logins at apps are sealed with: 32 random bytes, shared by the replicas where they share a Secret.
//!
//! The key is rotated with the serving certificate. The one before it opens what it sealed for as long as that may
//! live, and is the one that seals until every replica has had the time to read the new one: a login at one replica
//! holds at all of them.
//!
//! Whoever reads it waits for nobody. A server with a certificate of its own has a key that lives as long as its
//! process, so people log in again after a restart.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a key.
pub const SESSION_KEY_LENGTH: usize = 32;

/// The keys now in force.
#[derive(Clone)]
pub struct SessionKey(Arc<ArcSwap<SessionKeys>>);

/// The key that seals, and another one that opens as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionKeys {
    pub(super) sealing: [u8; SESSION_KEY_LENGTH],
    pub(super) other: Option<[u8; SESSION_KEY_LENGTH]>,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SessionKey").finish_non_exhaustive()
    }
}

impl SessionKey {
    /// A key that nobody else has.
    pub fn random() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(SessionKeys {
            sealing: random(),
            other: None,
        })))
    }

    /// The key for what is sealed now.
    pub fn sealing(&self) -> [u8; SESSION_KEY_LENGTH] {
        self.0.load().sealing
    }

    /// The keys for what was sealed lately, the likely one first.
    pub fn opening(&self) -> impl Iterator<Item = [u8; SESSION_KEY_LENGTH]> + Clone + use<> {
        let keys = **self.0.load();
        // A copy of the keys, so that the caller holds nothing while it decrypts.
        std::iter::once(keys.sealing).chain(keys.other)
    }

    /// Takes over the keys as the Secret has them.
    pub(super) fn replace(&self, keys: SessionKeys) {
        self.0.store(Arc::new(keys));
    }
}

/// A new key as the Secret keeps it.
pub(super) fn new_text() -> String {
    STANDARD.encode(random())
}

/// Reads a key as the Secret keeps it; `None` for anything that is none.
pub(super) fn parse(text: &str) -> Option<[u8; SESSION_KEY_LENGTH]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

fn random() -> [u8; SESSION_KEY_LENGTH] {
    let mut key = [0; SESSION_KEY_LENGTH];
    rand::fill(&mut key).expect("the system's randomness does not end");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_random_and_survives_its_text() {
        let text = new_text();
        let key = parse(&text).unwrap();
        assert_eq!(STANDARD.encode(key), text);
        assert_ne!(parse(&new_text()).unwrap(), key);
        assert_eq!(parse(&format!("{text}\n")), Some(key), "an edited Secret");
    }

    #[test]
    fn what_has_another_length_is_no_key() {
        for text in [
            "",
            "x",
            "AAAA",
            &STANDARD.encode([1; 31]),
            &STANDARD.encode([1; 33]),
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
