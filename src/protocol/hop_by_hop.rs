//! Headers of one connection, which no proxy passes on (RFC 9110 section 7.6.1): the known ones and those that
//! `Connection` names. Pure.

use http::header::Entry;
use http::{HeaderMap, HeaderName, header};

/// Takes the headers of one connection out of a response.
pub fn remove(headers: &mut HeaderMap) {
    // First, as `Connection` is one of those that go.
    let named = named_by_connection(headers);
    // A length beside chunks means nothing (RFC 9112 section 6.3), and would be believed by the next hop.
    let is_chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let is_kept = |name: &HeaderName| {
        let is_false_length = is_chunked && *name == header::CONTENT_LENGTH;
        !is_hop_by_hop(name, &named) && !is_false_length
    };
    // Most responses have nothing to remove, and are not touched.
    let Some(first) = headers.keys().position(|name| !is_kept(name)) else {
        return;
    };
    // Near the begin the whole map is built anew; near the end it is cheaper to take out what follows.
    if first < headers.keys_len() / 2 {
        let mut before = std::mem::take(headers);
        headers.reserve(before.len());
        keep(&mut before, headers, is_kept);
    } else {
        keep_from(first, headers, is_kept);
    }
}

/// As [`keep`], where the first headers stay: they are not touched. As a rule it is `Connection` alone that goes, among
/// the last.
fn keep_from(first: usize, headers: &mut HeaderMap, is_kept: impl Fn(&HeaderName) -> bool) {
    let last: Vec<HeaderName> = headers.keys().skip(first).cloned().collect();
    let mut taken = Vec::with_capacity(last.len());
    // From the end on, as the last header takes the place of one that is taken out.
    for name in last.into_iter().rev() {
        let Entry::Occupied(header) = headers.entry(name) else {
            continue;
        };
        let (name, values) = header.remove_entry_mult();
        let of_name = taken.len();
        if is_kept(&name) {
            taken.extend(values.map(|value| (name.clone(), value)));
            // A name's values were put in their order, and the list is read from its end below.
            taken[of_name..].reverse();
        }
    }
    for (name, value) in taken.into_iter().rev() {
        headers.append(name, value);
    }
}

/// Moves what is to stay, in its order.
pub fn keep(before: &mut HeaderMap, after: &mut HeaderMap, is_kept: impl Fn(&HeaderName) -> bool) {
    let mut current = None;
    for (name, value) in before.drain() {
        // Only the first of several values comes with their name.
        if let Some(name) = name {
            current = Some(name).filter(&is_kept);
        }
        if let Some(name) = &current {
            after.append(name, value);
        }
    }
}

/// Headers of one connection. `Trailer` is none: the trailers are passed on. `named` is sorted, as
/// [`named_by_connection`] returns it: a stranger's `Connection` may name thousands.
pub fn is_hop_by_hop(name: &HeaderName, named: &[String]) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    ) || named
        .binary_search_by(|listed| listed.as_str().cmp(name))
        .is_ok()
}

/// The header names that `Connection` lists, in one line or many, but for its own words, which are on no other line.
/// Sorted.
pub fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    // The four words say something of the connection. What is no token names no header, and is most of what comes with
    // bad intentions.
    let is_a_name = |token: &&[u8]| {
        let own: [&[u8]; 4] = [b"", b"close", b"keep-alive", b"upgrade"];
        !own.iter().any(|word| word.eq_ignore_ascii_case(token))
            && token.iter().all(|byte| is_token(*byte))
    };
    let mut named: Vec<String> = tokens(headers, &header::CONNECTION)
        .map(unquoted)
        .filter(is_a_name)
        .map(|token| String::from_utf8_lossy(token).to_ascii_lowercase())
        .collect();
    // Sorted for the search of each header: with thousands of names a list would be walked for every one.
    named.sort_unstable();
    named.dedup();
    named
}

