//! Dashboards that are written in Python: JupyterLab, marimo, NiceGUI, Gradio and Streamlit.

use throughway_testing::browser::Tab;
use throughway_testing::control_plane::{Cluster, on_cluster};

use super::dashboard::Dashboard;
use super::steps::{click_found, click_on, has_websocket, log_in, shows};
use super::works;

#[test]
fn jupyterlab_logs_in_runs_a_cell_and_saves_the_notebook() {
    let dashboard = Dashboard::new("jupyterlab", 15);
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, jupyterlab).await);
}

async fn jupyterlab(tab: &Tab, base: &str) {
    tab.goto(&format!("{base}lab/tree/clock.ipynb")).await;
    log_in(tab, &[("#password_input", "a-password")], "#login_submit").await;
    // The kernel is there and waits for work.
    shows(tab, "| Idle").await;
    // The notebook may still show what it said to an earlier user.
    let output = "document.body.innerText.match(/computed at \\d+/)?.[0]";
    let before = tab.evaluate(output).await;
    tab.click(".jp-Notebook .jp-Cell .cm-content").await;
    tab.press("Shift+Enter").await;
    tab.wait_for(&format!("{output} && {output} != {before}"))
        .await;
    let computed = tab.evaluate(output).await;
    has_websocket(tab);
    tab.press("Control+s").await;
    tab.wait_for("!document.querySelector('.jp-mod-dirty')")
        .await;
    tab.reload().await;
    tab.wait_for(&format!("{output} == {computed}")).await;
    shows(tab, "Python 3 (ipykernel)").await;
}

#[test]
fn marimo_runs_a_notebook_and_comes_back_to_it() {
    let dashboard = Dashboard::new("marimo", 16);
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, marimo).await);
}

async fn marimo(tab: &Tab, base: &str) {
    tab.goto(base).await;
    // One button of each cell, shown twice, and one that runs all.
    click_found(
        tab,
        "document.querySelectorAll('[data-testid=run-button]')[4]",
    )
    .await;
    let square = "document.body.innerText.match(/its square is \\d+/)?.[0]";
    tab.wait_for(square).await;
    has_websocket(tab);
    let before = tab.evaluate(square).await;
    let slider =
        "document.querySelector('marimo-slider').shadowRoot.querySelector('[role=slider]')";
    tab.wait_for(&format!("void {slider}.focus() || true"))
        .await;
    tab.press("ArrowRight").await;
    tab.wait_for(&format!("{square} && {square} != {before}"))
        .await;
    tab.goto(&format!("{base}?file=notebook.py")).await;
    tab.wait_for(square).await;
}

#[test]
fn nicegui_counts_on_the_server_and_leads_to_another_page() {
    let dashboard = Dashboard::new("nicegui", 17);
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, nicegui).await);
}

async fn nicegui(tab: &Tab, base: &str) {
    tab.goto(base).await;
    shows(tab, "counted 0").await;
    tab.wait_for("window.socket.connected").await;
    click_on(tab, "button", "count").await;
    shows(tab, "counted 1").await;
    has_websocket(tab);
    click_on(tab, "a", "details").await;
    shows(tab, "the details").await;
    tab.reload().await;
    shows(tab, "the details").await;
    tab.wait_for("window.socket.connected").await;
    click_on(tab, "button", "back").await;
    shows(tab, "counted 0").await;
}

#[test]
fn gradio_greets() {
    let dashboard = Dashboard::new("gradio", 18);
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, gradio).await);
}

async fn gradio(tab: &Tab, base: &str) {
    let greeted = "[...document.querySelectorAll('textarea, input')].some(e => e.value == 'Hello Ada, says the server')";
    for address in [base.to_owned(), format!("{base}?__theme=dark")] {
        tab.goto(&address).await;
        shows(tab, "Greetings").await;
        tab.type_into("textarea, input[type=text]", "Ada").await;
        click_on(tab, "button", "submit").await;
        tab.wait_for(greeted).await;
    }
    tab.reload().await;
    shows(tab, "Greetings").await;
    tab.wait_for("!document.body.innerText.includes('Loading...')")
        .await;
}

#[test]
fn streamlit_counts_draws_and_shows_its_second_page() {
    let dashboard = Dashboard::new("streamlit", 19);
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, streamlit).await);
}

async fn streamlit(tab: &Tab, base: &str) {
    tab.goto(base).await;
    shows(tab, "counted 0").await;
    click_on(tab, "button", "count").await;
    shows(tab, "counted 1").await;
    has_websocket(tab);
    tab.wait_for("document.querySelector('[data-testid=stVegaLiteChart] :is(canvas, svg)')")
        .await;
    click_on(tab, "[data-testid=stSidebarNav] a", "details").await;
    shows(tab, "the details").await;
    tab.reload().await;
    shows(tab, "the details").await;
}
