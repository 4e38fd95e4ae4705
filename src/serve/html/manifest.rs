//! Web app manifests: which of their members are URLs.
//!
//! In: a whole manifest. Out: the same text with the URLs of the members below mapped. They are relative to the
//! manifest's own URL. `id` is no place but a name, and one that is relative to the origin; it gets the prefix that is
//! known here, so that two apps below one origin keep two names.
//!
//! W3C Web Application Manifest, section 1, and its incubations (protocol, file and share handlers, shortcuts).

use super::json::{self, JsonRole};
use super::links::Links;

/// The manifest with its URLs mapped; `None`: it is no JSON.
pub(super) fn mapped(manifest: &[u8], links: &Links) -> Option<Vec<u8>> {
    // The name that an app has at the browser must not change with the page's depth, so it gets the whole path.
    let named = links.absolute();
    json::replaced(manifest, &|path, role, string| {
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        match (role, keys.as_slice()) {
            (JsonRole::Key, _) => None,
            (JsonRole::Value, ["id"]) => named.map(string),
            (JsonRole::Value, keys) if holds_url(keys) => links.map(string),
            (JsonRole::Value, _) => None,
        }
    })
}

/// A list is an empty key on the way.
fn holds_url(keys: &[&str]) -> bool {
    matches!(
        keys,
        ["start_url" | "scope"]
            | ["icons" | "screenshots", "", "src"]
            | ["shortcuts", "", "url"]
            | ["shortcuts", "", "icons", "", "src"]
            | ["share_target" | "note_taking", "action" | "new_note_url"]
            | ["protocol_handlers", "", "url"]
            | ["file_handlers", "", "action"]
            | ["file_handlers", "", "icons", "", "src"]
            | ["related_applications", "", "url"]
            | ["serviceworker", "src" | "scope"]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::html::links::LinkForm;
    use crate::serve::html::links::tests::{PREFIX, links};

    #[test]
    fn urls_of_a_manifest_are_relative_to_it() {
        let manifest = r#"{
  "name": "/not a url", "start_url": "/?source=pwa", "scope": "/", "id": "/app",
  "icons": [{"src": "/a.png", "type": "/b"}, {"src": "c.png"}],
  "shortcuts": [{"name": "/x", "url": "http:\/\/web.demo.svc/s", "icons": [{"src": "/s.png"}]}],
  "screenshots": [{"src": "https://cdn.example/x"}],
  "share_target": {"action": "/share", "params": {"title": "/t"}},
  "protocol_handlers": [{"protocol": "web+x", "url": "/p?%s"}],
  "file_handlers": [{"action": "/open", "accept": {"text/csv": [".csv"]}}]
}"#;
        let expected = r#"{
  "name": "/not a url", "start_url": "../?source=pwa", "scope": "../", "id": "PREFIX/app",
  "icons": [{"src": "../a.png", "type": "/b"}, {"src": "c.png"}],
  "shortcuts": [{"name": "/x", "url": "../s", "icons": [{"src": "../s.png"}]}],
  "screenshots": [{"src": "https://cdn.example/x"}],
  "share_target": {"action": "../share", "params": {"title": "/t"}},
  "protocol_handlers": [{"protocol": "web+x", "url": "../p?%s"}],
  "file_handlers": [{"action": "../open", "accept": {"text/csv": [".csv"]}}]
}"#;
        let links = links("/static/manifest.json", LinkForm::Relative);
        let mapped = mapped(manifest.as_bytes(), &links).unwrap();
        assert_eq!(
            String::from_utf8(mapped).unwrap(),
            expected.replace("PREFIX", PREFIX)
        );
    }
}
