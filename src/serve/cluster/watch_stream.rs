//! The events of one watch, line by line. In: the body of a watch response. Out: a [`WatchItem`] a line.
//!
//! kube's own reader decodes the object together with its envelope, so one odd object would be an error of the stream.
//! Here the envelope is read alone; the object is raw JSON until somebody reads it.
//!
//! Kubernetes: `k8s.io/apimachinery/pkg/watch`, and the API concepts' "Efficient detection of changes".

use std::pin::Pin;

use futures_util::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use kube::api::WatchParams;
use kube::core::{Request, Status};
use kube::{Client, Resource};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::object::{Object, ObjectContent};

/// Bytes of one event. etcd holds 1.5 MiB of an object, of which each may be printed as six.
const MAX_EVENT: u64 = 16 << 20;

/// What one line of a watch says.
#[derive(Debug)]
pub(super) enum WatchItem<C> {
    Applied(Object<C>),
    Deleted(Object<C>),
    /// The place up to which everything was sent.
    Bookmark(String),
    /// A type that is not known here. It says only that the watch is alive.
    Other,
}

/// Why a watch gave no event.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error("the API server refused the watch")]
    Refused(#[source] kube::Error),
    #[error("the API server ended the watch: {} ({})", .0.message, .0.code)]
    Status(Box<Status>),
    #[error("the connection broke off")]
    Broken(#[from] std::io::Error),
    #[error("a line is no event")]
    Malformed(#[from] serde_json::Error),
    #[error("an event has more than {MAX_EVENT} bytes")]
    TooLong,
    #[error("the API server did not accept the watch in time")]
    Late,
}

impl WatchError {
    /// Whether the API server has forgotten the place from which to resume.
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Refused(kube::Error::Api(status)) | Self::Status(status) => status.code == 410,
            Self::Refused(_)
            | Self::Broken(_)
            | Self::Malformed(_)
            | Self::TooLong
            | Self::Late => false,
        }
    }
}

/// A running watch.
pub(super) struct WatchStream {
    body: Pin<Box<dyn AsyncBufRead + Send>>,
    line: Vec<u8>,
}

#[derive(Deserialize)]
struct WatchLine<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    object: &'a RawValue,
}

impl WatchStream {
    /// Watches all objects of a kind from a resource version on.
    pub(super) async fn open<C: ObjectContent>(
        client: &Client,
        params: &WatchParams,
        version: &str,
    ) -> Result<Self, WatchError> {
        let request = Request::new(<Object<C> as Resource>::url_path(&(), None));
        let request = request.watch(params, version);
        let mut request =
            request.map_err(|wrong| WatchError::Refused(kube::Error::BuildRequest(wrong)))?;
        // Each event would be a gzip member of its own, of which decoders read the first alone.
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let body = client.request_stream(request).await;
        Ok(Self {
            body: Box::pin(body.map_err(WatchError::Refused)?),
            line: Vec::new(),
        })
    }

    /// The next event; `None` when the API server has ended the watch.
    pub(super) async fn next<C: ObjectContent>(
        &mut self,
    ) -> Result<Option<WatchItem<C>>, WatchError> {
        self.line.clear();
        // One byte of a line that has no end could come for hours; the bound ends it.
        let mut bounded = self.body.as_mut().take(MAX_EVENT);
        if bounded.read_until(b'\n', &mut self.line).await? == 0 {
            return Ok(None);
        }
        // A line without its end below the bound is the last of a watch that broke off, and is no whole event.
        if !self.line.ends_with(b"\n") && self.line.len() as u64 >= MAX_EVENT {
            return Err(WatchError::TooLong);
        }
        let event = event(&self.line);
        // What one huge object needed is not kept for the small ones after it.
        self.line.shrink_to(64 << 10);
        event.map(Some)
    }
}

pub(super) fn event<C: ObjectContent>(line: &[u8]) -> Result<WatchItem<C>, WatchError> {
    let WatchLine { kind, object } = serde_json::from_slice(line)?;
    match &*kind {
        "ADDED" | "MODIFIED" => Ok(WatchItem::Applied(Object::read(object))),
        "DELETED" => Ok(WatchItem::Deleted(Object::read(object))),
        "BOOKMARK" => {
            let bookmark = Object::<C>::read(object).identity.resource_version;
            // A bookmark without a version is no place to resume from.
            Ok(bookmark.map_or(WatchItem::Other, WatchItem::Bookmark))
        }
        "ERROR" => Err(WatchError::Status(serde_json::from_str(object.get())?)),
        // A new type of event is skipped, so that an API server of the future does not end the watch.
        _ => Ok(WatchItem::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pods::RawPod;
    use futures_util::io::{self, BufReader};

    use super::*;

    fn stream(bytes: impl io::AsyncRead + Send + 'static) -> WatchStream {
        WatchStream {
            body: Box::pin(BufReader::new(bytes)),
            line: Vec::new(),
        }
    }

    #[tokio::test]
    async fn an_event_has_at_most_16_mebibytes() {
        let begin = br#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#;
        let padding = MAX_EVENT - begin.len() as u64 - 1;
        let line = |padding| {
            (&begin[..])
                .chain(io::repeat(b' ').take(padding))
                .chain(&b"\n"[..])
        };
        let largest = stream(line(padding))
            .next::<RawPod>()
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(largest, WatchItem::Bookmark(version) if version == "7"));
        let failed = stream(line(padding + 1))
            .next::<RawPod>()
            .await
            .err()
            .unwrap();
        assert!(matches!(failed, WatchError::TooLong), "{failed}");
    }
}
