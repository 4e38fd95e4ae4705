//! Request trailers held to the rule for headers: none of them claims an identity.
//!
//! In: a body and the names of headers that the cluster's front proxy uses. Out: the same body without trailers of
//! those names. The standard names are taken out by `forward`, with what else no trailer may be; only names that a
//! cluster chose itself need a look here, so that most bodies stay as they are. RFC 9110 section 6.5.1.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::credentials;
use crate::serve::certificates::RequestHeader;

/// A body whose trailers claim no identity.
struct ClaimlessTrailers {
    body: Body,
    configured: Arc<RequestHeader>,
}

/// Takes claims of an identity out of the trailers that a body may end with.
pub(super) fn remove_claims(body: &mut Body, configured: Option<&Arc<RequestHeader>>) {
    // Without a body there are no trailers, and most requests end here.
    if http_body::Body::is_end_stream(body) {
        return;
    }
    // The standard names are removed by `forward`, so only a cluster with names of its own pays for this layer.
    let Some(configured) = configured.filter(|names| credentials::has_names_of_its_own(names))
    else {
        return;
    };
    let inner = std::mem::take(body);
    *body = Body::new(ClaimlessTrailers {
        body: inner,
        configured: Arc::clone(configured),
    });
}

impl http_body::Body for ClaimlessTrailers {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                credentials::remove_claims(trailers, Some(&self.configured));
            }
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
