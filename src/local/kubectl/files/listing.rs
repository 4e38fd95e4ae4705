//! The listing of a directory: a link for each entry, in the order of their bytes.

use axum::body::Body;
use http::{HeaderValue, StatusCode, header};

use super::conditions;
use super::opened::{FileRequest, Opened};
use crate::local::kubectl::plain;
use crate::local::kubectl::request_path::{as_text, escape};
use crate::protocol::status::Response;

/// Responds with a directory's entries.
pub(super) async fn serve(directory: &Opened, request: &FileRequest) -> Response {
    let modified = directory.modified();
    if conditions::is_unchanged(request.method(), request.headers(), modified) {
        return plain::empty(StatusCode::NOT_MODIFIED);
    }
    let Ok(names) = names(directory).await else {
        let mut response =
            plain::text(StatusCode::INTERNAL_SERVER_ERROR, "Error reading directory");
        response
            .headers_mut()
            .extend(modified.header().map(|date| (header::LAST_MODIFIED, date)));
        return response;
    };
    let mut page =
        b"<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n"
            .to_vec();
    for name in names {
        let link = link(&name);
        page.extend(format!("<a href=\"{link}\">").into_bytes());
        page.extend(escape_html(&name));
        page.extend(b"</a>\n");
    }
    page.extend(b"</pre>\n");
    let mut response = Response::new(Body::from(page));
    let headers = response.headers_mut();
    headers.extend(modified.header().map(|date| (header::LAST_MODIFIED, date)));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// The entries' names; a directory's with a slash at its end. A link to a directory is no directory here.
async fn names(directory: &Opened) -> std::io::Result<Vec<Vec<u8>>> {
    let mut entries = tokio::fs::read_dir(&directory.path).await?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let is_directory = entry.file_type().await.is_ok_and(|kind| kind.is_dir());
        names.push((entry.file_name().into_encoded_bytes(), is_directory));
    }
    // Sorted before the slashes are added, as Go compares the bare names.
    names.sort();
    let with_slashes = names.into_iter().map(|(mut name, is_directory)| {
        if is_directory {
            name.push(b'/');
        }
        name
    });
    Ok(with_slashes.collect())
}

/// A name as a relative address. With a colon in it, it would be read as a scheme.
fn link(name: &[u8]) -> String {
    // Go's `url.URL` writes a lone star without a slash or an escape.
    if name == b"*" {
        return "*".to_owned();
    }
    let begin = if name.contains(&b':') { "./" } else { "" };
    format!("{begin}{}", escape(name))
}

/// The bytes of a name inside HTML, also of one that is no UTF-8.
fn escape_html(name: &[u8]) -> Vec<u8> {
    match str::from_utf8(name) {
        Ok(text) => plain::escape_html(text).into_bytes(),
        Err(_) => plain::escape_html(&as_text(name)).into_bytes(),
    }
}
