//! The start page of `throughway local`, of what a real API server lists, watches and reviews.

use serde_json::json;
use throughway_testing::client::request;
use throughway_testing::companion::Companion;
use throughway_testing::control_plane::{Cluster, DEMO, on_cluster};
use throughway_testing::until;

async fn start_page(local: &Companion) -> String {
    let lines = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "none"),
    ];
    let response = local.ask_api(request("GET", "/", &lines, "")).await;
    assert_eq!(response.status, 200);
    response.text().to_owned()
}

/// The row of a Service.
fn row<'p>(page: &'p str, service: &str) -> &'p str {
    let start = format!("<li data-words=\"{service} {DEMO} ");
    let rows = page
        .find(&start)
        .unwrap_or_else(|| panic!("no {service} in {page}"));
    let row = &page[rows..];
    &row[..row.find("</li>").expect("its end")]
}

#[test]
fn an_administrator_sees_everything_and_what_comes_later() {
    on_cluster(async |cluster: &Cluster| {
        let local = Companion::start(&cluster.kubeconfig(), &[] as &[&str]);
        let page = start_page(&local).await;
        let solo = row(&page, "solo");
        let link = format!("href=\"http://{}/\"", local.host("solo.demo.svc"));
        assert!(solo.contains(&link) && solo.contains("1 ready"), "{solo}");
        assert!(
            page.contains("https-443.kubernetes.default.svc.localhost"),
            "{page}"
        );
        assert!(!page.contains("no right"), "{page}");
        cluster.service("seen-later", "nobody", &json!([{"port": 80}]));
        let is_shown = async || start_page(&local).await.contains("seen-later");
        until("the new Service is shown", is_shown).await;
        cluster.kubectl(&["delete", "service", "seen-later", "-n", DEMO]);
    });
}

#[test]
fn a_person_with_few_rights_sees_what_they_may_and_why_not_the_rest() {
    on_cluster(async |cluster: &Cluster| {
        let name = "sees-little";
        cluster.apply(
            &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"namespace": DEMO, "name": name},
            "rules": [
                {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
                {"apiGroups": ["throughway.dev"], "resources": ["services/proxy"], "verbs": ["get"],
                    "resourceNames": ["solo"]}]}),
        );
        cluster.apply(
            &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"namespace": DEMO, "name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}]}),
        );
        let flags = ["--as", name, "--namespace", DEMO];
        let local = Companion::start(&cluster.kubeconfig(), &flags);
        // The page does not wait for rights that take long to find out.
        let known = async {
            loop {
                let page = start_page(&local).await;
                if page.contains("no right") {
                    return page;
                }
            }
        };
        let page = tokio::time::timeout(std::time::Duration::from_secs(20), known)
            .await
            .expect("the rights are known");
        let link = format!("href=\"http://{}/\"", local.host("solo.demo.svc"));
        assert!(row(&page, "solo").contains(&link), "{page}");
        assert_eq!(page.matches("href=\"http://").count(), 1, "{page}");
        assert!(page.contains("Not all namespaces are shown"), "{page}");
        assert!(!page.contains("class=\"endpoints"), "{page}");
    });
}
