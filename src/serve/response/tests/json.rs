//! JSON that a server calls a page (pywb#537): PHP does so unless it is told otherwise.

use std::convert::Infallible;

use http_body_util::BodyExt as _;

use super::*;

const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");
const FETCHES: (&str, &str) = ("sec-fetch-mode", "cors");
/// From it the target's path is known, so that fragments get links that hold wherever they are put.
const REFERER: (&str, &str) = (
    "referer",
    "https://cluster.example/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy/",
);

/// What a body becomes that arrives in two pieces.
async fn passed(reader: &[(&str, &str)], body: &str, at: usize) -> String {
    let (first, second) = body.split_at(at);
    let pieces = [first, second].map(|piece| Ok::<_, Infallible>(piece.to_owned()));
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let html = backend_response(200, &[("content-type", "text/html; charset=utf-8")], body);
    let response = Asked::of(BEHIND, reader).answered(html).unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn json_that_is_called_a_page_stays_as_it_is_for_who_does_not_navigate() {
    for json in [
        r#"{"html":"<a href=/x>x</a><img src='/y'>"}"#,
        "\r\n\t [\"<a href=/x>x</a>\"]\n",
        "\u{feff}{\"html\":\"<a href=/x>\"}",
        r#""<p><a href=/x>x</a></p>""#,
        ")]}',\n{\"html\":\"<a href=/x>\"}",
    ] {
        for reader in [&[][..], &[FETCHES], &[FETCHES, REFERER]] {
            let cuts = (0..=json.len()).filter(|at| json.is_char_boundary(*at));
            for at in cuts {
                assert_eq!(
                    passed(reader, json, at).await,
                    json,
                    "{reader:?}, cut at {at}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_page_is_one_for_everybody_and_anything_for_who_navigates() {
    let mapped = "<a href=.././x>";
    for begin in ["", " \n", "\u{feff}", "text ", "<!-- { -->"] {
        let page = format!("{begin}<a href=/x>");
        let expected = format!("{begin}{mapped}");
        for at in (0..=page.len()).filter(|at| page.is_char_boundary(*at)) {
            assert_eq!(passed(&[], &page, at).await, expected, "cut at {at}");
        }
    }
    let shown = passed(&[NAVIGATES], "{<a href=/x>", 0).await;
    assert!(
        shown.starts_with("{<script") && shown.ends_with(mapped),
        "{shown}"
    );
}
