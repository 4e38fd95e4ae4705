//! What bodies cost: in all, and in the longest of the turns that they take from everybody else of a thread.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;

use super::*;
use crate::effort::{Bill, LENGTH, MAX_PASSES, MAX_PASSES_A_POLL, MIB, NASTY, cpu, filled};
use crate::serve::html::cost::attributes;

/// As it comes from a backend's socket.
const FRAME: usize = 16 * 1024;

/// Within what a page's parser keeps of one tag, with `--page-memory` as it is.
const TAG: usize = LENGTH / 2;

/// A body of one type, on its way to a browser.
struct Sample {
    what: String,
    media_type: &'static str,
    path: &'static str,
    bytes: Bytes,
}

impl Sample {
    fn new(what: &str, media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            what: what.to_owned(),
            media_type,
            path: "/a/b",
            bytes: bytes.into(),
        }
    }

    fn html(what: &str, bytes: Vec<u8>) -> Self {
        Self::new(what, "text/html", bytes)
    }

    /// CPU time of all polls together, and of the longest of them.
    fn cost(&self) -> [Duration; 2] {
        let frames: Vec<Bytes> = (0..self.bytes.len())
            .step_by(FRAME)
            .map(|at| self.bytes.slice(at..self.bytes.len().min(at + FRAME)))
            .collect();
        let frames = futures_util::stream::iter(frames.into_iter().map(Ok::<_, Infallible>));
        let asked = Asked {
            path: self.path,
            ..Asked::of(
                BEHIND,
                &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "worker")],
            )
        };
        let response = backend_response(
            200,
            &[("content-type", self.media_type)],
            Body::from_stream(frames),
        );
        let mut body = asked.answered(response).unwrap().into_body();
        let mut context = Context::from_waker(Waker::noop());
        let mut cost = [Duration::ZERO; 2];
        loop {
            let before = cpu();
            let polled = Pin::new(&mut body).poll_frame(&mut context);
            let poll = cpu().saturating_sub(before);
            cost = [cost[0] + poll, cost[1].max(poll)];
            match polled {
                Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
                Poll::Ready(None | Some(Err(_))) => return cost,
            }
        }
    }
}

fn settle(samples: impl Iterator<Item = Sample>) {
    let mut bill = Bill::new([MAX_PASSES, MAX_PASSES_A_POLL]);
    for sample in samples {
        bill.cost(&sample.what, sample.bytes.len(), || sample.cost());
    }
    bill.settle();
}

fn around(before: &str, pattern: &str, after: &str, length: usize) -> Vec<u8> {
    let filled = filled(pattern.as_bytes(), length);
    [before.as_bytes(), &filled, after.as_bytes()].concat()
}

#[test]
fn an_attribute_costs_no_more_than_a_few_looks_at_it() {
    settle(attributes().flat_map(|(element, attribute)| {
        NASTY.into_iter().map(move |pattern| {
            let quote = if pattern.contains('"') { "'" } else { "\"" };
            let begin = format!("<{element} {attribute}={quote}");
            let page = around(&begin, pattern, &format!("{quote}>"), TAG);
            Sample::html(&format!("{begin}{pattern}"), page)
        })
    }));
}

#[test]
fn a_tag_costs_no_more_than_a_few_looks_at_it() {
    let tags = [
        ("<meta ", "content=1 "),
        ("<meta http-equiv=refresh ", "content=0;/ "),
        ("<link ", "integrity=x href=/ rel=a "),
        ("<a ", "href=/ "),
        ("<a ", "a "),
        ("<a ", "/ "),
        ("<a ", "=\"=\"=\"= "),
        ("<img ", "src=/ srcset=/ "),
        ("<p ", "style=a:url(/) "),
        ("<iframe ", "srcdoc='<a href=/>' "),
        ("<iframe srcdoc='", "<a href=/>"),
        ("<iframe srcdoc='", "<style>url(/)</style>"),
        ("<iframe srcdoc='", "&lt;a href=/&gt;"),
        ("<iframe srcdoc='", "<p style=a:url(/)>"),
    ];
    // Within what is read of one tag, and within what the parser keeps.
    let lengths = [TAG, MIB / 4 - 256, MIB / 2];
    let tags = tags.into_iter().flat_map(|(begin, pattern)| {
        let end = if begin.ends_with('\'') { "'>" } else { ">" };
        lengths.map(|length| {
            let tag = around(begin, pattern, end, length);
            Sample::html(&format!("{begin}{pattern} {length}"), tag)
        })
    });
    settle(tags);
}

