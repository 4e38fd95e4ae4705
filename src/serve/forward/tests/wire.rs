//! A reader of HTTP/1 messages for judges: RFC 9112 to the letter, nothing forgiven, and no code of anybody else's.

use crate::fuzz::lines::Lines;

/// One request.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Lines,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Lines,
    /// What follows it.
    pub(super) rest: Vec<u8>,
}

/// What some bytes are.
#[derive(Debug)]
pub(super) enum Wire {
    Whole(Message),
    /// Its head, and a body that is not at its end.
    Partial(Message),
    /// A head that is not at its end.
    Nothing,
    Malformed(&'static str),
}

/// Why reading stopped.
enum Stop {
    NotWhole,
    Malformed(&'static str),
}

impl From<Stop> for Wire {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::NotWhole => Self::Nothing,
            Stop::Malformed(why) => Self::Malformed(why),
        }
    }
}

/// Reads one request.
pub(super) fn message(bytes: &[u8]) -> Wire {
    read(bytes).unwrap_or_else(Wire::from)
}

fn read(bytes: &[u8]) -> Result<Wire, Stop> {
    let (first, rest) = line(bytes)?;
    let mut message = Message::default();
    let first = std::str::from_utf8(first).map_err(|_| Stop::Malformed("a request line"))?;
    let words: Vec<&str> = first.split(' ').collect();
    let [method, target, "HTTP/1.1"] = *words else {
        return Err(Stop::Malformed("a request line"));
    };
    (message.method, message.target) = (method.to_owned(), target.to_owned());
    let (headers, rest) = fields(rest)?;
    message.headers = headers;
    let all = |wanted: &str| -> Vec<Vec<u8>> {
        let of_it = message.headers.iter().filter(|(name, _)| name == wanted);
        of_it.map(|(_, value)| value.clone()).collect()
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    let chunked = match (&*lengths, &*codings) {
        ([], []) => {
            message.rest = rest.to_vec();
            return Ok(Wire::Whole(message));
        }
        ([_], []) => false,
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(Stop::Malformed("framing")),
    };
    if chunked {
        return Ok(chunks(message, rest));
    }
    let length = &lengths[0];
    if length.is_empty() || length.len() > 15 || !length.iter().all(u8::is_ascii_digit) {
        return Err(Stop::Malformed("a length"));
    }
    let length: usize = String::from_utf8_lossy(length).parse().unwrap();
    let (body, rest) = rest.split_at(length.min(rest.len()));
    (message.body, message.rest) = (body.to_vec(), rest.to_vec());
    Ok(match message.body.len() == length {
        true => Wire::Whole(message),
        false => Wire::Partial(message),
    })
}

/// Section 7.1.
fn chunks(mut message: Message, mut rest: &[u8]) -> Wire {
    loop {
        let (size, data) = match line(rest) {
            Ok(found) => found,
            Err(Stop::NotWhole) => return Wire::Partial(message),
            Err(stop) => return stop.into(),
        };
        let digits = size.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let digits = digits.count();
        let extension = &size[digits..];
        let is_extension = extension.is_empty() || extension.starts_with(b";");
        if digits == 0 || digits > 8 || !is_extension || !is_text(extension) {
            return Wire::Malformed("the size of a chunk");
        }
        let size = String::from_utf8_lossy(&size[..digits]);
        let size = usize::from_str_radix(&size, 16).unwrap();
        if size == 0 {
            return match fields(data) {
                Ok((trailers, rest)) => {
                    (message.trailers, message.rest) = (trailers, rest.to_vec());
                    Wire::Whole(message)
                }
                Err(Stop::NotWhole) => Wire::Partial(message),
                Err(stop) => stop.into(),
            };
        }
        if data.len() < size + 2 {
            return match data.get(size) {
                Some(byte) if *byte != b'\r' => Wire::Malformed("the end of a chunk"),
                _ => Wire::Partial(message),
            };
        }
        if &data[size..size + 2] != b"\r\n" {
            return Wire::Malformed("the end of a chunk");
        }
        message.body.extend_from_slice(&data[..size]);
        rest = &data[size + 2..];
    }
}

/// Lines up to an empty one.
fn fields(mut rest: &[u8]) -> Result<(Lines, &[u8]), Stop> {
    let mut fields = Lines::new();
    loop {
        let (field, after) = line(rest)?;
        rest = after;
        if field.is_empty() {
            return Ok((fields, rest));
        }
        let colon = field.iter().position(|byte| *byte == b':');
        let colon = colon.ok_or(Stop::Malformed("a field without a colon"))?;
        let (name, value) = (&field[..colon], field[colon + 1..].trim_ascii());
        let is_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || !name.iter().all(is_token) || !is_text(value) {
            return Err(Stop::Malformed("a field"));
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        fields.push((name, value.to_vec()));
    }
}

/// What may stand in a value (RFC 9110 section 5.5).
fn is_text(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    value.iter().all(is_plain)
}

/// A line without its end, and what follows.
fn line(bytes: &[u8]) -> Result<(&[u8], &[u8]), Stop> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or(Stop::NotWhole)?;
    match bytes[..end].strip_suffix(b"\r") {
        Some(line) if !line.contains(&b'\r') => Ok((line, &bytes[end + 1..])),
        _ => Err(Stop::Malformed("the end of a line")),
    }
}
