//! `--never-forward-cookies`: names of cookies that belong to what stands in front of the cluster. Pure.

use std::sync::Arc;

/// Names of cookies; a `*` at the end of one stands for any rest. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct CookieNames(Arc<[String]>);

impl CookieNames {
    /// Whether one of them is this name.
    pub fn hold(&self, name: &[u8]) -> bool {
        self.0
            .iter()
            .any(|listed| match listed.as_bytes().split_last() {
                Some((b'*', begin)) => name.starts_with(begin),
                _ => name == listed.as_bytes(),
            })
    }

    /// All of them in a line. No name of a cookie has a space.
    pub fn line(&self) -> String {
        self.0.join(" ")
    }
}

impl FromIterator<String> for CookieNames {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_the_end_stands_for_any_rest() {
        let names: CookieNames = ["_oauth2_proxy*", "argocd.token"]
            .map(str::to_owned)
            .into_iter()
            .collect();
        for (name, expected) in [
            ("_oauth2_proxy", true),
            ("_oauth2_proxy_csrf", true),
            ("_oauth2", false),
            ("argocd.token", true),
            ("argocd.tokens", false),
            ("", false),
        ] {
            assert_eq!(names.hold(name.as_bytes()), expected, "{name}");
        }
        assert!(!CookieNames::default().hold(b""));
    }
}
