//! The start page in front of a small API server of its own.

mod live;
mod pages;
mod reach;

use std::time::Duration;

use http_body_util::BodyExt;
use throughway_testing::fake_api::FakeApi;
use tokio::sync::watch;

use super::{Facts, StartPage};
use crate::lifecycle::Tasks;
use crate::local::targets::mode::ProxyMode;
use crate::protocol::status::Response;

/// A start page, its cluster, and the way to it.
struct World {
    api: FakeApi,
    page: StartPage,
    mode: watch::Sender<ProxyMode>,
    tasks: Tasks,
}

impl World {
    fn new() -> Self {
        Self::with_mode(ProxyMode::Throughway("throughway.dev".into()))
    }

    fn with_mode(mode: ProxyMode) -> Self {
        let api = FakeApi::default();
        let (sender, receiver) = watch::channel(mode);
        let facts = Facts {
            context: Some("kind-demo".to_owned()),
            server: "https://api.demo.example:6443/".to_owned(),
            default_namespace: "demo".to_owned(),
            mode: receiver,
        };
        let tasks = Tasks::new();
        let page = StartPage::new(api.client(), facts, tasks.clone());
        Self {
            api,
            page,
            mode: sender,
            tasks,
        }
    }

    async fn text(&self) -> String {
        text(self.page.respond("localhost:8001", None).await).await
    }
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Nothing here takes longer, unless it never comes.
const LIMIT: Duration = Duration::from_secs(20);
