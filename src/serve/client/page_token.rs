//! What shows that a WebSocket was opened by a page of the target.
//!
//! The handshake of a WebSocket names no page, only an origin, and on loopback any port of the machine can have one
//! that looks right: a page at `http://localhost:9999` opens sockets through `kubectl proxy` with all that its user may
//! do. So documents get a token that no other origin can read, and the page helper offers it as one more sub-protocol.
//! Here it is taken off again, before any backend sees it.
//!
//! In: the permit and the headers of a request. Out: whether a good token came, and what the response has to agree to.
//! A token is good for one user at one target until its time: HMAC-SHA256 (RFC 2104) over who, where and until when.
//!
//! RFC 6455 section 4.2.2: a server names one of the sub-protocols that were offered, and browsers end a socket whose
//! offer got none. So where the token is all that was offered, the response names the token.

use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};

use super::binding::user_and_target;
use crate::serve::authorization::Permit;
use crate::serve::certificates::{SESSION_KEY_LENGTH, SessionKey};

/// How every token begins, as a sub-protocol.
const START: &str = "throughway.page.";

/// How long a token is good. The page helper gets a new one long before.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Tokens that are looked at in one request: a page offers one.
const MAX_TOKENS: usize = 2;

/// Keeps the uses of the session key apart.
const PURPOSE: &[u8] = b"throughway page token 1";

/// Makes and checks tokens of pages.
#[derive(Debug, Clone)]
pub struct PageTokens {
    key: SessionKey,
}

/// What a request offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferedToken {
    /// A token came that is good for this user at this target.
    pub(super) is_good: bool,
    /// The sub-protocol that the response to a handshake names if the backend names none.
    agreed: Option<HeaderValue>,
}

impl PageTokens {
    pub fn new(key: SessionKey) -> Self {
        Self { key }
    }

    /// A token for pages of this target that this user reads.
    pub fn issue(&self, permit: &Permit) -> String {
        let expires = now().saturating_add(LIFETIME.as_secs());
        let tag = hmac::sign(&signing_key(self.key.sealing()), &signed(permit, expires));
        format!("{START}{expires}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Takes tokens out of a request's sub-protocols; what stays keeps its order.
    pub(super) fn take(&self, permit: &Permit, headers: &mut HeaderMap) -> OfferedToken {
        let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let offers: Vec<&str> = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|offer| !offer.is_empty())
            .collect();
        // Nearly all handshakes end here, and their headers stay as they were.
        if !offers.iter().any(|offer| offer.starts_with(START)) {
            return OfferedToken::default();
        }
        let (tokens, others): (Vec<&str>, Vec<&str>) = offers
            .into_iter()
            .partition(|offer| offer.starts_with(START));
        let now = now();
        let is_good = |token: &&str| self.is_good(permit, token, now);
        let offered = OfferedToken {
            is_good: tokens.iter().take(MAX_TOKENS).any(is_good),
            // RFC 6455 has the server name one that was offered; the backend sees the others and names one of those
            // itself.
            agreed: match &*others {
                [] => HeaderValue::from_str(tokens[0]).ok(),
                _ => None,
            },
        };
        let kept = HeaderValue::from_str(&others.join(", "))
            .ok()
            .filter(|kept| !kept.is_empty());
        // Good or not, no token goes on: to a backend it would be a key to act as the page.
        match kept {
            Some(kept) => {
                headers.insert(header::SEC_WEBSOCKET_PROTOCOL, kept);
            }
            None => {
                headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
            }
        }
        offered
    }

    fn is_good(&self, permit: &Permit, token: &str, now: u64) -> bool {
        let parts = token
            .strip_prefix(START)
            .and_then(|rest| rest.split_once('.'));
        let Some((expires, tag)) = parts else {
            return false;
        };
        let Ok(expires) = expires.parse::<u64>() else {
            return false;
        };
        let Ok(tag) = URL_SAFE_NO_PAD.decode(tag) else {
            return false;
        };
        let bytes = signed(permit, expires);
        let mut keys = self.key.opening();
        // The time before the signature: what is over costs no HMAC.
        expires > now && keys.any(|key| hmac::verify(&signing_key(key), &bytes, &tag).is_ok())
    }
}

fn signing_key(session: [u8; SESSION_KEY_LENGTH]) -> hmac::Key {
    // Derived and not used as it is, so that a token can't be taken for anything else that this key signs.
    let session = hmac::Key::new(HMAC_SHA256, &session);
    hmac::Key::new(HMAC_SHA256, hmac::sign(&session, PURPOSE).as_ref())
}

impl OfferedToken {
    /// Completes the response to a handshake.
    pub fn agree(&self, response: &mut HeaderMap) {
        if let Some(agreed) = &self.agreed
            // A backend that agreed to another has answered the offer already.
            && !response.contains_key(header::SEC_WEBSOCKET_PROTOCOL)
        {
            response.insert(header::SEC_WEBSOCKET_PROTOCOL, agreed.clone());
        }
    }
}

fn signed(permit: &Permit, expires: u64) -> Vec<u8> {
    let mut bytes = user_and_target(permit);
    bytes.extend_from_slice(&expires.to_be_bytes());
    bytes
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::super::tests::permit;
    use super::*;

    const WEB: &str = "/namespaces/demo/services/web:80";

    fn offering(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| {
                let line = HeaderValue::from_str(line).unwrap();
                (header::SEC_WEBSOCKET_PROTOCOL, line)
            })
            .collect()
    }

