//! What a tab did: read from DevTools' events.

use std::collections::HashSet;

use serde_json::Value;

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
pub(super) struct Record {
    pub(super) requests: Vec<Seen>,
    /// Uncaught exceptions, console errors, and what the browser itself logs as an error (a blocked request, a 404).
    pub(super) errors: Vec<String>,
    /// The loader of the main frame's document, and those whose load event was seen.
    pub(super) loader: String,
    pub(super) loaded: HashSet<String>,
    pub(super) popups: Vec<String>,
}

impl Record {
    /// Takes down what an event says; whether it says anything of interest.
    pub(super) fn take(&mut self, method: &str, params: &Value) -> bool {
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

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
