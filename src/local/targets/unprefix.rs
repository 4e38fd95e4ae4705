//! Undoes what the built-in proxy does to a page: its links get the proxy's own path in front, and lose it again here.
//!
//! A [`Body`] in, a body out, without the given bytes wherever they stand; memory is bounded by their length. gzip is
//! unpacked first, as that is what the built-in proxy can rewrite.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Frame;

/// A body without certain bytes.
pub(super) struct PrefixRemover {
    body: Body,
    prefix: Box<[u8]>,
    /// What may be the beginning of the prefix.
    held: BytesMut,
    is_at_end: bool,
}

impl PrefixRemover {
    pub(super) fn new(body: Body, prefix: &str) -> Self {
        Self {
            body,
            prefix: prefix.as_bytes().into(),
            held: BytesMut::new(),
            is_at_end: false,
        }
    }

    /// Takes new bytes in, and gives out what can't be part of the prefix any more.
    fn pass(&mut self, new: &[u8]) -> Bytes {
        // The held bytes come first again: what may begin the prefix is decided by what follows.
        self.held.extend_from_slice(new);
        let mut passed = Vec::with_capacity(self.held.len());
        let mut rest = &self.held[..];
        let first = self.prefix[0];
        while let Some(at) = rest.iter().position(|byte| *byte == first) {
            passed.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            if rest.starts_with(&self.prefix) {
                rest = &rest[self.prefix.len()..];
            // The rest may be its beginning, so it waits; it is shorter than the prefix, which bounds the memory.
            } else if self.prefix.starts_with(rest) {
                self.held = BytesMut::from(rest);
                return passed.into();
            } else {
                // Only one byte further, as the prefix may begin within what did not match.
                passed.push(first);
                rest = &rest[1..];
            }
        }
        passed.extend_from_slice(rest);
        self.held.clear();
        passed.into()
    }
}

impl http_body::Body for PrefixRemover {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if self.is_at_end {
                return Poll::Ready(None);
            }
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
            let Some(frame) = frame.transpose()? else {
                // What was held was no prefix after all, and the page ends with it.
                self.is_at_end = true;
                let last = std::mem::take(&mut self.held).freeze();
                return Poll::Ready((!last.is_empty()).then(|| Ok(Frame::data(last))));
            };
            let Ok(data) = frame.into_data() else {
                // Trailers of a page that was rewritten say nothing that still holds.
                continue;
            };
            let passed = self.pass(&data);
            // A frame may have ended within the prefix, and an empty frame would only wake the reader.
            if !passed.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(passed))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const PREFIX: &str = "/api/v1/namespaces/demo/services/app/proxy";

    async fn unprefixed(pieces: Vec<&'static str>) -> String {
        let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let whole = Body::new(PrefixRemover::new(body, PREFIX)).collect().await;
        String::from_utf8(whole.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn links_lose_the_proxys_path_wherever_the_pieces_break() {
        let page = concat!(
            "<a href=\"/api/v1/namespaces/demo/services/app/proxy/x\">/api/v1/namespaces/demo/services/other/proxy</a>",
            "<img src=http://app.demo.svc.localhost/api/v1/namespaces/demo/services/app/proxy/i>//api/v1"
        );
        let expected = concat!(
            "<a href=\"/x\">/api/v1/namespaces/demo/services/other/proxy</a>",
            "<img src=http://app.demo.svc.localhost/i>//api/v1"
        );
        for at in 0..=page.len() {
            let (first, second) = page.split_at(at);
            assert_eq!(
                unprefixed(vec![first, second]).await,
                expected,
                "broken at {at}"
            );
        }
        let bytes: Vec<&str> = (0..page.len()).map(|at| &page[at..=at]).collect();
        assert_eq!(unprefixed(bytes).await, expected);
    }

    #[tokio::test]
    async fn what_may_become_the_prefix_is_given_out_at_the_end() {
        assert_eq!(unprefixed(vec!["x/api/v1/name"]).await, "x/api/v1/name");
        assert_eq!(unprefixed(vec![""]).await, "");
    }
}
