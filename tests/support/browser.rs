//! A real Chromium, driven over its DevTools protocol: one process, as many tabs as there are tests.
//!
//! Each tab is a browser context of its own, so that cookies, caches and service workers of two tests never meet. It has a
//! WebSocket of its own, so that it belongs to the runtime of its test, and it records what the browser sends and what
//! scripts complain about: the page's, its frames', its workers', and those of windows that it opens.
//!
//! <https://chromedevtools.github.io/devtools-protocol/>

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// No page of a test takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// Ends Chromium when the pipe from this process closes, whatever this process dies of, and clears up behind it.
const KEEPER: &str = r#"
"$@" --user-data-dir="$PROFILE" </dev/null & chromium=$!
cat >/dev/null; kill "$chromium"; wait "$chromium"; rm -rf "$PROFILE"
"#;

const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--window-size=1280,900",
    "--remote-debugging-port=0",
];

/// A running Chromium; it ends when this is dropped, or with the process of the test.
#[derive(Debug)]
pub struct Browser {
    keeper: Child,
    lifeline: Option<ChildStdin>,
    address: String,
}

impl Browser {
    /// The one browser of a test binary.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Browser> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A browser of one's own.
    pub fn start() -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("throughway-chromium-{}-{number}", std::process::id());
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", "chromium"])
            .args(FLAGS)
            .env("PROFILE", std::env::temp_dir().join(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let lifeline = keeper.stdin.take();
        let errors = BufReader::new(keeper.stderr.take().expect("a pipe"));
        let (found, address) = std::sync::mpsc::channel();
        // Reads on to the end, as Chromium stops when nobody reads what it has to say.
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    let _ = found.send(address.trim().to_owned());
                }
            }
        });
        let address = address
            .recv_timeout(LIMIT)
            .expect("Chromium says where it listens (it is the Debian package chromium)");
        Self {
            keeper,
            lifeline,
            address,
        }
    }

    /// A new tab that shares nothing with any other.
    pub async fn tab(&self) -> Tab {
        Tab::open(&self.address).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The keeper ends by itself now; there is nobody to tell if it can't be waited for.
        let _ = self.keeper.wait();
    }
}

/// A request that the browser made or began to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    /// With its fragment, which is not sent.
    pub url: String,
    /// `Document`, `Script`, `Fetch`, … as DevTools names them.
    pub kind: String,
}

/// What was recorded of a tab so far.
#[derive(Debug, Default)]
struct Record {
    requests: Vec<Seen>,
    /// Uncaught exceptions, console errors, and what the browser itself logs as an error (a blocked request, a 404).
    errors: Vec<String>,
    /// The loader of the main frame's document, and those whose load event was seen.
    loader: String,
    loaded: HashSet<String>,
    popups: Vec<String>,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>>;

/// A tab; it closes when this is dropped.
#[derive(Debug)]
pub struct Tab {
    line: Line,
    session: String,
    record: watch::Receiver<Record>,
    _reading: JoinSet<()>,
}

/// The way to the browser.
#[derive(Debug, Clone)]
struct Line {
    outgoing: mpsc::UnboundedSender<Message>,
    waiting: Waiting,
    next: Arc<AtomicU64>,
}

impl Line {
    fn send(&self, session: &str, method: &str, params: &Value) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        // Whoever waits for an answer learns from its absence that the browser is gone.
        let _ = self.outgoing.send(message.to_string().into());
        id
    }

    async fn ask(&self, session: &str, method: &str, params: Value) -> Result<Value, String> {
        let (answer, answered) = oneshot::channel();
        {
            // Held while sending, so that the answer can't come before somebody waits for it.
            let mut waiting = self.waiting.lock().expect("no poison");
            waiting.insert(self.send(session, method, &params), answer);
        }
        match timeout(LIMIT, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(format!("{method}: the browser is gone")),
            Err(_) => Err(format!("{method}: no answer within {LIMIT:?}")),
        }
    }
}

impl Tab {
    async fn open(address: &str) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(address)
            .await
            .expect("a DevTools connection");
        let (mut sink, mut stream) = socket.split();
        let (outgoing, mut to_send) = mpsc::unbounded_channel();
        let line = Line {
            outgoing,
            waiting: Waiting::default(),
            next: Arc::new(AtomicU64::new(1)),
        };
        let (writer, record) = watch::channel(Record::default());
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            while let Some(message) = to_send.recv().await {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        });
        let reader = line.clone();
        // Which context and tab are the own ones, once they are made.
        let own = Arc::new(OnceLock::new());
        let known = Arc::clone(&own);
        reading.spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let Ok(text) = message.to_text() else {
                    continue;
                };
                let Ok(message) = serde_json::from_str::<Value>(text) else {
                    continue;
                };
                if let Some(id) = message["id"].as_u64() {
                    answer(&reader.waiting, id, &message);
                } else {
                    event(&reader, &writer, known.get(), &message);
                }
            }
            // Nobody waits for answers that can't come any more.
            reader.waiting.lock().expect("no poison").clear();
        });
        let session = attach(&line, &own).await.expect("a tab");
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

