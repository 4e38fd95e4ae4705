//! Pages in every coding: small on the wire until their decoder's window is full, and then too much for a caller that
//! does not read.

use std::pin::Pin;

use async_compression::Level;
use async_compression::brotli::EncoderParams;
use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

/// Fills the largest window that is decoded.
const SAME: u64 = 17 << 20;

/// More than what waits for a caller that reads nothing.
const VARIED: usize = 3 << 20;

/// A `Content-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Plain,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// Where the hostile backend has the page.
    pub fn path(self) -> &'static str {
        match self {
            Self::Plain => "/page/identity",
            Self::Gzip => "/page/gzip",
            Self::Deflate => "/page/deflate",
            Self::Brotli => "/page/br",
            Self::Zstd => "/page/zstd",
        }
    }

    fn encode(
        self,
        text: impl tokio::io::AsyncBufRead + Send + 'static,
    ) -> Pin<Box<dyn AsyncRead + Send>> {
        let fast = Level::Fastest;
        match self {
            Self::Plain => Box::pin(text),
            Self::Gzip => Box::pin(GzipEncoder::with_quality(text, fast)),
            Self::Deflate => Box::pin(ZlibEncoder::with_quality(text, fast)),
            Self::Brotli => {
                let largest = EncoderParams::default().quality(fast).window_size(24);
                Box::pin(BrotliEncoder::with_params(text, largest))
            }
            Self::Zstd => {
                let largest = [CParameter::window_log(23)];
                Box::pin(ZstdEncoder::with_quality_and_params(text, fast, &largest))
            }
        }
    }
}

/// Every page with its path.
pub async fn all() -> Vec<(&'static str, Bytes)> {
    let codings = [
        Coding::Plain,
        Coding::Gzip,
        Coding::Deflate,
        Coding::Brotli,
        Coding::Zstd,
    ];
    let mut pages = Vec::new();
    for coding in codings {
        let same = tokio::io::repeat(b'x').take(SAME);
        let text = BufReader::new(same.chain(std::io::Cursor::new(varied())));
        let mut page = Vec::new();
        coding.encode(text).read_to_end(&mut page).await.unwrap();
        pages.push((coding.path(), Bytes::from(page)));
    }
    pages
}

/// Links that no encoder makes much shorter.
fn varied() -> Vec<u8> {
    let mut random = vec![0; VARIED / 3];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    let mut text = Vec::with_capacity(VARIED);
    for bytes in random.chunks(16) {
        text.extend_from_slice(b"<a href=\"/");
        text.extend(
            bytes
                .iter()
                .flat_map(|byte| format!("{byte:02x}").into_bytes()),
        );
        text.extend_from_slice(b"\">");
    }
    text
}
