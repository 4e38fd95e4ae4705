//! What a person sees: the start page and the pages of problems.

use axum::body::Body;

use super::problem::Problem;
use crate::status::Response;

/// A page of this server.
pub(super) fn html(page: String) -> Response {
    Response::new(Body::from(page))
}

/// The page of a problem.
pub(super) fn problem(problem: &Problem) -> String {
    problem.title.to_owned()
}
