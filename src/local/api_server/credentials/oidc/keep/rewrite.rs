//! The text of a kubeconfig with other tokens in it. In: the text, old tokens and new ones. Out: the new text, and
//! which old ones are not in it.
//!
//! A token is found as a whole scalar of YAML, bare or in quotes. The new one is written bare where it can be nothing
//! but a text then, and in quotes otherwise. A text that would not be read as meant stays as it is.

use kube::config::Kubeconfig;
use secrecy::{ExposeSecret, SecretString};

/// A shorter text could be in the file for another reason.
const LEAST_TOKEN: usize = 12;

type TokenChange = (SecretString, SecretString);

/// Replaces tokens, each wherever it stands.
pub(super) fn tokens<'c>(
    text: &str,
    changes: &[&'c TokenChange],
) -> (SecretString, Vec<&'c TokenChange>) {
    let mut now = text.to_owned();
    let mut missing = Vec::new();
    for change in changes {
        let (old, new) = (change.0.expose_secret(), change.1.expose_secret());
        match replaced(&now, old, new) {
            // Read back before it counts: a text that means something else is not written.
            Some(next) if holds(&next, new) => now = next,
            _ => missing.push(*change),
        }
    }
    (SecretString::from(now), missing)
}

fn replaced(text: &str, old: &str, new: &str) -> Option<String> {
    // An empty or short one could be a part of anything.
    if old.len() < LEAST_TOKEN {
        return None;
    }
    let mut now = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_found = false;
    while let Some(at) = rest.find(old) {
        let (before, after) = (&rest[..at], &rest[at + old.len()..]);
        now.push_str(before);
        match Quotes::around(before, after) {
            Some(quotes) => {
                quotes.write(&mut now, new);
                is_found = true;
            }
            // A part of a longer word is another token, and stays.
            None => now.push_str(old),
        }
        rest = after;
    }
    now.push_str(rest);
    is_found.then_some(now)
}

/// What stands round a scalar.
#[derive(Clone, Copy)]
enum Quotes {
    Bare,
    Single,
    Double,
}

impl Quotes {
    /// `None` for a part of something longer.
    fn around(before: &str, after: &str) -> Option<Self> {
        let (before, after) = (before.chars().next_back(), after.chars().next());
        let is_end = |letter: Option<char>| {
            letter.is_none_or(|letter| letter.is_whitespace() || ",}]".contains(letter))
        };
        match (before, after) {
            (Some('\''), Some('\'')) => Some(Self::Single),
            (Some('"'), Some('"')) => Some(Self::Double),
            // Bare only between white space, where YAML ends a plain scalar.
            (Some(letter), after) if letter.is_whitespace() && is_end(after) => Some(Self::Bare),
            _ => None,
        }
    }

    fn write(self, text: &mut String, token: &str) {
        let escaped = || token.replace('\\', "\\\\").replace('"', "\\\"");
        match self {
            Self::Bare if is_bare(token) => text.push_str(token),
            Self::Bare => {
                text.push('"');
                text.push_str(&escaped());
                text.push('"');
            }
            Self::Single => text.push_str(&token.replace('\'', "''")),
            Self::Double => text.push_str(&escaped()),
        }
    }
}

/// Whether a token without quotes is a text: it begins with a letter and has nothing in it that YAML gives a meaning.
fn is_bare(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic())
        && token.len() >= LEAST_TOKEN
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._~/+=-".contains(&byte))
}

/// Whether a text is a kubeconfig in which some user has a token.
fn holds(text: &str, token: &str) -> bool {
    let Ok(kubeconfig) = Kubeconfig::from_yaml(text) else {
        return false;
    };
    let users = kubeconfig.auth_infos.into_iter();
    users
        .filter_map(|user| user.auth_info?.auth_provider)
        .any(|provider| provider.config.values().any(|value| value == token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "refresh-token-0";

    fn kubeconfig(scalar: &str) -> String {
        format!(
            "# mine\napiVersion: v1\nkind: Config\nusers:\n- name: me\n  user:\n    auth-provider:\n      name: oidc\n      config:\n        refresh-token: {scalar}\n        client-id: me\n"
        )
    }

    fn kept(scalar: &str, new: &str) -> Option<String> {
        let change = (SecretString::from(OLD), SecretString::from(new));
        let text = kubeconfig(scalar);
        let (now, missing) = tokens(&text, &[&change]);
        let now = now.expose_secret();
        if missing.is_empty() {
            assert!(holds(now, new), "{now}");
            Some(now.to_owned())
        } else {
            assert_eq!(now, text);
            None
        }
    }

    #[test]
    fn every_form_of_token_is_kept_and_read_as_it_was_given() {
        for (new, written) in [
            ("refresh-token-1", "refresh-token-1"),
            ("AbCdEfGhIjKl2_", "AbCdEfGhIjKl2_"),
            ("AbCdEfGhIjKlMn2==", "AbCdEfGhIjKlMn2=="),
            ("A.b~c/d+e-f_g=2", "A.b~c/d+e-f_g=2"),
            ("1//0gAbCdEfGhI2", "\"1//0gAbCdEfGhI2\""),
            ("-starts-with-it", "\"-starts-with-it\""),
            ("_starts-with-it", "\"_starts-with-it\""),
            ("~starts-with-it", "\"~starts-with-it\""),
            ("12345678901234", "\"12345678901234\""),
            ("1e1234567890", "\"1e1234567890\""),
            ("short", "\"short\""),
            ("with \"quotes\" and \\", "\"with \\\"quotes\\\" and \\\\\""),
            ("it's: a # text", "\"it's: a # text\""),
        ] {
            assert_eq!(
                kept(OLD, new).as_deref(),
                Some(&*kubeconfig(written)),
                "{new}"
            );
            for scalar in [format!("'{OLD}'"), format!("\"{OLD}\"")] {
                assert!(kept(&scalar, new).is_some(), "{scalar} {new}");
            }
        }
        let json = format!(
            r#"{{"users": [{{"name": "me", "user": {{"auth-provider": {{"name": "oidc", "config": {{"refresh-token":"{OLD}"}}}}}}}}]}}"#
        );
        let change = (
            SecretString::from(OLD),
            SecretString::from("1//0gAbCdEfGhI2"),
        );
        let (now, missing) = tokens(&json, &[&change]);
        assert!(missing.is_empty());
        assert_eq!(now.expose_secret(), json.replace(OLD, "1//0gAbCdEfGhI2"));
    }

    #[test]
    fn what_is_no_token_of_its_own_is_left_alone() {
        for scalar in [
            "another-token-0",
            "my-refresh-token-0",
            "refresh-token-0-old",
            "|-\n          refresh-token-0",
        ] {
            assert_eq!(kept(scalar, "1//0gAbCdEfGhI2"), None, "{scalar}");
        }
    }

    #[test]
    fn of_two_tokens_the_one_that_is_there_is_kept() {
        let text = kubeconfig(OLD);
        let there = (
            SecretString::from(OLD),
            SecretString::from("refresh-token-1"),
        );
        let gone = (
            SecretString::from("id-token-long-ago"),
            SecretString::from("id-token-new"),
        );
        let (now, missing) = tokens(&text, &[&gone, &there]);
        assert_eq!(now.expose_secret(), kubeconfig("refresh-token-1"));
        assert_eq!(missing.len(), 1);
    }
}
