//! What a person sees while the API server can't be reached.

use http_body_util::BodyExt;

use super::*;

#[tokio::test]
async fn an_api_server_that_does_not_listen_is_told_on_the_start_page_with_advice_and_no_status() {
    let world = World::without_api_server().await;
    let page = world.ask(API, "GET /", &TYPED).await;
    assert_eq!(page.status(), 200);
    let page = page.into_body().collect().await.unwrap().to_bytes();
    let page = String::from_utf8(page.to_vec()).unwrap();
    for text in [
        "<h2>The API server does not listen</h2>",
        "nothing listens on 127.0.0.1:",
        "<code>kubectl cluster-info</code>",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.contains("answered 5"), "{page}");
}
