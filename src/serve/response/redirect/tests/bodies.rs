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
        let info = info("POST", "/");
        let body = Body::from_stream(futures_util::stream::iter([
            Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'x'; length / 2])),
            Ok(bytes::Bytes::from(vec![b'y'; length - length / 2])),
        ]));
        let mut request = Request::new(body);
        let mut chain = new_chain();
        chain.record_first(&info, &mut request);
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
        match exchange.decide_on(&mut chain, backend_response(307, &[("location", "/x")])) {
            Decided::Follow(redirect) => {
                assert!(expected, "{length}");
                let body = redirect.request.into_body().collect().await.unwrap();
                assert_eq!(body.to_bytes().len(), length);
            }
            Decided::Passed(response) | Decided::Replaced(response) => {
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
    let info = info("POST", "/");
    let mut chain = new_chain();
    chain.record_first(&info, &mut request);
    request.body_mut().frame().await.unwrap().unwrap();
    let status = StatusCode::TEMPORARY_REDIRECT;
    let redirect = chain.follow(&info, status, &HeaderMap::new(), "/x");
    let body = redirect.unwrap().request.into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "body");
}
