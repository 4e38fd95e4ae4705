//! Pages: what rewriting one costs beside nginx, and what a page does that decodes to far more than it promised.

use std::io::Write;
use std::process::Command;

use throughway_testing::client::{Client, request};
use throughway_testing::process::{self, least};

use crate::direct::{ready, rounds};
use crate::load::Load;
use crate::peers::{self, Logs, TOKEN};
use crate::table::Table;

const MEBIBYTE: f64 = 1048576.0;

/// Downloads of one page each.
const PAGES: u32 = 200;

/// Links of a page that lead to the root; with what stands around them it has about a mebibyte.
const LINKS: usize = 4_000;

/// What the bomb decodes to.
const BOMB: u64 = 10_000_000_000;

pub async fn measure(table: &mut Table) {
    peers::certificate();
    let page = page();
    std::fs::write(peers::dir().join("page.html"), &page).unwrap();
    bomb(&peers::dir().join("bomb"));
    let _backend = peers::backend().await;
    let cluster = peers::small_cluster("pages").await;
    let proxies = [
        peers::throughway(&cluster, "10.77.0.5:8443", Logs::Off).await,
        peers::nginx_proxy(Logs::Off).await,
    ];
    ready(&proxies[0]).await;
    let outcomes = rounds(&proxies, |proxy| {
        Load::bulk(&proxy.url("/page.html"), TOKEN, PAGES)
    })
    .await;
    let megabytes = f64::from(PAGES) * page.len() as f64 / 1e6;
    let a_megabyte = |index: usize| {
        let outcomes: &Vec<crate::load::Outcome> = &outcomes[index];
        least(outcomes.iter().map(|outcome| outcome.cpu)) * 1e3 / megabytes
    };
    table.ratio(
        "CPU a MB of HTML, 4 000 links a page replaced",
        ("ms", a_megabyte(0)),
        ("nginx sub_filter: ms", a_megabyte(1)),
        "3, aim 1",
    );
    let before = process::peak(proxies[0].pid);
    let cpu_before = process::cpu(proxies[0].pid);
    let client = Client::new(proxies[0].address(), None).with_token(TOKEN);
    let path = format!("{}/bomb", peers::PREFIX);
    let asked = request("GET", &path, &[("accept-encoding", "gzip")], "");
    assert!(
        client.try_ask(asked).await.is_none(),
        "10 GB were passed on to their end"
    );
    let more = (process::peak(proxies[0].pid) - before) / MEBIBYTE;
    table.plain(
        "peak memory more for a page of 10 GB in 10 MB of gzip",
        ("MiB", more),
        "flat",
    );
    let seconds = process::cpu(proxies[0].pid) - cpu_before;
    table.plain("CPU of that request", ("s", seconds), "");
}

/// A page as servers make them: lists, attributes, text, inline styles and scripts.
fn page() -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>A page</title>\n</head>\n<body>\n<ul class=\"entries\">\n",
    );
    for at in 0..LINKS {
        let text = "What stands between links is longer than they are, and has no meaning here. ";
        page.push_str(&format!(
            "  <li id=\"entry-{at}\" class=\"entry even\"><a href=\"/entries/{at}?sort=name\" title=\"Entry {at}\">Entry {at}</a>\n    <p class=\"text\">{text}{text}</p></li>\n"
        ));
    }
    page.push_str("</ul>\n</body>\n</html>\n");
    page
}

/// A gzip stream of [`BOMB`] bytes of text: one member of a hundredth of them, a hundred times.
fn bomb(path: &std::path::Path) {
    let member = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "head -c {} /dev/zero | tr '\\0' a | gzip -9",
            BOMB / 100
        ))
        .output()
        .unwrap();
    let mut file = std::fs::File::create(path).unwrap();
    for _ in 0..100 {
        file.write_all(&member.stdout).unwrap();
    }
}
