//! What is wrong with an object, said where its owner looks: a log line, and a warning Event on the object.
//!
//! The Event's name is made of what it says, so that replicas and restarts write one and not many; an Event that is there
//! already is left alone. It is told once for each change of the object's annotations, and never waited for.

use std::hash::{Hash, Hasher};

use foldhash::fast::FixedState;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::sync::mpsc;

use super::ask::{Unanswered, ask};
use super::services::{RawService, Service};

/// Complaints that wait to be written; more are in the log alone.
const MOST_WAITING: usize = 256;

/// One sentence about one Service.
#[derive(Debug)]
struct Complaint {
    about: ObjectReference,
    sentence: String,
}

/// Where complaints are handed in.
#[derive(Debug, Clone)]
pub(super) struct Complaints(mpsc::Sender<Complaint>);

/// Where they come out.
#[derive(Debug)]
pub(super) struct Waiting(mpsc::Receiver<Complaint>);

pub(super) fn channel() -> (Complaints, Waiting) {
    let (send, receive) = mpsc::channel(MOST_WAITING);
    (Complaints(send), Waiting(receive))
}

impl Complaints {
    /// Says what is new since the Service was seen before.
    pub(super) fn tell(&self, about: &ObjectReference, now: &Service, before: Option<&Service>) {
        let known = before.map(|service| &*service.complaints);
        for sentence in &now.complaints {
            if known.is_some_and(|known| known.contains(sentence)) {
                continue;
            }
            tracing::warn!(
                service.namespace = about.namespace,
                service.name = about.name,
                "{sentence}"
            );
            let (about, sentence) = (about.clone(), sentence.clone());
            // A full queue loses the Event, not the log line.
            let _ = self.0.try_send(Complaint { about, sentence });
        }
    }
}

/// What an Event says it is about.
pub(super) fn reference(raw: &RawService) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        namespace: raw.metadata.namespace.clone(),
        name: raw.metadata.name.clone(),
        uid: raw.metadata.uid.clone(),
        resource_version: raw.metadata.resource_version.clone(),
        ..ObjectReference::default()
    }
}

impl Waiting {
    /// Writes Events for as long as the server runs.
    pub(super) async fn write(mut self, client: kube::Client) {
        while let Some(complaint) = self.0.recv().await {
            let event = event(complaint);
            let namespace = event.metadata.namespace.clone().unwrap_or_default();
            let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
            let post = PostParams::default();
            match ask(|| events.create(&post, &event)).await {
                Ok(_) => {}
                Err(Unanswered::Failed(kube::Error::Api(status))) if status.code == 409 => {}
                Err(failed) => {
                    tracing::warn!(error = %failed, "an Event could not be written");
                }
            }
        }
    }
}

fn event(complaint: Complaint) -> Event {
    let Complaint { about, sentence } = complaint;
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

    fn service(annotations: &serde_json::Value) -> (ObjectReference, Service) {
        let raw: RawService = serde_json::from_value(json!({"metadata": {
            "name": "web", "namespace": "demo", "uid": "u-1", "annotations": annotations}}))
        .unwrap();
        (reference(&raw), raw.into())
    }

    #[tokio::test]
    async fn a_complaint_is_told_once_and_its_event_has_one_name() {
        let (complaints, mut waiting) = channel();
        let (about, wrong) = service(&json!({"throughway.dev/prefix": "both"}));
        complaints.tell(&about, &wrong, None);
        complaints.tell(&about, &wrong, Some(&wrong));
        let first = event(waiting.0.try_recv().unwrap());
        assert!(waiting.0.try_recv().is_err(), "told twice");
        complaints.tell(&about, &wrong, None);
        let again = event(waiting.0.try_recv().unwrap());
        assert_eq!(first.metadata.name, again.metadata.name);
        assert_eq!(first.involved_object.uid.as_deref(), Some("u-1"));
        assert!(first.message.unwrap().contains("throughway.dev/prefix"));
        let (about, right) = service(&json!({"throughway.dev/prefix": "keep"}));
        complaints.tell(&about, &right, Some(&wrong));
        assert!(waiting.0.try_recv().is_err(), "nothing is wrong any more");
    }
}
