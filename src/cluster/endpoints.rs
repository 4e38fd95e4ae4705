//! EndpointSlices, gathered by the Service that they belong to.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Resource;
use kube::api::ObjectMeta;
use kube::runtime::watcher::Event;
use serde::Deserialize;

use super::table::{Key, Table};
use super::{Cluster, Kinds};

/// The label that says which Service a slice belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is kept of an EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    pub name: Box<str>,
    pub ports: Box<[SlicePort]>,
    pub endpoints: Box<[SliceEndpoint]>,
}

/// A Service's port as the pods of this slice have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlicePort {
    /// Empty for a port without a name.
    pub name: Box<str>,
    pub number: u16,
}

/// One endpoint. What the slice leaves open is decided as discovery/v1 says: ready, serving, not terminating.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceEndpoint {
    pub address: IpAddr,
    pub ready: bool,
    pub serving: bool,
    pub terminating: bool,
    /// The Pod that it says it is: namespace (empty for the slice's own) and name.
    pub pod: Option<(Box<str>, Box<str>)>,
}

#[derive(Debug, Clone, Resource, Deserialize)]
#[resource(inherit = k8s_openapi::api::discovery::v1::EndpointSlice)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawSlice {
    metadata: ObjectMeta,
    #[serde(default)]
    address_type: String,
    #[serde(default)]
    endpoints: Option<Vec<RawEndpoint>>,
    #[serde(default)]
    ports: Option<Vec<RawPort>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEndpoint {
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    conditions: RawConditions,
    target_ref: Option<RawReference>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RawConditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawReference {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    namespace: Box<str>,
    #[serde(default)]
    name: Box<str>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawPort {
    name: Option<Box<str>>,
    port: Option<u16>,
}

impl From<RawSlice> for Slice {
    fn from(raw: RawSlice) -> Self {
        // Names are never resolved, so a slice of them has no endpoints here.
        let endpoints = if raw.address_type == "FQDN" {
            None
        } else {
            raw.endpoints
        };
        let ports = raw.ports.unwrap_or_default().into_iter();
        Self {
            name: raw.metadata.name.unwrap_or_default().into(),
            ports: ports
                .filter_map(|port| {
                    Some(SlicePort {
                        name: port.name.unwrap_or_default(),
                        number: port.port?,
                    })
                })
                .collect(),
            endpoints: endpoints
                .unwrap_or_default()
                .into_iter()
                .filter_map(endpoint)
                .collect(),
        }
    }
}

fn endpoint(raw: RawEndpoint) -> Option<SliceEndpoint> {
    // All addresses of one endpoint are the same pod; Kubernetes' consumers use the first.
    let address = raw.addresses.first()?.parse().ok()?;
    let RawConditions {
        ready,
        serving,
        terminating,
    } = raw.conditions;
    let pod = raw.target_ref.filter(|reference| reference.kind == "Pod");
    Some(SliceEndpoint {
        address,
        ready: ready.unwrap_or(true),
        serving: serving.or(ready).unwrap_or(true),
        terminating: terminating.unwrap_or(false),
        pod: pod.map(|reference| (reference.namespace, reference.name)),
    })
}

/// What only the watch task knows: which Service each slice was counted under.
#[derive(Debug, Default)]
pub(super) struct Writer(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    service_of: HashMap<Key, Key>,
    listed: HashSet<Key>,
}

impl Writer {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    pub(super) fn apply_slice(&self, event: Event<RawSlice>) {
        let Kinds {
            slices, slices_of, ..
        } = &*self.0;
        let mut known = slices_of.known();
        match event {
            Event::Init => known.listed.clear(),
            Event::InitApply(slice) => {
                known.listed.insert(key(&slice));
                known.insert(slices, slice);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut known.listed);
                let gone: Vec<Key> = known
                    .service_of
                    .keys()
                    .filter(|key| !listed.contains(key))
                    .cloned()
                    .collect();
                gone.iter().for_each(|key| known.remove(slices, key));
                slices.mark_synced();
            }
            Event::Apply(slice) => known.insert(slices, slice),
            Event::Delete(slice) => known.remove(slices, &key(&slice)),
        }
    }
}

impl Known {
    fn insert(&mut self, slices: &Table<Vec<Arc<Slice>>>, raw: RawSlice) {
        let slice_key = key(&raw);
        let labels = raw.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get(SERVICE_NAME));
        let service = service.map(|name| Key::new(raw.metadata.namespace.as_deref(), name));
        if self.service_of.get(&slice_key) != service.as_ref() {
            self.remove(slices, &slice_key);
        }
        let Some(service) = service else { return };
        let slice = Arc::new(Slice::from(raw));
        let mut of_service = without(slices, &service, &slice.name);
        of_service.push(slice);
        slices.insert(service.clone(), of_service);
        self.service_of.insert(slice_key, service);
    }

    fn remove(&mut self, slices: &Table<Vec<Arc<Slice>>>, slice: &Key) {
        let Some(service) = self.service_of.remove(slice) else {
            return;
        };
        let rest = without(slices, &service, &slice.name);
        if rest.is_empty() {
            slices.remove(&service);
        } else {
            slices.insert(service, rest);
        }
    }
}

/// The slices of a Service but for one.
fn without(slices: &Table<Vec<Arc<Slice>>>, service: &Key, name: &str) -> Vec<Arc<Slice>> {
    let present = slices.get(&service.namespace, &service.name);
    let present = present.iter().flat_map(|present| present.iter());
    present
        .filter(|slice| &*slice.name != name)
        .cloned()
        .collect()
}

fn key(slice: &RawSlice) -> Key {
    Key::new(
        slice.metadata.namespace.as_deref(),
        slice.metadata.name.as_deref().unwrap_or_default(),
    )
}
