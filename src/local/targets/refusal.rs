//! What the cluster refuses, told for the one who reads it: a program gets the cluster's own Status, a person what it means
//! and what helps.

use axum::body::{Body, to_bytes};
use http::{StatusCode, header};
use serde::Deserialize;

use super::suggestions;
use crate::local::config::TargetKind;
use crate::local::inbound::client_kind::ClientKind;
use crate::local::inbound::host_route::Target;
use crate::local::problem::{Advice, Problem};
use crate::local::upstream::Upstream;
use crate::protocol::status::{Reason, Response, Status};

/// A Status is never longer.
const MOST_BYTES: usize = 64 << 10;

/// What is read of a `metav1.Status`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    kind: String,
    api_version: String,
    #[serde(default)]
    message: String,
}

/// What was asked for, and by whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) target: &'a Target,
    /// The Host that the browser used.
    pub(super) host: &'a str,
    pub(super) client: ClientKind,
}

/// Why the cluster refuses with 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// The user has no right. An answer to HEAD says nothing, and is taken for this one.
    Rights,
    /// What was asked for is let through for nobody: a kubelet's path, a port of a node.
    Other,
}

/// The ground of a refusal, and the refusal, which was read for it.
///
/// Kubernetes: `ForbiddenMessage` of `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go`.
pub(super) async fn ground(answer: Response) -> (Ground, Response) {
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    let ground = match serde_json::from_slice::<Told>(&body) {
        Ok(told) if !told.message.contains(" is forbidden: User ") => Ground::Other,
        Ok(_) | Err(_) => Ground::Rights,
    };
    (ground, Response::from_parts(parts, Body::from(body)))
}

/// An answer that is not the target's.
pub(super) async fn of(case: Case<'_>, answer: Response) -> Result<Response, Problem> {
    if case.client == ClientKind::Program {
        return Ok(answer);
    }
    let code = answer.status();
    let body = to_bytes(answer.into_body(), MOST_BYTES)
        .await
        .unwrap_or_default();
    let message = match serde_json::from_slice::<Told>(&body) {
        Ok(told) => told.message,
        Err(_) => String::from_utf8_lossy(&body).trim().to_owned(),
    };
    Err(explain(case, code, message).await)
}

/// The target's answer, unless it is a Status with which the API server refuses: they can't be told apart by anything else.
pub(super) async fn or_answer(case: Case<'_>, answer: Response) -> Result<Response, Problem> {
    let is_json = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    let length = http_body::Body::size_hint(answer.body()).upper();
    let may_be_status = answer.status().as_u16() >= 400
        && is_json
        && length.is_some_and(|length| length <= MOST_BYTES as u64);
    if case.client == ClientKind::Program || !may_be_status {
        return Ok(answer);
    }
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    match serde_json::from_slice::<Told>(&body) {
        Ok(told) if told.kind == "Status" && told.api_version == "v1" => {
            Err(explain(case, parts.status, told.message).await)
        }
        _ => Ok(Response::from_parts(parts, Body::from(body))),
    }
}

async fn explain(case: Case<'_>, code: StatusCode, message: String) -> Problem {
    let target = case.target;
    let (kind, name, namespace) = (kind(target.kind), &target.name, &target.namespace);
    let command = |purpose: &str, line: String| Advice::Command {
        purpose: purpose.to_owned(),
        line,
    };
    let in_namespace = if namespace.is_empty() {
        String::new()
    } else {
        format!(" -n {namespace}")
    };
    let problem = |title| Problem::new(Status::new(code, Reason::Unknown, message), title);
    match code {
        StatusCode::UNAUTHORIZED => {
            problem("You are not logged in to the cluster").advise(command(
                "See whether kubectl is let in; its message says what is missing:",
                "kubectl auth whoami".to_owned(),
            ))
        }
        StatusCode::FORBIDDEN => problem("You may not reach it").advise(command(
            "What you may do there, for the administrator whom you ask:",
            format!("kubectl auth can-i get {kind}/{name} --subresource=proxy{in_namespace}"),
        )),
        StatusCode::NOT_FOUND => {
            let near = suggestions::links(case).await;
            near.into_iter()
                .fold(problem("There is no such target"), Problem::advise)
        }
        StatusCode::SERVICE_UNAVAILABLE => problem("Nothing answers there").advise(command(
            "What runs behind it, and whether it is ready:",
            match target.kind {
                TargetKind::Service => format!(
                    "kubectl get endpointslices -l kubernetes.io/service-name={name}{in_namespace}"
                ),
                TargetKind::Pod | TargetKind::Node => {
                    format!("kubectl get {kind} {name}{in_namespace}")
                }
            },
        )),
        _ => problem("The cluster gave no answer of the target"),
    }
}

fn kind(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Service => "services",
        TargetKind::Pod => "pods",
        TargetKind::Node => "nodes",
    }
}
