//! A client that sends the bytes that it is given and keeps what comes back: head line, header lines, body.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// No response takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// Lines that are another's at every request.
const NEVER_THE_SAME: &[&str] = &["audit-id", "date"];

/// A stream, of whatever kind.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A response, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub status: String,
    /// In the order in which they came, names as they were written.
    pub lines: Vec<(String, String)>,
    /// Without the framing of chunks.
    pub body: Vec<u8>,
    /// Whether the other side closed the connection behind the response.
    pub end: End,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As its head said.
    Whole,
    /// The connection was closed, and its head said that this is the end.
    Closed,
    /// The connection was closed in the middle, or before there was a response.
    BrokenOff,
}

impl Heard {
    /// What is compared: lines without those that are never the same, sorted, since their order means nothing.
    pub fn compared(&self) -> Self {
        let mut lines: Vec<_> = self
            .lines
            .iter()
            .filter(|(name, _)| !NEVER_THE_SAME.contains(&name.to_lowercase().as_str()))
            .cloned()
            .collect();
        lines.sort();
        Self {
            lines,
            body: in_order(without_times(&self.body)),
            ..self.clone()
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn line(&self, name: &str) -> Option<&str> {
        let found = self
            .lines
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// A body with every time of making replaced.
fn without_times(body: &[u8]) -> Vec<u8> {
    const BEFORE: &[u8] = br#""creationTimestamp":""#;
    let mut body = body.to_vec();
    let mut from = 0;
    while let Some(at) = body[from..]
        .windows(BEFORE.len())
        .position(|window| window == BEFORE)
    {
        from += at + BEFORE.len();
        let end = body[from..]
            .iter()
            .position(|byte| *byte == b'"')
            .unwrap_or(0);
        body[from..from + end].fill(b'0');
    }
    body
}

/// A backend's account of a request, with the header lines that it received sorted; any other body as it is.
fn in_order(body: Vec<u8>) -> Vec<u8> {
    let Ok(mut said) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return body;
    };
    let lines = said
        .get_mut("headers")
        .and_then(serde_json::Value::as_array_mut);
    let Some(lines) = lines else {
        return body;
    };
    lines.sort_by_key(ToString::to_string);
    said.to_string().into_bytes()
}

/// Sends a request and waits for its whole response.
pub async fn ask(stream: &mut dyn Stream, request: &[u8]) -> Heard {
    let work = async {
        // The other side may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let method = request
            .split(|byte| *byte == b' ')
            .next()
            .unwrap_or_default();
        heard(stream, method).await
    };
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| {
        panic!(
            "no whole answer to {}",
            String::from_utf8_lossy(&request[..request.len().min(200)])
        )
    })
}

/// Reads a response.
pub async fn heard(stream: &mut dyn Stream, method: &[u8]) -> Heard {
    let mut buffer = Vec::new();
    let Some(head) = read_head(stream, &mut buffer).await else {
        return Heard {
            status: String::from_utf8_lossy(&buffer).into_owned(),
            lines: Vec::new(),
            body: Vec::new(),
            end: End::BrokenOff,
        };
    };
    let mut text = head.split("\r\n");
    let status = text.next().unwrap_or_default().to_owned();
    let lines: Vec<(String, String)> = text
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut heard = Heard {
        status,
        lines,
        body: Vec::new(),
        end: End::Whole,
    };
    let code = heard
        .status
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let has_none = method == b"HEAD" || matches!(code.as_str(), "101" | "204" | "304");
    if has_none {
        heard.body = buffer;
        return heard;
    }
    if heard
        .line("transfer-encoding")
        .is_some_and(|value| value == "chunked")
    {
        heard.end = read_chunks(stream, buffer, &mut heard.body).await;
        return heard;
    }
    match heard
        .line("content-length")
        .and_then(|length| length.parse().ok())
    {
        Some(length) => {
            let is_whole = fill(stream, &mut buffer, length).await;
            heard.end = if is_whole { End::Whole } else { End::BrokenOff };
            buffer.truncate(length);
            heard.body = buffer;
        }
        None => {
            heard.end = End::Closed;
            let _ = stream.read_to_end(&mut buffer).await;
            heard.body = buffer;
        }
    }
    heard
}

/// Reads up to the empty line, and leaves what came behind it.
async fn read_head(stream: &mut dyn Stream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            return Some(head);
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

/// Reads until that many bytes are there.
async fn fill(stream: &mut dyn Stream, buffer: &mut Vec<u8>, length: usize) -> bool {
    while buffer.len() < length {
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

async fn read_chunks(stream: &mut dyn Stream, mut buffer: Vec<u8>, body: &mut Vec<u8>) -> End {
    loop {
        let line_end = loop {
            if let Some(end) = buffer.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return End::BrokenOff;
            }
        };
        let size = String::from_utf8_lossy(&buffer[..line_end]).into_owned();
        let size = usize::from_str_radix(&size, 16).expect("a chunk's size");
        buffer.drain(..line_end + 2);
        if !fill(stream, &mut buffer, size + 2).await {
            return End::BrokenOff;
        }
        body.extend_from_slice(&buffer[..size]);
        buffer.drain(..size + 2);
        if size == 0 {
            return End::Whole;
        }
    }
}
