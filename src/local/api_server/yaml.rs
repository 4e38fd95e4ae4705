//! YAML and JSON as Kubernetes' clients read them: of a key that stands in a map twice, the last counts.
//!
//! In: a text. Out: its documents, or nothing where it is none, or none of that type. What a parser says of it may
//! quote the text, credentials included, so it says nothing.
//!
//! sigs.k8s.io/yaml: `YAMLToJSON`, which is not strict.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

/// Reads all documents of a text.
pub(super) fn with_last_of_each_key<T: DeserializeOwned>(text: &str) -> Option<Vec<T>> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::LastWins,
    };
    // A struct takes no field twice, whatever the parser allows, so the keys become those of a map first.
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options).ok()?;
    let read = documents.into_iter().map(serde_json::from_value);
    read.collect::<Result<_, _>>().ok()
}
