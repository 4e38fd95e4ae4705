//! Where somebody logs in and out. In: a 401 of a backend, what the login form sends. Out: the form, and a cookie that
//! holds what was typed.
//!
//! Whoever navigates gets a page of ours in the place of a 401 that asks for Basic; scripts get it without the header
//! that would open a dialog; programs get it as it is.
//!
//! | below the target | response |
//! |---|---|
//! | `GET /.throughway/login` | the form |
//! | `POST /.throughway/login` | the cookie and the way back, for a form of this origin; 403 for others, who could log somebody in as themselves |
//! | `POST /.throughway/logout` | forgets the cookie, for a form of this origin |
//! | `/.throughway/logout` otherwise | the same for a link of this origin; everybody else is asked by a form, as an image of any site could ask for it |
//!
//! Nodes have none of this: kubelets know the token for kubelets only.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::authorization::{AppLogin, LOGIN_COOKIE, LOGIN_LIFETIME, Logins};
use super::login_page::{self, FormView, Notice};
use super::{challenge, form};
use crate::protocol::fetch_metadata::{Site, is_link};
use crate::protocol::status::{Request, Response, Status};
use crate::serve::api::{RequestInfo, Resource};
use crate::serve::authorization::Permit;
use crate::serve::client::{ClientInfo, ClientKind, Ingress};
use crate::serve::html::links::{to_root, without_dots};
use crate::serve::redirect_page;

/// Path and name of the pages, inside the target.
const LOGIN: &str = "/.throughway/login";
const LOGOUT: &str = "/.throughway/logout";

/// The page in the place of a 401, if it is one that somebody can log in at. Otherwise its headers are made such that
/// no browser opens a dialog.
pub fn replace_challenge(
    client: &ClientInfo,
    login: &AppLogin,
    asked: &RequestInfo,
    refused: &mut HeaderMap,
) -> Option<Response> {
    // Kubelets know the token for kubelets only, so a login would change nothing.
    if asked.resource == Resource::Nodes {
        return None;
    }
    match client.kind {
        ClientKind::Program => return None,
        // A dialog would ask for a password that kube-apiserver then takes for its own; a script sees the bare 401.
        ClientKind::Subresource if challenge::opens_dialog(refused) => {
            refused.remove(header::WWW_AUTHENTICATE);
            return None;
        }
        ClientKind::Subresource => return None,
        ClientKind::Navigation => {}
    }
    // Without a Basic challenge there is nothing that this form could answer, and the 401 passes as it is.
    let realm = challenge::basic_realm(refused)?;
    let query = asked.query().map(|query| format!("?{query}"));
    let next = format!("{}{}", asked.path_inside(), query.unwrap_or_default());
    let notice = match login {
        AppLogin::Sent { .. } => Notice::Refused,
        AppLogin::Absent => Notice::Nothing,
    };
    let mut response = login_page::form(
        StatusCode::UNAUTHORIZED,
        FormView {
            action: &relative(asked.path_inside(), LOGIN),
            next: &form::inside(&next),
            realm: &realm,
            notice,
        },
    );
    let headers = response.headers_mut();
    // The 401 is replaced, but what it set is the app's.
    for cookie in refused.get_all(header::SET_COOKIE) {
        headers.append(header::SET_COOKIE, cookie.clone());
    }
    // It was refused, so it is forgotten: else every further request would send it once more.
    if let AppLogin::Sent { path } = login {
        headers.extend(forgetting(path));
    }
    Some(response)
}

/// Answers the two paths that are this server's own.
pub async fn respond(
    client: &ClientInfo,
    permit: &Permit,
    logins: &Logins,
    request: &mut Request,
) -> Option<Response> {
    let asked = permit.info();
    if asked.resource == Resource::Nodes {
        return None;
    }
    let is_read = matches!(asked.method, Method::GET | Method::HEAD);
    match asked.path_inside() {
        LOGIN if is_read => Some(render_form(StatusCode::OK, "/", Notice::Nothing)),
        LOGIN if asked.method == Method::POST => {
            // On the heap, as it waits for a body and is rare.
            let logged_in = Box::pin(log_in(client, permit, logins, request)).await;
            Some(logged_in.unwrap_or_else(Status::into_response))
        }
        LOGOUT if is_read || asked.method == Method::POST => {
            // Asked before it is done: logging out changes a state, and a link or an image of any page could ask for
            // it.
            Some(match means_to_log_out(client, request) {
                true => log_out(client, permit, logins, request.headers()),
                false => login_page::log_out(&relative(LOGOUT, LOGOUT)),
            })
        }
        LOGIN | LOGOUT => {
            let words = "allowed methods: GET, HEAD, POST";
            Some(Status::method_not_allowed(words).into_response())
        }
        _ => None,
    }
}

