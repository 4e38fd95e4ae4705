//! Bodies: every encoding, wherever a stream is cut, its failures and its bound.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{
    BrotliEncoder, DeflateEncoder, GzipDecoder, GzipEncoder, ZlibEncoder, ZstdEncoder,
};
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use super::*;

pub(super) async fn encoded(coding: &str, plain: &[u8]) -> Vec<u8> {
    let mut encoder: Pin<Box<dyn AsyncRead + '_>> = match coding {
        "gzip" | "x-gzip" => Box::pin(GzipEncoder::new(plain)),
        "deflate" => Box::pin(ZlibEncoder::new(plain)),
        "bare deflate" => Box::pin(DeflateEncoder::new(plain)),
        "br" => Box::pin(BrotliEncoder::new(plain)),
        "zstd" => Box::pin(ZstdEncoder::new(plain)),
        _ => Box::pin(plain),
    };
    let mut bytes = Vec::new();
    encoder.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// What a body says, decoded by the same library that is used in between, but in one go.
async fn decoded(coding: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    use async_compression::tokio::bufread::{
        BrotliDecoder, DeflateDecoder, ZlibDecoder, ZstdDecoder,
    };
    let mut decoder: Pin<Box<dyn AsyncRead + '_>> = match coding {
        "gzip" | "x-gzip" => Box::pin(GzipDecoder::new(bytes)),
        "deflate" => Box::pin(ZlibDecoder::new(bytes)),
        "bare deflate" => Box::pin(DeflateDecoder::new(bytes)),
        "br" => Box::pin(BrotliDecoder::new(bytes)),
        "zstd" => Box::pin(ZstdDecoder::new(bytes)),
        _ => Box::pin(bytes),
    };
    let mut plain = Vec::new();
    decoder.read_to_end(&mut plain).await?;
    Ok(plain)
}

const CODINGS: [&str; 7] = [
    "identity",
    "gzip",
    "x-gzip",
    "deflate",
    "bare deflate",
    "br",
    "zstd",
];

fn headers_of(coding: &str) -> [(&str, &str); 2] {
    let name = coding.strip_prefix("bare ").unwrap_or(coding);
    [("content-type", "text/html"), ("content-encoding", name)]
}

#[tokio::test]
async fn every_encoding_is_undone_and_done_again() {
    for coding in CODINGS {
        let body = encoded(coding, PAGE.as_bytes()).await;
        let response = rewrite(backend_response(&headers_of(coding), body), &treatment());
        let name = coding.strip_prefix("bare ").unwrap_or(coding);
        assert_eq!(
            all_headers(&response),
            [
                "content-type: text/html".to_owned(),
                format!("content-encoding: {name}")
            ]
        );
        let body = bytes(response).await.unwrap();
        let page = decoded(coding, &body).await.unwrap();
        assert_eq!(String::from_utf8(page).unwrap(), REWRITTEN, "{coding}");
    }
}

#[tokio::test]
async fn a_gzip_body_of_many_members_is_one_page() {
    let (one, two) = PAGE.split_at(50);
    let mut body = encoded("gzip", one.as_bytes()).await;
    body.extend(encoded("gzip", two.as_bytes()).await);
    let response = rewrite(backend_response(&headers_of("gzip"), body), &treatment());
    let page = decoded("gzip", &bytes(response).await.unwrap()).await;
    assert_eq!(page.unwrap(), REWRITTEN.as_bytes());
}

