//! Role-based access control, from the Role and Binding objects of the store.

use serde_json::Value;

use super::store::{Account, Store};

/// What somebody wants to do.
#[derive(Debug, Default)]
pub struct Wish {
    pub verb: String,
    pub group: String,
    /// With its subresource: `services/proxy`.
    pub resource: String,
    pub namespace: String,
    pub name: String,
    /// Of a wish that is for no resource.
    pub path: String,
}

/// Whether some binding gives the account a role with a rule for it.
pub fn allows(store: &Store, who: &Account, wish: &Wish) -> bool {
    if who.groups.iter().any(|group| group == "system:masters") {
        return true;
    }
    let (everywhere, _, _) = store.list("clusterrolebindings", 0, usize::MAX);
    let (inside, _, _) = store.list("rolebindings", 0, usize::MAX);
    let inside = inside
        .iter()
        .filter(|binding| binding["metadata"]["namespace"] == wish.namespace.as_str());
    everywhere
        .iter()
        .chain(inside)
        .filter(|binding| binds(binding, who))
        .any(|binding| {
            let role = &binding["roleRef"];
            let (resource, namespace) = if role["kind"] == "ClusterRole" {
                ("clusterroles", "")
            } else {
                ("roles", wish.namespace.as_str())
            };
            let role = store.get(
                resource,
                namespace,
                role["name"].as_str().unwrap_or_default(),
            );
            role.is_some_and(|role| {
                role["rules"]
                    .as_array()
                    .is_some_and(|rules| rules.iter().any(|rule| covers(rule, wish)))
            })
        })
}

fn binds(binding: &Value, who: &Account) -> bool {
    binding["subjects"].as_array().is_some_and(|subjects| {
        subjects.iter().any(|subject| {
            let name = subject["name"].as_str().unwrap_or_default();
            match subject["kind"].as_str() {
                Some("User") => who.name == name,
                Some("Group") => who.groups.iter().any(|group| group == name),
                Some("ServiceAccount") => {
                    who.name
                        == format!(
                            "system:serviceaccount:{}:{name}",
                            subject["namespace"].as_str().unwrap_or_default()
                        )
                }
                _ => false,
            }
        })
    })
}

fn covers(rule: &Value, wish: &Wish) -> bool {
    let holds = |field: &str, wanted: &str| {
        rule[field]
            .as_array()
            .is_some_and(|list| list.iter().any(|one| one == "*" || one == wanted))
    };
    if !wish.path.is_empty() {
        return holds("verbs", &wish.verb) && holds("nonResourceURLs", &wish.path);
    }
    let names = rule["resourceNames"].as_array();
    holds("verbs", &wish.verb)
        && holds("apiGroups", &wish.group)
        && holds("resources", &wish.resource)
        && names.is_none_or(|names| {
            names.is_empty() || names.iter().any(|name| *name == wish.name.as_str())
        })
}