async fn log_in(
    client: &ClientInfo,
    permit: &Permit,
    logins: &Logins,
    request: &mut Request,
) -> Result<Response, Status> {
    // First, before any of the body is read: a page of another site must not even log somebody in as itself.
    if !is_of_this_origin(client, request) {
        return Err(Status::forbidden(
            "a login has to come from a page of this origin; if it did, --external-origin should name that origin",
        ));
    }
    let sent = form::read(request).await?;
    let path = cookie_path(client, permit)
        .ok_or_else(|| Status::bad_request("no cookie can be set for this path"))?;
    // Nobody sees whether the application takes it before it is sent there, so it is only sealed here.
    let sealed = sent
        .credentials()
        .and_then(|credentials| logins.seal(permit, &path, credentials));
    let Some(sealed) = sealed else {
        return Ok(render_form(
            StatusCode::BAD_REQUEST,
            &sent.next,
            Notice::Unusable,
        ));
    };
    // A cookie that says `Secure` is refused by a browser whose page is plain HTTP, as on loopback.
    let secure = if is_https(request.headers()) {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!(
        "{LOGIN_COOKIE}={sealed}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        LOGIN_LIFETIME.as_secs()
    );
    let mut response = leading_to(client, &sent.next);
    let mut cookie = HeaderValue::try_from(cookie)
        .map_err(|_| Status::bad_request("no cookie can be set for this path"))?;
    // Kept out of debug output and of HTTP/2's tables.
    cookie.set_sensitive(true);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Whether somebody asks for it who may, and not a page of another site: its form, its link, its image.
fn means_to_log_out(client: &ClientInfo, request: &Request) -> bool {
    match *request.method() {
        Method::POST => is_of_this_origin(client, request),
        _ => {
            let headers = request.headers();
            Site::of(headers) == Site::SameOrigin && is_link(request.method(), headers)
        }
    }
}

fn log_out(client: &ClientInfo, permit: &Permit, logins: &Logins, headers: &HeaderMap) -> Response {
    let mut response = login_page::logged_out();
    // The path that the cookie was set with, as only that takes it back; a guess if it does not open.
    let path = logins
        .path(permit, headers)
        .or_else(|| cookie_path(client, permit));
    if let Some(path) = path {
        response.headers_mut().extend(forgetting(&path));
    }
    response
}

/// The form for somebody who is at its own address.
fn render_form(status: StatusCode, next: &str, notice: Notice) -> Response {
    login_page::form(
        status,
        FormView {
            action: &relative(LOGIN, LOGIN),
            next,
            realm: "",
            notice,
        },
    )
}

/// From the login to a path inside the target, the way that passes the front proxy.
fn leading_to(client: &ClientInfo, next: &str) -> Response {
    let target = relative(LOGIN, next);
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    // kube-aggregator would make a 502 of a redirect, so it is a page there.
    let mut response = match client.ingress {
        Ingress::FrontProxy => redirect_page::leading_to(&target, response),
        Ingress::Direct => {
            let location = HeaderValue::try_from(target).expect("visible text is header text");
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
    };
    // The way back depends on a login that was just typed; nobody may show it again.
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// From one path inside the target to another that starts with a slash, as a relative reference.
fn relative(page: &str, to: &str) -> String {
    let page = match page {
        "" => String::new(),
        page => without_dots(page).into_owned(),
    };
    let root = to_root("/proxy", &format!("/proxy{page}"));
    format!("{root}{}", &to[1..])
}

fn forgetting(path: &str) -> Option<(HeaderName, HeaderValue)> {
    let text = format!("{LOGIN_COOKIE}=; Path={path}; HttpOnly; SameSite=Lax; Max-Age=0");
    Some((header::SET_COOKIE, HeaderValue::try_from(text).ok()?))
}

/// The target's root as the browser sees it, where that is known, in the words of a cookie.
fn cookie_path(client: &ClientInfo, permit: &Permit) -> Option<String> {
    let is_cookie_text = |text: &&str| {
        // `Path` ends at a semicolon, so a prefix with one would set another attribute.
        text.bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b','))
    };
    let external = client.external.prefix.as_deref();
    let prefix = [external, Some(permit.info().prefix())]
        .into_iter()
        .flatten()
        .find(is_cookie_text)?;
    Some(format!("{prefix}/"))
}

/// Whether the page that sends a form is one of the origin that it is sent to. Programs say no origin.
///
/// Every browser of these years says `Sec-Fetch-Site` to loopback and to TLS. To others it says `Origin` alone, which
/// can be compared only with what the administrator says ([`crate::serve::client::ExternalUrl`]), or with what a direct
/// caller has as `Host`.
fn is_of_this_origin(client: &ClientInfo, request: &Request) -> bool {
    let headers = request.headers();
    // Said by the browser itself, and no page can set it, so nothing else is asked.
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        // No origin at all is a program's, which holds what it sends.
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    // Behind the front proxy `Host` is this server's own, and says nothing of what the browser sees.
    let is_own = client.ingress == Ingress::Direct
        && authority
            .zip(host)
            .is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host));
    is_own || client.external.origin.is_some()
}

fn is_https(headers: &HeaderMap) -> bool {
    [header::ORIGIN, header::REFERER]
        .iter()
        .filter_map(|name| headers.get(name))
        .any(|value| value.as_bytes().starts_with(b"https://"))
}

#[cfg(test)]
mod tests;