#[test]
fn a_page_costs_no_more_than_a_few_looks_at_it() {
    let constructs = [
        "<a href=/>",
        "<style>url(/)</style>",
        "<p style=a:url(/)>",
        "<iframe srcdoc='<a href=/>'>",
        "<svg>",
        "</svg>",
        "<script type=importmap>{\"imports\":{\"/\":\"/\"}}</script>",
        "<noscript><a href=/></noscript>",
        "<noscript>",
        "<base href=/a/>",
        "<!--",
        "<![CDATA[",
        "<meta charset=x>",
        "<title>",
        "<template>",
        "<math><a>",
        "<table><p>",
    ];
    let whole = NASTY
        .into_iter()
        .chain(constructs)
        .map(|pattern| Sample::html(pattern, filled(pattern.as_bytes(), LENGTH)));
    let bytes =
        (0..=u8::MAX).map(|byte| Sample::html(&format!("{byte:#x}"), filled(&[byte], LENGTH)));
    let inside = [
        "<style>",
        "<noscript>",
        "<title>",
        "<textarea>",
        "<!--",
        "<svg><![CDATA[",
    ];
    let inside = inside.into_iter().flat_map(|begin| {
        NASTY.into_iter().map(move |pattern| {
            let page = around(begin, pattern, "", LENGTH);
            Sample::html(&format!("{begin}{pattern}"), page)
        })
    });
    settle(whole.chain(bytes).chain(inside));
}

#[test]
fn a_style_sheet_costs_no_more_than_a_few_looks_at_it() {
    let constructs = [
        "@import \"/\";",
        "@import url(/);",
        "url( \"/\" )",
        "image-set(\"/\" 1x)",
        "a{b:c}",
        "url('",
        "\\2f",
        "/**/",
    ];
    let patterns = NASTY.into_iter().chain(constructs);
    let begins = ["", "@import \"", "url(", "url(\"", "image-set("];
    let sheets = begins.into_iter().flat_map(|begin| {
        patterns.clone().map(move |pattern| {
            let sheet = around(begin, pattern, "", LENGTH);
            Sample::new(&format!("css {begin}{pattern}"), "text/css", sheet)
        })
    });
    let bytes = (0..=u8::MAX).map(|byte| {
        Sample::new(
            &format!("css {byte:#x}"),
            "text/css",
            filled(&[byte], LENGTH),
        )
    });
    settle(sheets.chain(bytes));
}

/// Texts of JSON as large as they are read, and larger.
#[test]
fn a_text_of_json_costs_no_more_than_a_few_looks_at_it() {
    let texts = [
        ("[", "\"/\",", "0]"),
        ("[", "\"\",", "0]"),
        ("[", "{\"src\":\"/\"},", "0]"),
        ("{\"icons\":[", "{\"src\":\"/\"},", "0]}"),
        ("{\"scope\":\"", "/", "\"}"),
        ("{\"scope\":\"", "\\u002f", "\"}"),
        ("{\"scope\":\"", "\\\\", "\"}"),
        ("{", "\"a\":0,", "\"b\":0}"),
        ("{\"imports\":{", "\"/\":\"/\",", "\"b\":\"/\"}}"),
        ("[", " ", "0]"),
        ("[", "\"\" ,\n", "0]"),
        ("[", "[],", "0]"),
        ("[", "0,", "0]"),
        ("", "[", ""),
        ("", "{\"a\":", ""),
        ("\"", "a", ""),
    ];
    let deep = "[".repeat(60);
    let deep = (
        deep.clone(),
        "\"\",",
        format!("0{}", deep.replace('[', "]")),
    );
    let texts = texts.map(|(begin, pattern, end)| (begin.to_owned(), pattern, end.to_owned()));
    let lengths = [MIB / 4 - 256, MIB / 4 + 1];
    let samples = texts
        .into_iter()
        .chain([deep])
        .flat_map(|(begin, pattern, end)| {
            lengths.into_iter().flat_map(move |length| {
                let text = around(&begin, pattern, &end, length);
                let map = [b"<script type=importmap>", &*text, b"</script>"].concat();
                let what = format!("{begin}{pattern} {length}");
                [
                    Sample::new(
                        &format!("manifest {what}"),
                        "application/manifest+json",
                        text,
                    ),
                    Sample::html(&format!("import map {what}"), map),
                ]
            })
        });
    settle(samples);
}

#[test]
fn a_script_of_a_worker_costs_no_more_than_a_few_looks_at_it() {
    settle(NASTY.into_iter().map(|pattern| {
        let script = filled(pattern.as_bytes(), LENGTH);
        Sample::new(&format!("script {pattern}"), "text/javascript", script)
    }));
}
