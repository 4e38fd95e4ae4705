//! One object of the cluster, read so that nothing in it can fail the list or the watch that brings it.
//!
//! Objects are written by strangers, and kube-apiserver does not check every number or time in them. So each one is cut
//! out of the stream as raw JSON first and read by itself. In: the JSON of one object. Out: what is read of it, or
//! [`Object::content`] as an error with the object's name beside it, so that the table can forget the old row.
//!
//! Reading takes `metadata` of its own instead of `ObjectMeta`: the times of `managedFields`, for example, may be
//! written by any tenant in a form that a strict reader refuses.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use kube::Resource;
use kube::api::ObjectMeta;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::table::ObjectKey;

/// Ports, addresses and containers that are kept of one object. Kubernetes itself allows 1 000 endpoints and, in
/// theory, 20 000 ports a slice.
pub(super) const MAX_ENTRIES: usize = 1024;

/// What is read of an object of one kind: everything but its identity.
pub(super) trait ObjectContent:
    DeserializeOwned + Clone + std::fmt::Debug + Send + 'static
{
    /// The Kubernetes type, for its URL.
    type Kind: Resource<DynamicType = ()>;
}

/// An object that could be read.
#[derive(Debug, Clone)]
pub(super) struct ReadObject<C> {
    pub(super) key: ObjectKey,
    /// Name, namespace, uid and resource version alone.
    pub(super) identity: ObjectMeta,
    pub(super) content: C,
}

/// One object: who it is, and what could be read of it.
#[derive(Debug, Clone)]
pub(super) struct Object<C> {
    /// Name, namespace, uid and resource version alone.
    pub(super) identity: ObjectMeta,
    /// `Err` has the reader's words about what can't be read.
    pub(super) content: Result<C, String>,
}

impl<C> Object<C> {
    /// Reads one object. Whatever stands in it, this has a result.
    pub(super) fn read(raw: &RawValue) -> Self
    where
        C: DeserializeOwned,
    {
        Self {
            // Read apart from the content, so that an object which can't be read still says whose row has to go.
            identity: identity(raw),
            content: serde_json::from_str(raw.get()).map_err(|unreadable| unreadable.to_string()),
        }
    }

    pub(super) fn key(&self) -> ObjectKey {
        ObjectKey::new(
            self.identity.namespace.as_deref(),
            self.identity.name.as_deref().unwrap_or_default(),
        )
    }

    /// The object, if all of it that counts could be read.
    ///
    /// # Errors
    /// Whose row is to be forgotten, and what could not be read.
    pub(super) fn known(self) -> Result<ReadObject<C>, (ObjectKey, String)> {
        let key = self.key();
        match self.content {
            // Without a name there is no row that it could be.
            _ if key.name.is_empty() => Err((key, "it has no name".to_owned())),
            Ok(content) => Ok(ReadObject {
                key,
                identity: self.identity,
                content,
            }),
            Err(unreadable) => Err((key, unreadable)),
        }
    }
}

impl<'de, C: DeserializeOwned> Deserialize<'de> for Object<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::read(<&RawValue>::deserialize(deserializer)?))
    }
}

/// kube asks an object's type for its URL, and its metadata for the resource version alone.
impl<C: ObjectContent> Resource for Object<C> {
    type DynamicType = ();
    type Scope = <C::Kind as Resource>::Scope;

    fn kind(kind: &()) -> Cow<'_, str> {
        C::Kind::kind(kind)
    }

    fn group(kind: &()) -> Cow<'_, str> {
        C::Kind::group(kind)
    }

    fn version(kind: &()) -> Cow<'_, str> {
        C::Kind::version(kind)
    }

    fn plural(kind: &()) -> Cow<'_, str> {
        C::Kind::plural(kind)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.identity
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.identity
    }
}

#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectIdentity<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    namespace: Option<&'a RawValue>,
    #[serde(borrow)]
    uid: Option<&'a RawValue>,
    #[serde(borrow)]
    resource_version: Option<&'a RawValue>,
}

/// Who an object is, as far as that is text. Whatever else stands there reads as nothing.
fn identity(object: &RawValue) -> ObjectMeta {
    let outline = serde_json::from_str::<Outline<'_>>(object.get()).ok();
    let metadata = outline.and_then(|outline| outline.metadata);
    let Some(identity) = metadata
        .and_then(|metadata| serde_json::from_str::<ObjectIdentity<'_>>(metadata.get()).ok())
    else {
        return ObjectMeta::default();
    };
    let text = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
    ObjectMeta {
        name: text(identity.name),
        namespace: text(identity.namespace),
        uid: text(identity.uid),
        resource_version: text(identity.resource_version),
        ..ObjectMeta::default()
    }
}

/// A port as Go prints it, an int32 that nobody may have checked; `None` for what is no port.
pub(super) fn port(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| *number != 0)
}

/// Reads `null` as the default, as Go writes an empty list or map that is not omitted.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads the first [`MAX_ENTRIES`] of a list and skips the rest, so that an entry of three bytes, repeated, does not
/// become a row each. `null` is an empty list.
pub(super) fn first_entries<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(Entries(PhantomData))
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Vec<T>;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("a list or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MAX_ENTRIES {
            let Some(entry) = entries.next_element()? else {
                return Ok(kept);
            };
            kept.push(entry);
        }
        // Read to their end without being kept, as the rest of the object follows.
        while entries.next_element::<IgnoredAny>()?.is_some() {}
        Ok(kept)
    }
}

/// An entry without a protocol is TCP. UDP and SCTP ports may have the same number and are never dialled.
pub(super) fn is_tcp(protocol: &str) -> bool {
    matches!(protocol, "" | "TCP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Few {
        #[serde(default, deserialize_with = "first_entries")]
        entries: Vec<String>,
    }

    #[test]
    fn of_a_long_list_the_first_entries_are_kept() {
        let long = format!("{{\"entries\":[{}\"\"]}}", "\"\",".repeat(100_000));
        let read: Few = serde_json::from_str(&long).unwrap();
        assert_eq!(read.entries.len(), MAX_ENTRIES);
        assert!(read.entries.capacity() <= 2 * MAX_ENTRIES);
        for short in ["{}", "{\"entries\":null}", "{\"entries\":[]}"] {
            let read: Few = serde_json::from_str(short).unwrap();
            assert!(read.entries.is_empty(), "{short}");
        }
        for wrong in [
            "{\"entries\":{}}",
            "{\"entries\":\"x\"}",
            "{\"entries\":[5]}",
        ] {
            assert!(serde_json::from_str::<Few>(wrong).is_err(), "{wrong}");
        }
    }
}
