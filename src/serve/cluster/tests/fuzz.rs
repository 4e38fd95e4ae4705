//! Objects as a stranger writes them and as Go prints them: whatever stands in one, the list and the watch that bring
//! it go on, and what is kept of it is bounded.
//!
//! An input is the JSON of one object. It is read as every kind, in a watch and in a list beside an object that is
//! good.

use serde_json::value::RawValue;

use super::*;
use crate::serve::cluster::endpoints::RawSlice;
use crate::serve::cluster::list_page::page;
use crate::serve::cluster::nodes::RawNode;
use crate::serve::cluster::object::MAX_ENTRIES;
use crate::serve::cluster::pods::RawPod;
use crate::serve::cluster::services::RawService;
use crate::serve::cluster::watch_stream::{WatchItem, event};

const GOOD: &[u8] = br#"{"metadata":{"name":"good","namespace":"demo","resourceVersion":"7"}}"#;

pub(crate) fn objects(input: &[u8]) {
    let is_json = serde_json::from_slice::<&RawValue>(input).is_ok();
    if let Some(pod) = read::<RawPod>(input, is_json) {
        let pod = Pod::from(pod);
        assert!(pod.ips.len() <= MAX_ENTRIES && pod.ports.len() <= MAX_ENTRIES);
        assert!(pod.ports.iter().all(|port| port.number != 0));
    }
    if let Some(service) = read::<RawService>(input, is_json) {
        let service = Service::from(service);
        assert!(service.ports.len() <= MAX_ENTRIES);
        assert!(service.ports.iter().all(|port| port.number != 0));
    }
    if let Some(node) = read::<RawNode>(input, is_json) {
        let _ = Node::from(node);
    }
    if let Some(slice) = read::<RawSlice>(input, is_json) {
        let slice = EndpointSlice::from(slice);
        assert!(slice.endpoints.len() <= MAX_ENTRIES && slice.ports.len() <= MAX_ENTRIES);
        assert!(slice.ports.iter().all(|port| port.number != 0));
    }
}

/// What is read of an object of a kind, in each way that it may come.
fn read<C: ObjectContent>(input: &[u8], is_json: bool) -> Option<ReadObject<C>> {
    let mut first = None;
    for kind in ["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "FUTURE"] {
        let begin = format!("{{\"type\":\"{kind}\",\"object\":");
        let line = [begin.as_bytes(), input, b"}\n"].concat();
        let came = event::<C>(&line);
        // One that ends the outer object may go on with members of its own.
        assert!(came.is_ok() || !is_json, "{kind}: {:?}", came.err());
        if let (Ok(WatchItem::Applied(object)), "ADDED", true) = (came, kind, is_json) {
            first = object.known().ok();
        }
    }
    let begin = br#"{"metadata":{"resourceVersion":"9"},"items":["#;
    let list = [begin, input, b",", GOOD, b"]}"].concat();
    match page::<C>(&list) {
        Ok(page) if is_json => {
            assert_eq!((page.objects.len(), &*page.version), (2, "9"));
            let mut objects = page.objects.into_iter();
            let (odd, good) = (objects.next().unwrap(), objects.next().unwrap());
            let good = good.known().expect("its neighbour is no reason");
            assert_eq!(&*good.key.name, "good");
            let (listed, watched) = (odd.known().ok(), first.as_ref());
            assert_eq!(
                listed.map(|known| format!("{known:?}")),
                watched.map(|known| format!("{known:?}"))
            );
        }
        Ok(_) => {}
        Err(failed) => assert!(!is_json, "{failed:?}"),
    }
    first
}
