//! The pages of logins: a form, and the one after logging out.
//!
//! They load and run nothing, not even what a backend would like to put into them by its realm or a path: everything
//! that comes from elsewhere is escaped, and the policy allows one style sheet, by its hash, and a form that leads to
//! this origin.
//!
//! Content Security Policy: <https://www.w3.org/TR/CSP3/>.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};

use crate::protocol::html_escape::escaped;
use crate::protocol::status::Response;

const STYLE: &str = ":root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
body{display:grid;place-content:center;min-height:90vh;margin:1rem}\
main{width:min(22rem,90vw)}\
h1{font-size:1.25rem}\
p{overflow-wrap:anywhere}\
label{display:block;margin-top:1rem}\
input{box-sizing:border-box;width:100%;font:inherit;padding:.5rem}\
button{margin-top:1.5rem;font:inherit;padding:.5rem 1.5rem}\
[role=alert]{border-inline-start:.25rem solid;padding-inline-start:.75rem;color:light-dark(#b00020,#ff8a80)}";

/// What the form says besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Nothing,
    /// The application was shown what was typed last time.
    Refused,
    /// A user name with a colon, a character that no password has, or too much of either.
    Unusable,
}

impl Notice {
    fn sentence(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Refused => Some("The application refused this user name and password."),
            Self::Unusable => Some(
                "This can't be sent: a user name has no colon, neither has control characters, and both are short.",
            ),
        }
    }
}

/// What the form is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormView<'a> {
    /// Where it is sent, relative to the page that it is shown for.
    pub(super) action: &'a str,
    /// Path and query inside the target that it leads to.
    pub(super) next: &'a str,
    /// What the application calls what it protects; may be empty.
    pub(super) realm: &'a str,
    pub(super) notice: Notice,
}

/// The page with the form.
pub(super) fn form(status: StatusCode, form: FormView<'_>) -> Response {
    // The backend's own words. They are escaped, and quoted so that nobody takes them for this server's.
    let realm = match form.realm {
        "" => String::new(),
        realm => format!("<p>It says: <q>{}</q></p>", escaped(realm)),
    };
    let notice = form.notice.sentence().map_or_else(String::new, |sentence| {
        format!("<p role=\"alert\">{}</p>", escaped(sentence))
    });
    let main = format!(
        "<h1>This application asks for a password</h1>{realm}{notice}\
         <form method=\"post\" action=\"{action}\">\
         <input type=\"hidden\" name=\"next\" value=\"{next}\">\
         <label for=\"username\">User name</label>\
         <input id=\"username\" name=\"username\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" autofocus>\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\">\
         <button type=\"submit\">Log in</button></form>",
        action = escaped(form.action),
        next = escaped(form.next),
    );
    page(status, "Log in", &main)
}

/// The page that asks whether to log out.
pub(super) fn log_out(action: &str) -> Response {
    let main = format!(
        "<h1>Log out?</h1>\
         <p>What you typed for this application is forgotten here then.</p>\
         <form method=\"post\" action=\"{}\"><button type=\"submit\">Log out</button></form>",
        escaped(action)
    );
    page(StatusCode::OK, "Log out", &main)
}

/// The page after logging out.
pub(super) fn logged_out() -> Response {
    let main = "<h1>You are logged out</h1>\
        <p>What you typed is forgotten here. The application may have a login of its own.</p>\
        <p><a href=\"../\">Back to the application</a></p>";
    page(StatusCode::OK, "Logged out", main)
}

fn page(status: StatusCode, title: &str, main: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main>{main}</main></body></html>\n"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // Even a realm that got past the escaping would run nothing.
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    for (name, value) in [
        (header::CONTENT_TYPE, "Text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The path that the browser sees is known only from the referrer.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    );
    HeaderValue::try_from(policy).expect("base64 is header text")
});

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn text(response: Response) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn nothing_from_elsewhere_breaks_out_of_the_page() {
        let plain = form(
            StatusCode::UNAUTHORIZED,
            FormView {
                action: "./.throughway/login",
                next: "/",
                realm: "x",
                notice: Notice::Refused,
            },
        );
        let plain = text(plain).await;
        for trick in [
            "</script><script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "' autofocus onfocus='alert(1)",
            "</q></main></style><b>&lt;",
            "&quot;><i>",
        ] {
            let page = form(
                StatusCode::UNAUTHORIZED,
                FormView {
                    action: trick,
                    next: trick,
                    realm: trick,
                    notice: Notice::Refused,
                },
            );
            let page = text(page).await;
            for character in ['<', '>', '"', '\''] {
                let count = |page: &str| page.matches(character).count();
                assert_eq!(count(&page), count(&plain), "{character} of {trick}");
            }
            assert_eq!(page.matches(&escaped(trick)).count(), 3);
        }
    }

    #[tokio::test]
    async fn the_page_allows_its_own_style_and_nothing_else() {
        let page = form(
            StatusCode::UNAUTHORIZED,
            FormView {
                action: "./.throughway/login",
                next: "/",
                realm: "",
                notice: Notice::Nothing,
            },
        );
        let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert_eq!(header("content-type"), "Text/html; charset=utf-8");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(page.headers().len(), 5);
        let text = text(page).await;
        let style = text
            .split("<style>")
            .nth(1)
            .and_then(|rest| rest.split("</style>").next())
            .unwrap();
        let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
        assert_eq!(
            policy,
            format!(
                "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
            )
        );
        assert!(!text.contains("role=\"alert\"") && !text.contains("<q>"));
        assert!(!text.contains("<script") && !text.contains("style=\""));
        assert!(!text.contains("action=\"/") && !text.contains("href=\"/"));
    }
}