#[tokio::test]
async fn an_encoded_body_without_bytes_stays_without_bytes() {
    for coding in CODINGS {
        let response = rewrite(
            backend_response(&headers_of(coding), Body::empty()),
            &treatment(),
        );
        assert_eq!(bytes(response).await.unwrap(), b"", "{coding}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    for coding in CODINGS.into_iter().skip(1) {
        let body = encoded(coding, PAGE.as_bytes()).await;
        for cut in [2, body.len() / 2, body.len() - 1] {
            let response = backend_response(&headers_of(coding), body[..cut].to_vec());
            let error = bytes(rewrite(response, &treatment())).await.unwrap_err();
            let text = error.to_string();
            assert!(text.contains("content encoding"), "{coding} {cut}: {text}");
        }
    }
}

#[tokio::test]
async fn a_body_in_another_encoding_than_it_says_is_an_error() {
    for coding in ["gzip", "br", "zstd"] {
        let response = rewrite(backend_response(&headers_of(coding), PAGE), &treatment());
        assert!(bytes(response).await.is_err(), "{coding}");
    }
}

fn in_frames(frames: Vec<Result<Frame<Bytes>, io::Error>>) -> Body {
    Body::new(StreamBody::new(stream::iter(frames)))
}

#[tokio::test]
async fn pieces_cut_anywhere_give_the_same_page() {
    for coding in CODINGS {
        let body = encoded(coding, PAGE.as_bytes()).await;
        for cut in 0..=body.len() {
            let (one, two) = body.split_at(cut);
            let frames = [one, two].map(|part| Ok(Frame::data(Bytes::copy_from_slice(part))));
            let response = backend_response(&headers_of(coding), in_frames(frames.into()));
            let body = bytes(rewrite(response, &treatment())).await.unwrap();
            let page = decoded(coding, &body).await.unwrap();
            assert_eq!(page, REWRITTEN.as_bytes(), "{coding} cut at {cut}");
        }
        let frames = body
            .iter()
            .map(|byte| Ok(Frame::data(Bytes::copy_from_slice(&[*byte]))));
        let response = backend_response(&headers_of(coding), in_frames(frames.collect()));
        let body = bytes(rewrite(response, &treatment())).await.unwrap();
        let page = decoded(coding, &body).await.unwrap();
        assert_eq!(page, REWRITTEN.as_bytes(), "{coding} byte by byte");
    }
}

#[tokio::test]
async fn the_first_piece_is_out_before_the_second_is_in() {
    for coding in CODINGS {
        let (send, receive) = mpsc::channel::<Result<Frame<Bytes>, io::Error>>(1);
        let frames = stream::unfold(receive, |mut receive| async move {
            receive.recv().await.map(|frame| (frame, receive))
        });
        let body = Body::new(StreamBody::new(frames));
        let mut body =
            rewrite(backend_response(&headers_of(coding), body), &treatment()).into_body();

        let first = format!("<title>t</title><a href=/x>{}</a>", "text ".repeat(10));
        // The pieces of a page as a server sends them: flushed, so the bytes of the first can be decoded.
        let mut server = encoding::Encoder::new(match coding {
            "gzip" | "x-gzip" => encoding::Format::Gzip,
            "deflate" => encoding::Format::Zlib,
            "bare deflate" => encoding::Format::BareDeflate,
            "br" => encoding::Format::Brotli,
            "zstd" => encoding::Format::Zstd,
            _ => encoding::Format::Plain,
        });
        server.write(&mut first.clone().into_bytes()).unwrap();
        server.flush().unwrap();
        let piece = std::mem::take(server.ready());
        send.send(Ok(Frame::data(piece.into()))).await.unwrap();

        let mut came = Vec::new();
        // A body that hands its turn on goes on when it is asked again; a page of two tags has a few steps.
        for _ in 0..16 {
            if let Some(frame) = body.frame().now_or_never() {
                came.extend_from_slice(&frame.unwrap().unwrap().into_data().unwrap());
            }
        }
        let rewritten = first.replace("/x", "././x");
        let page = readable(coding, &came).await;
        assert_eq!(String::from_utf8(page).unwrap(), rewritten, "{coding}");

        server.finish().unwrap();
        let piece = std::mem::take(server.ready());
        send.send(Ok(Frame::data(piece.into()))).await.unwrap();
        drop(send);
        came.extend_from_slice(&body.collect().await.unwrap().to_bytes());
        let page = decoded(coding, &came).await.unwrap();
        assert_eq!(page, rewritten.as_bytes(), "{coding}");
    }
}

/// What can be read of a stream that isn't at its end.
async fn readable(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut source = source::BodySource::new(in_frames(vec![Ok(Frame::data(
        Bytes::copy_from_slice(bytes),
    ))]));
    let encoding = Encoding::of(backend_response(&headers_of(coding), "").headers()).unwrap();
    let begin = std::future::poll_fn(|context| {
        source.poll_begin(context, |begin, ended| {
            match encoding::Begin::of(encoding, begin, ended) {
                encoding::Begin::Is(format, _) => Some(format),
                encoding::Begin::TooLarge | encoding::Begin::Unclear => None,
            }
        })
    });
    let format = begin.await.unwrap().unwrap();
    let mut decoder = encoding::Decoder::new(format, source);
    let mut page = Vec::new();
    let mut piece = [0; 7];
    loop {
        let mut piece = tokio::io::ReadBuf::new(&mut piece);
        let read = std::future::poll_fn(|context| decoder.poll_read(context, &mut piece)).await;
        if read.is_err() || piece.filled().is_empty() {
            return page;
        }
        page.extend_from_slice(piece.filled());
    }
}

#[tokio::test]
async fn the_failure_of_a_backend_is_passed_on() {
    for coding in ["identity", "gzip"] {
        let body = encoded(coding, PAGE.as_bytes()).await;
        let frames = vec![
            Ok(Frame::data(Bytes::copy_from_slice(&body[..10]))),
            Err(io::Error::other("the backend is gone")),
        ];
        let response = backend_response(&headers_of(coding), in_frames(frames));
        let error = bytes(rewrite(response, &treatment())).await.unwrap_err();
        assert_eq!(error.to_string(), "the backend is gone", "{coding}");
    }
}

#[tokio::test]
async fn trailers_are_kept() {
    let trailers = HeaderMap::from_iter([(
        HeaderName::from_static("server-timing"),
        HeaderValue::from_static("db;dur=5"),
    )]);
    for coding in CODINGS {
        let body = encoded(coding, PAGE.as_bytes()).await;
        let frames = vec![
            Ok(Frame::data(body.into())),
            Ok(Frame::trailers(trailers.clone())),
        ];
        let response = backend_response(&headers_of(coding), in_frames(frames));
        let body = rewrite(response, &treatment()).into_body();
        let came = body.collect().await.unwrap();
        assert_eq!(came.trailers(), Some(&trailers), "{coding}");
    }
}

/// Gzip of so many zeros, made while it is read.
fn gzip_of_zeros(length: u64) -> Body {
    let zeros = tokio::io::BufReader::new(tokio::io::repeat(0).take(length));
    let gzip = Box::pin(GzipEncoder::new(zeros));
    let frames = stream::unfold(gzip, |mut gzip| async move {
        let mut piece = vec![0; 8 * 1024];
        let length = gzip.read(&mut piece).await.unwrap();
        piece.truncate(length);
        let frame = Ok::<_, io::Error>(Frame::data(Bytes::from(piece)));
        (length > 0).then_some((frame, gzip))
    });
    Body::new(StreamBody::new(frames))
}

#[tokio::test]
async fn what_unfolds_beyond_the_limit_is_cut_with_an_error_that_names_it() {
    let mut how = treatment();
    how.limits.decoded = 4 * 1024 * 1024;
    let response = backend_response(&headers_of("gzip"), gzip_of_zeros(64 * 1024 * 1024));
    let mut body = rewrite(response, &how).into_body();
    let mut largest = 0;
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => largest = largest.max(frame.into_data().unwrap().len()),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("4194304 bytes"), "{error}");
    assert!(largest < 64 * 1024, "a frame has {largest} bytes");
    assert!(body.frame().await.is_none(), "nothing follows");
}

#[tokio::test]
async fn a_page_just_as_large_as_the_limit_passes() {
    let mut how = treatment();
    how.limits.decoded = PAGE.len() as u64;
    let response = rewrite(backend_response(&headers_of("identity"), PAGE), &how);
    assert_eq!(bytes(response).await.unwrap(), REWRITTEN.as_bytes());
}
