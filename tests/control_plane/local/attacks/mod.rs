//! Attacks on `throughway local`, from pages in a real Chromium, from programs, and from other users of the machine.
//!
//! There are two Services, a victim and an evil one, and a site of somebody else on loopback. An attack from a page is
//! made once more by the victim's own page, where it reaches the victim: so it is the origin that makes it fail.

mod logins;
mod pages;
mod raw;
mod site;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use throughway_testing::browser::Tab;
use throughway_testing::client::request;
use throughway_testing::companion::Companion;
use throughway_testing::control_plane::{Cluster, DEMO};
use tokio::sync::OnceCell;

use crate::apps::browser;
use site::Site;

const VICTIM: &str = "victim.demo.svc";
const EVIL: &str = "evil.demo.svc";

/// Who takes part.
#[derive(Debug)]
pub struct World {
    pub local: Companion,
    /// Through the built-in proxy, where nobody but the companion refuses what pages of other origins ask for.
    pub built_in: Companion,
    pub victim: Site,
    pub evil: Site,
    /// On a port of its own of this machine.
    pub other: Site,
}

impl World {
    pub async fn get(cluster: &Cluster) -> &'static Self {
        static WORLD: OnceCell<World> = OnceCell::const_new();
        WORLD.get_or_init(|| Self::make(cluster)).await
    }

    async fn make(cluster: &Cluster) -> Self {
        let world = Self {
            local: Companion::start(&cluster.kubeconfig(), &[] as &[&str]),
            built_in: Companion::start(&cluster.kubeconfig(), &["--via=built-in"]),
            victim: Site::start("victim", "10.77.0.21:8080").await,
            evil: Site::start("evil", "10.77.0.22:8080").await,
            other: Site::start("other", "127.0.0.1:0").await,
        };
        for (name, site) in [("victim", &world.victim), ("evil", &world.evil)] {
            cluster.pod(name, name, site.address, true).await;
            let port = json!([{"name": "http", "port": 80, "targetPort": 8080}]);
            cluster.service(name, name, &port);
            for local in world.companions() {
                let host = local.host(&format!("{name}.{DEMO}.svc"));
                let responses = async || local.ask(&host, request("GET", "/", &[], "")).await;
                while responses().await.status != 200 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        world
    }

    /// The origin of the API.
    pub fn api(&self) -> String {
        format!("http://localhost:{}", self.local.address.port())
    }

    /// Both ways.
    pub fn companions(&self) -> [&Companion; 2] {
        [&self.local, &self.built_in]
    }

    /// Pages of other origins than the victim's at a companion.
    fn elsewhere(&self, local: &Companion) -> [String; 3] {
        let port = self.other.address.port();
        [
            format!("{}/page", local.origin(EVIL)),
            format!("http://127.0.0.1:{port}/page"),
            format!("http://localhost:{port}/page"),
        ]
    }

    /// Makes attacks, each a script and what it comes to, on an address of the victim's, which is nowhere reached but
    /// from its own pages.
    async fn only_its_own_pages_reach(
        &self,
        local: &Companion,
        start: &str,
        own: &str,
        attacks: &[(&str, &str)],
    ) {
        let tab = browser().await.tab().await;
        for (script, outcome) in attacks {
            for page in self.elsewhere(local) {
                open(&tab, &page).await;
                let path = new_path();
                let came = run(&tab, script, &format!("{start}{path}")).await;
                assert_eq!(&came, outcome, "{page}: {script}");
                assert!(self.victim.seen(&path).is_empty(), "{page}: {script}");
            }
            open(&tab, own).await;
            let path = new_path();
            let came = run(&tab, script, &format!("{start}{path}")).await;
            let seen = self.victim.seen(&path);
            assert!(!seen.is_empty(), "its own page: {script}: {came}");
        }
        tab.close().await;
    }
}

/// Opens a page, until it is there; frames of the page before may end to load as late as this.
async fn open(tab: &Tab, page: &str) {
    tab.goto(page).await;
    tab.wait_for(&format!(
        "location.href == {page:?} && document.readyState == 'complete'"
    ))
    .await;
}

/// Runs a script, for which TARGET is the address that it aims at.
async fn run(tab: &Tab, script: &str, target: &str) -> String {
    let script =
        format!("(async () => {{ const TARGET = {target:?}; return await ({script}) }})()");
    tab.evaluate(&script).await.as_str().unwrap().to_owned()
}

/// A path that nobody has asked for.
fn new_path() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("/ws/taken/{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
