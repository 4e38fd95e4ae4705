//! Requests that break HTTP/2 on the front proxy's connection: each ends its own stream, and another user's goes on.
//!
//! What is sent are frames as bytes: no client would send these. kube-apiserver passes on what its users send as far as
//! Go's HTTP allows it; names in upper case and unknown pseudo-headers are not among that, and end a connection in h2.

use std::collections::BTreeMap;

use throughway_testing::client::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::attacks::{CONTINUATION, HEADERS, RST_STREAM, SETTINGS, frame, preface};
use crate::{LIMIT, Setting, service};

const DATA: u8 = 0x0;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

const PROTOCOL_ERROR: u32 = 1;

/// What a frame holds at the most where nobody agreed on more.
const MAX_FRAME: usize = 16 << 10;

/// How a stream was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Head,
    Reset(u32),
}

/// A connection on which frames are written and read as they are.
struct Raw {
    stream: TlsStream<TcpStream>,
    next: u32,
    outcomes: BTreeMap<u32, Outcome>,
    /// What came of bodies.
    bodies: BTreeMap<u32, Vec<u8>>,
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(value: usize) -> Vec<u8> {
    if value < 127 {
        return vec![u8::try_from(value).unwrap()];
    }
    let (mut rest, mut bytes) = (value - 127, vec![127]);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A header block of literals that no table keeps.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let literal = |text: &str| [integer(text.len()), text.as_bytes().to_vec()].concat();
    let field = |(name, value): &(&str, &str)| [vec![0], literal(name), literal(value)].concat();
    fields.iter().flat_map(field).collect()
}

impl Raw {
    async fn of_front_proxy(s: &Setting) -> Self {
        let identity = s.cluster.front_proxy_ca.issue("front-proxy-client");
        let client = Client::presenting(s.address, identity, b"h2");
        let mut stream = client.connect().await;
        stream.write_all(&preface()).await.unwrap();
        Self {
            stream,
            next: 1,
            outcomes: BTreeMap::new(),
            bodies: BTreeMap::new(),
        }
    }

    /// Sends a head, and data if there is any; the stream ends with the last of it.
    async fn send(&mut self, fields: &[(&str, &str)], data: Option<&[u8]>) -> u32 {
        let (number, block) = (self.next, block(fields));
        self.next += 2;
        let mut parts = block.chunks(MAX_FRAME).peekable();
        let mut kind = HEADERS;
        while let Some(part) = parts.next() {
            let last = if parts.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            let end = match (kind, data) {
                (HEADERS, None) => END_STREAM,
                _ => 0,
            };
            let bytes = frame(kind, last | end, number, part);
            self.stream.write_all(&bytes).await.unwrap();
            kind = CONTINUATION;
        }
        if let Some(data) = data {
            let bytes = frame(DATA, END_STREAM, number, data);
            self.stream.write_all(&bytes).await.unwrap();
        }
        self.stream.flush().await.unwrap();
        number
    }

    async fn get(&mut self, user: &str, path: &str) -> u32 {
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", path),
            (":authority", "a"),
            ("x-remote-user", user),
        ];
        self.send(&fields, None).await
    }

    /// Takes the next frame in; an end of the connection fails the test.
    async fn read(&mut self, waits_for: &str) {
        let mut head = [0; 9];
        let whole = async {
            self.stream.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await?;
            Ok::<_, std::io::Error>(payload)
        };
        let read = tokio::time::timeout(LIMIT, whole).await;
        let payload = read
            .unwrap_or_else(|_| panic!("nothing came: {waits_for}"))
            .unwrap_or_else(|broken| panic!("the connection ended: {waits_for}: {broken}"));
        let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match (head[3], head[4]) {
            (SETTINGS, flags) if flags & ACK == 0 => {
                let ack = frame(SETTINGS, ACK, 0, b"");
                self.stream.write_all(&ack).await.unwrap();
            }
            (PING, flags) if flags & ACK == 0 => {
                let ack = frame(PING, ACK, 0, &payload);
                self.stream.write_all(&ack).await.unwrap();
                self.stream.flush().await.unwrap();
            }
            (HEADERS, _) => {
                self.outcomes.entry(number).or_insert(Outcome::Head);
            }
            (RST_STREAM, _) => {
                let code = u32::from_be_bytes(payload.try_into().unwrap());
                self.outcomes.entry(number).or_insert(Outcome::Reset(code));
            }
            (DATA, _) => self.bodies.entry(number).or_default().extend(payload),
            (GOAWAY, _) => panic!("the connection is to end: {waits_for}: {payload:?}"),
            _ => {}
        }
    }

    async fn outcome(&mut self, number: u32, waits_for: &str) -> Outcome {
        loop {
            if let Some(outcome) = self.outcomes.get(&number) {
                return *outcome;
            }
            self.read(waits_for).await;
        }
    }

    async fn body(&mut self, number: u32, expected: &str) {
        while !self.body_is(number, expected) {
            self.read(expected).await;
        }
    }

    fn body_is(&self, number: u32, expected: &str) -> bool {
        let body = self.bodies.get(&number);
        body.is_some_and(|body| body == expected.as_bytes())
    }
}

