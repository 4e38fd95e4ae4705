//! Bodies of requests that are led on: which are sent again, and which are not.

use super::*;

#[tokio::test]
async fn a_body_is_sent_again_if_it_was_short_and_whole() {
    for (length, is_read, expected) in [
        (10, true, true),
        (64 * 1024, true, true),
        (64 * 1024 + 1, true, false),
        (10, false, false),
    ] {
        let exchange = Exchange {
            method: "POST",
            ..Exchange::get("/", &[])
        };
        let asked = asked("POST", "/");
        let body = Body::from_stream(futures_util::stream::iter([
            Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'x'; length / 2])),
            Ok(bytes::Bytes::from(vec![b'y'; length - length / 2])),
        ]));
        let mut request = Request::new(body);
        let mut trail = Trail::begin(&asked, &mut request, &CookieNames::default());
        if is_read {
            assert_eq!(
                request
                    .into_body()
                    .collect()
                    .await
                    .unwrap()
                    .to_bytes()
                    .len(),
                length
            );
        }
        match exchange.decide_on(&mut trail, answer(307, &[("location", "/x")])) {
            Outcome::Follow(hop) => {
                assert!(expected, "{length}");
                let body = trail.request(hop).into_body().collect().await.unwrap();
                assert_eq!(body.to_bytes().len(), length);
            }
            Outcome::Answer(response) | Outcome::Told(response) => {
                assert!(!expected, "{length}");
                assert_eq!(
                    response.headers()["throughway-location"],
                    format!("{PREFIX}/x").as_str()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_body_of_known_length_is_whole_once_that_was_read() {
    let mut request = Request::new(Body::from("body"));
    let trail = Trail::begin(&asked("POST", "/"), &mut request, &CookieNames::default());
    request.body_mut().frame().await.unwrap().unwrap();
    let answered = (StatusCode::TEMPORARY_REDIRECT, &HeaderMap::new());
    let hop = trail.hop(&asked("POST", "/"), answered, "/x");
    let body = trail.request(hop.unwrap()).into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "body");
}
