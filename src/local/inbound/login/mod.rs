//! `--login`: every browser shows a token first, for machines on which others can reach the port too.
//!
//! A token is good for one browser, is printed on the terminal, and a new one is printed when it was used. It becomes a
//! cookie of `localhost`, and from there of each target's host by a ticket that is good once and for a minute; no
//! target's server gets that cookie. Cookies know no ports: whoever lures the browser to another port of `localhost`
//! reads the cookie, so nobody else's server there should be visited.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::Instant;

use super::host_route::HostRoute;
use super::random_token::{NoRandomness, random_token};
use crate::lifecycle::Tasks;
use crate::local::inbound::client_kind::ClientKind;
use crate::local::problem::{Advice, Problem};
use crate::local::temporary_file::TemporaryFile;
use crate::local::terminal::print;
use crate::protocol::host::without_port;
use crate::protocol::status::{Request, Response, Status};

/// Where a browser shows its token, on the API's host, and its ticket, on a target's.
const LOGIN_PATH: &str = "/.throughway/login";
const ENTER_PATH: &str = "/.throughway/enter";

/// The cookie of a browser that is logged in.
const COOKIE: &str = "Throughway-Local";

/// How long a ticket for another host is good.
const TICKET_LIFETIME: Duration = Duration::from_secs(60);

/// Tickets at the same time; a browser needs one for each host that it opens.
const MAX_TICKETS: usize = 256;

/// Who is logged in, and what lets others in.
#[derive(Debug)]
pub(in crate::local) struct BrowserLogins {
    /// What the cookies hold.
    session: String,
    secrets: Mutex<LoginSecrets>,
    /// Where the API's own host is, `localhost:8001`.
    home: String,
    tasks: Tasks,
}

#[derive(Debug)]
struct LoginSecrets {
    token: String,
    /// What leads a browser to the token.
    page: Option<TemporaryFile>,
    tickets: HashMap<String, Ticket>,
}

#[derive(Debug)]
struct Ticket {
    host: String,
    until: Instant,
}

/// What becomes of a request.
#[derive(Debug)]
pub(in crate::local) enum LoginCheck {
    /// It goes on, without the cookie.
    LoggedIn,
    Respond(Response),
}

impl BrowserLogins {
    /// `home` is what browsers have in their address.
    pub(in crate::local) fn new(home: String, tasks: Tasks) -> Result<Self, NoRandomness> {
        Ok(Self {
            session: random_token()?,
            secrets: Mutex::new(LoginSecrets {
                token: random_token()?,
                page: None,
                tickets: HashMap::new(),
            }),
            home,
            tasks,
        })
    }

    /// Where browsers log in.
    pub(in crate::local) fn home(&self) -> &str {
        &self.home
    }

    /// Takes care of a page that leads to the present token: it goes when the token was used.
    pub(in crate::local) fn opened(&self, page: TemporaryFile) {
        self.lock().page = Some(page);
    }

    /// The address that lets one browser in, and then shows it a path or another host of this server.
    pub(in crate::local) fn address(&self, to: &str) -> String {
        let token = &self.lock().token;
        let home = &self.home;
        if to.is_empty() {
            format!("http://{home}{LOGIN_PATH}?token={token}")
        } else {
            let to = utf8_percent_encode(to, NON_ALPHANUMERIC);
            format!("http://{home}{LOGIN_PATH}?token={token}&to={to}")
        }
    }

