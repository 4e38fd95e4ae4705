//! A password in a cookie that only this server can read, and only for one user at one target.
//!
//! In: who logs in where, what they typed, the path that the cookie is for. Out: base64url of a random nonce and
//! AES-256-GCM. The associated data names the version, the user and the target, each with its length in front, so a
//! cookie that is copied to another user or another service opens as little as one that was never made here. What opens
//! late is refused too.
//!
//! AES-GCM: NIST SP 800-38D. A random nonce of 96 bits is good for 2^32 logins with one key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::serve::authorization::Permit;
use crate::serve::certificates::SESSION_KEY_LENGTH;
use crate::serve::client::user_and_target;

/// Bytes of what is sealed: time, path and password.
const MAX_CONTENT_BYTES: usize = 2048;

/// Characters of a sealed cookie: browsers keep 4096 with its name and attributes.
const MAX_TEXT_BYTES: usize = (MAX_CONTENT_BYTES + NONCE_LEN + 16).div_ceil(3) * 4;

/// What somebody typed, and where and until when it is good.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SavedLogin {
    /// Seconds since 1970.
    pub(super) expires: u64,
    /// The `Path` that the cookie was set with.
    pub(super) path: String,
    /// `user:password`, as Basic has it.
    pub(super) credentials: String,
}

impl std::fmt::Debug for SavedLogin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SavedLogin")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Seals a login; `None` if it is too long for a cookie.
pub(super) fn seal(
    key: &[u8; SESSION_KEY_LENGTH],
    permit: &Permit,
    login: &SavedLogin,
) -> Option<String> {
    let path_length = u16::try_from(login.path.len()).ok()?;
    let mut content = login.expires.to_be_bytes().to_vec();
    content.extend_from_slice(&path_length.to_be_bytes());
    content.extend_from_slice(login.path.as_bytes());
    content.extend_from_slice(login.credentials.as_bytes());
    // Refused here and not by the browser: a cookie that is too long is dropped there without a word.
    if content.len() > MAX_CONTENT_BYTES {
        return None;
    }
    let mut nonce = [0; NONCE_LEN];
    // A nonce may never come twice with one key; 96 random bits are enough for 2^32 of them.
    rand::fill(&mut nonce).expect("the system's randomness does not end");
    aead(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(user_and_target(permit)),
            &mut content,
        )
        .expect("what is to be sealed is short");
    Some(URL_SAFE_NO_PAD.encode([&nonce[..], &content].concat()))
}

