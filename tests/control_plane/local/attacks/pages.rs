//! Attacks by pages.

use throughway_testing::companion::Companion;
use throughway_testing::control_plane::{Cluster, DEMO, on_cluster};

use super::site::{Seen, Site};
use super::{EVIL, VICTIM, World, new_path, open, run};
use crate::apps::browser;

const FETCHES: &[(&str, &str)] = &[
    (
        "fetch(TARGET, {mode: 'no-cors', credentials: 'include'}).then(async a => a.type + await a.text(), () => 'failed')",
        "opaque",
    ),
    (
        "fetch(TARGET, {credentials: 'include'}).then(a => a.text(), () => 'failed')",
        "failed",
    ),
    (
        "fetch(TARGET, {mode: 'no-cors', method: 'POST', body: 'x'}).then(async a => a.type + await a.text(), () => 'failed')",
        "opaque",
    ),
    (
        "fetch(TARGET, {method: 'PUT', headers: {'x-own': '1'}, body: '{}'}).then(a => a.text(), () => 'failed')",
        "failed",
    ),
    (
        "new Promise(done => { const events = new EventSource(TARGET); events.onerror = () => { events.close(); done('failed') } })",
        "failed",
    ),
];

const INCLUDES: &[(&str, &str)] = &[
    (
        "new Promise(done => { const image = new Image(); image.onload = () => done('shown'); image.onerror = () => done('failed'); image.src = TARGET })",
        "failed",
    ),
    (
        "new Promise(done => { const script = document.createElement('script'); script.onload = () => done('ran');
            script.onerror = () => done('failed'); script.src = TARGET; document.body.append(script) })",
        "failed",
    ),
    (
        "new Promise(done => { const link = document.createElement('link'); link.rel = 'stylesheet'; link.onload = () => done('styled');
            link.onerror = () => done('failed'); link.href = TARGET; document.head.append(link) })",
        "failed",
    ),
    ("import(TARGET).then(() => 'ran', () => 'failed')", "failed"),
];

const FRAMES: &[(&str, &str)] = &[
    (
        "new Promise(done => { const frame = document.createElement('iframe');
            frame.onload = () => done(frame.contentDocument ? frame.contentDocument.body.innerText : 'unreadable');
            frame.src = TARGET; document.body.append(frame) })",
        "unreadable",
    ),
    (
        "new Promise(done => { const object = document.createElement('object'); object.onload = () => done('shown');
            object.onerror = () => done('failed'); object.data = TARGET; document.body.append(object) })",
        "failed",
    ),
    (
        "new Promise(done => { const frame = document.createElement('iframe'); frame.name = 'frame';
            document.body.append(frame); // Where it is empty it loads at once.
            frame.onload = () => done(frame.contentDocument ? frame.contentDocument.body.innerText : 'unreadable');
            const form = document.createElement('form'); form.method = 'post'; form.action = TARGET; form.target = 'frame';
            document.body.append(form); form.submit() })",
        "unreadable",
    ),
];

const WEBSOCKET: &str =
    "new Promise(done => { const socket = new WebSocket(TARGET.replace('http', 'ws'));
    socket.onopen = () => done('open'); socket.onerror = () => done('failed') })";

fn own_page(local: &Companion) -> String {
    format!("{}/page", local.origin(VICTIM))
}

async fn on_victim(cluster: &Cluster, attacks: &[(&str, &str)]) {
    let world = World::get(cluster).await;
    for local in world.companions() {
        let (start, own) = (local.origin(VICTIM), own_page(local));
        world
            .only_its_own_pages_reach(local, &start, &own, attacks)
            .await;
    }
}

#[test]
fn a_script_of_another_origin_reads_and_changes_nothing() {
    on_cluster(async |cluster: &Cluster| on_victim(cluster, FETCHES).await);
}

#[test]
fn pictures_scripts_and_styles_of_a_service_are_for_its_own_pages() {
    on_cluster(async |cluster: &Cluster| on_victim(cluster, INCLUDES).await);
}

#[test]
fn a_page_of_another_origin_frames_nothing_and_posts_nothing_into_a_frame() {
    on_cluster(async |cluster: &Cluster| on_victim(cluster, FRAMES).await);
}

#[test]
fn a_websocket_of_another_origin_is_refused() {
    on_cluster(async |cluster: &Cluster| on_victim(cluster, &[(WEBSOCKET, "failed")]).await);
}

