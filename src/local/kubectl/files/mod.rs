//! Static files beside the API: `--www` below `--www-prefix`.
//!
//! In: a directory and a request below the prefix. Out: a file with its type, dates, ranges and conditional responses;
//! a directory's `index.html`, else its listing; a redirect that puts the slash at the end of a directory's path, takes
//! it from a file's, or takes `index.html` away. Links are followed, and files that begin with a dot are served.
//!
//! Refused: what is not there (404; also a name that is no UTF-8, and what no path of this directory can be), what must
//! not be read (403). `..` never leads out of the directory, however it is spelled.
//!
//! Own code, as a library was weighed and loses what is compared with kubectl proxy: `ServeDir` of tower-http 0.7
//! (feature `fs`, three more crates) lists no directory, answers several ranges with 416 or as a whole, knows no
//! `If-Range`, answers every method but GET and HEAD with 405, and takes a type from a list of its own, not from the
//! machine's and the content.
//!
//! Exactly as `http.FileServer` of Go behind `http.StripPrefix`; kubectl: `newFileHandler` in
//! `pkg/proxy/proxy_server.go`.

mod conditions;
mod content;
mod listing;
mod names;
mod opened;
mod ranges;
mod sniff;

use http::{HeaderValue, StatusCode, header};

use self::opened::{FileRequest, Opened, open, open_below};
use super::plain;
use super::request_path::RequestPath;
use crate::local::config::StaticFiles;
use crate::protocol::status::Response;

const INDEX: &str = "index.html";

/// Responds to a request for a file.
pub(in crate::local) async fn serve(files: &StaticFiles, request: &FileRequest) -> Response {
    let Some(path) = path_below(&files.prefix, request.uri().path()) else {
        return plain::not_found();
    };
    // Before the file is opened, as Go does: even one that is not there is redirected.
    if path.ends_with(b"/index.html") {
        return redirect(request, b"./".to_vec());
    }
    let opened = match open_below(&files.directory, &path).await {
        Ok(opened) => opened,
        Err(problem) => return problem.response(),
    };
    let ends_in_slash = path.ends_with(b"/");
    // What was opened decides and not the name, so a link to a folder is one.
    if opened.metadata.is_dir() {
        if !ends_in_slash {
            return redirect(request, [last_segment(&path), b"/"].concat());
        }
        return directory(opened, request).await;
    }
    if ends_in_slash {
        let name = last_segment(&path);
        if name == b"/" || name == b"." {
            let text = "http: attempting to traverse a non-directory";
            return plain::text(StatusCode::INTERNAL_SERVER_ERROR, text);
        }
        return redirect(request, [b"../", name].concat());
    }
    content::serve(opened, request).await
}

async fn directory(directory: Opened, request: &FileRequest) -> Response {
    match open(&directory.path.join(INDEX)).await {
        // A folder of that name is listed, as Go opens whatever the name leads to.
        Ok(index) if index.metadata.is_dir() => listing::serve(&index, request).await,
        Ok(index) => content::serve(index, request).await,
        Err(_) => listing::serve(&directory, request).await,
    }
}

/// The decoded path behind the prefix, from the root; none where the prefix came in another spelling.
fn path_below(prefix: &str, path: &str) -> Option<Vec<u8>> {
    let path = RequestPath::parse(path).ok()?;
    // With a spelling of its own both forms of the path have to begin with the prefix (`http.StripPrefix`).
    if !path.encoded.is_empty() {
        path.encoded.strip_prefix(prefix)?;
    }
    let below = path.decoded.strip_prefix(prefix.as_bytes())?;
    let root: &[u8] = if below.starts_with(b"/") { b"" } else { b"/" };
    Some([root, below].concat())
}

/// 301 to a relative path, with the request's query. The path stays decoded; a line break in it is a space.
fn redirect(request: &FileRequest, mut path: Vec<u8>) -> Response {
    if let Some(query) = request.uri().query().filter(|query| !query.is_empty()) {
        path.push(b'?');
        path.extend_from_slice(query.as_bytes());
    }
    for byte in &mut path {
        // Go's server writes line breaks in a header as spaces, and no other control character may stand there.
        if byte.is_ascii_control() {
            *byte = b' ';
        }
    }
    let mut response = plain::empty(StatusCode::MOVED_PERMANENTLY);
    let location = HeaderValue::from_bytes(&path).expect("control characters went");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// What stands behind the last slash, but for slashes at the end; `/` where there is nothing.
fn last_segment(path: &[u8]) -> &[u8] {
    let Some(end) = path.iter().rposition(|byte| *byte != b'/') else {
        return b"/";
    };
    let path = &path[..=end];
    let begin = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    &path[begin..]
}

#[cfg(test)]
mod tests;
