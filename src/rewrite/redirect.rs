//! `Location`: what leads into the same target leads through the proxy again, as a relative reference.
//!
//! What leads elsewhere, and what is relative already, passes as it came; [`super::link`] tells the two apart.

use http::header::{HeaderMap, HeaderValue, LOCATION};

use super::link::{Form, Links};
use crate::api::RequestInfo;
use crate::endpoint::Endpoint;

/// Makes `Location` relative where it leads into the target.
pub(super) fn rewrite(asked: &RequestInfo, endpoint: &Endpoint, headers: &mut HeaderMap) {
    let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let Some(relative) = Links::new(asked, endpoint, Form::Relative).map(location) else {
        return;
    };
    if let Ok(value) = HeaderValue::try_from(relative) {
        headers.insert(LOCATION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::link::tests::{asked, endpoint};

    fn rewritten(base: &str, location: &str) -> String {
        let mut headers =
            HeaderMap::from_iter([(LOCATION, HeaderValue::try_from(location).unwrap())]);
        rewrite(&asked(base), &endpoint(), &mut headers);
        headers[LOCATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn what_leads_into_the_target_becomes_relative() {
        for (base, location, expected) in [
            ("/", "/login", "./login"),
            ("", "/login", "proxy/login"),
            ("/a/b", "/login?next=/x#y", "../login?next=/x#y"),
            ("/", "http://web.demo.svc?a=b", "./?a=b"),
        ] {
            assert_eq!(rewritten(base, location), expected, "{base} -> {location}");
        }
    }

    #[test]
    fn other_places_and_relative_references_pass_as_they_came() {
        for location in [
            "login",
            "../x",
            "",
            "//evil.example/x",
            "https://web.demo.svc/x",
            "http://evil.example/",
        ] {
            assert_eq!(rewritten("/", location), location, "{location}");
        }
    }
}
