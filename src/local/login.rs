//! `--login`: every browser shows a token first, for machines on which others can reach the port too.
//!
//! A token is good for one browser, is printed on the terminal, and a new one is printed when it was used. It becomes a cookie
//! of `localhost`, and from there of each target's host by a ticket that is good once and for a minute; no target's server gets
//! that cookie. Cookies know no ports: whoever lures the browser to another port of `localhost` reads the cookie, so nobody
//! else's server there should be visited.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::time::Instant;

use super::place::{Place, without_port};
use super::problem::{Advice, Problem, Reader};
use crate::status::{Request, Response, Status};

/// Where a browser shows its token, on the API's host, and its ticket, on a target's.
const LOGIN_PATH: &str = "/.throughway/login";
const ENTER_PATH: &str = "/.throughway/enter";

/// The cookie of a browser that is logged in.
const COOKIE: &str = "Throughway-Local";

/// How long a ticket for another host is good.
const TICKET_LIFETIME: Duration = Duration::from_secs(60);

/// Tickets at the same time; a browser needs one for each host that it opens.
const MOST_TICKETS: usize = 256;

/// Who is logged in, and what lets others in.
#[derive(Debug)]
pub(super) struct Logins {
    /// What the cookies hold.
    session: String,
    given: Mutex<Given>,
    /// Where the API's own host is, `localhost:8001`.
    home: String,
}

#[derive(Debug)]
struct Given {
    token: String,
    tickets: HashMap<String, Ticket>,
}

#[derive(Debug)]
struct Ticket {
    host: String,
    until: Instant,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Admission {
    /// It goes on, without the cookie.
    Entered,
    Answer(Response),
}

/// No randomness is to be had.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers for --login")]
pub struct NoRandomness;

impl Logins {
    /// `port` is what browsers have in their address.
    pub(super) fn new(port: u16) -> Result<Self, NoRandomness> {
        Ok(Self {
            session: random()?,
            given: Mutex::new(Given {
                token: random()?,
                tickets: HashMap::new(),
            }),
            home: format!("localhost:{port}"),
        })
    }

    /// The address that lets one browser in, and then shows it a path or another host of this server.
    pub(super) fn address(&self, to: &str) -> String {
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
    pub(super) fn admit(
        &self,
        host: &str,
        place: &Place,
        reader: Reader,
        request: &mut Request,
    ) -> Result<Admission, Problem> {
        let path = request.uri().path();
        let query = Query::of(request.uri());
        if *place == Place::Api && path == LOGIN_PATH {
            return self.log_in(host, request, &query).map(Admission::Answer);
        }
        if *place != Place::Api && path == ENTER_PATH {
            return self.enter(host, &query).map(Admission::Answer);
        }
        if self.is_logged_in(request.headers()) {
            without_cookie(request.headers_mut());
            return Ok(Admission::Entered);
        }
        let may_be_sent_home = *place != Place::Api
            && reader == Reader::Browser
            && matches!(*request.method(), Method::GET | Method::HEAD);
        if may_be_sent_home {
            let whole = request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str());
            let to = format!("http://{host}{whole}");
            let to = utf8_percent_encode(&to, NON_ALPHANUMERIC);
            let home = format!("http://{}{LOGIN_PATH}?to={to}", self.home);
            return Ok(Admission::Answer(see_other(&home)));
        }
        Err(not_logged_in())
    }

    fn log_in(&self, host: &str, request: &Request, query: &Query) -> Result<Response, Problem> {
        if without_port(host) != "localhost" && without_port(host) != without_port(&self.home) {
            return Err(not_logged_in());
        }
        let has_token = query
            .get("token")
            .is_some_and(|token| self.use_token(&token));
        if !has_token && !self.is_logged_in(request.headers()) {
            return Err(not_logged_in());
        }
        let to = query.get("to").unwrap_or_else(|| "/".to_owned());
        let mut answer = see_other(&self.onwards(&to).unwrap_or_else(|| "/".to_owned()));
        if has_token {
            answer
                .headers_mut()
                .insert(header::SET_COOKIE, self.cookie());
        }
        Ok(answer)
    }

