//! Strangers with tokens in any number: what they get, what they keep waiting, and who goes on beside them.

use std::task::Poll;

use super::*;

const BEARER: &str = "Bearer ";

fn asked(token: &str) -> Box<Request> {
    request(&[("Authorization", &[BEARER, token].concat())])
}

/// Answers the review of this token, whatever is asked before it. Those others wait for as long as they are held.
async fn review_of(reviews: &mut Handle, token: &str, name: &str) -> Vec<impl Sized> {
    let mut others = Vec::new();
    loop {
        let (asked, send) = reviews.next_request().await.expect("a TokenReview");
        let body = asked.into_body().collect_bytes().await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        if body["spec"]["token"] == token {
            send.send_response(token_review(Some(name)));
            return others;
        }
        others.push(send);
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_unknown_tokens_is_a_few_reviews_and_a_known_token_goes_on() {
    let mut s = setting_without_memory();
    let peer = peer(Vec::new());
    let known = s.authentication.identify_reader(&peer, asked("good"));
    let (known, ()) = tokio::join!(known, review(&mut s.reviews, Some("alice")));
    assert_eq!(known.unwrap().0.user.name, "alice");
    let mut storm = Vec::new();
    for number in 0..1000 {
        let token = format!("t{number}");
        let mut waiting = Box::pin(s.authentication.identify_reader(&peer, asked(&token)));
        match futures_util::poll!(&mut waiting) {
            Poll::Ready(answered) => {
                let refused = answered.map(|(caller, _)| caller).unwrap_err();
                assert!(matches!(refused, AuthenticationError::Crowded), "{refused}");
                let status = Status::too_many_requests(refused.to_string());
                assert_eq!(refused.status(), status);
            }
            Poll::Pending => storm.push(waiting),
        }
    }
    assert_eq!(storm.len(), 8);
    assert_eq!(s.authentication.reviews(), 9);
    // Its response is forgotten, but not that it was somebody's.
    let known = s.authentication.identify_reader(&peer, asked("good"));
    let (known, _others) = tokio::join!(known, review_of(&mut s.reviews, "good", "alice"));
    assert_eq!(known.unwrap().0.user.name, "alice");
}

/// How many of so many requests with one token wait for its review, which nobody answers, and how many are refused.
async fn waiting_and_refused(s: &Setting, token: &str, requests: usize) -> (usize, usize) {
    let peer = peer(Vec::new());
    let mut waiting = Vec::new();
    let mut refused = 0;
    for _ in 0..requests {
        let mut asking = Box::pin(s.authentication.identify_reader(&peer, asked(token)));
        match futures_util::poll!(&mut asking) {
            Poll::Ready(Err(AuthenticationError::Crowded)) => refused += 1,
            Poll::Ready(other) => unreachable!("nobody has answered: {:?}", other.is_ok()),
            Poll::Pending => waiting.push(asking),
        }
    }
    (waiting.len(), refused)
}

#[tokio::test(start_paused = true)]
async fn no_more_strangers_wait_for_the_review_of_one_token_than_may() {
    let s = setting();
    assert_eq!(waiting_and_refused(&s, "one", 300).await, (256, 44));
    assert_eq!(s.authentication.reviews(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_callers_wait_for_the_review_of_a_known_token_than_may() {
    let mut s = setting_without_memory();
    let peer = peer(Vec::new());
    let known = s.authentication.identify_reader(&peer, asked("good"));
    let (known, ()) = tokio::join!(known, review(&mut s.reviews, Some("alice")));
    assert_eq!(known.unwrap().0.user.name, "alice");
    assert_eq!(waiting_and_refused(&s, "good", 1100).await, (1024, 76));
    assert_eq!(s.authentication.reviews(), 2);
}

#[tokio::test]
async fn a_token_of_more_than_64_kib_is_asked_of_nobody() {
    let mut s = setting();
    let longest = "x".repeat(64 << 10);
    let longer = format!("{longest}x");
    let peer = peer(Vec::new());
    let refused = s
        .authentication
        .identify_reader(&peer, asked(&longer))
        .await;
    let refused = refused.map(|(caller, _)| caller);
    assert!(matches!(refused, Err(AuthenticationError::Token)));
    assert_eq!(s.authentication.reviews(), 0);
    let known = s.authentication.identify_reader(&peer, asked(&longest));
    let (known, ()) = tokio::join!(known, review(&mut s.reviews, Some("alice")));
    assert_eq!(known.unwrap().0.user.name, "alice");
}