#[test]
fn no_page_but_the_apis_own_reaches_the_api() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        // The victim behind the API: whatever passes is seen there.
        for group in ["/api/v1", "/apis/throughway.dev/v1"] {
            let path = format!("{group}/namespaces/{DEMO}/services/victim:80/proxy");
            let start = format!("{}{path}", world.api());
            let own = format!("{}/version", world.api());
            for attacks in [FETCHES, INCLUDES, &[(WEBSOCKET, "failed")]] {
                world
                    .only_its_own_pages_reach(&world.local, &start, &own, attacks)
                    .await;
            }
        }
        let tab = browser().await.tab().await;
        // A frame is a page of the Service, which is at no place of this origin, whoever frames it.
        let in_api = format!(
            "{}/api/v1/namespaces/{DEMO}/services/victim:80/proxy",
            world.api()
        );
        let own = format!("{}/version", world.api());
        for page in world.elsewhere(&world.local).iter().chain([&own]) {
            for (frame, _) in FRAMES {
                open(&tab, page).await;
                let path = new_path();
                run(&tab, frame, &format!("{in_api}{path}")).await;
                assert!(world.victim.seen(&path).is_empty(), "{page}: {frame}");
            }
        }
        let secrets = format!("{}/api/v1/secrets", world.api());
        let read = "fetch(TARGET).then(a => a.text(), () => 'failed')";
        for page in world.elsewhere(&world.local) {
            open(&tab, &page).await;
            assert_eq!(run(&tab, read, &secrets).await, "failed", "{page}");
        }
        open(&tab, &own_page(&world.local)).await;
        assert_eq!(run(&tab, read, &secrets).await, "failed");
        tab.close().await;
    });
}

#[test]
fn a_form_of_another_origin_is_not_taken() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let submit = "(() => { const form = document.createElement('form'); form.method = 'post'; form.action = TARGET;
            document.body.append(form); form.submit(); return 'sent' })()";
        let tab = browser().await.tab().await;
        for local in world.companions() {
            let (origin, own) = (local.origin(VICTIM), own_page(local));
            for page in world.elsewhere(local).iter().chain([&own]) {
                open(&tab, page).await;
                let path = new_path();
                run(&tab, submit, &format!("{origin}{path}")).await;
                tab.wait_for(&format!(
                    "location.pathname == {path:?} && document.readyState == 'complete'"
                ))
                .await;
                assert_eq!(!world.victim.seen(&path).is_empty(), *page == own, "{page}");
            }
        }
        tab.close().await;
    });
}

#[test]
fn a_link_from_elsewhere_opens() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let follow = "(() => { const link = document.createElement('a'); link.href = TARGET; document.body.append(link);
            link.click(); return 'followed' })()";
        let tab = browser().await.tab().await;
        for page in world.elsewhere(&world.local) {
            open(&tab, &page).await;
            run(&tab, follow, &own_page(&world.local)).await;
            tab.wait_for("document.body.innerText.includes('secret of victim')")
                .await;
        }
        tab.close().await;
    });
}

#[test]
fn a_services_page_is_never_at_the_apis_origin_whoever_leads_there() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let leave = "(() => { location = TARGET; return 'left' })()";
        let own = format!(
            "http://80.evil.demo.svc.localhost:{}",
            world.local.address.port()
        );
        let tab = browser().await.tab().await;
        for group in ["/api/v1", "/apis/throughway.dev/v1"] {
            let start = format!(
                "{}{group}/namespaces/{DEMO}/services/evil:80/proxy",
                world.api()
            );
            let arrives = async |path: &str| {
                tab.wait_for(&format!(
                    "location.href == {:?} && document.readyState == 'complete'",
                    format!("{own}{path}")
                ))
                .await;
                assert_eq!(world.evil.seen(path).len(), 1, "{path}");
            };
            for page in world.elsewhere(&world.local) {
                open(&tab, &page).await;
                let path = new_path();
                run(&tab, leave, &format!("{start}{path}")).await;
                arrives(&path).await;
            }
            // Typed, and typed at the Service, which leads to the API's origin: of both the browser says that its user
            // asked.
            let path = new_path();
            tab.goto(&format!("{start}{path}")).await;
            arrives(&path).await;
            let path = new_path();
            tab.goto(&format!("{}/to?{start}{path}", world.local.origin(EVIL)))
                .await;
            arrives(&path).await;
        }
        tab.close().await;
    });
}

#[test]
fn what_the_cluster_sends_at_the_apis_origin_runs_no_script_and_keeps_no_worker() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let tab = browser().await.tab().await;
        // The API server undoes the escape, so this is the Service's page, though no name that leads away from here.
        let page = format!(
            "{}/api/v1/namespaces/{DEMO}/services/evil:80%2Fproxy/page",
            world.api()
        );
        open(&tab, &page).await;
        let read = "Promise.resolve(document.body.innerText.trim() + ' of origin ' + self.origin)";
        assert_eq!(run(&tab, read, "").await, "secret of evil of origin null");
        let worker = "navigator.serviceWorker.register(TARGET, {scope: '/'}).then(() => 'kept', failed => failed.name)";
        open(&tab, &format!("{}/version", world.api())).await;
        let script = format!(
            "{}/api/v1/namespaces/{DEMO}/services/evil:80/proxy/worker.js",
            world.api()
        );
        assert_eq!(run(&tab, worker, &script).await, "TypeError");
        assert!(world.evil.seen("/worker.js").is_empty());
        tab.close().await;
    });
}

