//! Bodies that are small on the wire and large behind it: what a page of each coding really holds, and what is refused.

use std::pin::Pin;
use std::process::Command;

use async_compression::Level;
use async_compression::brotli::EncoderParams;
use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

use super::*;
use crate::serve::html::body::Need;
use crate::serve::html::budget::Budget;
use crate::serve::html::encoding::Format;
use crate::serve::html::steps::{HANDED_OUT, MAX_GROWTH};

const MIB: usize = 1024 * 1024;

/// More than the largest window, so that each is filled.
const DECODED: usize = 20 * MIB;

/// Names the coding in a process of its own, where nothing else takes memory.
const CODING: &str = "THROUGHWAY_TEST_CODING";

/// A body of that many decoded bytes, made while it is read. It is marked as UTF-16, so no rewriter looks at it.
fn bomb(coding: &str) -> Body {
    let text = AsyncReadExt::chain(&b"\xfe\xff"[..], tokio::io::repeat(b'x'));
    let text = BufReader::new(text.take(DECODED as u64));
    let encoder: Pin<Box<dyn AsyncRead + Send>> = match coding {
        "gzip" => Box::pin(GzipEncoder::with_quality(text, Level::Fastest)),
        "deflate" => Box::pin(ZlibEncoder::with_quality(text, Level::Fastest)),
        "br" => {
            let largest = EncoderParams::default()
                .quality(Level::Fastest)
                .window_size(24);
            Box::pin(BrotliEncoder::with_params(text, largest))
        }
        "zstd" => {
            let largest = [CParameter::window_log(23)];
            Box::pin(ZstdEncoder::with_quality_and_params(
                text,
                Level::Fastest,
                &largest,
            ))
        }
        _ => Box::pin(text),
    };
    let frames = stream::unfold(encoder, |mut encoder| async move {
        let mut piece = vec![0; 8 * 1024];
        let length = encoder.read(&mut piece).await.unwrap();
        piece.truncate(length);
        let frame = Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece)));
        (length > 0).then_some((frame, encoder))
    });
    Body::new(StreamBody::new(frames))
}

/// Bytes of this process that are in memory and stand in no file, as the program itself does.
fn resident() -> usize {
    let status = std::io::read_to_string(std::fs::File::open("/proc/self/status").unwrap());
    let status = status.unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.unwrap().split_ascii_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

/// What one page took at the most, and how long it was.
async fn taken_by(coding: &str) -> (usize, usize) {
    let wire = bomb(coding).collect().await.unwrap().to_bytes();
    let pieces = (0..wire.len()).step_by(4096);
    let pieces = pieces.map(move |at| wire.slice(at..wire.len().min(at + 4096)));
    let frames = stream::iter(pieces.map(|piece| Ok::<_, std::io::Error>(Frame::data(piece))));
    let headers = [("content-type", "text/html"), ("content-encoding", coding)];
    let before = resident();
    let response = rewrite(
        backend_response(&headers, Body::new(StreamBody::new(frames))),
        &treatment(),
    );
    let (mut body, mut most, mut length) = (response.into_body(), 0, 0);
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().into_data().unwrap().len();
        most = most.max(resident().saturating_sub(before));
    }
    (most, length)
}

#[tokio::test]
async fn a_page_of_each_coding_holds_no_more_than_it_is_counted_for() {
    if let Ok(coding) = std::env::var(CODING) {
        let (most, length) = taken_by(&coding).await;
        assert!(length > 0);
        println!("held {most}");
        return;
    }
    let name = concat!(
        module_path!(),
        "::a_page_of_each_coding_holds_no_more_than_it_is_counted_for"
    );
    let name = name.split_once("::").unwrap().1;
    for (coding, format, window) in [
        ("identity", Format::Plain, 0),
        ("gzip", Format::Gzip, 32 * 1024),
        ("deflate", Format::Zlib, 32 * 1024),
        ("br", Format::Brotli, 16 * MIB),
        ("zstd", Format::Zstd, 8 * MIB),
    ] {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args(["--exact", name, "--nocapture", "--test-threads=1"]);
        let output = process.env(CODING, coding).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let held = text.split("held ").nth(1).unwrap();
        let held = held.split_ascii_whitespace().next().unwrap();
        let held: usize = held.parse().unwrap();
        let counted = Need { format, window }.at(DECODED);
        eprintln!("{coding}: held {held}, counted {counted}");
        // The allocator and the test itself take some pages besides.
        assert!(
            held <= counted + MIB,
            "{coding}: held {held}, counted {counted}"
        );
    }
}

