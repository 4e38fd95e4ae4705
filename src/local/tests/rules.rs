//! kubectl's rules, and from where targets are reached.

use super::*;

const WEB: &str = "web.public.svc.localhost:8001";
const SECRET: &str = "web.kube-system.svc.localhost:8001";
const NODE: &str = "10250.n1.node.localhost:8001";

#[tokio::test]
async fn the_rules_hold_for_targets_too() {
    let world = World::new(&[
        "--reject-methods=^(POST|PUT|DELETE|PATCH)$",
        "--accept-paths=^/api/v1/namespaces/public/",
        "--reject-paths=/admin",
    ])
    .await;
    for (host, line, outcome) in [
        (WEB, "GET /x", (200, 1)),
        (WEB, "POST /x", (403, 0)),
        (WEB, "GET /admin", (403, 0)),
        (WEB, "GET /%61dmin", (403, 0)),
        (WEB, "GET //admin", (403, 0)),
        (WEB, "GET /x/../admin", (403, 0)),
        (SECRET, "GET /x", (403, 0)),
        (SECRET, "GET /api/v1/namespaces/public/", (403, 0)),
        (NODE, "GET /pods", (403, 0)),
        (NODE, "POST /run/kube-system/p/c", (403, 0)),
    ] {
        assert_eq!(
            world.outcome(host, line, &[]).await,
            outcome,
            "{host} {line}"
        );
    }
    let scope = ListenerScope::Target(Arc::new(target(SECRET)));
    let response = world
        .ask_from(
            PeerLocation::ThisMachine,
            &scope,
            "localhost:9090",
            "GET /x",
            &[],
        )
        .await;
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn the_start_page_learns_what_its_reader_may_ask_for() {
    let world = World::new(&["--reject-paths=^/api/v1/services$"]).await;
    assert_eq!(world.ask(API, "GET /", &TYPED).await.status(), 200);
    let everywhere = |line: &String| line.starts_with("GET /api/v1/services?");
    let asked = world.asked();
    assert!(
        !asked.is_empty() && !asked.iter().any(everywhere),
        "{asked:?}"
    );
    let refused = World::new(&["--accept-paths=^/api/"]).await;
    assert_eq!(refused.ask(API, "GET /", &TYPED).await.status(), 403);
    assert!(refused.asked().is_empty());
}

#[tokio::test]
async fn the_default_rules_are_none_of_a_targets_own_paths() {
    let world = World::new(&[]).await;
    let host = "8080.web-0.demo.pod.localhost:8001";
    for path in ["/exec", "/attach", "/x"] {
        let line = format!("POST {path}");
        assert_eq!(world.outcome(host, &line, &[]).await, (200, 1), "{path}");
    }
    let off = World::new(&["--disable-filter", "--reject-methods=.*"]).await;
    assert_eq!(off.outcome(host, "POST /x", &[]).await, (200, 1));
}

#[tokio::test]
async fn targets_are_for_this_machine_unless_a_flag_says_otherwise() {
    for (flags, code) in [(&[][..], 403), (&["--targets=everywhere"], 200)] {
        let world = World::new(flags).await;
        let forward = ListenerScope::Target(Arc::new(target(WEB)));
        for (scope, host) in [(ListenerScope::All, WEB), (forward, "localhost:9090")] {
            let response = world
                .ask_from(PeerLocation::OtherMachine, &scope, host, "GET /x", &[])
                .await;
            assert_eq!(response.status(), code, "{flags:?} {host}");
        }
        let api = world
            .ask_from(
                PeerLocation::OtherMachine,
                &ListenerScope::All,
                API,
                "GET /api",
                &[],
            )
            .await;
        assert_eq!(api.status(), 200, "the API's own rule is --accept-hosts");
    }
}

#[tokio::test]
async fn a_name_that_somebody_made_to_lead_here_gets_no_file() {
    let folder = std::env::temp_dir().join(format!("throughway-www-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("notes.txt"), "mine").unwrap();
    let www = format!("--www={}", folder.display());
    let world = World::new(&[&www]).await;
    let same = [("sec-fetch-site", "same-origin")];
    for (host, code) in [
        (API, 200),
        ("evil.example:8001", 403),
        ("0.0.0.0:8001", 403),
        ("", 403),
    ] {
        for path in ["/static/notes.txt", "/static/../static/notes.txt"] {
            let response = world.ask(host, &format!("GET {path}"), &same).await;
            let code = if path.contains("..") && code == 200 {
                307
            } else {
                code
            };
            assert_eq!(response.status(), code, "{host} {path}");
        }
    }
    let open = World::new(&[&www, "--accept-hosts=.*"]).await;
    let response = open
        .ask("evil.example:8001", "GET /static/notes.txt", &same)
        .await;
    assert_eq!(response.status(), 200);
    std::fs::remove_dir_all(&folder).unwrap();
}