#[test]
fn windows_of_two_services_do_not_touch_each_other() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let touch = "(async () => {
            const here = new Promise(done => addEventListener('message', done, {once: true}));
            const other = window.open(TARGET);
            await here;
            const tries = [() => other.document.body.innerText, () => other.location.href, () => other.eval('1'),
                () => { other.document.title = 'touched'; return 'touched' }, () => other.localStorage.length];
            return tries.map(one => { try { return String(one()) } catch (failed) { return failed.name } }).join()
        })()";
        let tab = browser().await.tab().await;
        for page in world.elsewhere(&world.local) {
            open(&tab, &page).await;
            let came = run(&tab, touch, &own_page(&world.local)).await;
            assert_eq!(came, ["SecurityError"; 5].join(","), "{page}");
        }
        open(&tab, &own_page(&world.local)).await;
        let came = run(&tab, touch, &own_page(&world.local)).await;
        assert!(came.starts_with("secret of victim"), "{came}");
        tab.close().await;
    });
}

#[test]
fn cookies_stay_with_the_service_that_set_them() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let tab = browser().await.tab().await;
        let (victim, evil) = (world.local.origin(VICTIM), world.local.origin(EVIL));
        let set = "/set?plain=1;%20Path=/&strict=1;%20Path=/;%20HttpOnly;%20SameSite=Strict&none=1;%20Path=/;%20Secure;%20SameSite=None";
        tab.goto(&format!("{victim}{set}")).await;
        let planted = [
            "svc.localhost",
            ".demo.svc.localhost",
            "localhost",
            "victim.demo.svc.localhost",
            "demo.svc.localhost.",
        ]
        .map(|domain| format!("planted=1;%20Path=/;%20domain%3D{domain}"));
        tab.goto(&format!("{evil}/set?{}", planted.join("&"))).await;
        let reads = format!("{}/cookies", new_path());
        for origin in [&evil, &victim, &world.api()] {
            tab.goto(&format!("{origin}{reads}")).await;
        }
        assert_eq!(
            cookies(&world.victim, &reads),
            ["none=1", "plain=1", "strict=1"]
        );
        let evils: Vec<_> = cookies(&world.evil, &reads);
        assert!(
            evils.iter().all(|cookie| cookie == "planted=1"),
            "{evils:?}"
        );
        tab.close().await;
    });
}

#[test]
fn a_script_plants_a_cookie_at_other_services_but_reads_none() {
    // What a script does is seen by nobody on the way, and `svc.localhost` is on no list of suffixes that browsers
    // refuse.
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let tab = browser().await.tab().await;
        let (victim, evil) = (world.local.origin(VICTIM), world.local.origin(EVIL));
        tab.goto(&format!("{victim}/set?own=1")).await;
        open(&tab, &format!("{evil}/page")).await;
        let plant = "(() => { for (const domain of ['svc.localhost', 'localhost', 'victim.demo.svc.localhost'])
            document.cookie = domain + '=1; Domain=' + domain; return document.cookie })()";
        assert_eq!(run(&tab, plant, &victim).await, "svc.localhost=1");
        let path = new_path();
        tab.goto(&format!("{victim}{path}")).await;
        assert_eq!(cookies(&world.victim, &path), ["own=1", "svc.localhost=1"]);
        tab.close().await;
    });
}

/// The cookies that a site got at a path.
fn cookies(site: &Site, path: &str) -> Vec<String> {
    let seen = site.seen(path);
    let mut cookies: Vec<_> = seen.iter().flat_map(Seen::cookies).collect();
    cookies.sort();
    cookies
}

#[test]
fn headers_of_a_page_give_it_no_power() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let tab = browser().await.tab().await;
        tab.goto(&format!("{}/page", world.local.origin(EVIL)))
            .await;
        let path = new_path();
        let fetch = "fetch(TARGET, {headers: {'Impersonate-User': 'system:admin', 'Impersonate-Group': 'system:masters',
            'X-Remote-User': 'system:admin', 'X-Remote-Group': 'system:masters', 'Throughway-Path': '/elsewhere',
            'Throughway-Origin': 'http://victim.demo.svc.localhost', 'Throughway-Redirect': 'follow',
            'Throughway-Authorization': 'Bearer theirs', 'Throughway-Request-Host': 'victim', 'X-Own': '1'}})
            .then(a => a.text(), () => 'failed')";
        let target = format!("{}{path}", world.local.origin(EVIL));
        assert_eq!(run(&tab, fetch, &target).await, "hello from evil");
        let seen = world.evil.seen(&path);
        assert_eq!(seen.len(), 1);
        let names: Vec<&str> = seen[0]
            .headers
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        let claims = ["impersonate-", "x-remote-", "throughway-"];
        let claimed = |name: &&&str| claims.iter().any(|claim| name.starts_with(claim));
        assert_eq!(names.iter().find(claimed), None, "{names:?}");
        assert!(names.contains(&"x-own"), "{names:?}");
        assert!(!names.contains(&"authorization"), "{names:?}");
        tab.close().await;
    });
}
