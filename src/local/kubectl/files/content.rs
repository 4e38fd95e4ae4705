//! The content of a file: whole, in part or in several parts, as the request's conditions and `Range` say.

use std::io::{self, SeekFrom};

use axum::body::{Body, Bytes};
use futures_util::stream::{self, StreamExt};
use http::{HeaderValue, Method, StatusCode, header};
use hyper::ext::ReasonPhrase;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::conditions::{self, Condition};
use super::opened::{FileRequest, Opened};
use super::ranges::{self, BadRange, Multipart, RangePart};
use super::{names, sniff};
use crate::local::kubectl::plain;
use crate::protocol::status::Response;

/// How much of a file is read at once.
const CHUNK_LENGTH: usize = 64 * 1024;

/// Responds with a file.
pub(super) async fn serve(opened: Opened, request: &FileRequest) -> Response {
    let modified = opened.modified();
    let condition = conditions::check(request.method(), request.headers(), modified);
    let mut response = match condition {
        Condition::Failed => plain::empty(StatusCode::PRECONDITION_FAILED),
        Condition::NotModified => plain::empty(StatusCode::NOT_MODIFIED),
        Condition::Holds => {
            let range = request.headers().get(header::RANGE);
            let range = range
                .and_then(|range| range.to_str().ok())
                .unwrap_or_default();
            match content(opened, range, request.method()).await {
                Ok(response) => response,
                Err(refusal) => return refusal,
            }
        }
        Condition::HoldsForTheWhole => match content(opened, "", request.method()).await {
            Ok(response) => response,
            Err(refusal) => return refusal,
        },
    };
    let date = modified.header().map(|date| (header::LAST_MODIFIED, date));
    response.headers_mut().extend(date);
    response
}

async fn content(mut opened: Opened, range: &str, method: &Method) -> Result<Response, Response> {
    // The name first, as Go does; only a name that says nothing has the content looked at.
    let content_type = match names::content_type(&opened.name()).await {
        Some(content_type) => content_type,
        None => sniffed(&mut opened.file).await?,
    };
    let size = opened.metadata.len();
    let mut parts = parts(range, size).map_err(|bad| refused(bad, size))?;
    // Parts that overlap until they are more than the file are an attack; Go answers with the whole file.
    if parts.iter().map(|part| part.length).sum::<u64>() > size {
        parts.clear();
    }
    let mut response = Response::new(Body::empty());
    if !parts.is_empty() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let body = match parts[..] {
        [] => Written::RangePart(RangePart {
            start: 0,
            length: size,
        }),
        [part] => {
            headers.insert(header::CONTENT_RANGE, value(part.content_range(size)));
            // Only now is it known whether there is one part, whose range stands in the head, or several, each with its
            // own.
            Written::RangePart(part)
        }
        [..] => Written::Several(Multipart::new(parts, &content_type, size)),
    };
    let (content_type, length) = match &body {
        Written::RangePart(part) => (content_type, part.length),
        Written::Several(multipart) => (multipart.content_type(), multipart.length()),
    };
    headers.insert(header::CONTENT_TYPE, value(content_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    // HEAD has the same head, with the length of the body that is not sent.
    if *method != Method::HEAD {
        *response.body_mut() = body.body(opened.file);
    }
    Ok(response)
}

enum Written {
    RangePart(RangePart),
    Several(Multipart),
}

impl Written {
    fn body(self, file: File) -> Body {
        let pieces: Vec<BodyPiece> = match self {
            Self::RangePart(part) => vec![BodyPiece::File(part)],
            Self::Several(multipart) => {
                let pieces = multipart
                    .pieces()
                    .flat_map(|(head, part)| [BodyPiece::Text(head), BodyPiece::File(part)]);
                pieces.chain([BodyPiece::Text(multipart.end())]).collect()
            }
        };
        let reading = PieceReader {
            file,
            pieces: pieces.into_iter(),
            left: 0,
        };
        // Read as the caller takes it, one piece at a time: a file of any size needs 64 KiB.
        let chunks = stream::unfold(Some(reading), |reading| async {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(reading))),
                Ok(None) => None,
                Err(cause) => Some((Err(cause), None)),
            }
        });
        Body::from_stream(chunks.boxed())
    }
}

enum BodyPiece {
    Text(String),
    File(RangePart),
}

/// A body that is being written.
struct PieceReader {
    file: File,
    pieces: std::vec::IntoIter<BodyPiece>,
    /// How much of the file is still missing of the present part.
    left: u64,
}

impl PieceReader {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.left == 0 {
            match self.pieces.next() {
                None => return Ok(None),
                Some(BodyPiece::Text(text)) => return Ok(Some(Bytes::from(text))),
                Some(BodyPiece::File(part)) => {
                    self.file.seek(SeekFrom::Start(part.start)).await?;
                    self.left = part.length;
                }
            }
        }
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(CHUNK_LENGTH);
        let mut chunk = Vec::with_capacity(wanted);
        let read = (&mut self.file)
            .take(wanted as u64)
            .read_buf(&mut chunk)
            .await?;
        if read == 0 {
            // The file became shorter; the length is said already, so that the response cannot end well.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(Some(Bytes::from(chunk)))
    }
}

/// The parts that are asked for. An empty file has none that could lie behind its end, and is answered whole.
fn parts(range: &str, size: u64) -> Result<Vec<RangePart>, BadRange> {
    match ranges::parse(range, size) {
        Err(BadRange::NoOverlap) if size == 0 => Ok(Vec::new()),
        parsed => parsed,
    }
}

fn refused(bad: BadRange, size: u64) -> Response {
    let refusal = |text| {
        let mut response = plain::text(StatusCode::RANGE_NOT_SATISFIABLE, text);
        // Go has kept the words of RFC 2616.
        let words = ReasonPhrase::from_static(b"Requested Range Not Satisfiable");
        response.extensions_mut().insert(words);
        response
    };
    match bad {
        BadRange::Malformed => refusal("invalid range"),
        BadRange::NoOverlap => {
            let mut response = refusal("invalid range: failed to overlap");
            let whole = value(format!("bytes */{size}"));
            response.headers_mut().insert(header::CONTENT_RANGE, whole);
            response
        }
    }
}

async fn sniffed(file: &mut File) -> Result<String, Response> {
    let mut beginning = Vec::with_capacity(sniff::LENGTH);
    // What cannot be read has no type, and fails when it is sent.
    let _ = file
        .take(sniff::LENGTH as u64)
        .read_to_end(&mut beginning)
        .await;
    // Back to the begin, as the same handle is read for the body.
    if file.rewind().await.is_err() {
        return Err(plain::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "seeker can't seek",
        ));
    }
    Ok(sniff::content_type(&beginning).to_owned())
}

fn value(text: String) -> HeaderValue {
    // A type from a file of the machine may hold anything.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
