//! What the cluster refuses, told for the one who reads it: a program gets the cluster's own Status, a person what it
//! means and what helps.

use axum::body::{Body, to_bytes};
use http::{StatusCode, header};
use serde::Deserialize;

use super::request::TargetContext;
use super::suggestions;
use crate::local::config::TargetKind;
use crate::local::inbound::client_kind::ClientKind;
use crate::local::problem::{Advice, Problem};
use crate::protocol::status::{Reason, Response, Status};

/// A Status is never longer.
const MAX_STATUS_BYTES: usize = 64 << 10;

/// What is read of a `metav1.Status`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusBody {
    kind: String,
    api_version: String,
    #[serde(default)]
    message: String,
}

/// Why the cluster refuses with 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForbiddenReason {
    /// The user has no right. A response to HEAD says nothing, and is taken for this one.
    NoPermission,
    /// What was asked for is let through for nobody: a kubelet's path, a port of a node.
    NotProxied,
}

/// The reason of a refusal, and the refusal, which was read for it.
///
/// Kubernetes: `ForbiddenMessage` of `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go`.
pub(super) async fn forbidden_reason(response: Response) -> (ForbiddenReason, Response) {
    let (parts, body) = response.into_parts();
    // Bounded, as a 403 may have come from something in front of the cluster.
    let body = to_bytes(body, MAX_STATUS_BYTES).await.unwrap_or_default();
    let forbidden_reason = match serde_json::from_slice::<StatusBody>(&body) {
        // kube-apiserver's own refusals have these words; what Throughway proxies for nobody has others.
        Ok(status) if !status.message.contains(" is forbidden: User ") => {
            ForbiddenReason::NotProxied
        }
        Ok(_) | Err(_) => ForbiddenReason::NoPermission,
    };
    (
        forbidden_reason,
        Response::from_parts(parts, Body::from(body)),
    )
}

/// A response that is not the target's.
pub(super) async fn explain_for(
    context: TargetContext<'_>,
    response: Response,
) -> Result<Response, Problem> {
    // Programs parse the Status, so it stays byte for byte.
    if context.client == ClientKind::Program {
        return Ok(response);
    }
    let code = response.status();
    let body = to_bytes(response.into_body(), MAX_STATUS_BYTES)
        .await
        .unwrap_or_default();
    let message = match serde_json::from_slice::<StatusBody>(&body) {
        Ok(status) => status.message,
        // Something in front of the cluster may answer in plain text, which says more than nothing.
        Err(_) => String::from_utf8_lossy(&body).trim().to_owned(),
    };
    Err(explain(context, code, message).await)
}

/// The target's response, unless it is a Status with which the API server refuses: they can't be told apart by anything
/// else.
pub(super) async fn explain_status(
    context: TargetContext<'_>,
    response: Response,
) -> Result<Response, Problem> {
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    // Only a body whose length is known is read: a stream of the target would have to end first.
    let length = http_body::Body::size_hint(response.body()).upper();
    let may_be_status = response.status().as_u16() >= 400
        && is_json
        && length.is_some_and(|length| length <= MAX_STATUS_BYTES as u64);
    // Before anything is read, as what is read can't stream any more.
    if context.client == ClientKind::Program || !may_be_status {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_STATUS_BYTES).await.unwrap_or_default();
    match serde_json::from_slice::<StatusBody>(&body) {
        Ok(status) if status.kind == "Status" && status.api_version == "v1" => {
            Err(explain(context, parts.status, status.message).await)
        }
        // The target's own error page, which was read, is put together again.
        _ => Ok(Response::from_parts(parts, Body::from(body))),
    }
}

async fn explain(context: TargetContext<'_>, code: StatusCode, message: String) -> Problem {
    let target = context.target;
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
            let suggested = suggestions::links(context).await;
            suggested
                .into_iter()
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
        _ => problem("The cluster gave no response of the target"),
    }
}

fn kind(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Service => "services",
        TargetKind::Pod => "pods",
        TargetKind::Node => "nodes",
    }
}
