//! The way to the browser: commands out, answers and events in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::LIMIT;
use super::record::{Record, text};

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>>;

/// The way to the browser.
#[derive(Debug, Clone)]
pub(super) struct Line {
    outgoing: mpsc::UnboundedSender<Message>,
    waiting: Waiting,
    next: Arc<AtomicU64>,
    /// The context and the tab that this way was made for, once they are.
    own: Arc<OnceLock<(String, String)>>,
}

impl Line {
    pub(super) fn send(&self, session: &str, method: &str, params: &Value) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        // Whoever waits for an answer learns from its absence that the browser is gone.
        let _ = self.outgoing.send(message.to_string().into());
        id
    }

    pub(super) async fn ask(
        &self,
        session: &str,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
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

    /// Connects, and keeps reading.
    pub(super) async fn connect(address: &str) -> (Self, watch::Receiver<Record>, JoinSet<()>) {
        let (socket, _) = tokio_tungstenite::connect_async(address)
            .await
            .expect("a DevTools connection");
        let (mut sink, mut stream) = socket.split();
        let (outgoing, mut to_send) = mpsc::unbounded_channel();
        let line = Self {
            outgoing,
            waiting: Waiting::default(),
            next: Arc::new(AtomicU64::new(1)),
            own: Arc::default(),
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
                    event(&reader, &writer, &message);
                }
            }
            // Nobody waits for answers that can't come any more.
            reader.waiting.lock().expect("no poison").clear();
        });
        (line, record, reading)
    }

    /// Makes a tab in a context of its own, and has it report.
    pub(super) async fn attach(&self) -> Result<String, String> {
        let context = json!({ "disposeOnDetach": true });
        let context = self.ask("", "Target.createBrowserContext", context).await?;
        let context = text(&context["browserContextId"]);
        let tab = json!({ "url": "about:blank", "browserContextId": context });
        let tab = self.ask("", "Target.createTarget", tab).await?;
        let tab = text(&tab["targetId"]);
        let _ = self.own.set((context, tab.clone()));
        let session = json!({ "targetId": tab, "flatten": true });
        let session = self.ask("", "Target.attachToTarget", session).await?;
        let session = text(&session["sessionId"]);
        for (method, params) in [
            ("Page.enable", json!({})),
            ("Page.setLifecycleEventsEnabled", json!({ "enabled": true })),
            (
                "Emulation.setFocusEmulationEnabled",
                json!({ "enabled": true }),
            ),
        ] {
            self.ask(&session, method, params).await?;
        }
        self.ask("", "Target.setDiscoverTargets", json!({ "discover": true }))
            .await?;
        Ok(session)
    }
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
fn event(line: &Line, record: &watch::Sender<Record>, message: &Value) {
    let params = &message["params"];
    let info = &params["targetInfo"];
    let popup = line.own.get().is_some_and(|(context, tab)| {
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
