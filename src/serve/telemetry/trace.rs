//! Names by which one request is found again elsewhere: the Audit-ID of Kubernetes and the trace of W3C Trace Context.
//!
//! `traceparent` is passed on as it came; no span of our own is put in between, so a trace stays whole whether or not
//! its spans are collected. A request without one gets none: who wants traces starts them.
//!
//! <https://www.w3.org/TR/trace-context/>

use http::{HeaderMap, HeaderName, HeaderValue};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// An Audit-ID from outside is used up to this length.
const MAX_AUDIT_ID: usize = 128;

/// The name of a request in Kubernetes' audit log: the caller's, or a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditId(HeaderValue);

impl AuditId {
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(AUDIT_ID)
            // A bound, as every line of the log has it and anybody may send one.
            .filter(|value| (1..=MAX_AUDIT_ID).contains(&value.len()));
        let mut id = given
            .filter(|value| value.to_str().is_ok())
            .cloned()
            .unwrap_or_else(random_uuid);
        // No secret, but never seen again: HTTP/2 need not keep it in its table, where it would push out what is.
        id.set_sensitive(true);
        Self(id)
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Puts it into a response, as kube-apiserver does.
    pub fn echo(&self, headers: &mut HeaderMap) {
        headers.insert(AUDIT_ID, self.0.clone());
    }
}

const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

/// Where the two digits of each byte of a UUID stand.
const DIGITS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// RFC 9562, version 4.
fn random_uuid() -> HeaderValue {
    // Fast and not secret: it only has to be another one each time.
    let random = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let mut uuid = [b'-'; 36];
    for (at, byte) in DIGITS.into_iter().zip(random.to_be_bytes()) {
        uuid[at] = HEXADECIMAL[usize::from(byte >> 4)];
        uuid[at + 1] = HEXADECIMAL[usize::from(byte & 0xf)];
    }
    HeaderValue::from_bytes(&uuid).expect("hexadecimal digits and hyphens are header text")
}

/// The trace that a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

impl TraceId {
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(TRACEPARENT)?.as_bytes();
        let is_hex = |part: &[u8]| {
            part.iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut parts = text.split(|byte| *byte == b'-');
        let (version, id) = (parts.next()?, parts.next()?);
        // `ff` is no version, and a trace of zeros is none (W3C Trace Context, section 3.2.2).
        let known = version.len() == 2 && is_hex(version) && version != b"ff";
        let id: [u8; 32] = id.try_into().ok()?;
        (known && is_hex(&id) && id != [b'0'; 32]).then_some(Self(id))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::try_from(value).unwrap())])
    }

    #[test]
    fn an_audit_id_is_kept_and_a_missing_one_is_a_new_uuid() {
        assert_eq!(AuditId::of(&headers(AUDIT_ID, "abc")).as_str(), "abc");
        let new = AuditId::of(&HeaderMap::new());
        let text = new.as_str();
        assert_eq!((text.len(), &text[14..15]), (36, "4"));
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
        assert_ne!(
            AuditId::of(&headers(AUDIT_ID, &"x".repeat(129)))
                .as_str()
                .len(),
            129
        );
    }

    #[test]
    fn a_trace_is_read_from_a_whole_traceparent_only() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            TraceId::of(&headers(TRACEPARENT, good)).unwrap().as_str(),
            &good[3..35]
        );
        for bad in [
            "",
            "00",
            "00-x-y-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceId::of(&headers(TRACEPARENT, bad)), None, "{bad}");
        }
    }
}