/// Opens what was sealed for the same user and target with the same key, unless `now` is past its time.
pub(super) fn open(
    key: &[u8; SESSION_KEY_LENGTH],
    permit: &Permit,
    sealed: &str,
    now: u64,
) -> Option<SavedLogin> {
    // Before it is decoded: the length is the caller's to choose.
    if sealed.len() > MAX_TEXT_BYTES {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
    let mut sealed = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    // The tag is checked before a byte of the content is read, and it covers user and target.
    let content = aead(key)
        .open_in_place(nonce, Aad::from(user_and_target(permit)), &mut sealed)
        .ok()?;
    let (expires, rest) = content.split_first_chunk()?;
    let expires = u64::from_be_bytes(*expires);
    // Inside the seal, so nobody can make it last longer; the browser's own `Max-Age` is only a courtesy.
    if expires <= now {
        return None;
    }
    let (path_length, rest) = rest.split_first_chunk()?;
    let (path, credentials) =
        rest.split_at_checked(usize::from(u16::from_be_bytes(*path_length)))?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some(SavedLogin {
        expires,
        path: text(path)?,
        credentials: text(credentials)?,
    })
}

fn aead(key: &[u8; SESSION_KEY_LENGTH]) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM, key).expect("a key of the right length");
    LessSafeKey::new(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::serve::client::tests::permit;

    const KEY: [u8; SESSION_KEY_LENGTH] = [7; SESSION_KEY_LENGTH];
    const NOW: u64 = 1_800_000_000;
    const WEB: &str = "/namespaces/demo/services/web:80";

    fn login() -> SavedLogin {
        SavedLogin {
            expires: NOW + 60,
            path: "/k8s/proxy/".into(),
            credentials: "guest:päss:word".into(),
        }
    }

    fn sealed() -> String {
        seal(&KEY, &permit("alice", WEB), &login()).unwrap()
    }

    #[test]
    fn the_same_user_at_the_same_target_gets_back_what_was_typed() {
        let opened = open(&KEY, &permit("alice", WEB), &sealed(), NOW);
        assert_eq!(opened, Some(login()));
        assert_ne!(sealed(), sealed(), "every seal has a nonce of its own");
        assert!(!format!("{:?}", login()).contains("word"));
    }

    #[test]
    fn nobody_else_and_nowhere_else() {
        for (user, target) in [
            ("bob", WEB),
            ("", WEB),
            ("alice", "/namespaces/demo/services/web:81"),
            ("alice", "/namespaces/demo/services/web"),
            ("alice", "/namespaces/demo/services/https:web:80"),
            ("alice", "/namespaces/demo/pods/web:80"),
            ("alice", "/namespaces/other/services/web:80"),
            ("alice", "/nodes/web:80"),
        ] {
            let opened = open(&KEY, &permit(user, target), &sealed(), NOW);
            assert_eq!(opened, None, "{user} at {target}");
        }
    }

    #[test]
    fn the_borders_between_user_and_target_count() {
        let one = seal(&KEY, &permit("a", "/namespaces/bc/pods/d"), &login()).unwrap();
        assert_eq!(
            open(&KEY, &permit("a", "/namespaces/b/pods/cd"), &one, NOW),
            None
        );
        let one = seal(&KEY, &permit("apods", "/namespaces/b/pods/c"), &login()).unwrap();
        assert_eq!(
            open(&KEY, &permit("a", "/namespaces/b/pods/c"), &one, NOW),
            None
        );
    }

    #[test]
    fn another_key_opens_nothing() {
        let key = [8; SESSION_KEY_LENGTH];
        assert_eq!(open(&key, &permit("alice", WEB), &sealed(), NOW), None);
    }

    #[test]
    fn its_time_ends_with_the_second_it_names() {
        let at = |now| open(&KEY, &permit("alice", WEB), &sealed(), now);
        assert!(at(NOW + 59).is_some());
        assert_eq!(at(NOW + 60), None);
        assert_eq!(at(u64::MAX), None);
    }

    #[test]
    fn what_was_cut_or_never_sealed_opens_nothing() {
        let whole = sealed();
        for length in 0..whole.len() {
            assert_eq!(
                open(&KEY, &permit("alice", WEB), &whole[..length], NOW),
                None
            );
        }
        for garbage in ["=", "ü", "a b", &"A".repeat(64), &"A".repeat(100_000)] {
            assert_eq!(open(&KEY, &permit("alice", WEB), garbage, NOW), None);
        }
    }

    #[test]
    fn what_no_cookie_could_hold_is_not_sealed() {
        let with = |length| SavedLogin {
            credentials: "x".repeat(length),
            ..login()
        };
        let around = login().path.len() + 10;
        let longest = seal(
            &KEY,
            &permit("alice", WEB),
            &with(MAX_CONTENT_BYTES - around),
        )
        .unwrap();
        assert!(longest.len() <= MAX_TEXT_BYTES && MAX_TEXT_BYTES < 3000);
        assert!(open(&KEY, &permit("alice", WEB), &longest, NOW).is_some());
        assert_eq!(
            seal(
                &KEY,
                &permit("alice", WEB),
                &with(MAX_CONTENT_BYTES - around + 1)
            ),
            None
        );
    }

    proptest! {
        #[test]
        fn no_flipped_bit_opens(byte in 0usize..200, bit in 0u8..8) {
            let mut bytes = URL_SAFE_NO_PAD.decode(sealed()).unwrap();
            let at = byte % bytes.len();
            bytes[at] ^= 1 << bit;
            let flipped = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(open(&KEY, &permit("alice", WEB), &flipped, NOW), None);
        }

        #[test]
        fn opening_is_total(text in "[ -~]{0,120}") {
            prop_assert_eq!(open(&KEY, &permit("alice", WEB), &text, NOW), None);
        }
    }
}
