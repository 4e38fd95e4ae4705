//! What the login form sends. In: a body. Out: a user name, a password, and where to go next.
//!
//! Refused: another media type than a form's, more than 16 KiB, a body that takes its time, text that is not UTF-8.
//!
//! `application/x-www-form-urlencoded`: <https://url.spec.whatwg.org/#urlencoded-parsing>.

use std::time::Duration;

use http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;

use crate::protocol::status::{Request, Status};
use crate::serve::html::links::without_dots;

/// Bytes of a form.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// How long a form may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// What somebody typed.
#[derive(Default, PartialEq, Eq)]
pub(super) struct LoginForm {
    pub(super) username: String,
    pub(super) password: String,
    /// A path and query inside the target.
    pub(super) next: String,
}

/// Reads the form that a request brings.
pub(super) async fn read(request: &mut Request) -> Result<LoginForm, Status> {
    if !is_form(request.headers()) {
        return Err(Status::bad_request("expected an HTML form submission"));
    }
    // Taken out, so that whatever is decided below, nothing of a password goes on to a backend.
    let body = std::mem::take(request.body_mut());
    // Both bounds stand around the whole body: a slow form holds a connection, a long one memory.
    let whole = Limited::new(body, MAX_FORM_BYTES).collect();
    let body = match tokio::time::timeout(FORM_TIMEOUT, whole).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Err(Status::bad_request("the form is too long or broke off")),
        Err(_) => return Err(Status::bad_request("the form did not arrive in time")),
    };
    std::str::from_utf8(&body)
        .ok()
        .and_then(parse)
        .ok_or_else(|| Status::bad_request("form is not valid UTF-8"))
}

impl LoginForm {
    /// `user:password`, as Basic has it (RFC 7617 section 2); `None` if it can't be put so.
    pub(super) fn credentials(&self) -> Option<String> {
        let is_sendable = !self.username.contains(':')
            && ![&self.username, &self.password]
                .iter()
                .any(|text| text.contains(char::is_control));
        is_sendable.then(|| format!("{}:{}", self.username, self.password))
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

fn parse(body: &str) -> Option<LoginForm> {
    let mut form = LoginForm::default();
    for pair in body.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let field = match &*decoded(name)? {
            "username" => &mut form.username,
            "password" => &mut form.password,
            "next" => &mut form.next,
            _ => continue,
        };
        *field = decoded(value)?;
    }
    form.next = inside(&form.next);
    Some(form)
}

fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// A path and query inside the target, dot segments resolved; the root for anything that could be read as something
/// else.
pub(super) fn inside(next: &str) -> String {
    const ROOT: &str = "/";
    if !next.starts_with('/') || !next.bytes().all(|byte| byte.is_ascii_graphic()) {
        return ROOT.to_owned();
    }
    let next = next.split('#').next().unwrap_or(next);
    let (path, query) = next.split_at(next.find('?').unwrap_or(next.len()));
    let path = without_dots(path);
    let is_elsewhere = path[1..].starts_with(['/', '\\']) || path.starts_with("/.throughway/");
    if is_elsewhere {
        return ROOT.to_owned();
    }
    format!("{path}{query}")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use proptest::prelude::*;

    use super::*;

    fn form(content_type: &str, body: impl Into<Body>) -> Request {
        let mut request = Request::new(body.into());
        let value = content_type.parse().unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, value);
        request
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn a_form_is_decoded() {
        let body = "next=%2Fa%2Fb%3Fc%3Dd&username=j%C3%BCrgen&password=a+b%2B%26%3D%3A&other=x";
        let mut request = form("Application/X-WWW-Form-Urlencoded; charset=UTF-8", body);
        let form = read(&mut request).await.ok().unwrap();
        assert_eq!(form.credentials().unwrap(), "jürgen:a b+&=:");
        assert_eq!(form.next, "/a/b?c=d");
    }

    #[tokio::test]
    async fn what_is_no_form_or_too_long_is_refused() {
        for (content_type, body) in [
            ("text/plain", "username=a".to_owned()),
            ("multipart/form-data; boundary=x", String::new()),
            (FORM, format!("password={}", "x".repeat(MAX_FORM_BYTES))),
            (FORM, "password=%ff".to_owned()),
        ] {
            let refused = read(&mut form(content_type, body)).await;
            assert_eq!(refused.err().unwrap().code, 400);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_form_that_does_not_end_is_given_up() {
        let silence = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let refused = read(&mut form(FORM, Body::from_stream(silence))).await;
        assert!(refused.err().unwrap().message.contains("in time"));
    }

    #[test]
    fn what_basic_can_not_carry_is_no_credentials() {
        for (username, password) in [("a:b", "c"), ("a\n", "b"), ("a", "b\0"), ("a", "\u{85}")] {
            let (username, password) = (username.to_owned(), password.to_owned());
            let form = LoginForm {
                username,
                password,
                next: String::new(),
            };
            assert_eq!(form.credentials(), None);
        }
    }

    #[test]
    fn next_is_a_path_inside_the_target_or_its_root() {
        for (next, expected) in [
            ("/a/b?c=//d", "/a/b?c=//d"),
            ("/", "/"),
            ("/a/../b/./c", "/b/c"),
            ("/../../../api/v1/secrets", "/api/v1/secrets"),
            ("/a\\..\\..\\x", "/x"),
            ("/%2e%2e/%2E%2e/x", "/x"),
            ("/a#b", "/a"),
            ("", "/"),
            ("//evil", "/"),
            ("/\\evil", "/"),
            ("/a/..//evil", "/"),
            ("/.//evil", "/"),
            ("\\\\evil", "/"),
            ("https://evil/", "/"),
            ("javascript:alert(1)", "/"),
            ("a", "/"),
            ("?a", "/"),
            ("/a\r\nSet-Cookie: b=c", "/"),
            ("/\t/evil", "/"),
            ("/a b", "/"),
            ("/ü", "/"),
            ("/.throughway/logout", "/"),
            ("/a/../.throughway/logout", "/"),
        ] {
            assert_eq!(inside(next), expected, "{next:?}");
        }
    }

    proptest! {
        #[test]
        fn no_next_leaves_the_target(next in "[/\\\\.%2eE:?#a@ \t]{0,16}") {
            const PREFIX: &str = "/k8s/services/web:80/proxy";
            let page = url::Url::parse(&format!("http://host{PREFIX}/.throughway/login")).unwrap();
            let led = page.join(&format!("..{}", inside(&next))).unwrap();
            prop_assert_eq!(led.host_str(), Some("host"));
            prop_assert!(led.path().starts_with(&format!("{PREFIX}/")), "{}", led);
        }
    }
}
