//! What is wrong with an object, said where its owner looks: a log line, and a warning Event on the object.
//!
//! The Event's name is made of what it says, so that replicas and restarts write one and not many; an Event that is
//! there already is left alone. It is told once for each change of the object's annotations, and never waited for.
//!
//! Whoever changes annotations in a loop gets [`MAX_PER_OBJECT`] of both in [`WINDOW`], as client-go's spam filter
//! does.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use foldhash::fast::FixedState;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use moka::future::Cache;
use tokio::sync::mpsc;

use super::api_call::{ApiServerError, call_with_retries};
use super::services::Service;

/// Events that wait to be written; more are lost.
const MAX_WAITING: usize = 256;

/// Events about one object that are written in one [`WINDOW`]; client-go's `EventCorrelator` has 25 in 5 minutes.
const MAX_PER_OBJECT: u32 = 16;
const WINDOW: Duration = Duration::from_secs(300);

/// Objects that are counted at the same time.
const MAX_OBJECTS: u64 = 1024;

/// One sentence about one Service.
#[derive(Debug)]
struct AnnotationWarning {
    about: ObjectReference,
    sentence: String,
}

/// Where warnings are handed in.
#[derive(Debug, Clone)]
pub(super) struct EventRecorder(mpsc::Sender<AnnotationWarning>);

/// Where they come out.
#[derive(Debug)]
pub(super) struct EventWriter(mpsc::Receiver<AnnotationWarning>);

pub(super) fn channel() -> (EventRecorder, EventWriter) {
    let (send, receive) = mpsc::channel(MAX_WAITING);
    (EventRecorder(send), EventWriter(receive))
}

impl EventRecorder {
    /// Says what is new since the Service was seen before.
    pub(super) fn record(&self, about: &ObjectReference, now: &Service, before: Option<&Service>) {
        let known = before.map(|service| &*service.warnings);
        for sentence in &now.warnings {
            // What it said before is known; a Service that is applied again and again makes no new line.
            if known.is_some_and(|known| known.contains(sentence)) {
                continue;
            }
            let (about, sentence) = (about.clone(), sentence.clone());
            // A full queue loses it: the task that follows Services waits for nobody.
            let _ = self.0.try_send(AnnotationWarning { about, sentence });
        }
    }
}

/// What an Event says it is about.
pub(super) fn reference(service: ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        namespace: service.namespace,
        name: service.name,
        uid: service.uid,
        resource_version: service.resource_version,
        ..ObjectReference::default()
    }
}

impl EventWriter {
    /// Writes Events for as long as the server runs.
    pub(super) async fn write(mut self, client: kube::Client) {
        let recorded = Cache::builder()
            .max_capacity(MAX_OBJECTS)
            .time_to_live(WINDOW)
            .build();
        while let Some(warning) = self.0.recv().await {
            // Counted before the line too: the log is as easily flooded as the events.
            if !may_be_recorded(&recorded, &warning).await {
                continue;
            }
            tracing::warn!(
                service.namespace = warning.about.namespace,
                service.name = warning.about.name,
                "{}",
                warning.sentence
            );
            let event = event(warning);
            let namespace = event.metadata.namespace.clone().unwrap_or_default();
            let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
            let post = PostParams::default();
            match call_with_retries(|| events.create(&post, &event)).await {
                Ok(_) => {}
                // Another replica, or this one before a restart, has written the same.
                Err(ApiServerError::Failed(kube::Error::Api(status))) if status.code == 409 => {}
                Err(failed) => {
                    tracing::warn!(error = %failed, "an Event could not be written");
                }
            }
        }
    }
}

/// Counts what is told of each object.
async fn may_be_recorded(
    recorded: &Cache<String, Arc<AtomicU32>>,
    warning: &AnnotationWarning,
) -> bool {
    let object = warning.about.uid.clone().unwrap_or_default();
    let count = recorded.get_with(object, std::future::ready(Arc::default()));
    count.await.fetch_add(1, Ordering::Relaxed) < MAX_PER_OBJECT
}

fn event(warning: AnnotationWarning) -> Event {
    let AnnotationWarning { about, sentence } = warning;
    // A fixed seed: the name has to be the same in every replica.
    let mut hasher = std::hash::BuildHasher::build_hasher(&FixedState::default());
    (&about.uid, &sentence).hash(&mut hasher);
    let name = about.name.as_deref().unwrap_or_default();
    let now = Some(Time(Timestamp::now()));
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:016x}", hasher.finish())),
            namespace: about.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: about,
        type_: Some("Warning".to_owned()),
        reason: Some("AnnotationNotUnderstood".to_owned()),
        message: Some(sentence),
        source: Some(EventSource {
            component: Some("throughway".to_owned()),
            host: None,
        }),
        first_timestamp: now.clone(),
        last_timestamp: now,
        count: Some(1),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::serve::cluster::services::RawService;
    use crate::serve::cluster::tests::known;

    fn service(annotations: &serde_json::Value) -> (ObjectReference, Service) {
        let object = json!({"metadata": {
            "name": "web", "namespace": "demo", "uid": "u-1", "annotations": annotations}});
        let known = known::<RawService>(&object);
        (reference(known.identity.clone()), known.into())
    }

    #[tokio::test]
    async fn annotations_that_change_in_a_loop_are_told_a_few_times() {
        let recorded = Cache::new(8);
        let mut count = 0;
        for at in 0..1000 {
            let (about, _) = service(&json!({}));
            let sentence = format!("sentence {at}");
            count +=
                u32::from(may_be_recorded(&recorded, &AnnotationWarning { about, sentence }).await);
        }
        assert_eq!(count, MAX_PER_OBJECT);
    }

    #[test]
    fn thousands_of_wrong_annotations_are_a_few_complaints() {
        let annotations: serde_json::Map<_, _> = (0..10_000)
            .map(|at| (format!("throughway.dev/a{at}"), json!("x")))
            .collect();
        let (_, wrong) = service(&json!(annotations));
        assert_eq!(
            wrong.warnings.len(),
            crate::serve::cluster::settings::MAX_WARNINGS
        );
    }

    #[tokio::test]
    async fn no_more_events_wait_than_have_room() {
        let (warnings, waiting) = channel();
        for at in 0..1000 {
            let annotation = format!("throughway.dev/a{at}");
            let (about, wrong) = service(&json!({annotation: "x"}));
            warnings.record(&about, &wrong, None);
        }
        assert_eq!(waiting.0.len(), 256);
    }

    #[tokio::test]
    async fn a_complaint_is_told_once_and_its_event_has_one_name() {
        let (warnings, mut waiting) = channel();
        let (about, wrong) = service(&json!({"throughway.dev/prefix": "both"}));
        warnings.record(&about, &wrong, None);
        warnings.record(&about, &wrong, Some(&wrong));
        let first = event(waiting.0.try_recv().unwrap());
        assert!(waiting.0.try_recv().is_err(), "told twice");
        warnings.record(&about, &wrong, None);
        let again = event(waiting.0.try_recv().unwrap());
        assert_eq!(first.metadata.name, again.metadata.name);
        assert_eq!(first.involved_object.uid.as_deref(), Some("u-1"));
        assert!(first.message.unwrap().contains("throughway.dev/prefix"));
        let (about, right) = service(&json!({"throughway.dev/prefix": "keep"}));
        warnings.record(&about, &right, Some(&wrong));
        assert!(waiting.0.try_recv().is_err(), "nothing is wrong any more");
    }
}
