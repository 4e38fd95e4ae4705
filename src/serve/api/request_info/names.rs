//! What can be the name of something in Kubernetes. Anything else is no path here, and is asked of nobody.
//!
//! Names end up in reviews, in paths of lookups, in caches, log lines and headers. Read here, they are short and hold
//! nothing that means something there.
//!
//! Kubernetes: `pkg/util/validation` of k8s.io/apimachinery (DNS-1123 label and subdomain); `SplitSchemeNamePort`.

/// DNS-1123 label.
const MAX_LABEL: usize = 63;

/// DNS-1123 subdomain.
const MAX_SUBDOMAIN: usize = 253;

/// Whether this can be the name of a namespace.
pub(super) fn is_namespace(text: &str) -> bool {
    is_label(text)
}

/// Whether this can be a name segment, `[scheme:]name[:port]`. Four parts, an empty name and a scheme that nobody
/// speaks are left for the stage that answers 400 to them, as the built-in proxy does.
pub(super) fn is_reference(segment: &str) -> bool {
    let mut parts = segment.splitn(4, ':');
    let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
    // As `SplitSchemeNamePort` does: with two parts the second is the port.
    match parts {
        [Some(name), None, None, None] => is_name(name),
        [Some(name), Some(port), None, None] => is_name(name) && is_word(port),
        [Some(scheme), Some(name), Some(port), None] => {
            is_word(scheme) && is_name(name) && is_word(port)
        }
        // Nothing can be reached by it; it only has to be short and harmless until it is refused.
        _ => segment.len() <= MAX_SUBDOMAIN && segment.split(':').all(is_word),
    }
}

/// A DNS-1123 subdomain, or nothing at all.
fn is_name(text: &str) -> bool {
    text.is_empty() || (text.len() <= MAX_SUBDOMAIN && text.split('.').all(is_label_of_any_length))
}

fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL && is_label_of_any_length(text)
}

/// Kubernetes bounds a subdomain as a whole and not its labels.
fn is_label_of_any_length(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (first, last) = (text.bytes().next(), text.bytes().next_back());
    first.is_some_and(is_plain)
        && last.is_some_and(is_plain)
        && text.bytes().all(|byte| is_plain(byte) || byte == b'-')
}

/// A scheme, a port's number or a port's name, or nothing at all.
fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    // `.` and `..` would be dot segments in the path of a lookup.
    text.len() <= MAX_LABEL && text.bytes().all(is_plain) && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_kubernetes_could_have_made_is_a_name() {
        for segment in [
            "web",
            "web:80",
            "web:",
            "https:web:8443",
            "https:web:",
            ":web:80",
            "web-0.a.b",
            "0",
            "HTTP:web:80",
            ":80",
            "a:b:c:d",
        ] {
            assert!(is_reference(segment), "{segment}");
        }
        assert!(is_reference(&"a".repeat(253)) && is_namespace(&"a".repeat(63)));
    }

    #[test]
    fn what_means_something_elsewhere_is_none() {
        for segment in [
            "..",
            ".",
            "http:..:80",
            "web:..",
            "Web",
            "we b",
            "web/x",
            "web%2Fx",
            "web#",
            "web?x",
            "-web",
            "web-",
            "a..b",
            "web\u{7f}",
            "wéb",
            "web:8 0",
            "a:b:c:d/e",
        ] {
            assert!(!is_reference(segment), "{segment}");
        }
        assert!(
            !is_reference(&"a".repeat(254)) && !is_reference(&format!("web:{}", "1".repeat(64)))
        );
        for namespace in [
            "",
            ".",
            "a.b",
            "kube-system%2Fpods",
            "kube-system/pods",
            "a#",
            "A",
            &"a".repeat(64),
        ] {
            assert!(!is_namespace(namespace), "{namespace}");
        }
    }

    proptest! {
        #[test]
        fn a_name_needs_no_escape_in_any_path(segment in "\\PC{0,40}") {
            if is_reference(&segment) {
                prop_assert!(!segment.contains(['/', '%', '?', '#', '\\', ' ']) && segment.is_ascii());
            }
        }
    }
}
