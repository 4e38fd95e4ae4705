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

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WayFact {
    Unknown,
    Throughway,
    BuiltIn { limits: Vec<&'static str> },
}
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) context: Option<String>,
    pub(super) server: String,
    pub(super) default_namespace: String,
    pub(super) way: tokio::sync::watch::Receiver<WayFact>,
}
#[derive(Debug, Clone)]
pub(super) struct StartPage;
impl StartPage {
    pub(super) fn new(_: kube::Client, _: Facts, _: crate::lifecycle::Tasks) -> Self {
        Self
    }
    pub(super) async fn answer(&self, host: &str) -> Response {
        html(host.to_owned())
    }
    pub(super) async fn asset(&self, _: &http::request::Parts) -> Option<Response> {
        None
    }
}
