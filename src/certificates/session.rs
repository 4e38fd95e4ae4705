//! The key that logins at apps are sealed with: 32 random bytes, shared by the replicas where they share a Secret.
//!
//! Whoever reads it waits for nobody. A server with a certificate of its own has a key that lives as long as its process, so
//! people log in again after a restart.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a key.
pub const SESSION_KEY_LENGTH: usize = 32;

/// The key now in force.
#[derive(Clone)]
pub struct SessionKey(Arc<ArcSwap<[u8; SESSION_KEY_LENGTH]>>);

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SessionKey").finish_non_exhaustive()
    }
}

impl SessionKey {
    /// A key that nobody else has.
    pub fn random() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(random())))
    }

    pub fn bytes(&self) -> Arc<[u8; SESSION_KEY_LENGTH]> {
        self.0.load_full()
    }

    /// Takes over a key as the Secret has it.
    pub(super) fn replace(&self, key: [u8; SESSION_KEY_LENGTH]) {
        self.0.store(Arc::new(key));
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
