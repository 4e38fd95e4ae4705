//! What a user does in any dashboard: look for a text, click on what is labelled so, log in.

use throughway_testing::browser::Tab;

/// Waits until the page shows a text.
pub async fn shows(tab: &Tab, text: &str) {
    tab.wait_for(&format!("document.body.innerText.includes({text:?})"))
        .await;
}

/// Clicks on the element among these that shows exactly this text.
pub async fn click_on(tab: &Tab, selector: &str, text: &str) {
    click_found(
        tab,
        &format!("[...document.querySelectorAll({selector:?})].find(e => e.innerText.trim().toLowerCase() == {text:?})"),
    )
    .await;
}

/// Clicks on the element that an expression finds, once it does and the element has a size.
pub async fn click_found(tab: &Tab, expression: &str) {
    tab.wait_for(&format!(
        "(() => {{ document.querySelectorAll('[data-found]').forEach(e => e.removeAttribute('data-found'));
        const e = {expression}; if (!e?.getBoundingClientRect().width) return false; e.dataset.found = 1; return true }})()"
    ))
    .await;
    tab.click("[data-found]").await;
}

/// Fills in a form and sends it.
pub async fn log_in(tab: &Tab, fields: &[(&str, &str)], submit: &str) {
    for (field, text) in fields {
        tab.type_into(field, text).await;
    }
    tab.click(submit).await;
}

/// That the dashboard has opened a WebSocket, and did not fall back to something else.
pub fn has_websocket(tab: &Tab) {
    let opened = tab.requests().iter().any(|url| url.starts_with("ws://"));
    assert!(opened, "no WebSocket was opened");
}
