//! What is wrong, in words: above the list, and on the page of a problem.

use super::document::View;
use super::html::Html;
use crate::local::problem::{Advice, shell_word};
use crate::local::start_page::model::cluster_error::Trouble;
use crate::local::start_page::model::snapshot::Extent;
use crate::local::start_page::start::{Facts, WayFact};
use crate::protocol::host::without_port;

const NOTICE: &str =
    r#"<div class="notice {{class}}"><h2>{{title}}</h2><p>{{sentence}}</p>{{more}}</div>"#;
const COMMAND: &str = "<p>{{purpose}}</p><pre><code>{{line}}</code></pre>";
const LINK: &str = r#"<p><a href="{{url}}">{{label}}</a></p>"#;
const SENTENCE: &str = "<p>{{text}}</p>";
const LIMITS: &str = r#"<details class="notice"><summary>{{title}}</summary><p>What it can't do:</p><ul>{{limits}}</ul></details>"#;
const LIMIT: &str = "<li>{{limit}}</li>";

/// Everything that the person should know before the list.
pub(in crate::local::start_page) fn notices(view: &View<'_>) -> Html {
    let notices = [trouble(view), extent(view), way(view.way), elsewhere(view)];
    notices.into_iter().flatten().collect()
}

/// One thing to do.
pub(in crate::local::start_page) fn advice(advice: &Advice) -> Html {
    match advice {
        Advice::Sentence(text) => Html::fill(SENTENCE, &[("text", Html::text(text))]),
        Advice::Command { purpose, line } => command(purpose, line),
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

fn command(purpose: &str, line: &str) -> Html {
    Html::fill(
        COMMAND,
        &[("purpose", Html::text(purpose)), ("line", Html::text(line))],
    )
}

fn notice(class: &'static str, title: &'static str, sentence: &str, more: Html) -> Html {
    Html::fill(
        NOTICE,
        &[
            ("class", Html::fixed(class)),
            ("title", Html::fixed(title)),
            ("sentence", Html::text(sentence)),
            ("more", more),
        ],
    )
}

fn trouble(view: &View<'_>) -> Option<Html> {
    let facts = view.facts;
    let server = &facts.server;
    let (title, sentence, more) = match view.snapshot.trouble.as_ref()? {
        Trouble::NotLoggedIn => (
            "Not logged in",
            format!(
                "The API server {server} does not accept the credentials of the kubeconfig. Log in as usual, then load this page again."
            ),
            command("This shows whether kubectl is accepted:", &whoami(facts)),
        ),
        Trouble::Away(cause) => (
            "The API server can't be reached",
            format!("{server}: {cause}. It is asked again every few seconds."),
            Html::default(),
        ),
        Trouble::Silent => (
            "The API server does not answer",
            format!(
                "{server} has not answered yet. It is asked again; this page fills when it answers."
            ),
            Html::default(),
        ),
        Trouble::Failing { code, message } => (
            "The API server answers with an error",
            format!("{server} answered {code}: {message}. It is asked again every few seconds."),
            Html::default(),
        ),
    };
    Some(notice("bad", title, &sentence, more))
}

fn whoami(facts: &Facts) -> String {
    match &facts.context {
        Some(context) => format!("kubectl auth whoami --context {}", shell_word(context)),
        None => "kubectl auth whoami".to_owned(),
    }
}

fn extent(view: &View<'_>) -> Option<Html> {
    if !view.snapshot.settled || view.snapshot.trouble.is_some() {
        return None;
    }
    let (title, sentence) = match view.snapshot.extent {
        Extent::Cluster => return None,
        Extent::SomeNamespaces => (
            "Not all namespaces are shown",
            "You may not list the Services of the whole cluster; shown are the namespaces where you may. Others are reached by their address all the same.".to_owned(),
        ),
        Extent::Nothing => (
            "No right to list Services",
            format!(
                "You may list Services neither in the whole cluster nor in namespace {}. What you have a right to is reached by its address all the same.",
                view.facts.default_namespace
            ),
        ),
    };
    Some(notice("", title, &sentence, Html::default()))
}

fn way(way: &WayFact) -> Option<Html> {
    let WayFact::BuiltIn { limits } = way else {
        return None;
    };
    let limits: Html = limits
        .iter()
        .map(|limit| Html::fill(LIMIT, &[("limit", Html::text(limit))]))
        .collect();
    let title = "No Throughway in this cluster: its built-in proxy is used";
    Some(Html::fill(
        LIMITS,
        &[("title", Html::fixed(title)), ("limits", limits)],
    ))
}

/// Names below `localhost` lead to the machine of the browser.
fn elsewhere(view: &View<'_>) -> Option<Html> {
    let name = without_port(view.host);
    let here = ["localhost", "127.0.0.1", "[::1]"];
    if name.is_empty() || here.iter().any(|one| name.eq_ignore_ascii_case(one)) {
        return None;
    }
    let sentence = "The links lead to localhost, which is the machine that the browser runs on. They work where throughway local runs on that machine too.";
    Some(notice(
        "",
        "Opened from elsewhere",
        sentence,
        Html::default(),
    ))
}
