//! 6, logins at apps that ask for Basic. In: the client, the permit, the request; later a 401 of the backend. Out: the
//! `Authorization` that the app gets, and the pages at which somebody logs in and out.
//!
//! kube-apiserver takes `Authorization` for itself, so no browser's dialog can work here. Whoever navigates gets a page
//! of ours in the place of a 401 that asks for Basic ([`replace_challenge`]). What they type is kept in a cookie that
//! only this server can read (`sealed_cookie`), and with each further request it becomes the `Authorization` of the app
//! ([`Logins`]).
//!
//! A request that nobody can log in with is not refused: the backend gets it without `Authorization`, and says 401
//! itself. Refused is what is sent to the login page and is no form of it: 400, 403 and 405.
//!
//! Basic: RFC 7617. Cookies: RFC 6265bis.

mod authorization;
mod challenge;
mod form;
mod login_page;
mod pages;
mod sealed_cookie;

pub use authorization::{AppLogin, LOGIN_COOKIE, Logins};
pub use pages::{replace_challenge, respond};
