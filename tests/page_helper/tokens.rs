//! What the helper offers with a page's WebSockets, and how it gets a new token.

use crate::site::{Asked, Page, tag};
use crate::{Opened, open, open_page};

const PATH: &str = "/a/page";

/// The helper's tag with this token.
fn tag_with(token: &str) -> String {
    tag(PATH, "").replace("data-host", &format!("data-token=\"{token}\" data-host"))
}

/// A page whose helper has this token.
async fn open_with(token: &str) -> Opened {
    open_page(Page {
        path: PATH,
        tag: Some(tag_with(token)),
        ..Page::default()
    })
    .await
}

/// A token that is good for so many seconds from now, as the helper reads it.
fn lasting(seconds: i64) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(since.unwrap().as_secs()).unwrap();
    format!("throughway.page.{}.first", now + seconds)
}

const OPENS: &str = "const opened = (...args) => new Promise((done) => {
    const socket = new WebSocket(...args); socket.onopen = () => done('open'); socket.onerror = () => done('error');
});";

#[tokio::test]
async fn a_page_without_a_token_offers_what_its_script_offers() {
    let page = open("").await;
    page.runs(&format!("{OPENS} return await opened('/ws/plain')"), "open")
        .await;
    let asked = page.site.wait_for("/ws/plain").await;
    assert_eq!(asked.header("sec-websocket-protocol"), None);
    page.stays_inside();
}

#[tokio::test]
async fn a_token_is_offered_last_and_to_the_target_alone() {
    let token = lasting(80_000);
    let page = open_with(&token).await;
    // This site agrees to no sub-protocol, so the browser ends every socket with an offer.
    page.runs(
        &format!(
            "{OPENS} await opened('/ws/1'); await opened('/ws/2', 'a'); await opened('/ws/3', ['a', 'b']);
            await opened('/ws/4', []); await opened('/ws/5', undefined); await opened('/ws/6', new Set(['a']));
            await opened('ws://' + location.host + prefix.replace('web:', 'other:') + '/ws/7');
            await opened('ws://localhost:' + location.port + '/ws/8');
            const odd = [() => new WebSocket('/x', 'a b'), () => new WebSocket('/x', ['a', 'a']), () => new WebSocket()];
            return odd.map((bad) => {{ try {{ bad(); return '' }} catch (e) {{ return e.name }} }}).join()"
        ),
        "SyntaxError,SyntaxError,TypeError",
    )
    .await;
    for (path, offered) in [
        ("/ws/1", token.clone()),
        ("/ws/2", format!("a, {token}")),
        ("/ws/3", format!("a, b, {token}")),
        ("/ws/4", token.clone()),
        ("/ws/5", token.clone()),
        ("/ws/6", format!("a, {token}")),
    ] {
        let asked = page.site.wait_for(path).await;
        let said = asked.header("sec-websocket-protocol");
        // After the first socket that failed there may be a new token.
        let said = said.map(|said| said.replace("throughway.page.9999999999.renewed", &token));
        assert_eq!(said, Some(offered), "{path}");
    }
    // Another target and another host.
    let asked = page.site.asked();
    for path in ["services/other:80/proxy/ws/7", "/ws/8"] {
        let is_it = |asked: &&Asked| asked.left_prefix && asked.path.ends_with(path);
        let asked = asked.iter().find(is_it).expect(path);
        assert_eq!(asked.header("sec-websocket-protocol"), None, "{path}");
    }
}

#[tokio::test]
async fn a_helper_that_runs_twice_offers_its_token_once() {
    let token = lasting(80_000);
    let page = open_page(Page {
        path: PATH,
        body: tag_with(&token),
        tag: Some(tag_with(&token)),
        ..Page::default()
    })
    .await;
    page.runs(&format!("{OPENS} return await opened('/ws/1')"), "error")
        .await;
    let asked = page.site.wait_for("/ws/1").await;
    assert_eq!(asked.header("sec-websocket-protocol"), Some(&*token));
}

#[tokio::test]
async fn a_new_token_is_asked_for_when_a_socket_fails() {
    let page = open_with(&lasting(80_000)).await;
    page.runs(&format!("{OPENS} return await opened('/ws/1')"), "error")
        .await;
    page.asks(&["/.throughway/page-token"]).await;
    page.runs(
        &format!(
            "{OPENS} for (;;) {{
                const before = performance.getEntriesByName(location.origin + prefix + '/.throughway/page-token');
                if (before.length) return await opened('/ws/2');
                await new Promise((next) => setTimeout(next, 20));
            }}"
        ),
        "error",
    )
    .await;
    let asked = page.site.wait_for("/ws/2").await;
    let renewed = Some("throughway.page.9999999999.renewed");
    assert_eq!(asked.header("sec-websocket-protocol"), renewed);
}

#[tokio::test]
async fn a_page_from_the_cache_with_an_old_token_has_a_new_one_before_its_first_socket() {
    let page = open_with(&lasting(-5)).await;
    page.runs(&format!("{OPENS} return await opened('/ws/1')"), "error")
        .await;
    let asked = page.site.wait_for("/ws/1").await;
    let renewed = Some("throughway.page.9999999999.renewed");
    assert_eq!(asked.header("sec-websocket-protocol"), renewed);
}

#[tokio::test]
async fn a_token_that_has_lost_half_its_time_is_renewed_by_the_way() {
    let page = open_with(&lasting(30_000)).await;
    page.runs(&format!("{OPENS} return await opened('/ws/1')"), "error")
        .await;
    // By the way, and again as the socket fails.
    let renewal = page.site.url("/.throughway/page-token");
    let twice = format!("performance.getEntriesByName({renewal:?}).length === 2");
    page.tab.wait_for(&twice).await;
    let asked = page.site.wait_for("/ws/1").await;
    let first = asked.header("sec-websocket-protocol").unwrap();
    assert!(first.ends_with(".first"), "{first}");
}
