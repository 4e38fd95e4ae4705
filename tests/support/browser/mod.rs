//! A real Chromium, driven over its DevTools protocol.
//!
//! Comes in: addresses to open, scripts to evaluate, clicks and text. Goes out: what scripts say, a picture, and every
//! URL that the tab asked for, its frames, workers, service workers and pop-ups among them. Each tab has cookies and
//! caches of its own. Anything that the browser refuses to do ends the test. Protocol:
//! <https://chromedevtools.github.io/devtools-protocol/>.

mod wire;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64::Engine;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use wire::{Diary, LIMIT, State, WATCHED, Wire, attach_all};

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,OptimizationHints,MediaRouter,Translate",
    "--remote-debugging-port=0",
];

/// A running browser; it ends when it is dropped.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    profile: PathBuf,
    wire: Arc<Wire>,
    _tasks: JoinSet<()>,
}

/// A page with a profile of its own.
#[derive(Debug)]
pub struct Tab {
    wire: Arc<Wire>,
    context: String,
    session: String,
}

impl Browser {
    /// Starts `chromium` with a new profile in `dir`.
    pub async fn start(dir: &Path) -> Self {
        let profile = dir.join("chromium");
        std::fs::create_dir_all(&profile).expect("a folder for a profile");
        let mut process = Command::new("chromium")
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium is installed");
        let stderr = process.stderr.take().expect("stderr is piped");
        let stderr = tokio::process::ChildStderr::from_std(stderr).expect("a pipe");
        let mut lines = BufReader::new(stderr).lines();
        let address = loop {
            let line = tokio::time::timeout(LIMIT, lines.next_line()).await;
            let line = line
                .expect("chromium starts")
                .expect("a pipe")
                .expect("chromium lives");
            if let Some(address) = line.strip_prefix("DevTools listening on ") {
                break address.trim().to_owned();
            }
        };
        let (socket, _) = tokio_tungstenite::connect_async(address)
            .await
            .expect("DevTools answer");
        let (mut sink, mut stream) = socket.split();
        let (out, mut commands) = mpsc::unbounded_channel::<String>();
        let wire = Arc::new(Wire::new(out));
        let mut tasks = JoinSet::new();
        // A browser whose pipe is full stands still.
        tasks.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        tasks.spawn(async move {
            while let Some(command) = commands.recv().await {
                if sink.send(Message::text(command)).await.is_err() {
                    return;
                }
            }
        });
        let reading = Arc::clone(&wire);
        tasks.spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if let Ok(text) = message.to_text()
                    && let Ok(message) = serde_json::from_str::<Value>(text)
                {
                    reading.take_in(&message);
                }
            }
        });
        wire.call("", "Target.setAutoAttach", attach_all())
            .await
            .expect("targets are announced");
        Self {
            process,
            profile,
            wire,
            _tasks: tasks,
        }
    }

    /// Opens an empty page in a new profile.
    pub async fn tab(&self) -> Tab {
        let wire = Arc::clone(&self.wire);
        let made = wire
            .call("", "Target.createBrowserContext", json!({}))
            .await
            .expect("a profile");
        let context = made["browserContextId"]
            .as_str()
            .expect("its name")
            .to_owned();
        let asked = json!({"url": "about:blank", "browserContextId": context, "width": 1200, "height": 900});
        let made = wire
            .call("", "Target.createTarget", asked)
            .await
            .expect("a page");
        let target = made["targetId"].as_str().expect("its name").to_owned();
        let session = wire
            .until("the page is there", |state| {
                state.diaries.get(&context)?.sessions.get(&target).cloned()
            })
            .await;
        // A page that is left before it has heard that it is watched is never watched.
        for method in WATCHED {
            let heard = wire.call(&session, method, json!({})).await;
            heard.unwrap_or_else(|failed| panic!("{method}: {failed}"));
        }
        Tab {
            wire,
            context,
            session,
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

impl Tab {
    async fn call(&self, method: &str, params: Value) -> Value {
        let response = self.wire.call(&self.session, method, params).await;
        response.unwrap_or_else(|failed| {
            panic!(
                "{method}: {failed}; complaints: {:#?}",
                self.console_errors()
            )
        })
    }

    /// Tells the browser something about this page, in the protocol's own words.
    pub async fn command(&self, method: &str, params: Value) -> Value {
        self.call(method, params).await
    }

    fn diary<T>(&self, read: impl Fn(&Diary) -> T) -> T {
        self.wire.diary(&self.context, read)
    }

    /// Opens an address, until what it shows has loaded.
    pub async fn goto(&self, url: &str) {
        let before = self.diary(|diary| diary.loads);
        let response = self.call("Page.navigate", json!({"url": url})).await;
        assert!(response.get("errorText").is_none(), "{url}: {response}");
        if response.get("loaderId").is_none() {
            return; // Only the fragment was another.
        }
        let loaded = |state: &State| (state.diaries[&self.context].loads > before).then_some(());
        self.wire.until(&format!("{url} has loaded"), loaded).await;
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        let before = self.diary(|diary| diary.loads);
        self.call("Page.reload", json!({})).await;
        let loaded = |state: &State| (state.diaries[&self.context].loads > before).then_some(());
        self.wire.until("the page has loaded again", loaded).await;
    }

    /// Presses a key, alone or with another held: `Enter`, `Shift+Enter`, `Control+s`.
    pub async fn press(&self, keys: &str) {
        let (held, key) = keys.rsplit_once('+').unwrap_or(("", keys));
        let modifiers = ["Alt", "Control", "Meta", "Shift"]
            .iter()
            .position(|one| *one == held);
        let modifiers = modifiers.map_or(0, |position| 1 << position);
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            letter if letter.len() == 1 => u32::from(letter.as_bytes()[0].to_ascii_uppercase()),
            _ => 0,
        };
        let text = if keys == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code,
                "modifiers": modifiers});
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// What a script comes to; if that is a promise, it is waited for. As if the user had asked for it.
    pub async fn try_evaluate(&self, expression: &str) -> Result<Value, String> {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true,
            "userGesture": true});
        let response = self
            .wire
            .call(&self.session, "Runtime.evaluate", params)
            .await?;
        match response.get("exceptionDetails") {
            Some(details) => Err(details["exception"]["description"]
                .as_str()
                .map_or_else(|| details.to_string(), str::to_owned)),
            None => Ok(response["result"]
                .get("value")
                .cloned()
                .unwrap_or(Value::Null)),
        }
    }

    pub async fn evaluate(&self, expression: &str) -> Value {
        let value = self.try_evaluate(expression).await;
        value.unwrap_or_else(|failed| {
            panic!(
                "{expression}: {failed}; complaints: {:#?}",
                self.console_errors()
            )
        })
    }

    /// Asks the page again and again until a condition holds, over navigations too.
    pub async fn wait_for(&self, condition: &str) {
        let waiting = async {
            while !self
                .try_evaluate(&format!("(async () => !!(await ({condition})))()"))
                .await
                .is_ok_and(|value| value == true)
            {
                let mut changed = self.wire.changes();
                tokio::select! {
                    _ = self.try_evaluate("new Promise(done => setTimeout(done, 20))") => {}
                    _ = changed.changed() => {}
                }
            }
        };
        if tokio::time::timeout(LIMIT, waiting).await.is_err() {
            let page = self
                .try_evaluate(
                    "location.href + '\\n' + document.documentElement.outerHTML.slice(0, 4000)",
                )
                .await;
            let page = page.map_or_else(
                |failed| failed,
                |page| page.as_str().unwrap_or_default().to_owned(),
            );
            panic!(
                "never: {condition}\non {page}\ncomplaints: {:#?}\nrequests: {:#?}",
                self.console_errors(),
                self.requests()
            );
        }
    }

    /// Every URL asked for, in order.
    pub fn requests(&self) -> Vec<String> {
        self.diary(|diary| diary.requests.clone())
    }

    /// Waits until each of these was asked for.
    pub async fn wait_for_requests(&self, wanted: &[&str]) {
        let what = format!(
            "all of {wanted:?} were asked for, but {:?}",
            self.requests()
        );
        let found = |state: &State| {
            let seen = &state.diaries[&self.context].requests;
            wanted
                .iter()
                .all(|url| seen.iter().any(|one| one == url))
                .then_some(())
        };
        self.wire.until(&what, found).await;
    }

    /// Errors on the console, exceptions that nobody caught, and what did not load.
    pub fn console_errors(&self) -> Vec<String> {
        self.diary(|diary| diary.console_errors.clone())
    }

    pub async fn screenshot(&self, path: &Path) {
        let picture = self
            .call("Page.captureScreenshot", json!({"format": "png"}))
            .await;
        let picture = picture["data"].as_str().expect("a picture");
        let picture = base64::engine::general_purpose::STANDARD
            .decode(picture)
            .expect("base64");
        std::fs::write(path, picture).expect("a picture can be written");
    }

    /// A real click in the middle of what a selector finds.
    pub async fn click(&self, selector: &str) {
        let selector = Value::from(selector);
        self.wait_for(&format!("document.querySelector({selector})"))
            .await;
        let middle = self
            .evaluate(&format!(
                "(() => {{ const found = document.querySelector({selector}); found.scrollIntoView({{block: 'center'}});
                const box = found.getClientRects()[0]; return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
            ))
            .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Text typed into what a selector finds.
    pub async fn type_into(&self, selector: &str, text: &str) {
        self.wait_for(&format!(
            "document.querySelector({})",
            Value::from(selector)
        ))
        .await;
        self.evaluate(&format!(
            "document.querySelector({}).focus()",
            Value::from(selector)
        ))
        .await;
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Closes the page and forgets its profile; a service sees its user go.
    pub async fn close(self) {
        let context = json!({"browserContextId": self.context});
        let closed = self
            .wire
            .call("", "Target.disposeBrowserContext", context)
            .await;
        closed.expect("a profile can be thrown away");
    }

    /// Fails on every request to the host of `prefix_url` that is not below it, but for those that start with what is
    /// allowed.
    pub fn assert_stays_below(&self, prefix_url: &str, allowed: &[&str]) {
        let host = host(prefix_url).expect("an address");
        let below = path(prefix_url).trim_end_matches('/');
        let astray: Vec<String> = self
            .requests()
            .into_iter()
            .filter(|url| self::host(url) == Some(host) && path(url) != "/favicon.ico")
            .filter(|url| !allowed.iter().any(|allowed| path(url).starts_with(allowed)))
            .filter(|url| {
                path(url)
                    .strip_prefix(below)
                    .is_none_or(|rest| !(rest.is_empty() || rest.starts_with(['/', '?'])))
            })
            .collect();
        assert!(astray.is_empty(), "outside {below}: {astray:#?}");
    }
}

/// `host:port` of an address that is asked for over the network.
fn host(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let known = matches!(scheme, "http" | "https" | "ws" | "wss");
    known.then(|| rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// The path and query of an address.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |start| &rest[start..])
}