/// Opens alice's stream, lets mallory do something, and sees alice's stream go on to its end.
async fn beside_a_stream(s: Setting, attack: impl AsyncFnOnce(&mut Raw)) {
    let mut raw = Raw::of_front_proxy(&s).await;
    let open = raw.get("alice", &service("web", "/drip")).await;
    raw.body(open, "one\n").await;
    attack(&mut raw).await;
    let next = raw.get("alice", &service("web", "/drip/next")).await;
    assert_eq!(raw.outcome(next, "the next request").await, Outcome::Head);
    raw.body(open, "one\ntwo\n").await;
    drop(raw);
    s.end().await;
}

const RESET: Outcome = Outcome::Reset(PROTOCOL_ERROR);

type Fields = Vec<(&'static str, &'static str)>;

/// Fields of a whole request, with more.
fn with(more: &[(&'static str, &'static str)]) -> Fields {
    let path: &'static str = service("web", "/").leak();
    let whole = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "a"),
    ];
    [&whole[..], more].concat()
}

/// Requests without a body, which must not be.
fn malformed_fields() -> Vec<(&'static str, Fields)> {
    let [method, scheme, path, authority] = with(&[])[..] else {
        unreachable!("a whole request has four")
    };
    vec![
        ("Connection", with(&[("connection", "close")])),
        ("chunks", with(&[("transfer-encoding", "chunked")])),
        ("Upgrade", with(&[("upgrade", "websocket")])),
        ("Keep-Alive", with(&[("keep-alive", "timeout=5")])),
        ("Proxy-Connection", with(&[("proxy-connection", "a")])),
        ("TE", with(&[("te", "gzip")])),
        ("no method", vec![scheme, path, authority]),
        ("no scheme", vec![method, path, authority]),
        ("no path", vec![method, scheme, authority]),
        ("an empty path", vec![method, scheme, (":path", "")]),
        ("two paths", with(&[path])),
        (
            "a pseudo-header behind others",
            vec![method, scheme, ("x", "1"), path],
        ),
        ("a status", with(&[(":status", "200")])),
        (
            "extended CONNECT",
            vec![
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                scheme,
                path,
            ],
        ),
    ]
}

/// Requests whose body is another than they say.
fn malformed_lengths() -> [(&'static str, Fields, Option<&'static [u8]>); 5] {
    [
        (
            "a length without a body",
            with(&[("content-length", "5")]),
            None,
        ),
        (
            "a body that is too short",
            with(&[("content-length", "5")]),
            Some(b"abc"),
        ),
        (
            "a body that is too long",
            with(&[("content-length", "5")]),
            Some(b"abcdef"),
        ),
        (
            "two lengths",
            with(&[("content-length", "3"), ("content-length", "4")]),
            Some(b"abc"),
        ),
        (
            "a length that is none",
            with(&[("content-length", "x")]),
            Some(b"abc"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_end_their_own_streams_alone() {
    let fields = malformed_fields().into_iter();
    let requests = fields.map(|(what, fields)| (what, fields, None));
    let requests: Vec<_> = requests.chain(malformed_lengths()).collect();
    beside_a_stream(Setting::new().await, async |raw| {
        for (what, fields, data) in requests {
            let number = raw.send(&fields, data).await;
            assert_eq!(raw.outcome(number, what).await, RESET, "{what}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_malformed_requests_than_a_stranger_may_send_end_nobody_elses_stream() {
    let path = service("web", "/");
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", path.as_str()),
        ("connection", "close"),
    ];
    beside_a_stream(Setting::new().await, async |raw| {
        for _ in 0..1100 {
            let number = raw.send(&fields, None).await;
            assert_eq!(raw.outcome(number, "malformed").await, RESET);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_at_once_end_nobody_elses() {
    let path = service("web", "/");
    let cancel = 8u32.to_be_bytes();
    beside_a_stream(Setting::new().await, async |raw| {
        for _ in 0..1000 {
            let number = raw.get("mallory", &path).await;
            let reset = frame(RST_STREAM, 0, number, &cancel);
            raw.stream.write_all(&reset).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_paths_and_header_lists_get_a_response_and_end_nobody_elses_stream() {
    let long = service("web", &format!("/{}", "a".repeat(70_000)));
    let value = "v".repeat(70_000);
    let path = service("web", "/");
    let fields = |path, value| {
        [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", path),
            ("x-remote-user", "mallory"),
            ("x-long", value),
        ]
    };
    let requests = [
        ("a long path", fields(&long, "")),
        ("a long value", fields(&path, &value)),
    ];
    beside_a_stream(Setting::new().await, async |raw| {
        for (what, fields) in &requests {
            let number = raw.send(fields, None).await;
            assert_eq!(raw.outcome(number, what).await, Outcome::Head, "{what}");
        }
    })
    .await;
    // Where longer lists are allowed, a path that is no URI for the `http` crate is malformed.
    let roomy = Setting::with(|config| config.listen.limits.max_header_bytes = 1 << 20).await;
    beside_a_stream(roomy, async |raw| {
        let number = raw.send(&requests[0].1, None).await;
        assert_eq!(raw.outcome(number, "a long path").await, RESET);
    })
    .await;
}
