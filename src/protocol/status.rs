//! `metav1.Status` as a response.
//!
//! In: what went wrong, as a status code, a reason of Kubernetes' list and a sentence. Out: a JSON response that every
//! Kubernetes client prints. It is never `text/html`, and `<`, `>` and `&` in messages are escaped, so that a path or a
//! user name that comes back in a message is no script (k8s.io/apiserver `responsewriters/errors.go`).
//!
//! Knows no stage: a stage's error says `status()`, this file says how that looks on the wire.

use axum::body::Body;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// A response as it travels through this server; its body streams.
pub type Response = http::Response<Body>;

/// A request as it travels through this server; its body streams.
pub type Request = http::Request<Body>;

/// The reasons of `metav1.StatusReason` that this server uses.
///
/// <https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#StatusReason>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Reason {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
    /// The empty reason: the status code has no word of its own in Kubernetes (502, 414, 431).
    #[serde(rename = "")]
    Unknown,
}

/// What a refused caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub code: StatusCode,
    pub reason: Reason,
    /// One sentence for the caller; it says only what this caller may know.
    pub message: String,
    /// The object that was asked for, where there is one.
    pub subject: Option<Subject>,
    /// After how many seconds another try makes sense.
    pub retry_after: Option<u32>,
    /// Whether the caller's HTTP/1 connection ends with this response.
    pub connection: Persistence,
}

/// What becomes of a caller's connection after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    KeepAlive,
    Close,
}

/// `metav1.StatusDetails`: the object that a refusal is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    pub name: String,
    pub group: String,
    /// The resource in plural, `services`.
    pub kind: String,
}

impl Status {
    pub fn new(code: StatusCode, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            subject: None,
            retry_after: None,
            connection: Persistence::KeepAlive,
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Reason::BadRequest, message)
    }

    /// 401 with the one word that Kubernetes says to every unknown credential.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            Reason::Unauthorized,
            "Unauthorized",
        )
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Reason::Forbidden, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Reason::NotFound, message)
    }

    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Reason::MethodNotAllowed,
            message,
        )
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Reason::InternalError,
            message,
        )
    }

    /// 502: the backend answered, but not with HTTP that can be passed on.
    pub fn bad_gateway(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, Reason::Unknown, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Reason::ServiceUnavailable,
            message,
        )
    }

    pub fn gateway_timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, Reason::Timeout, message)
    }

    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                Reason::TooManyRequests,
                message,
            )
        }
    }

    /// Names the object that the refusal is about.
    #[must_use]
    pub fn about(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Ends the caller's HTTP/1 connection with this response.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.connection = Persistence::Close;
        self
    }

    /// The document as JSON, in the field order of kube-apiserver.
    pub fn to_json(&self) -> Vec<u8> {
        let document = StatusObject {
            kind: "Status",
            api_version: "v1",
            metadata: Empty {},
            status: "Failure",
            message: escape(&self.message),
            reason: self.reason,
            details: self.details(),
            code: self.code.as_u16(),
        };
        serde_json::to_vec(&document).expect("a Status holds only strings and numbers")
    }

    fn details(&self) -> Option<Details> {
        if self.subject.is_none() && self.retry_after.is_none() {
            return None;
        }
        Some(Details {
            subject: self.subject.clone(),
            retry_after_seconds: self.retry_after,
        })
    }

    pub fn into_response(self) -> Response {
        let mut response = http::Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache, private"),
        );
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        // HTTP/2 has no such header, and the connection of many users stays.
        if self.connection == Persistence::Close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusObject {
    kind: &'static str,
    api_version: &'static str,
    metadata: Empty,
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "is_unknown")]
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    code: u16,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(flatten)]
    subject: Option<Subject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

fn is_unknown(reason: &Reason) -> bool {
    *reason == Reason::Unknown
}

fn escape(message: &str) -> String {
    message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_like_one_of_kube_apiserver() {
        let status = Status::not_found("services \"web\" not found").about(Subject {
            name: "web".into(),
            group: String::new(),
            kind: "services".into(),
        });
        let text = String::from_utf8(status.to_json()).unwrap();
        assert_eq!(
            text,
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"services \"web\" not found","reason":"NotFound","details":{"name":"web","group":"","kind":"services"},"code":404}"#
        );
    }

    #[test]
    fn markup_in_a_message_is_escaped_and_never_html() {
        let response = Status::forbidden("<script>&").into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        let text = String::from_utf8(Status::forbidden("<script>&").to_json()).unwrap();
        assert!(text.contains("&lt;script&gt;&amp;") && !text.contains("<script>"));
    }
}