    /// Where a browser that is logged in goes: a path here, or another host of this server with a ticket for it.
    fn onwards(&self, to: &str) -> Option<String> {
        if to.starts_with('/') && !to.starts_with("//") && !to.contains('\\') {
            return Some(to.to_owned());
        }
        let uri: Uri = to.parse().ok()?;
        let host = uri
            .authority()
            .filter(|_| uri.scheme_str() == Some("http"))?;
        let is_ours = matches!(Place::of(host.as_str()), Ok(Place::Target(_)))
            && host.port_u16() == self.home.parse::<http::uri::Authority>().ok()?.port_u16()
            && !host.as_str().contains('@');
        if !is_ours {
            return None;
        }
        let ticket = random().ok()?;
        let mut given = self.lock();
        let now = Instant::now();
        given.tickets.retain(|_, ticket| ticket.until > now);
        if given.tickets.len() >= MOST_TICKETS {
            return None;
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = utf8_percent_encode(path, NON_ALPHANUMERIC);
        let onwards = format!("http://{host}{ENTER_PATH}?ticket={ticket}&to={path}");
        let host = host.as_str().to_ascii_lowercase();
        let until = now + TICKET_LIFETIME;
        given.tickets.insert(ticket, Ticket { host, until });
        Some(onwards)
    }

    fn enter(&self, host: &str, query: &Query) -> Result<Response, Problem> {
        let shown = query.get("ticket").unwrap_or_default();
        let ticket = self.lock().tickets.remove(&shown);
        let is_good = ticket.is_some_and(|ticket| {
            ticket.until > Instant::now() && ticket.host.eq_ignore_ascii_case(host)
        });
        if !is_good {
            return Err(not_logged_in());
        }
        let to = query
            .get("to")
            .filter(|to| to.starts_with('/') && !to.starts_with("//"));
        let mut answer = see_other(to.as_deref().unwrap_or("/"));
        answer
            .headers_mut()
            .insert(header::SET_COOKIE, self.cookie());
        Ok(answer)
    }

    /// Whether a token is the one that was printed; then another is printed in its place.
    fn use_token(&self, shown: &str) -> bool {
        let mut given = self.lock();
        if !is_same(shown, &given.token) {
            return false;
        }
        let Ok(next) = random() else { return false };
        given.token = next;
        drop(given);
        println!("A browser logged in. For another one: {}", self.address(""));
        true
    }

    fn is_logged_in(&self, headers: &HeaderMap) -> bool {
        cookies(headers).any(|(name, value)| name == COOKIE && is_same(value, &self.session))
    }

    fn cookie(&self) -> HeaderValue {
        let session = &self.session;
        HeaderValue::try_from(format!(
            "{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax"
        ))
        .expect("a hexadecimal number is header text")
    }

    fn lock(&self) -> MutexGuard<'_, Given> {
        // A poisoned lock guards nothing that a panic could have left half done.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes our cookie out of what is sent on.
pub(super) fn without_cookie(headers: &mut HeaderMap) {
    if !cookies(headers).any(|(name, _)| name == COOKIE) {
        return;
    }
    let kept: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter(|pair| {
            pair.split('=')
                .next()
                .is_some_and(|name| name.trim() != COOKIE)
        })
        .map(|pair| pair.trim().to_owned())
        .collect();
    headers.remove(header::COOKIE);
    if let Ok(line) = HeaderValue::try_from(kept.join("; "))
        && !line.is_empty()
    {
        headers.insert(header::COOKIE, line);
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
}

/// Compares in a time that says nothing about how much of it is right.
fn is_same(shown: &str, kept: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(shown.as_bytes(), kept.as_bytes()).is_ok()
}

/// 256 bits as hexadecimal text.
fn random() -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
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
        crate::status::Reason::Unauthorized,
        "this browser is not logged in to throughway local",
    );
    Problem::new(status, "Log in first").advise(Advice::Sentence(
        "throughway local --login prints an address that lets one browser in; open it here."
            .to_owned(),
    ))
}

/// The query of an address.
struct Query(String);

impl Query {
    fn of(uri: &Uri) -> Self {
        Self(uri.query().unwrap_or_default().to_owned())
    }

    fn get(&self, name: &str) -> Option<String> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .next()?;
        Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "app.demo.svc.localhost:8001";

    fn get(path: &str, cookie: Option<&str>) -> Request {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().unwrap();
        if let Some(cookie) = cookie {
            let cookie = HeaderValue::from_str(cookie).unwrap();
            request.headers_mut().insert(header::COOKIE, cookie);
        }
        request
    }

