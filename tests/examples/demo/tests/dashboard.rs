//! The dashboard, opened in a browser at the two addresses that it prints.

use throughway_testing::browser::{Browser, Tab};
use throughway_testing::fresh_dir;

use super::ANY;
use crate::demo::Demo;

/// Opens it and does all that there is to do.
async fn use_dashboard(tab: &Tab, url: &str) {
    tab.goto(url).await;
    tab.wait_for("document.querySelector('#data tr td')?.innerText.startsWith('/')")
        .await;
    tab.wait_for("Number(document.querySelector('#ticks').value) >= 1")
        .await;
    let before = tab.evaluate("Number(ticks.value)").await;
    tab.wait_for(&format!("Number(ticks.value) > {before}"))
        .await;
    tab.type_into("#login input", "Jan Novák").await;
    tab.click("#login button").await;
    tab.wait_for("document.querySelector('#user')?.innerText === 'Jan Novák'")
        .await;
    assert_eq!(tab.evaluate("location.href").await, url);
    tab.reload().await;
    tab.wait_for("document.querySelector('#user')?.innerText === 'Jan Novák'")
        .await;
}

#[tokio::test]
async fn the_demos_dashboard_works_at_its_own_origin_and_below_the_prefix() {
    let dir = fresh_dir("demo");
    let browser = Browser::start(&dir).await;
    let demo = Demo::start(dir.join("demo"), ANY).await.unwrap();
    for url in [demo.target_origin(), demo.below_the_prefix()] {
        let tab = browser.tab().await;
        use_dashboard(&tab, &url).await;
        tab.assert_stays_below(&url, &[]);
        assert_eq!(tab.console_errors(), Vec::<String>::new());
        tab.close().await;
    }
    demo.end().await.unwrap();
    drop(browser);
    std::fs::remove_dir_all(&dir).unwrap();
}
