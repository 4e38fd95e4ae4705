//! ConfigMap kube-system/extension-apiserver-authentication: whom the cluster lets speak for others, and its client CA.
//!
//! Published as it changes; content that is missing or no JSON list keeps what was said before. A cluster without the
//! ConfigMap is one without a front proxy; a right that is missing is an error to be mended, so readiness shows it.
//!
//! Kubernetes: `pkg/server/options/authentication_dynamic_request_header.go` of k8s.io/apiserver.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::watch;

use crate::lifecycle::Tasks;
use crate::serve::config::{ExtensionAuthentication, RequestHeaderNames};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// The running lookup.
#[derive(Debug)]
pub struct FrontProxyLookup {
    /// What the ConfigMap says, empty until it was read.
    pub said: watch::Receiver<ExtensionAuthentication>,
    /// Whether it was read.
    pub state: Lookup,
}

/// Whether the ConfigMap was read, for readiness.
#[derive(Debug, Clone, Default)]
pub struct Lookup(Arc<AtomicBool>);

impl Lookup {
    pub fn done(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl FrontProxyLookup {
    /// Reads the ConfigMap and follows it until the server has drained.
    pub fn start(client: kube::Client, tasks: &Tasks) -> Self {
        let (publish, said) = watch::channel(ExtensionAuthentication::default());
        let state = Lookup::default();
        tasks.spawn_required(
            "authentication-lookup",
            follow(Api::namespaced(client, NAMESPACE), publish, state.clone()),
        );
        Self { said, state }
    }
}

async fn follow(
    api: Api<ConfigMap>,
    publish: watch::Sender<ExtensionAuthentication>,
    state: Lookup,
) {
    // By name, so that the right to read one ConfigMap is enough.
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events = pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(map) | Event::InitApply(map)) => {
                publish.send_modify(|said| update(said, &map.data.unwrap_or_default()));
            }
            // The list has come, with the ConfigMap or without it: now it is known whether there is a front proxy.
            Ok(Event::InitDone) => state.0.store(true, Ordering::Release),
            // As content that is missing does, a ConfigMap that is gone leaves what was said before.
            Ok(Event::Init | Event::Delete(_)) => {}
            Err(failed) => {
                tracing::warn!(error = %failed, namespace = NAMESPACE, name = NAME, "the front proxy's ConfigMap can't be read");
            }
        }
    }
}

/// Takes over what the ConfigMap says now, as far as it says anything.
fn update(said: &mut ExtensionAuthentication, data: &BTreeMap<String, String>) {
    let present = |key: &str| {
        data.get(key)
            .filter(|text| !text.trim().is_empty())
            .cloned()
    };
    if let Some(pem) = present("client-ca-file") {
        said.client_ca = Some(pem);
    }
    let Some(pem) = present("requestheader-client-ca-file") else {
        return;
    };
    // Certificates and names belong together, so with a broken list neither changes.
    let Some(names) = names(data) else {
        tracing::warn!(
            namespace = NAMESPACE,
            name = NAME,
            "a list in it is no JSON list, the last good ones stay"
        );
        return;
    };
    said.request_header = Some((pem, names));
}

fn names(data: &BTreeMap<String, String>) -> Option<RequestHeaderNames> {
    let list = |key: &str| match data.get(key).map(String::as_str) {
        None | Some("") => Some(Vec::new()),
        Some(text) => serde_json::from_str(text).ok(),
    };
    Some(RequestHeaderNames {
        allowed_names: list("requestheader-allowed-names")?,
        username_headers: list("requestheader-username-headers")?,
        uid_headers: list("requestheader-uid-headers")?,
        group_headers: list("requestheader-group-headers")?,
        extra_header_prefixes: list("requestheader-extra-headers-prefix")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(lines: &[(&str, &str)]) -> BTreeMap<String, String> {
        lines
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_lists_are_json() {
        let mut said = ExtensionAuthentication::default();
        update(
            &mut said,
            &data(&[
                ("client-ca-file", "CA"),
                ("requestheader-client-ca-file", "FRONT"),
                ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
                ("requestheader-username-headers", r#"["X-Remote-User"]"#),
                ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
                (
                    "requestheader-extra-headers-prefix",
                    r#"["X-Remote-Extra-"]"#,
                ),
            ]),
        );
        assert_eq!(said.client_ca.as_deref(), Some("CA"));
        let (pem, names) = said.request_header.unwrap();
        assert_eq!(
            (pem.as_str(), names.allowed_names),
            ("FRONT", vec!["front-proxy-client".to_owned()])
        );
        assert!(names.uid_headers.is_empty());
    }

    #[test]
    fn what_is_missing_empty_or_broken_keeps_what_was_said() {
        let good = data(&[
            ("client-ca-file", "CA"),
            ("requestheader-client-ca-file", "FRONT"),
        ]);
        let mut said = ExtensionAuthentication::default();
        update(&mut said, &good);
        let before = said.clone();
        for worse in [
            data(&[]),
            data(&[
                ("client-ca-file", " "),
                ("requestheader-client-ca-file", ""),
            ]),
            data(&[
                ("requestheader-client-ca-file", "NEW"),
                ("requestheader-allowed-names", "front"),
            ]),
        ] {
            update(&mut said, &worse);
            assert_eq!(said, before);
        }
    }
}
