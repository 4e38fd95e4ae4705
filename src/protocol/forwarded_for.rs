//! `X-Forwarded-For`: whom a request passed through, each proxy with the address that it saw. Pure.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The list so far and one more address, in one value.
pub fn with(headers: &HeaderMap, address: &HeaderValue) -> HeaderValue {
    // The usual case: nobody stands before this proxy, and nothing is copied.
    if !headers.contains_key(X_FORWARDED_FOR) {
        return address.clone();
    }
    let mut list: Vec<u8> = Vec::new();
    for value in headers.get_all(X_FORWARDED_FOR) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(address.as_bytes());
    HeaderValue::from_bytes(&list).expect("values joined by commas are a value")
}

/// The address that the other end of the connection had the request from, as it says; `None` if that is no address.
pub fn last_hop(headers: &HeaderMap) -> Option<IpAddr> {
    // The last line and its last entry are the nearest proxy's; those before may be anybody's claim.
    let last = headers.get_all(X_FORWARDED_FOR).iter().next_back()?;
    let last = last.to_str().ok()?.rsplit(',').next()?;
    last.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_added_to_all_that_came_before() {
        let mut headers = HeaderMap::new();
        let address = HeaderValue::from_static("10.0.0.9");
        assert_eq!(with(&headers, &address), "10.0.0.9");
        for before in ["1.1.1.1, 2.2.2.2", "3.3.3.3"] {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(before));
        }
        assert_eq!(
            with(&headers, &address),
            "1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.9"
        );
    }

    #[test]
    fn the_last_hop_is_the_last_address_of_the_last_line() {
        let mut headers = HeaderMap::new();
        assert_eq!(last_hop(&headers), None);
        for (line, last) in [
            ("1.1.1.1, 2.2.2.2", Some("2.2.2.2")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("3.3.3.3, evil\"", None),
        ] {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(line));
            let last = last.map(|last| last.parse().unwrap());
            assert_eq!(last_hop(&headers), last, "{line}");
        }
    }
}