#[tokio::test]
async fn windows_that_no_browser_has_pass_untouched() {
    for (coding, begin) in [
        ("br", &[0x11, 0x1e, 1, 2, 3, 4][..]),
        ("br", &[0x91, 0x1e]),
        ("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 2, 3]),
        (
            "zstd",
            &[0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0, 9],
        ),
    ] {
        let headers = [("content-type", "text/html"), ("content-encoding", coding)];
        for size in [1, begin.len()] {
            let pieces = begin.chunks(size).map(Bytes::copy_from_slice);
            let frames: Vec<_> = pieces
                .map(|piece| Ok::<_, std::io::Error>(Frame::data(piece)))
                .collect();
            let body = Body::new(StreamBody::new(stream::iter(frames)));
            let response = rewrite(backend_response(&headers, body), &treatment());
            assert_eq!(response.headers()["content-encoding"], coding);
            assert_eq!(bytes(response).await.unwrap(), begin, "{coding}");
        }
    }
}

#[tokio::test]
async fn a_window_that_grows_in_a_later_frame_ends_the_page() {
    let mut body = encodings::encoded("zstd", PAGE.as_bytes()).await;
    body.extend([0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 0, 0]);
    let headers = [("content-type", "text/html"), ("content-encoding", "zstd")];
    let response = rewrite(backend_response(&headers, body), &treatment());
    let error = bytes(response).await.unwrap_err().to_string();
    assert!(error.contains("content encoding"), "{error}");
}

#[tokio::test]
async fn a_page_without_room_passes_untouched_and_room_is_given_back() {
    let mut how = treatment();
    let body = encodings::encoded("gzip", PAGE.as_bytes()).await;
    let headers = [("content-type", "text/html"), ("content-encoding", "gzip")];
    let need = Need {
        format: Format::Gzip,
        window: 32 * 1024,
    };
    how.budget = Budget::new(need.at(0));
    let mut first = rewrite(backend_response(&headers, body.clone()), &how).into_body();
    let begin = first.frame().await.unwrap().unwrap().into_data().unwrap();
    let crowded = rewrite(backend_response(&headers, body.clone()), &how);
    assert_eq!(bytes(crowded).await.unwrap(), body);
    drop((first, begin));
    let later = bytes(rewrite(backend_response(&headers, body.clone()), &how))
        .await
        .unwrap();
    assert_ne!(later, body);
}

#[tokio::test]
async fn a_page_that_grows_out_of_the_room_ends_and_says_why() {
    let mut how = treatment();
    let need = Need {
        format: Format::Zstd,
        window: 8 * MIB,
    };
    how.budget = Budget::new(need.at(MIB) + MIB / 2);
    let headers = [("content-type", "text/html"), ("content-encoding", "zstd")];
    let error = bytes(rewrite(backend_response(&headers, bomb("zstd")), &how)).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("too many large pages"), "{error}");
}

#[tokio::test]
async fn a_deep_path_makes_no_piece_of_a_page_large() {
    let deep = "/".repeat(60_000);
    let as_deep_as_it_gets = "/a".repeat(160);
    for path in [deep.as_str(), &as_deep_as_it_gets, "/"] {
        for (kind, link) in [("text/css", "url(/)"), ("text/html", "<a href=/>")] {
            let sent = link.repeat(MIB / 4 / link.len());
            let mut how = treatment();
            how.links = links(path, LinkForm::Relative);
            let body = rewrite(
                backend_response(&[("content-type", kind)], sent.clone()),
                &how,
            );
            let (mut body, mut largest, mut length) = (body.into_body(), 0, 0);
            while let Some(frame) = body.frame().await {
                let frame = frame.unwrap().into_data().unwrap();
                largest = largest.max(frame.len());
                length += frame.len();
            }
            assert!(length > sent.len(), "{kind}: links are mapped");
            assert!(largest <= 2 * HANDED_OUT, "{kind}: {largest} at once");
        }
    }
}

#[tokio::test]
async fn one_tag_grows_no_further_than_its_bound() {
    for (begin, link) in [
        ("<img srcset='", "/ ,"),
        ("<a ping='", "/ "),
        ("<p style='", "url(/)"),
        ("<iframe srcdoc='", "<a href=/>"),
        ("<script type=importmap>", "0"),
    ] {
        // The values of the larger ones are not read at all.
        for size in [MIB / 8, MIB / 2] {
            let sent = format!("{begin}{}'>", link.repeat(size / link.len()));
            let mut how = treatment();
            how.links = links(&"/a".repeat(160), LinkForm::Relative);
            let page = rewrite(
                backend_response(&[("content-type", "text/html")], sent.clone()),
                &how,
            );
            let page = bytes(page).await.unwrap();
            assert!(page.len() <= sent.len() + MAX_GROWTH, "{begin}");
        }
    }
}