    fn admit(logins: &Logins, host: &str, request: &mut Request) -> Result<Admission, Problem> {
        let place = Place::of(host).unwrap();
        logins.admit(host, &place, Reader::Browser, request)
    }

    fn answered(
        logins: &Logins,
        host: &str,
        path: &str,
        cookie: Option<&str>,
    ) -> Option<(String, Option<String>)> {
        let Ok(Admission::Answer(answer)) = admit(logins, host, &mut get(path, cookie)) else {
            return None;
        };
        let text = |name| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let cookie = text(header::SET_COOKIE).map(|set| set.split(';').next().unwrap().to_owned());
        Some((text(header::LOCATION).unwrap(), cookie))
    }

    /// Path and query of an address of the API's host.
    fn path(address: &str) -> &str {
        address.strip_prefix("http://localhost:8001").unwrap()
    }

    #[tokio::test]
    async fn a_token_lets_one_browser_in_and_no_second() {
        let logins = Logins::new(8001).unwrap();
        let address = logins.address("");
        let (location, cookie) = answered(&logins, "localhost:8001", path(&address), None).unwrap();
        assert_eq!(location, "/");
        let cookie = cookie.unwrap();
        assert!(answered(&logins, "localhost:8001", path(&address), None).is_none());
        assert_ne!(logins.address(""), address);
        let mut request = get("/api", Some(&format!("a=1; {cookie}; b=2")));
        assert!(matches!(
            admit(&logins, "localhost:8001", &mut request),
            Ok(Admission::Entered)
        ));
        assert_eq!(request.headers()[header::COOKIE], "a=1; b=2");
    }

    #[tokio::test]
    async fn nobody_else_gets_anything() {
        let logins = Logins::new(8001).unwrap();
        for cookie in [
            None,
            Some("Throughway-Local="),
            Some("Throughway-Local=x; a=1"),
            Some("Throughway-Loca"),
        ] {
            let refused = admit(&logins, "localhost:8001", &mut get("/api", cookie)).unwrap_err();
            assert_eq!(refused.status.code, 401);
        }
        let mut post = get("/", None);
        *post.method_mut() = Method::POST;
        assert!(admit(&logins, TARGET, &mut post).is_err());
        assert!(answered(&logins, "localhost:8001", "/.throughway/login?token=", None).is_none());
        assert!(answered(&logins, TARGET, "/.throughway/enter?ticket=&to=/", None).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_for_one_host_once_and_not_for_long() {
        let logins = Logins::new(8001).unwrap();
        let (home, none) = answered(&logins, TARGET, "/deep?a=b", None).unwrap();
        assert_eq!(none, None);
        let (_, cookie) =
            answered(&logins, "localhost:8001", path(&logins.address("")), None).unwrap();
        let cookie = cookie.as_deref();
        let ticket = || {
            let (entrance, _) = answered(&logins, "localhost:8001", path(&home), cookie).unwrap();
            entrance
                .strip_prefix(&format!("http://{TARGET}"))
                .unwrap()
                .to_owned()
        };
        let first = ticket();
        assert!(answered(&logins, "other.demo.svc.localhost:8001", &first, None).is_none());
        assert!(
            answered(&logins, TARGET, &first, None).is_none(),
            "it was used up"
        );
        let second = ticket();
        let (location, own) = answered(&logins, TARGET, &second, None).unwrap();
        assert_eq!((location.as_str(), own.as_deref()), ("/deep?a=b", cookie));
        let third = ticket();
        tokio::time::advance(TICKET_LIFETIME + Duration::from_secs(1)).await;
        assert!(answered(&logins, TARGET, &third, None).is_none());
    }

    #[tokio::test]
    async fn a_login_leads_nowhere_else() {
        let logins = Logins::new(8001).unwrap();
        for to in [
            "http://evil.example/",
            "//evil.example/",
            "/\\evil.example",
            "https://app.demo.svc.localhost:8001/",
            "http://app.demo.svc.localhost:9000/",
            "http://x@app.demo.svc.localhost:8001/",
            "http://localhost:8001/",
            "javascript:alert(1)",
            "",
        ] {
            let (location, _) =
                answered(&logins, "localhost:8001", path(&logins.address(to)), None).unwrap();
            assert_eq!(location, "/", "{to}");
        }
        let (location, _) = answered(
            &logins,
            "localhost:8001",
            path(&logins.address("/version?x")),
            None,
        )
        .unwrap();
        assert_eq!(location, "/version?x");
    }
}
