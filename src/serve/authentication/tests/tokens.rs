//! TokenReviews: who is asked about them, how often, and what is remembered.

use super::*;

#[tokio::test]
async fn a_token_beside_a_foreign_certificate_is_enough() {
    let mut s = setting();
    let peer = peer(authority().client("x", "", Fault::None));
    let asked = request(&[("Authorization", "Bearer good"), ("X-Remote-User", "root")]);
    let (found, ()) = tokio::join!(
        s.authentication.identify_reader(&peer, asked),
        review(&mut s.reviews, Some("carol"))
    );
    let (caller, rest) = found.unwrap();
    assert_eq!(
        (caller.method, caller.user.name.as_str()),
        (Method::BearerToken, "carol")
    );
    assert!(rest.headers().is_empty());
}

#[tokio::test]
async fn an_unknown_token_is_401_and_never_anonymous() {
    let mut s = setting();
    let asked = request(&[("Authorization", "Bearer bad")]);
    let stranger = peer(Vec::new());
    let (found, ()) = tokio::join!(
        s.authentication.identify_reader(&stranger, asked),
        review(&mut s.reviews, None)
    );
    assert!(matches!(
        found.map(|(caller, _)| caller),
        Err(AuthenticationError::Token)
    ));
    // The no is remembered: this one would hang if it were asked again.
    let again = s
        .authentication
        .identify_reader(&stranger, request(&[("Authorization", "Bearer bad")]))
        .await;
    assert!(matches!(
        again.map(|(caller, _)| caller),
        Err(AuthenticationError::Token)
    ));
    assert_eq!(s.authentication.tokens.asked(), 1);
}

#[tokio::test]
async fn a_burst_with_one_token_is_one_review() {
    let mut s = setting();
    let stranger = peer(Vec::new());
    let burst = futures_util::future::join_all((0..50).map(|_| {
        s.authentication
            .identify_reader(&stranger, request(&[("Authorization", "Bearer good")]))
    }));
    let (found, ()) = tokio::join!(burst, review(&mut s.reviews, Some("carol")));
    assert!(
        found
            .into_iter()
            .all(|found| found.is_ok_and(|(caller, _)| caller.user.name == "carol"))
    );
    assert_eq!(s.authentication.tokens.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_can_not_be_asked_is_500_within_the_deadline_and_is_not_remembered() {
    let s = setting();
    let stranger = peer(Vec::new());
    let start = tokio::time::Instant::now();
    for asked in 1..=2 {
        let found = s
            .authentication
            .identify_reader(&stranger, request(&[("Authorization", "Bearer good")]))
            .await;
        let status = found
            .map(|(caller, _)| caller)
            .expect_err("nobody answered")
            .status();
        assert_eq!(status.code, http::StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(s.authentication.tokens.asked(), asked);
        assert!(start.elapsed() <= Duration::from_secs(10) * u32::try_from(asked).unwrap());
    }
}

#[tokio::test]
async fn a_redirected_review_is_not_followed() {
    let mut s = setting();
    let stranger = peer(Vec::new());
    let asking = s
        .authentication
        .identify_reader(&stranger, request(&[("Authorization", "Bearer good")]));
    let (found, ()) = tokio::join!(asking, async {
        let (_, send) = s.reviews.next_request().await.expect("a TokenReview");
        let elsewhere = http::Response::builder()
            .status(307)
            .header("location", "https://evil.example/");
        send.send_response(elsewhere.body(Body::empty()).unwrap());
    });
    assert!(matches!(
        found.map(|(caller, _)| caller),
        Err(AuthenticationError::Review(_))
    ));
}

#[tokio::test]
async fn no_token_is_shown_by_debug_output() {
    let mut s = setting();
    let stranger = peer(Vec::new());
    let asked = request(&[("Authorization", "Bearer canary-token")]);
    let (found, ()) = tokio::join!(
        s.authentication.identify_reader(&stranger, asked),
        review(&mut s.reviews, Some("carol"))
    );
    let shown = format!("{:?} {:?}", s.authentication, found.unwrap());
    assert!(!shown.contains("canary"));
}
