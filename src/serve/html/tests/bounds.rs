//! What is past the bounds of a page stays as it is, and whoever reads a page lets others have their turn.

use std::pin::pin;
use std::task::{Context, Waker};

use http_body::Body as _;

use super::*;

/// How many links of a page are mapped.
async fn mapped(page: String) -> usize {
    let page = rewrite(
        backend_response(&[("content-type", "text/html")], page),
        &treatment(),
    );
    let page = String::from_utf8(bytes(page).await.unwrap()).unwrap();
    page.matches("././x").count()
}

#[tokio::test]
async fn what_is_past_a_bound_of_a_tag_or_a_page_stays_as_it_is() {
    let after = |attributes: usize| format!("<a {}href=/x>", "b ".repeat(attributes));
    assert_eq!(mapped(after(4095)).await, 1);
    assert_eq!(mapped(after(4096)).await, 0);
    assert_eq!(
        mapped("<iframe srcdoc='<a href=/x>'></iframe>".repeat(1100)).await,
        1024
    );
    assert_eq!(
        mapped("<noscript><a href=/x></noscript>".repeat(1100)).await,
        1024
    );
    let srcset = format!("<img srcset='{}'>", "/x ,".repeat(5000));
    assert_eq!(mapped(srcset).await, 4096);
    let ping = |urls: usize| format!("<a ping='{}'>", "/x ".repeat(urls));
    assert_eq!(mapped(ping(5000)).await, 5000);
    assert_eq!(mapped(ping(90_000)).await, 0, "256 KiB and more");
    let import_map = |pad: usize| {
        let pad = "y".repeat(pad);
        format!(r#"<script type=importmap>{{"imports": {{"a": "/x"}}, "pad": "{pad}"}}</script>"#)
    };
    assert_eq!(mapped(import_map(1000)).await, 1);
    assert_eq!(mapped(import_map(300_000)).await, 0);
}

/// Nothing of an unfinished tag goes out, so nobody waits for a reader meanwhile.
#[tokio::test]
async fn others_have_their_turn_while_much_is_read_and_nothing_goes_out() {
    let page = format!("<a x='{}", "y".repeat(512 << 10));
    let page = rewrite(
        backend_response(&[("content-type", "text/html")], page),
        &treatment(),
    );
    let mut body = pin!(page.into_body());
    let mut turns = 0;
    let mut context = Context::from_waker(Waker::noop());
    while body.as_mut().poll_frame(&mut context).is_pending() {
        turns += 1;
    }
    assert!(turns >= 4, "{turns}");
}
