//! EndpointSlices, gathered by the Service that they belong to.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::discovery::v1;
use serde::Deserialize;

use super::change::Change;
use super::object::{
    MAX_ENTRIES, ObjectContent, ReadObject, first_entries, is_tcp, or_default, port,
};
use super::table::{ObjectKey, ObjectTable};

/// What is kept of an EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSlice {
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

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawSlice {
    #[serde(default, deserialize_with = "or_default")]
    metadata: RawSliceMetadata,
    #[serde(default, deserialize_with = "or_default")]
    address_type: String,
    #[serde(default, deserialize_with = "first_entries")]
    endpoints: Vec<RawEndpoint>,
    #[serde(default, deserialize_with = "first_entries")]
    ports: Vec<RawEndpointPort>,
}

impl ObjectContent for RawSlice {
    type Kind = v1::EndpointSlice;
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RawSliceMetadata {
    #[serde(default, deserialize_with = "or_default")]
    labels: RawLabels,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RawLabels {
    #[serde(default, rename = "kubernetes.io/service-name")]
    service: Option<Box<str>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEndpoint {
    #[serde(default, deserialize_with = "first_entries")]
    addresses: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
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
    #[serde(default, deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    namespace: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    name: Box<str>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawEndpointPort {
    name: Option<Box<str>>,
    /// An int32 that nobody has checked.
    port: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    protocol: String,
}

impl From<ReadObject<RawSlice>> for EndpointSlice {
    fn from(known: ReadObject<RawSlice>) -> Self {
        let raw = known.content;
        // Names are never resolved, so a slice of them has no endpoints here.
        let is_of_names = raw.address_type == "FQDN";
        let endpoints = raw.endpoints.into_iter().filter(|_| !is_of_names);
        let ports = raw.ports.into_iter();
        Self {
            name: known.key.name,
            ports: ports
                .filter(|port| is_tcp(&port.protocol))
                .filter_map(|raw| {
                    Some(SlicePort {
                        name: raw.name.unwrap_or_default(),
                        number: port(raw.port?)?,
                    })
                })
                .take(MAX_ENTRIES)
                .collect(),
            endpoints: endpoints.filter_map(endpoint).take(MAX_ENTRIES).collect(),
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
    // Only a Pod can be asked whether it has the address.
    let pod = raw.target_ref.filter(|reference| reference.kind == "Pod");
    Some(SliceEndpoint {
        address,
        ready: ready.unwrap_or(true),
        // Older writers say `ready` alone, which then means both.
        serving: serving.or(ready).unwrap_or(true),
        terminating: terminating.unwrap_or(false),
        pod: pod.map(|reference| (reference.namespace, reference.name)),
    })
}

/// What only the watch task knows: which Service each slice was counted under.
#[derive(Debug, Default)]
pub(super) struct SliceOwners(Mutex<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    service_of: HashMap<ObjectKey, ObjectKey>,
    listed: HashSet<ObjectKey>,
}

impl SliceOwners {
    /// Applies a change to the slices of Services. Only the task that follows slices calls it.
    pub(super) fn apply(
        &self,
        slices: &ObjectTable<Vec<Arc<EndpointSlice>>>,
        change: Change<RawSlice>,
    ) {
        // Held by the one writer while it applies a change; nobody who reads takes it.
        let mut known = self.known();
        match change {
            Change::ListBegins => known.listed.clear(),
            Change::Listed(slice) => {
                // Rows change as the list comes in: a list takes seconds, and readers need what there is.
                known.listed.insert(slice.key.clone());
                known.insert(slices, slice);
            }
            Change::ListEnds => {
                // Taken out, so that the list of names is freed as soon as it was compared.
                let listed = std::mem::take(&mut known.listed);
                let gone: Vec<ObjectKey> = known
                    .service_of
                    .keys()
                    .filter(|key| !listed.contains(key))
                    .cloned()
                    .collect();
                gone.iter().for_each(|key| known.remove(slices, key));
                slices.mark_confirmed();
            }
            Change::Applied(slice) => known.insert(slices, slice),
            Change::Removed(key) => known.remove(slices, &key),
        }
    }

    fn known(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    fn insert(
        &mut self,
        slices: &ObjectTable<Vec<Arc<EndpointSlice>>>,
        slice: ReadObject<RawSlice>,
    ) {
        let slice_key = slice.key.clone();
        let service = slice.content.metadata.labels.service.as_deref();
        let service = service.map(|name| ObjectKey::new(Some(&slice_key.namespace), name));
        // It may have another Service now, or none: the label is its owner's to change.
        if self.service_of.get(&slice_key) != service.as_ref() {
            self.remove(slices, &slice_key);
        }
        let Some(service) = service else { return };
        let slice = Arc::new(EndpointSlice::from(slice));
        // A new list in place of the old one, as readers may hold that.
        let mut of_service = without(slices, &service, &slice.name);
        of_service.push(slice);
        slices.insert(service.clone(), Arc::new(of_service));
        self.service_of.insert(slice_key, service);
    }

    fn remove(&mut self, slices: &ObjectTable<Vec<Arc<EndpointSlice>>>, slice: &ObjectKey) {
        let Some(service) = self.service_of.remove(slice) else {
            return;
        };
        let rest = without(slices, &service, &slice.name);
        if rest.is_empty() {
            slices.remove(&service);
        } else {
            slices.insert(service, Arc::new(rest));
        }
    }
}

/// The slices of a Service but for one.
fn without(
    slices: &ObjectTable<Vec<Arc<EndpointSlice>>>,
    service: &ObjectKey,
    name: &str,
) -> Vec<Arc<EndpointSlice>> {
    let present = slices.get(&service.namespace, &service.name);
    let present = present.iter().flat_map(|present| present.iter());
    present
        .filter(|slice| &*slice.name != name)
        .cloned()
        .collect()
}
