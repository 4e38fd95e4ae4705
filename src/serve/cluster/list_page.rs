//! One page of a list. In: how many objects, and where the last page ended. Out: its objects, each read by itself.
//!
//! kube's own `Api::list` holds whatever the API server sends, and a page is as large as its owners make its objects: a
//! hundred of 1.5 MiB each, printed with escapes, are more than this server may have. So a page is read up to a bound,
//! and the caller asks for fewer objects if it has more.
//!
//! Kubernetes: the API concepts' "Retrieving large results sets in chunks".

use std::time::Duration;

use futures_util::io::{AsyncRead, AsyncReadExt};
use kube::api::ListParams;
use kube::core::Request;
use kube::{Client, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::object::{Object, ObjectContent, or_default};

/// Bytes of one page. A hundred usual pods have 1 MiB, the largest object that etcd takes has 11 MiB when it is
/// printed.
pub(super) const MAX_PAGE: usize = 16 << 20;

/// How long the API server may take for one page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// One page, of which `next` is the place where the rest begins.
#[derive(Debug)]
pub(super) struct Page<C> {
    pub(super) objects: Vec<Object<C>>,
    pub(super) version: String,
    pub(super) next: Option<String>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    #[error("the API server refused the list")]
    Refused(#[from] kube::Error),
    #[error("the connection broke off")]
    Broken(#[from] std::io::Error),
    #[error("what came is no list")]
    Malformed(#[from] serde_json::Error),
    #[error("a page has more than {MAX_PAGE} bytes")]
    TooLarge,
    #[error("a page took longer than {PAGE_TIMEOUT:?}")]
    Late,
}

#[derive(Deserialize)]
#[serde(bound = "C: DeserializeOwned")]
struct RawPage<C> {
    #[serde(default, deserialize_with = "or_default")]
    metadata: RawListMetadata,
    #[serde(default = "Vec::new", deserialize_with = "or_default")]
    items: Vec<Object<C>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawListMetadata {
    #[serde(default, deserialize_with = "or_default")]
    resource_version: String,
    #[serde(default, deserialize_with = "or_default")]
    r#continue: String,
}

/// Asks for one page of all objects of a kind.
///
/// # Errors
/// See [`ListError`]; after [`ListError::TooLarge`] the same page may be asked for with a smaller limit.
pub(super) async fn read<C: ObjectContent>(
    client: &Client,
    params: &ListParams,
) -> Result<Page<C>, ListError> {
    // Cancel-safe: a page that is late is dropped as a whole and asked for again.
    let reading = Box::pin(read_page::<C>(client, params));
    let text = tokio::time::timeout(PAGE_TIMEOUT, reading).await;
    // Parsed outside of the time limit, which is for the API server.
    page(&text.map_err(|_| ListError::Late)??)
}

async fn read_page<C: ObjectContent>(
    client: &Client,
    params: &ListParams,
) -> Result<Vec<u8>, ListError> {
    let request = Request::new(<Object<C> as Resource>::url_path(&(), None)).list(params);
    let request = request.map_err(kube::Error::BuildRequest)?;
    let body = client.request_stream(request).await?;
    bounded(body).await
}

async fn bounded(body: impl AsyncRead) -> Result<Vec<u8>, ListError> {
    let mut text = Vec::new();
    let mut body = std::pin::pin!(body.take(MAX_PAGE as u64 + 1));
    body.read_to_end(&mut text).await?;
    // Before it is parsed: the objects of a page need several times its bytes.
    if text.len() > MAX_PAGE {
        return Err(ListError::TooLarge);
    }
    Ok(text)
}

pub(super) fn page<C: ObjectContent>(text: &[u8]) -> Result<Page<C>, ListError> {
    let RawPage { metadata, items } = serde_json::from_slice(text)?;
    Ok(Page {
        objects: items,
        version: metadata.resource_version,
        next: Some(metadata.r#continue).filter(|next| !next.is_empty()),
    })
}
