//! What is wrong, above the list: an error of the cluster, missing rights, a proxy with limits, a browser on another
//! machine.

use super::PageView;
use crate::local::pages::html::Html;
use crate::local::pages::problem::advice;
use crate::local::problem::{Advice, shell_word};
use crate::local::start_page::facts::Facts;
use crate::local::start_page::model::cluster_error::ClusterError;
use crate::local::start_page::model::snapshot::Visibility;
use crate::local::targets::mode::ProxyMode;
use crate::protocol::host::without_port;

const NOTICE: &str =
    r#"<div class="notice {{class}}"><h2>{{title}}</h2><p>{{sentence}}</p>{{more}}</div>"#;
const LIMITS: &str = r#"<details class="notice"><summary>{{title}}</summary><p>What it can't do:</p><ul>{{limits}}</ul></details>"#;
const LIMIT: &str = "<li>{{limit}}</li>";

/// Everything that the person should know before the list.
pub(super) fn notices(view: &PageView<'_>) -> Html {
    let notices = [
        cluster_error(view),
        visibility(view),
        proxy_limits(view.mode),
        other_machine(view),
    ];
    notices.into_iter().flatten().collect()
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

fn cluster_error(view: &PageView<'_>) -> Option<Html> {
    let facts = view.facts;
    let server = &facts.server;
    let (title, sentence, more) = match view.snapshot.error.as_ref()? {
        ClusterError::Unauthorized => (
            "Not logged in",
            format!(
                "The API server {server} does not accept the credentials of the kubeconfig. Log in as usual, then load this page again."
            ),
            advice(&Advice::Command {
                purpose: "This shows whether kubectl is accepted:".to_owned(),
                line: whoami(facts),
            }),
        ),
        ClusterError::NoResponse(problem) => (
            problem.title,
            format!(
                "{server}: {}. It is asked again every few seconds.",
                problem.status.message
            ),
            problem.advice.iter().map(advice).collect(),
        ),
        ClusterError::Malformed(cause) => (
            "The API server's response can't be read",
            format!("{server}: {cause}. It is asked again every few seconds."),
            Html::default(),
        ),
        ClusterError::Silent => (
            "The API server does not answer",
            format!(
                "{server} has not answered yet. It is asked again; this page fills when it answers."
            ),
            Html::default(),
        ),
        ClusterError::Status { code, message } => (
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

fn visibility(view: &PageView<'_>) -> Option<Html> {
    if !view.snapshot.settled || view.snapshot.error.is_some() {
        return None;
    }
    let (title, sentence) = match view.snapshot.visibility {
        Visibility::Cluster => return None,
        Visibility::SomeNamespaces => (
            "Not all namespaces are shown",
            "You may not list the Services of the whole cluster; shown are the namespaces where you may. Others are reached by their address all the same.".to_owned(),
        ),
        Visibility::Nothing => (
            "No right to list Services",
            format!(
                "You may list Services neither in the whole cluster nor in namespace {}. What you have a right to is reached by its address all the same.",
                view.facts.default_namespace
            ),
        ),
    };
    Some(notice("", title, &sentence, Html::default()))
}

fn proxy_limits(mode: &ProxyMode) -> Option<Html> {
    let ProxyMode::BuiltIn { limits } = mode else {
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
fn other_machine(view: &PageView<'_>) -> Option<Html> {
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
