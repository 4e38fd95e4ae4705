//! An API server of a few objects on loopback, a companion with a kubeconfig for it, and a browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use throughway_testing::browser::{Browser, Tab};
use throughway_testing::companion::Companion;
use throughway_testing::fake_api::FakeApi;
use throughway_testing::fresh_dir;
use tokio::task::JoinHandle;

pub struct World {
    pub api: FakeApi,
    pub local: Companion,
    pub tab: Tab,
    pub browser: Browser,
    serving: JoinHandle<()>,
    dir: PathBuf,
}

impl World {
    /// A cluster with what `fill` puts there.
    pub async fn new(fill: impl FnOnce(&FakeApi)) -> Self {
        Self::started(fill, |_, _| {}).await
    }

    /// The same, with a companion that is started as somebody wants it, who gets its command and a folder.
    pub async fn started(
        fill: impl FnOnce(&FakeApi),
        start: impl FnOnce(&mut Command, &Path),
    ) -> Self {
        let dir = fresh_dir("start-page");
        std::fs::create_dir_all(&dir).unwrap();
        let api = FakeApi::default();
        fill(&api);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let responding = api.clone();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let api = responding.clone();
            async move { api.respond(request).await }
        });
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let kubeconfig = dir.join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_of(&server).to_string()).unwrap();
        let mut command = Companion::command(&kubeconfig, &[] as &[&str]);
        start(&mut command, &dir);
        let local = Companion::of(command);
        let browser = Browser::start(&dir).await;
        let tab = browser.tab().await;
        Self {
            api,
            local,
            tab,
            browser,
            serving,
            dir,
        }
    }

    /// Where the files of this test are.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// An address of the companion itself.
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.local.address.port())
    }

    /// Nobody complained, and nothing was asked for but of the companion.
    pub fn stayed_here(&self) {
        assert_eq!(self.tab.console_errors(), Vec::<String>::new());
        let here = self.url("/");
        let asked = self.tab.requests();
        let outside: Vec<&String> = asked.iter().filter(|url| !url.starts_with(&here)).collect();
        assert_eq!(outside, Vec::<&String>::new());
    }

    pub fn end(self) {
        drop(self.browser);
        drop(self.local);
        self.serving.abort();
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

fn kubeconfig_of(server: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Config", "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "demo"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": "secret-of-the-test"}}]})
}
