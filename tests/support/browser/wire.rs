//! The connection to a browser: commands and their responses, and what pages report meanwhile.
//!
//! Every page, frame, worker and pop-up is stopped as it comes into being until it is watched, so that no request of it
//! is missed.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

/// Nothing that a page does here takes longer, unless it never comes.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// What is to be told to a page, worker or frame as soon as it is there.
pub(super) const WATCHED: &[&str] = &[
    "Network.enable",
    "Page.enable",
    "Runtime.enable",
    "Log.enable",
];

/// What one profile's pages did.
#[derive(Debug, Default)]
pub(super) struct Diary {
    pub(super) requests: Vec<String>,
    pub(super) console_errors: Vec<String>,
    pub(super) loads: usize,
    /// Targets and the sessions that talk to them.
    pub(super) sessions: HashMap<String, String>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    next_id: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
    /// Which profile a session belongs to.
    pub(super) contexts: HashMap<String, String>,
    pub(super) diaries: HashMap<String, Diary>,
    urls: HashMap<String, String>,
}

#[derive(Debug)]
pub(super) struct Wire {
    out: mpsc::UnboundedSender<String>,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

pub(super) fn attach_all() -> Value {
    json!({"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true})
}

impl Wire {
    pub(super) fn new(out: mpsc::UnboundedSender<String>) -> Self {
        Self {
            out,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// The next change of what was seen.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn diary<T>(&self, context: &str, read: impl Fn(&Diary) -> T) -> T {
        read(&self.state.lock().expect("nobody panicked with it").diaries[context])
    }

    pub(super) fn send(
        &self,
        session: &str,
        method: &str,
        params: &Value,
    ) -> oneshot::Receiver<Result<Value, String>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock().expect("nobody panicked with it");
        state.next_id += 1;
        let mut command = json!({"id": state.next_id, "method": method, "params": params});
        if !session.is_empty() {
            command["sessionId"] = session.into();
        }
        let id = state.next_id;
        state.waiting.insert(id, sender);
        // When the browser is gone, the response that never comes says so.
        let _ = self.out.send(command.to_string());
        receiver
    }

    pub(super) async fn call(
        &self,
        session: &str,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        let response = tokio::time::timeout(LIMIT, self.send(session, method, &params)).await;
        response
            .map_err(|_| format!("{method}: no answer"))?
            .map_err(|_| format!("{method}: the browser is gone"))?
    }

    /// Waits for something to become true of what was seen.
    pub(super) async fn until<T>(&self, what: &str, find: impl Fn(&State) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = find(&self.state.lock().expect("nobody panicked with it")) {
                    return found;
                }
                changed.changed().await.expect("the wire is there");
            }
        };
        tokio::time::timeout(LIMIT, waiting)
            .await
            .unwrap_or_else(|_| {
                let state = self.state.lock().expect("nobody panicked with it");
                panic!("never: {what}; seen: {:#?}", state.diaries)
            })
    }

    pub(super) fn take_in(&self, message: &Value) {
        if let Some(id) = message["id"].as_u64() {
            let waiting = self
                .state
                .lock()
                .expect("nobody panicked with it")
                .waiting
                .remove(&id);
            let response = match message.get("error") {
                Some(error) => Err(error["message"].to_string()),
                None => Ok(message["result"].clone()),
            };
            // Nobody waits for the answers to what is told to a new target.
            if let Some(waiting) = waiting {
                let _ = waiting.send(response);
            }
            return;
        }
        let (session, params) = (
            message["sessionId"].as_str().unwrap_or_default(),
            &message["params"],
        );
        let method = message["method"].as_str().unwrap_or_default();
        if method == "Target.attachedToTarget" {
            self.attached(session, params);
        }
        if method == "Page.javascriptDialogOpening" {
            // A page that asks whether it may be left is told yes, or the browser waits for ever.
            let yes = json!({"accept": true});
            drop(self.send(session, "Page.handleJavaScriptDialog", &yes));
        }
        self.note(session, method, params);
        self.changed.send_modify(|count| *count += 1);
    }

    fn attached(&self, parent: &str, params: &Value) {
        let session = params["sessionId"].as_str().unwrap_or_default();
        let info = &params["targetInfo"];
        {
            let mut state = self.state.lock().expect("nobody panicked with it");
            let context = match info["browserContextId"].as_str() {
                Some(context) => context.to_owned(),
                None => state.contexts.get(parent).cloned().unwrap_or_default(),
            };
            let diary = state.diaries.entry(context.clone()).or_default();
            let target = info["targetId"].as_str().unwrap_or_default().to_owned();
            diary
                .sessions
                .entry(target)
                .or_insert_with(|| session.to_owned());
            state.contexts.insert(session.to_owned(), context);
        }
        for method in WATCHED {
            drop(self.send(session, method, &json!({})));
        }
        drop(self.send(session, "Target.setAutoAttach", &attach_all()));
        drop(self.send(session, "Runtime.runIfWaitingForDebugger", &json!({})));
    }

    fn note(&self, session: &str, method: &str, params: &Value) {
        let mut state = self.state.lock().expect("nobody panicked with it");
        let context = state.contexts.get(session).cloned().unwrap_or_default();
        let request = params["requestId"].as_str().unwrap_or_default().to_owned();
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let mut seen = None;
        let error = match method {
            "Network.requestWillBeSent" => {
                seen = Some(text(&params["request"]["url"]));
                None
            }
            "Network.webSocketCreated" => {
                seen = Some(text(&params["url"]));
                None
            }
            "Network.loadingFailed" if params["canceled"] != json!(true) => {
                let url = state.urls.get(&request).cloned().unwrap_or_default();
                Some(format!("{} of {url}", text(&params["errorText"])))
            }
            "Network.webSocketFrameError" => Some(text(&params["errorMessage"])),
            "Runtime.exceptionThrown" => {
                let details = &params["exceptionDetails"];
                let thrown = &details["exception"]["description"];
                Some(text(if thrown.is_null() {
                    &details["text"]
                } else {
                    thrown
                }))
            }
            "Runtime.consoleAPICalled" if params["type"] == "error" => {
                Some(params["args"].to_string())
            }
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                let entry = &params["entry"];
                Some(format!("{} {}", text(&entry["text"]), text(&entry["url"])))
            }
            _ => None,
        };
        // The browser's own windows are pages too.
        seen = seen.filter(|url: &String| !url.starts_with("chrome"));
        let error = error.filter(|text| !text.contains("chrome://"));
        if let Some(url) = &seen {
            state.urls.insert(request, url.clone());
        }
        let diary = state.diaries.entry(context).or_default();
        diary.requests.extend(seen);
        diary.console_errors.extend(error);
        diary.loads += usize::from(method == "Page.loadEventFired");
    }
}