/// Makes a tab in a context of its own, and has it report.
async fn attach(line: &Line, own: &OnceLock<(String, String)>) -> Result<String, String> {
    let context = json!({ "disposeOnDetach": true });
    let context = line.ask("", "Target.createBrowserContext", context).await?;
    let context = text(&context["browserContextId"]);
    let tab = json!({ "url": "about:blank", "browserContextId": context });
    let tab = line.ask("", "Target.createTarget", tab).await?;
    let tab = text(&tab["targetId"]);
    let _ = own.set((context, tab.clone()));
    let session = json!({ "targetId": tab, "flatten": true });
    let session = line.ask("", "Target.attachToTarget", session).await?;
    let session = text(&session["sessionId"]);
    for (method, params) in [
        ("Page.enable", json!({})),
        ("Page.setLifecycleEventsEnabled", json!({ "enabled": true })),
        (
            "Emulation.setFocusEmulationEnabled",
            json!({ "enabled": true }),
        ),
    ] {
        line.ask(&session, method, params).await?;
    }
    line.ask("", "Target.setDiscoverTargets", json!({ "discover": true }))
        .await?;
    Ok(session)
}

fn answer(waiting: &Waiting, id: u64, message: &Value) {
    let Some(waiting) = waiting.lock().expect("no poison").remove(&id) else {
        return;
    };
    let answer = match message.get("error") {
        None => Ok(message["result"].clone()),
        Some(error) => Err(error.to_string()),
    };
    // Whoever asked may have given up.
    let _ = waiting.send(answer);
}

/// Follows frames, workers and windows, and takes down what they do.
fn event(
    line: &Line,
    record: &watch::Sender<Record>,
    own: Option<&(String, String)>,
    message: &Value,
) {
    let params = &message["params"];
    let info = &params["targetInfo"];
    let popup = own.is_some_and(|(context, tab)| {
        info["type"] == "page" && info["browserContextId"] == **context && info["targetId"] != **tab
    });
    match message["method"].as_str().unwrap_or_default() {
        "Target.attachedToTarget" => {
            let session = text(&params["sessionId"]);
            let children =
                json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
            line.send(&session, "Network.enable", &json!({}));
            line.send(&session, "Runtime.enable", &json!({}));
            line.send(&session, "Log.enable", &json!({}));
            line.send(&session, "Target.setAutoAttach", &children);
            line.send(&session, "Runtime.runIfWaitingForDebugger", &json!({}));
        }
        "Target.targetCreated" if popup => {
            let target = json!({ "targetId": info["targetId"], "flatten": true });
            line.send("", "Target.attachToTarget", &target);
        }
        "Target.targetInfoChanged" if popup => {
            record.send_modify(|record| record.popups.push(text(&info["url"])));
        }
        method => {
            record.send_if_modified(|record| record.take(method, params));
        }
    }
}

impl Record {
    /// Takes down what an event says; whether it says anything of interest.
    fn take(&mut self, method: &str, params: &Value) -> bool {
        match method {
            "Network.requestWillBeSent" => self.requests.push(Seen {
                method: text(&params["request"]["method"]),
                url: text(&params["request"]["url"]) + &text(&params["request"]["urlFragment"]),
                kind: text(&params["type"]),
            }),
            "Network.webSocketCreated" => self.requests.push(Seen {
                method: "GET".to_owned(),
                url: text(&params["url"]),
                kind: "WebSocket".to_owned(),
            }),
            "Page.frameNavigated" if params["frame"]["parentId"].is_null() => {
                self.loader = text(&params["frame"]["loaderId"]);
            }
            "Page.lifecycleEvent" if params["name"] == "load" => {
                self.loaded.insert(text(&params["loaderId"]));
            }
            "Runtime.exceptionThrown" => {
                let details = &params["exceptionDetails"];
                let thrown = details["exception"]["description"].as_str();
                self.errors
                    .push(thrown.map_or_else(|| text(&details["text"]), str::to_owned));
            }
            "Runtime.consoleAPICalled" if params["type"] == "error" => {
                self.errors.push(params["args"].to_string());
            }
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                let entry = &params["entry"];
                self.errors
                    .push(format!("{} {}", text(&entry["text"]), text(&entry["url"])));
            }
            _ => return false,
        }
        true
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
