//! Which addresses are whose, as a browser and the system see it.

use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use throughway_testing::fake_api::FakeApi;
use throughway_testing::until;

use crate::world::World;

fn fill(api: &FakeApi) {
    for name in ["grafana", "evil"] {
        api.service("demo", name, &json!([{"port": 80}]));
    }
}

/// What came to a Service's proxy.
fn proxied(world: &World, service: &str) -> Vec<String> {
    let path = format!("/services/{service}/proxy/");
    let asked = world.api.asked().into_iter();
    asked.filter(|line| line.contains(&path)).collect()
}

#[tokio::test]
async fn a_forwards_port_gets_no_cookie_of_another_service() {
    let mut world = World::started(fill, |command, _| {
        command.args(["-n=demo", "--forward=0:svc/evil"]);
    })
    .await;
    let line = world.local.line();
    let port: u16 = line
        .strip_prefix("Forwarding from 127.0.0.1:")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|port| port.parse().ok())
        .unwrap_or_else(|| panic!("{line}"));
    let page = world.local.origin("grafana.demo.svc");
    world.tab.goto(&page).await;
    world
        .tab
        .evaluate("document.cookie = 'session=grafanas'")
        .await;
    assert_eq!(proxied(&world, "grafana").len(), 1);
    // One line of the forwarded Service's page.
    world
        .tab
        .goto(&format!("http://evil.demo.svc.localhost:{port}/"))
        .await;
    assert_eq!(proxied(&world, "evil").len(), 1);
    let steal = format!("http://grafana.demo.svc.localhost:{port}/steal");
    world.tab.evaluate(&format!("location = {steal:?}")).await;
    world
        .tab
        .wait_for(&format!(
            "location.href == {steal:?} && document.readyState == 'complete'"
        ))
        .await;
    let text = world.tab.evaluate("document.body.innerText").await;
    assert!(text.as_str().unwrap().contains("one target"), "{text}");
    assert_eq!(proxied(&world, "evil").len(), 1);
    world.tab.goto(&format!("http://localhost:{port}/")).await;
    assert_eq!(proxied(&world, "evil").len(), 2);
    world.end();
}

#[tokio::test]
async fn nobody_else_is_localhost_at_this_port() {
    let world = World::new(fill).await;
    let port = world.local.address.port();
    let taken = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    // It is this program that answers there.
    for url in [format!("http://[::1]:{port}/"), world.url("/")] {
        world.tab.goto(&url).await;
        world
            .tab
            .wait_for("document.body.innerText.includes('grafana')")
            .await;
    }
    world.end();
}

#[tokio::test]
async fn no_process_shows_the_token_and_its_page_lets_one_browser_in() {
    let mut world = World::started(fill, |command, dir| {
        let browser = dir.join("browser");
        std::fs::write(
            &browser,
            "#!/bin/sh\ncd \"$(dirname \"$0\")\" && echo \"$@\" > draft && mv draft opened\n",
        )
        .unwrap();
        std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
        command.args(["--login", "--open=svc/grafana.demo"]);
        command.env("BROWSER", browser).env("XDG_RUNTIME_DIR", dir);
    })
    .await;
    let line = world.local.line();
    let token = line
        .rsplit_once("token=")
        .unwrap_or_else(|| panic!("{line}"))
        .1
        .to_owned();
    until("a browser is opened", async || {
        world.file("opened").exists()
    })
    .await;
    let opened = std::fs::read_to_string(world.file("opened")).unwrap();
    assert!(!opened.contains(&token), "{opened}");
    let page = opened.trim().strip_prefix("file://").unwrap().to_owned();
    let rights = std::fs::metadata(&page).unwrap().permissions().mode();
    assert_eq!(rights & 0o777, 0o600);
    assert!(std::fs::read_to_string(&page).unwrap().contains(&token));
    world.tab.goto(opened.trim()).await;
    let own = world.local.origin("grafana.demo.svc");
    world
        .tab
        .wait_for(&format!(
            "location.href == {:?} && document.readyState == 'complete'",
            format!("{own}/")
        ))
        .await;
    assert_eq!(proxied(&world, "grafana").len(), 1);
    assert!(!std::path::Path::new(&page).exists());
    world.end();
}