    fn left(headers: &HeaderMap) -> Vec<&str> {
        headers
            .get_all(header::SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .map(|line| line.to_str().unwrap())
            .collect()
    }

    #[test]
    fn a_token_is_for_the_user_and_the_target_that_it_was_made_for() {
        let tokens = PageTokens::new(SessionKey::random());
        let token = tokens.issue(&permit("alice", WEB));
        let mut headers = offering(&[&token]);
        assert!(tokens.take(&permit("alice", WEB), &mut headers).is_good);
        for (user, target) in [
            ("bob", WEB),
            ("", WEB),
            ("alice", "/namespaces/demo/services/web:81"),
            ("alice", "/namespaces/demo/pods/web:80"),
            ("alice", "/namespaces/other/services/web:80"),
        ] {
            let offered = tokens.take(&permit(user, target), &mut offering(&[&token]));
            assert!(!offered.is_good, "{user} at {target}");
        }
        let others = PageTokens::new(SessionKey::random());
        let offered = others.take(&permit("alice", WEB), &mut offering(&[&token]));
        assert!(!offered.is_good, "another server's key");
    }

    #[test]
    fn a_token_whose_time_is_over_is_taken_and_not_good() {
        let tokens = PageTokens::new(SessionKey::random());
        let alice = permit("alice", WEB);
        let expires = now() - 1;
        let key = signing_key(tokens.key.sealing());
        let tag = hmac::sign(&key, &signed(&alice, expires));
        let over = format!("{START}{expires}.{}", URL_SAFE_NO_PAD.encode(tag));
        let mut headers = offering(&[&over]);
        assert!(!tokens.take(&alice, &mut headers).is_good);
        assert!(headers.is_empty());
    }

    #[test]
    fn the_first_two_tokens_of_a_request_are_looked_at() {
        let tokens = PageTokens::new(SessionKey::random());
        let alice = permit("alice", WEB);
        let good = tokens.issue(&alice);
        for (wrong, is_good) in [(0, true), (1, true), (2, false)] {
            let offers = format!("{}{good}", format!("{START}1.x, ").repeat(wrong));
            let mut headers = HeaderMap::new();
            let offers = HeaderValue::try_from(offers).unwrap();
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offers);
            assert_eq!(tokens.take(&alice, &mut headers).is_good, is_good);
        }
    }

    #[test]
    fn no_other_text_is_a_token() {
        let tokens = PageTokens::new(SessionKey::random());
        let alice = permit("alice", WEB);
        let token = tokens.issue(&alice);
        let (expires, tag) = token
            .strip_prefix(START)
            .and_then(|rest| rest.split_once('.'))
            .unwrap();
        let later = expires.parse::<u64>().unwrap() + 1;
        for forged in [
            format!("{START}{later}.{tag}"),
            format!("{START}{expires}."),
            format!("{START}{expires}"),
            format!("{START}.{tag}"),
            format!("{START}-1.{tag}"),
            format!("{START}99999999999999999999999.{tag}"),
            START.to_owned(),
        ] {
            let offered = tokens.take(&alice, &mut offering(&[&forged]));
            assert!(!offered.is_good, "{forged}");
        }
        for end in 0..token.len() {
            let offered = tokens.take(&alice, &mut offering(&[&token[..end]]));
            assert!(!offered.is_good, "{end}");
        }
    }

    #[test]
    fn its_time_ends_with_the_second_it_names() {
        let tokens = PageTokens::new(SessionKey::random());
        let alice = permit("alice", WEB);
        let token = tokens.issue(&alice);
        let expires = token[START.len()..].split_once('.').unwrap().0;
        let expires: u64 = expires.parse().unwrap();
        assert!(tokens.is_good(&alice, &token, expires - 1));
        assert!(!tokens.is_good(&alice, &token, expires));
        let lifetime = expires - now();
        assert!((LIFETIME.as_secs() - 60..=LIFETIME.as_secs()).contains(&lifetime));
    }

    #[test]
    fn a_backend_gets_what_the_page_offered_and_no_token() {
        let tokens = PageTokens::new(SessionKey::random());
        let alice = permit("alice", WEB);
        let token = &tokens.issue(&alice);
        for (sent, expected) in [
            (vec![format!("graphql-ws, {token}")], &["graphql-ws"][..]),
            (vec![format!("a,{token} , b")], &["a, b"]),
            (vec!["a".to_owned(), token.clone()], &["a"]),
            (vec![token.clone()], &[]),
            (vec![format!("{START}forged")], &[]),
            (vec!["a , b".to_owned(), "c".to_owned()], &["a , b", "c"]),
        ] {
            let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
            let mut headers = offering(&sent);
            tokens.take(&alice, &mut headers);
            assert_eq!(left(&headers), expected, "{sent:?}");
        }
    }

    #[test]
    fn a_response_names_the_token_where_nothing_else_was_offered() {
        let tokens = PageTokens::new(SessionKey::random());
        let alice = permit("alice", WEB);
        let token = &tokens.issue(&alice);
        let answered = |sent: &str, by_backend: &[&str]| {
            let offered = tokens.take(&alice, &mut offering(&[sent]));
            let mut response = offering(by_backend);
            offered.agree(&mut response);
            left(&response).join("|")
        };
        assert_eq!(answered(token, &[]), *token);
        let with_other = format!("chat, {token}");
        assert_eq!(answered(&with_other, &["chat"]), "chat");
        // The browser ends such a socket, as it does without this server.
        assert_eq!(answered(&with_other, &[]), "");
        assert_eq!(answered(token, &["unasked"]), "unasked");
        assert_eq!(answered("chat", &[]), "");
    }
}
