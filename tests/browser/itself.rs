//! The browser that the tests use: it says what scripts come to, and names every request.

use throughway_testing::backend::Backend;
use throughway_testing::browser::Browser;
use throughway_testing::fresh_dir;

#[tokio::test]
async fn every_request_of_a_tab_is_named_and_those_outside_a_prefix_are_found() {
    let dir = fresh_dir("browser-itself");
    let backend = Backend::http("web", ([127, 0, 0, 1], 0).into()).await;
    let browser = Browser::start(&dir).await;
    let tab = browser.tab().await;
    let origin = format!("http://{}", backend.address);
    tab.goto(&format!("{origin}/below/page")).await;
    assert_eq!(
        tab.evaluate("Promise.resolve(1).then(one => one + 1)")
            .await,
        2
    );
    tab.try_evaluate("nowhere.there").await.unwrap_err();
    tab.evaluate(
        "new Worker(URL.createObjectURL(new Blob([`fetch('${location.origin}/below/worker')`])))",
    )
    .await;
    tab.evaluate("fetch('/astray?a=b').then(answer => answer.status)")
        .await;
    tab.evaluate("document.cookie = 'mine=1; path=/'").await;
    tab.wait_for("performance.now() > 0").await;
    let wanted = [
        format!("{origin}/below/worker"),
        format!("{origin}/astray?a=b"),
    ];
    tab.wait_for_requests(&wanted.each_ref().map(String::as_str))
        .await;
    tab.assert_stays_below(&format!("{origin}/below"), &["/astray"]);
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        tab.assert_stays_below(&format!("{origin}/below"), &[]);
    }));
    let message = *found.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.contains("/astray?a=b") && !message.contains("/worker"),
        "{message}"
    );

    let other = browser.tab().await;
    other.goto(&format!("{origin}/")).await;
    assert_eq!(other.evaluate("document.cookie").await, "");
    let picture = dir.join("picture.png");
    other.screenshot(&picture).await;
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
    drop(browser);
    std::fs::remove_dir_all(dir).unwrap();
}
