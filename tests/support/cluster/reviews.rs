//! Answers to TokenReview and SubjectAccessReview, from what the store has.

use serde_json::{Value, json};

use super::rbac::{self, Wish};
use super::store::{Account, Store};

pub(super) fn token_review(store: &Store, mut review: Value) -> Value {
    let account = store.account(review["spec"]["token"].as_str().unwrap_or_default());
    review["status"] = match account {
        Some(account) => {
            json!({"authenticated": true, "user": {"username": account.name, "groups": account.groups}})
        }
        None => json!({"authenticated": false}),
    };
    review
}

pub(super) fn access_review(store: &Store, mut review: Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &review["spec"];
    let groups = spec["groups"]
        .as_array()
        .map(|groups| groups.iter().map(text).collect())
        .unwrap_or_default();
    let who = Account {
        name: text(&spec["user"]),
        groups,
    };
    let of = &spec["resourceAttributes"];
    let wish = Wish {
        verb: text(&of["verb"]) + &text(&spec["nonResourceAttributes"]["verb"]),
        group: text(&of["group"]),
        resource: format!("{}/{}", text(&of["resource"]), text(&of["subresource"])),
        namespace: text(&of["namespace"]),
        name: text(&of["name"]),
        path: text(&spec["nonResourceAttributes"]["path"]),
    };
    review["status"] = json!({"allowed": rbac::allows(store, &who, &wish)});
    review
}
