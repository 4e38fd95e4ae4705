//! Everything between a browser and an app: relay, front proxy, Throughway, a cluster with two Services of the app.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use throughway::cli::{self, Command};
use throughway::lifecycle::Tasks;
use throughway::serve::config::{Config, Loopback};
use throughway::serve::server::Server;
use throughway::serve::telemetry::AccessLog;
use throughway_testing::browser::{Browser, Tab};
use throughway_testing::client::Client;
use throughway_testing::cluster::EmbeddedCluster;
use throughway_testing::cluster::front_proxy::FrontProxy;
use throughway_testing::{fresh_dir, until};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::relay::Relay;

/// A browser with a tab, in front of it all.
pub struct World {
    pub app: App,
    pub other: App,
    /// A site that the cluster knows nothing of, at the host that the browser has for the API.
    pub attacker: App,
    pub tab: Tab,
    pub browser: Browser,
    relay: Relay,
    _front_proxy: FrontProxy,
    _cluster: EmbeddedCluster,
    tasks: Tasks,
    running: JoinHandle<()>,
    dir: PathBuf,
}

/// The pods of the embedded cluster are on loopback, which no flag allows.
fn config(cluster: &EmbeddedCluster) -> Config {
    let Ok(Command::Serve(mut config)) = cli::read(cluster.command_line()) else {
        panic!("a command line of serve");
    };
    config.target.loopback = Loopback::AllowedForDevelopment;
    *config
}

/// What stands before the paths of a Service.
pub fn prefix(service: &str) -> String {
    format!("/apis/throughway.dev/v1/namespaces/demo/services/{service}/proxy")
}

impl World {
    pub async fn new() -> Self {
        Self::with(json!({})).await
    }

    /// With annotations on the Service of the app.
    pub async fn with(annotations: Value) -> Self {
        let dir = fresh_dir("browser");
        let cluster = EmbeddedCluster::start(&dir).await;
        let (app, other) = (
            App::start_at([127, 0, 0, 2], "app").await,
            App::start_at([127, 0, 0, 3], "other").await,
        );
        let attacker = App::start("attacker").await;
        for (name, app) in [("app", &app), ("other", &other)] {
            cluster.pod("demo", &format!("{name}-0"), app.address);
            cluster.service("demo", name, 80, &[(&format!("{name}-0"), app.address)]);
        }
        cluster.store.put(
            "services",
            json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"namespace": "demo", "name": "app", "annotations": annotations},
                "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": "app"}}}),
        );
        cluster.store.token("alice", "alice", &["team"]);
        let verbs = ["get", "create", "update", "patch", "delete"];
        cluster.allow("alice", "demo", "services/proxy", &verbs);
        let server = Server::build(config(&cluster), AccessLog::off())
            .await
            .unwrap();
        let (address, tasks) = (server.address(), server.tasks());
        let running = tokio::spawn(server.run_until_ended());
        let front_proxy = cluster
            .front_proxy(([127, 0, 0, 1], 0).into(), address)
            .await
            .unwrap();
        let relay = Relay::start(front_proxy.address, "alice").await;
        for app in [&app, &other] {
            *app.origin.lock().unwrap() = format!("http://{}", relay.address);
        }
        until_ready(address).await;
        let browser = Browser::start(&dir).await;
        let tab = browser.tab().await;
        Self {
            app,
            other,
            attacker,
            tab,
            browser,
            relay,
            _front_proxy: front_proxy,
            _cluster: cluster,
            tasks,
            running,
            dir,
        }
    }

    /// Where a browser finds a path of the app.
    pub fn url(&self, inside: &str) -> String {
        self.url_of("app", inside)
    }

    /// The same without the origin.
    pub fn path(&self, inside: &str) -> String {
        format!("{}{inside}", prefix("app"))
    }

    pub fn url_of(&self, service: &str, inside: &str) -> String {
        format!("http://{}{}{inside}", self.relay.address, prefix(service))
    }

    /// Opens a page of the app and gives `results` once its script says that it is done.
    pub async fn results(&self, inside: &str) -> Value {
        self.tab.goto(&self.url(inside)).await;
        self.tab.wait_for("window.done").await;
        self.tab.evaluate("results").await
    }

    /// Waits until the page at a path of the app is shown.
    pub async fn arrives_at(&self, inside: &str) {
        let url = Value::from(self.url(inside));
        self.tab
            .wait_for(&format!(
                "location.href === {url} && document.readyState === 'complete'"
            ))
            .await;
    }

    /// Fails if anything left the app's prefix, as the browser says or as it arrived.
    pub fn nothing_left_the_prefix(&self) {
        self.tab.assert_stays_below(&self.url(""), &[]);
        self.nothing_arrived_elsewhere();
    }

    /// As [`Self::nothing_left_the_prefix`], after the prefix itself was opened without a slash.
    pub fn nothing_left_the_prefix_but_its_slash(&self) {
        self.tab.assert_stays_below(&self.url(""), &[]);
        let asked = self.relay.asked.borrow();
        let astray = asked
            .iter()
            .any(|target| !target.starts_with(&prefix("app")) && target != "/favicon.ico");
        assert!(!astray, "{asked:#?}");
    }

    /// Fails if a request outside the app's prefix was sent.
    pub fn nothing_arrived_elsewhere(&self) {
        let below = format!("{}/", prefix("app"));
        let asked = self.relay.asked.borrow();
        let astray: Vec<&String> = asked
            .iter()
            .filter(|target| !target.starts_with(&below) && *target != "/favicon.ico")
            .collect();
        assert!(astray.is_empty(), "outside {below}: {astray:#?}");
    }

    pub fn no_console_errors(&self) {
        let console_errors: Vec<String> = self
            .tab
            .console_errors()
            .into_iter()
            .filter(|text| !text.contains("/favicon.ico"))
            .collect();
        assert!(console_errors.is_empty(), "{console_errors:#?}");
    }

    /// Ends everything; what Throughway runs must end in time.
    pub async fn end(self) {
        drop(self.browser);
        self.tasks.end(Duration::ZERO, Duration::from_secs(5)).await;
        self.running.await.unwrap();
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

async fn until_ready(address: std::net::SocketAddr) {
    let client = Client::new(address, None);
    let ready = async || client.get("/readyz").await.status.is_success();
    until("it is ready", ready).await;
}
