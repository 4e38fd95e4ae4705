//! A tab, and what a person or a script does in it.

use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::LIMIT;
use super::line::Line;
use super::record::{Record, Seen};

/// A tab; it closes when this is dropped.
#[derive(Debug)]
pub struct Tab {
    line: Line,
    session: String,
    record: watch::Receiver<Record>,
    _reading: JoinSet<()>,
}

impl Tab {
    pub(super) async fn open(address: &str) -> Self {
        let (line, record, reading) = Line::connect(address).await;
        let session = line.attach().await.expect("a tab");
        Self {
            line,
            session,
            record,
            _reading: reading,
        }
    }

    /// Any command of the protocol, in this tab.
    pub async fn command(&self, method: &str, params: Value) -> Result<Value, String> {
        self.line.ask(&self.session, method, params).await
    }

    /// Opens a page and waits until it and everything in it is loaded.
    pub async fn goto(&self, url: &str) {
        self.load("Page.navigate", json!({ "url": url })).await;
    }

    pub async fn reload(&self) {
        self.load("Page.reload", json!({})).await;
    }

    async fn load(&self, method: &str, params: Value) {
        let before = self.record.borrow().loader.clone();
        let text = params.to_string();
        let answer = self.command(method, params).await.expect("a navigation");
        let failed = &answer["errorText"];
        assert!(failed.is_null(), "{method} {text}: {failed}");
        let mut record = self.record.clone();
        let loaded = record
            .wait_for(|record| record.loader != before && record.loaded.contains(&record.loader));
        match timeout(LIMIT, loaded).await {
            Ok(loaded) => drop(loaded.expect("a browser that runs")),
            Err(_) => panic!(
                "{method} {text}: not loaded within {LIMIT:?}\n{}",
                self.story()
            ),
        }
    }

    /// The value of an expression in the page; a promise is waited for.
    pub async fn try_evaluate(&self, expression: &str) -> Result<Value, String> {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let answer = self.command("Runtime.evaluate", params).await?;
        let thrown = &answer["exceptionDetails"];
        if thrown.is_null() {
            return Ok(answer["result"]["value"].clone());
        }
        let text = thrown["exception"]["description"].as_str();
        Err(text.map_or_else(|| thrown.to_string(), str::to_owned))
    }

    /// The same, where nothing may go wrong.
    pub async fn evaluate(&self, expression: &str) -> Value {
        match self.try_evaluate(expression).await {
            Ok(value) => value,
            Err(failed) => panic!("{expression}: {failed}\n{}", self.story()),
        }
    }

    /// Waits until an expression is true in whatever page the tab shows by then.
    pub async fn wait_for(&self, condition: &str) {
        let poll = format!(
            "(async () => {{ for (const end = Date.now() + {}; Date.now() < end;) {{
                try {{ if (await ({condition})) return true }} catch {{}}
                await new Promise((next) => {{ requestAnimationFrame(next); setTimeout(next, 50) }})
            }} return false }})()",
            LIMIT.as_millis() - 1000,
        );
        let begin = Instant::now();
        // A navigation ends the loop inside the page, which then begins again in the next one.
        while begin.elapsed() < LIMIT {
            if self.try_evaluate(&poll).await == Ok(Value::Bool(true)) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("never true: {condition}\n{}", self.story());
    }

    /// Waits for an element, brings it into view and clicks into its middle.
    pub async fn click(&self, selector: &str) {
        self.wait_for(&format!("document.querySelector({selector:?})"))
            .await;
        let middle = self
            .evaluate(&format!(
                "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{block: 'center'}});
                const r = e.getBoundingClientRect(); return {{x: r.x + r.width / 2, y: r.y + r.height / 2}} }})()"
            ))
            .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({ "type": kind, "x": middle["x"], "y": middle["y"], "button": "left", "clickCount": 1 });
            self.command("Input.dispatchMouseEvent", params)
                .await
                .expect("a click");
        }
    }

    /// Waits for an input, and types into it.
    pub async fn type_into(&self, selector: &str, text: &str) {
        self.wait_for(&format!("document.querySelector({selector:?})"))
            .await;
        self.evaluate(&format!("document.querySelector({selector:?}).focus()"))
            .await;
        self.command("Input.insertText", json!({ "text": text }))
            .await
            .expect("typing");
    }

    /// Presses a key that types no letter, as `Enter`.
    pub async fn press(&self, key: &str) {
        let code = if key == "Enter" { 13 } else { 0 };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let params = json!({ "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code });
            self.command("Input.dispatchKeyEvent", params)
                .await
                .expect("a key");
        }
    }

    /// Keeps what the tab shows as a PNG.
    pub async fn screenshot(&self, file: &Path) {
        let shot = self
            .command("Page.captureScreenshot", json!({ "format": "png" }))
            .await
            .expect("a screenshot");
        let bytes = BASE64_STANDARD
            .decode(shot["data"].as_str().expect("an image"))
            .expect("base64");
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        std::fs::write(file, bytes).expect("a file");
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<Seen> {
        self.record.borrow().requests.clone()
    }

    /// Requests over the network that go anywhere but below one of these URLs (without their scheme: `127.0.0.1:8001/apis/…`).
    pub fn requests_outside(&self, inside: &[&str]) -> Vec<Seen> {
        let mut requests = self.requests();
        requests.retain(|seen| {
            let Some((scheme, rest)) = seen.url.split_once("://") else {
                return false;
            };
            ["http", "https", "ws", "wss"].contains(&scheme)
                && !inside.iter().any(|inside| rest.starts_with(inside))
        });
        requests
    }

    /// Every complaint so far.
    pub fn errors(&self) -> Vec<String> {
        self.record.borrow().errors.clone()
    }

    /// The addresses of windows that were opened from this one.
    pub fn popups(&self) -> Vec<String> {
        self.record.borrow().popups.clone()
    }

    /// Waits until a request was made whose URL contains this.
    pub async fn wait_for_request(&self, part: &str) {
        let mut record = self.record.clone();
        let made = record.wait_for(|record| record.requests.iter().any(|r| r.url.contains(part)));
        if timeout(LIMIT, made).await.is_err() {
            panic!("no request for {part}\n{}", self.story());
        }
    }

    fn story(&self) -> String {
        let record = self.record.borrow();
        let requests = record.requests.iter().map(|seen| &seen.url);
        format!(
            "errors: {:#?}\nrequests: {:#?}",
            record.errors,
            requests.collect::<Vec<_>>()
        )
    }
}