    /// Lets a request of a browser that is logged in pass, and others log in.
    pub(in crate::local) fn check(
        &self,
        host: &str,
        route: &HostRoute,
        client: ClientKind,
        request: &mut Request,
    ) -> Result<LoginCheck, Problem> {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default().to_owned();
        // These two paths are answered before the login, as they are how one logs in.
        if *route == HostRoute::Api && path == LOGIN_PATH {
            return self.log_in(host, request, &query).map(LoginCheck::Respond);
        }
        if *route != HostRoute::Api && path == ENTER_PATH {
            return self.enter(host, &query).map(LoginCheck::Respond);
        }
        if self.is_logged_in(request.headers()) {
            // What is sent on is the target's to read, and this cookie is not for it.
            remove_cookie(request.headers_mut());
            return Ok(LoginCheck::LoggedIn);
        }
        let may_be_sent_home = *route != HostRoute::Api
            && client == ClientKind::Navigation
            // A form that is posted would lose its body on the way, so it is refused instead.
            && matches!(*request.method(), Method::GET | Method::HEAD);
        if may_be_sent_home {
            let whole = request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str());
            let to = format!("http://{host}{whole}");
            let to = utf8_percent_encode(&to, NON_ALPHANUMERIC);
            let home = format!("http://{}{LOGIN_PATH}?to={to}", self.home);
            return Ok(LoginCheck::Respond(see_other(&home)));
        }
        Err(not_logged_in())
    }

    fn log_in(&self, host: &str, request: &Request, query: &str) -> Result<Response, Problem> {
        // The cookie that comes of it is one of `localhost`, from where tickets lead to the targets' hosts.
        if without_port(host) != "localhost" && without_port(host) != without_port(&self.home) {
            return Err(not_logged_in());
        }
        let has_token = value(query, "token").is_some_and(|token| self.use_token(&token));
        // Who is logged in already needs no token to go on to another host.
        if !has_token && !self.is_logged_in(request.headers()) {
            return Err(not_logged_in());
        }
        let to = value(query, "to").unwrap_or_else(|| "/".to_owned());
        let mut response = see_other(&self.onwards(&to).unwrap_or_else(|| "/".to_owned()));
        if has_token {
            response
                .headers_mut()
                .insert(header::SET_COOKIE, self.cookie());
        }
        Ok(response)
    }

    /// Where a browser that is logged in goes: a path here, or another host of this server with a ticket for it.
    fn onwards(&self, to: &str) -> Option<String> {
        if is_path(to) {
            return Some(to.to_owned());
        }
        let uri: Uri = to.parse().ok()?;
        let host = uri
            .authority()
            .filter(|_| uri.scheme_str() == Some("http"))?;
        let is_ours = matches!(HostRoute::of(host.as_str()), Ok(HostRoute::Target(_)))
            // The same port only: another one on this machine is another program's.
            && host.port_u16() == self.home.parse::<http::uri::Authority>().ok()?.port_u16()
            && !host.as_str().contains('@');
        if !is_ours {
            return None;
        }
        let ticket = random_token().ok()?;
        let mut secrets = self.lock();
        let now = Instant::now();
        // Those that are over go first, so that the bound is on those that are good.
        secrets.tickets.retain(|_, ticket| ticket.until > now);
        if secrets.tickets.len() >= MAX_TICKETS {
            return None;
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = utf8_percent_encode(path, NON_ALPHANUMERIC);
        let onwards = format!("http://{host}{ENTER_PATH}?ticket={ticket}&to={path}");
        let host = host.as_str().to_ascii_lowercase();
        let until = now + TICKET_LIFETIME;
        secrets.tickets.insert(ticket, Ticket { host, until });
        Some(onwards)
    }

    fn enter(&self, host: &str, query: &str) -> Result<Response, Problem> {
        let shown = value(query, "ticket").unwrap_or_default();
        // Taken out whether it is good or not: a ticket is good once.
        let ticket = self.lock().tickets.remove(&shown);
        let is_good = ticket.is_some_and(|ticket| {
            // For the host that it was made for and no other.
            ticket.until > Instant::now() && ticket.host.eq_ignore_ascii_case(host)
        });
        if !is_good {
            return Err(not_logged_in());
        }
        // A path alone, so that nobody is led out of here by a ticket.
        let to = value(query, "to").filter(|to| is_path(to));
        let mut response = see_other(to.as_deref().unwrap_or("/"));
        response
            .headers_mut()
            .insert(header::SET_COOKIE, self.cookie());
        Ok(response)
    }

    /// Whether a token is the one that was printed; then another is printed in its place.
    fn use_token(&self, shown: &str) -> bool {
        let mut secrets = self.lock();
        // Compared in constant time, under the lock: two browsers with one token can't both get in.
        if !is_same(shown.as_bytes(), &secrets.token) {
            return false;
        }
        // Without a next token the old one must stay good, or nobody could ever log in again.
        let Ok(next) = random_token() else {
            return false;
        };
        secrets.token = next;
        // The page that leads to the used token is removed by being dropped.
        secrets.page = None;
        // The address below takes the lock again.
        drop(secrets);
        let line = format!(
            "A browser logged in. For another one: {}\n",
            self.address("")
        );
        // On a thread of its own: a terminal that takes nothing stops nobody's request.
        self.tasks.spawn_background(async move {
            let printed = tokio::task::spawn_blocking(move || print(&line)).await;
            if let Ok(Err(failed)) = printed {
                tracing::warn!(error = %failed, "the next address can't be printed");
            }
        });
        true
    }

    fn is_logged_in(&self, headers: &HeaderMap) -> bool {
        cookies(headers)
            .any(|(name, value)| name == COOKIE.as_bytes() && is_same(value, &self.session))
    }

    fn cookie(&self) -> HeaderValue {
        let session = &self.session;
        HeaderValue::try_from(format!(
            "{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax"
        ))
        .expect("a hexadecimal number is header text")
    }

    fn lock(&self) -> MutexGuard<'_, LoginSecrets> {
        // A poisoned lock guards nothing that a panic could have left half done.
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes our cookie out of what is sent on.
pub(in crate::local) fn remove_cookie(headers: &mut HeaderMap) {
    if !cookies(headers).any(|(name, _)| name == COOKIE.as_bytes()) {
        return;
    }
    let kept: Vec<&[u8]> = pairs(headers)
        .filter(|pair| named(pair).is_none_or(|(name, _)| name != COOKIE.as_bytes()))
        .collect();
    let line = HeaderValue::from_bytes(&kept.join(&b"; "[..]));
    // Set anew as one line, in which the others keep their order.
    headers.remove(header::COOKIE);
    if let Ok(line) = line
        && !line.is_empty()
    {
        headers.insert(header::COOKIE, line);
    }
}

/// The cookies of all lines. They are bytes: a browser sends a cookie in UTF-8 as it was set, in one line with the
/// others.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    pairs(headers).filter_map(named)
}

/// The name and value of a cookie that has both.
fn named(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
}

/// Whether a browser takes this for a path of the host that it is on. Where `//` and `/\` begin it, or tabs and line
/// breaks stand in it, which browsers leave out, it may name another host
/// (<https://url.spec.whatwg.org/#relative-slash-state>).
fn is_path(to: &str) -> bool {
    let is_rooted = to
        .strip_prefix('/')
        .is_some_and(|rest| !rest.starts_with(['/', '\\']));
    is_rooted && !to.contains(|letter: char| letter.is_ascii_control())
}

/// Compares in a time that says nothing about how much of it is right.
fn is_same(shown: &[u8], kept: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(shown, kept.as_bytes()).is_ok()
}

fn see_other(location: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(header::LOCATION, location);
    }
    response
}

fn not_logged_in() -> Problem {
    let status = Status::new(
        StatusCode::UNAUTHORIZED,
        crate::protocol::status::Reason::Unauthorized,
        "this browser is not logged in to throughway local",
    );
    Problem::new(status, "Log in first").advise(Advice::Sentence(
        "throughway local --login prints an address that lets one browser in; open it here."
            .to_owned(),
    ))
}

/// The first value of a name in a query.
fn value(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests;