/// The protocols to which a request asks to be upgraded: `Connection` has the word `upgrade`, and `Upgrade` names them.
/// `h2c` is an offer that may be ignored, as Java and curl make it, and is left out (RFC 9110 section 7.8).
pub fn requested_upgrades(headers: &HeaderMap) -> Vec<&[u8]> {
    let mut connection = tokens(headers, &header::CONNECTION);
    if !connection.any(|token| token.eq_ignore_ascii_case(b"upgrade")) {
        return Vec::new();
    }
    tokens(headers, &header::UPGRADE)
        // Left out before anything is asked: with nothing else on the list it is an ordinary request.
        .filter(|token| !token.eq_ignore_ascii_case(b"h2c"))
        .collect()
}

/// What a header lists, in one line or many.
pub fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

/// A token without the quotes that some put around it.
fn unquoted(mut token: &[u8]) -> &[u8] {
    while let Some(rest) = token.strip_prefix(b"\"") {
        token = rest;
    }
    while let Some(rest) = token.strip_suffix(b"\"") {
        token = rest;
    }
    token
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a trailer may be passed on: nothing that says how a message is framed, routed, authenticated or handled
/// (RFC 9110 section 6.5.1).
pub fn is_trailer(name: &HeaderName) -> bool {
    !is_hop_by_hop(name, &[])
        && !matches!(
            *name,
            header::AUTHORIZATION
                | header::CACHE_CONTROL
                | header::CONTENT_ENCODING
                | header::CONTENT_LENGTH
                | header::CONTENT_RANGE
                | header::CONTENT_TYPE
                | header::COOKIE
                | header::EXPECT
                | header::HOST
                | header::LOCATION
                | header::ORIGIN
                | header::SET_COOKIE
                | header::TRAILER
        )
}

/// `TE: trailers` is the one thing of `TE` that a proxy can promise.
pub fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_names_half_a_million_headers_is_read_in_one_go() {
        let mut headers = HeaderMap::new();
        let tokens = "a,".repeat(1 << 19);
        headers.insert(header::CONNECTION, tokens.parse().unwrap());
        for at in 0..1000 {
            let name = HeaderName::try_from(format!("x-{at}")).unwrap();
            headers.insert(name, "v".parse().unwrap());
        }
        headers.insert("a", "v".parse().unwrap());
        assert_eq!(named_by_connection(&headers), ["a"]);
        remove(&mut headers);
        assert_eq!(headers.len(), 1000);
    }

    /// What is early makes a new map, and what is late is taken out: both have to come to the same.
    #[test]
    fn what_stays_keeps_its_order_wherever_something_goes() {
        let line = |name: &'static str, value: &'static str| {
            let name = HeaderName::from_static(name);
            (name, http::HeaderValue::from_static(value))
        };
        let stay = [
            line("server", "a"),
            line("set-cookie", "1"),
            line("set-cookie", "2"),
            line("date", "b"),
            line("x-a", "c"),
            line("set-cookie", "3"),
            line("x-b", "d"),
            line("x-b", "e"),
            line("etag", "f"),
        ];
        let expected: HeaderMap = stay.iter().cloned().collect();
        for at in 0..=stay.len() {
            for also in at..=stay.len() {
                let mut lines = stay.to_vec();
                lines.insert(also, line("x-gone", "g"));
                lines.insert(also, line("keep-alive", "timeout=5"));
                lines.insert(at, line("connection", "keep-alive, x-gone"));
                let mut headers: HeaderMap = lines.into_iter().collect();
                remove(&mut headers);
                assert!(headers.iter().eq(expected.iter()), "{at}, {also}");
            }
        }
    }

    #[test]
    fn no_trailer_says_how_a_message_is_framed_routed_or_handled() {
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "transfer-encoding",
            "upgrade",
            "content-length",
            "content-encoding",
            "content-type",
            "content-range",
            "host",
            "expect",
            "trailer",
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "location",
            "origin",
            "cache-control",
        ] {
            assert!(!is_trailer(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["grpc-status", "x-sum", "server-timing", "etag"] {
            assert!(is_trailer(&HeaderName::from_static(name)), "{name}");
        }
    }
}
