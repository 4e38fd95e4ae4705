//! What one user or one object may not do to everybody else, on the real control plane.
//!
//! kube-apiserver carries all requests over one HTTP/2 connection to a replica, and one set of watches serves them all.

mod callers;
mod memory;
mod objects;

use std::sync::LazyLock;

use throughway_testing::attacks::scene::Scene;
use throughway_testing::client::{Client, ClientResponse, request};
use throughway_testing::control_plane::Cluster;
use tokio::sync::OnceCell;

/// The pods of these tests, set up once.
async fn strangers(cluster: &Cluster) -> &'static Scene {
    static STRANGERS: LazyLock<OnceCell<Scene>> = LazyLock::new(OnceCell::new);
    STRANGERS.get_or_init(|| Scene::set_up(cluster)).await
}

/// Asks until a response is as wanted: what is known of the cluster comes by watches.
async fn until(what: &str, client: &Client, path: &str, wanted: impl Fn(&ClientResponse) -> bool) {
    let answered = async || {
        let response = client.try_ask(request("GET", path, &[], "")).await;
        response.is_some_and(|response| wanted(&response))
    };
    throughway_testing::until(what, answered).await;
}
