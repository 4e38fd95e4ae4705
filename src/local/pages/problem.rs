//! A problem as a response: a page for a browser that navigates, a Status for every other client.

use super::document::{STYLE, static_page};
use super::html::Html;
use crate::local::inbound::client_kind::ClientKind;
use crate::local::problem::{Advice, Problem};
use crate::protocol::status::Response;

const PROBLEM: &str = include_str!("problem.html");
const COMMAND: &str = "<p>{{purpose}}</p><pre><code>{{line}}</code></pre>";
const LINK: &str = r#"<p><a href="{{url}}">{{label}}</a></p>"#;
const SENTENCE: &str = "<p>{{text}}</p>";

/// The response that a client of this kind understands.
pub(in crate::local) fn respond(problem: Problem, client: ClientKind) -> Response {
    match client {
        ClientKind::Program => problem.status.into_response(),
        ClientKind::Navigation => {
            let mut response = static_page(problem_page(&problem));
            *response.status_mut() = problem.status.code;
            response
        }
    }
}

/// The page of a problem.
pub(in crate::local) fn problem_page(problem: &Problem) -> String {
    let code = problem.status.code;
    let page = Html::fill(
        PROBLEM,
        &[
            ("title", Html::text(problem.title)),
            ("style", Html::fixed(STYLE)),
            ("sentence", Html::text(&problem.status.message)),
            ("advice", problem.advice.iter().map(advice).collect()),
            ("status", Html::text(&code.to_string())),
        ],
    );
    page.into_string()
}

/// One thing to do.
pub(in crate::local) fn advice(advice: &Advice) -> Html {
    match advice {
        Advice::Sentence(text) => Html::fill(SENTENCE, &[("text", Html::text(text))]),
        Advice::Command { purpose, line } => Html::fill(
            COMMAND,
            &[("purpose", Html::text(purpose)), ("line", Html::text(line))],
        ),
        // An address that a browser would run as a script is no link.
        Advice::Link { label, url } if is_address(url) => Html::fill(
            LINK,
            &[("url", Html::text(url)), ("label", Html::text(label))],
        ),
        Advice::Link { label, .. } => Html::fill(SENTENCE, &[("text", Html::text(label))]),
    }
}

fn is_address(url: &str) -> bool {
    let starts = ["http://", "https://", "/", "?"];
    starts.iter().any(|start| url.starts_with(start))
}
