//! Dashboards that watch something: Prometheus, TensorBoard, RabbitMQ, Flower, and the Django admin.

use throughway_testing::browser::Tab;
use throughway_testing::control_plane::{Cluster, on_cluster};

use super::dashboard::{Dashboard, Prefix};
use super::steps::{click_on, log_in, shows};
use super::{works, works_at_own_origins};

#[test]
fn prometheus_runs_a_query_and_shows_it_again_by_its_address() {
    let dashboard = Dashboard::new("prometheus", 10);
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, prometheus).await);
}

async fn prometheus(tab: &Tab, base: &str) {
    tab.goto(base).await;
    tab.type_into("textarea[name=expr]", "prometheus_build_info")
        .await;
    tab.click("input[name=submit]").await;
    // Prometheus has no figures before it has scraped itself once; a user asks again.
    tab.wait_for(
        "document.body.innerText.includes('prometheus_build_info{')
        || document.body.innerText.includes('no data') && void document.querySelector('input[name=submit]').click()",
    )
    .await;
    tab.reload().await;
    shows(tab, "prometheus_build_info{").await;
    click_on(tab, "nav a", "status").await;
    click_on(tab, "nav a", "targets").await;
    shows(tab, "itself (1/1 up)").await;
}

#[test]
fn tensorboard_draws_a_training_in_both_of_its_ways() {
    let dashboard = Dashboard::new("tensorboard", 11);
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, tensorboard).await);
}

async fn tensorboard(tab: &Tab, base: &str) {
    tab.goto(base).await;
    shows(tab, "loss").await;
    // The last value, which comes by a POST.
    shows(tab, "0.0207").await;
    click_on(tab, "[role=tab]", "scalars").await;
    tab.wait_for("location.hash.startsWith('#scalars')").await;
    // This page is made of shadow trees in shadow trees.
    let drawn =
        "(function has(root) { return [...root.querySelectorAll('*')].some(e => e.shadowRoot
        && (e.shadowRoot.textContent.includes('tag: loss') || has(e.shadowRoot))) })(document)";
    tab.wait_for(drawn).await;
    tab.reload().await;
    tab.wait_for(drawn).await;
}

#[test]
fn rabbitmq_logs_in_and_makes_a_queue_of_the_host_called_slash() {
    let dashboard = Dashboard::new("rabbitmq", 12);
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, rabbitmq).await);
}

async fn rabbitmq(tab: &Tab, base: &str) {
    let fields = [
        ("input[name=username]", "an-admin"),
        ("input[name=password]", "a-password"),
    ];
    tab.goto(base).await;
    log_in(tab, &fields, "input[type=submit]").await;
    shows(tab, "Erlang 25").await;
    click_on(tab, "#menu a, #tabs a", "queues").await;
    click_on(tab, "h2", "add a new queue").await;
    let form = "form[action='#/queues'][method=put]";
    tab.type_into(&format!("{form} input[name=name]"), "a-queue")
        .await;
    tab.press("Enter").await;
    // The list is drawn anew when the queue is made, and a click before that may meet nothing: where the dashboard is
    // used again, the queue is on the list already.
    tab.wait_for(&format!(
        "document.querySelector(\"{form} input[name=name]\")?.value === ''"
    ))
    .await;
    click_on(tab, "table.list a", "a-queue").await;
    tab.wait_for("location.hash == '#/queues/%2F/a-queue'")
        .await;
    shows(tab, "Queue a-queue").await;
    tab.reload().await;
    shows(tab, "Queue a-queue").await;
    shows(tab, "Publish message").await;
}

#[test]
fn flower_shows_tasks_as_they_are_done() {
    let dashboard = Dashboard {
        prefix: Prefix::Known,
        ..Dashboard::new("flower", 13)
    };
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, flower).await);
}

#[test]
fn flower_that_knows_no_prefix_shows_tasks_at_an_origin_of_its_own() {
    let dashboard = Dashboard {
        name: "flower-at-root",
        ..Dashboard::new("flower", 20)
    };
    on_cluster(async |cluster: &'static Cluster| {
        let _running = dashboard.start().await;
        dashboard.register(cluster).await;
        works_at_own_origins(cluster, &dashboard, &flower).await;
    });
}

async fn flower(tab: &Tab, base: &str) {
    tab.goto(base).await;
    // The column of tasks that have succeeded is loaded again every now and then.
    tab.wait_for(
        "Number(document.querySelector('#workers-table tbody tr td:nth-child(6)').innerText) > 0",
    )
    .await;
    click_on(tab, "nav a", "tasks").await;
    shows(tab, "SUCCESS").await;
    // Not a worker's own page, which stays empty when the worker is slower than Flower has patience.
    tab.reload().await;
    shows(tab, "SUCCESS").await;
    // The page keeps what was searched for.
    tab.type_into("input[type=search]", "state:FAILURE").await;
    tab.wait_for("!document.querySelector('#tasks-table').innerText.includes('SUCCESS')")
        .await;
}

#[test]
fn django_logs_in_and_adds_a_group() {
    let dashboard = Dashboard::new("django", 14);
    on_cluster(async |cluster: &'static Cluster| works(cluster, dashboard, django).await);
}

async fn django(tab: &Tab, base: &str) {
    let name = format!("readers at {base}");
    let listed = format!(
        "[...document.querySelectorAll('#result_list a')].some(e => e.innerText == {name:?})"
    );
    tab.goto(&format!("{base}admin/auth/group/")).await;
    log_in(
        tab,
        &[("#id_username", "an-admin"), ("#id_password", "a-password")],
        "input[type=submit]",
    )
    .await;
    click_on(tab, ".object-tools a", "add group").await;
    tab.type_into("#id_name", &name).await;
    // A script makes two lists of one, and what is below moves.
    tab.wait_for("document.querySelector('.selector-chosen')")
        .await;
    tab.click("input[name=_save]").await;
    shows(tab, "was added successfully").await;
    tab.wait_for(&listed).await;
    tab.reload().await;
    tab.wait_for(&listed).await;
    click_on(tab, "button", "log out").await;
    shows(tab, "Logged out").await;
}
