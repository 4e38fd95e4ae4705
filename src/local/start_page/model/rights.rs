//! What the user may reach, from the cluster's reviews.
//!
//! The right is `get` on `services/proxy`, in the group of the proxy that is used; a rule's names are the name segment
//! as it stands in a path, `NAME`, `NAME:PORT` or `https:NAME:PORT`.
//!
//! Kubernetes: `SelfSubjectRulesReview` and `SelfSubjectAccessReview` of authorization.k8s.io/v1, and
//! `plugin/pkg/auth/authorizer/rbac/rbac.go` for how rules are matched.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::api::authorization::v1::ResourceRule;

pub(in crate::local::start_page) const VERB: &str = "get";
pub(in crate::local::start_page) const RESOURCE: &str = "services";
pub(in crate::local::start_page) const SUBRESOURCE: &str = "proxy";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::start_page) enum Right {
    Yes,
    No,
    /// Not asked yet, or nobody can tell.
    Unknown,
}

/// All that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::local::start_page) struct Rights {
    /// Every Service of the cluster.
    pub(in crate::local::start_page) everywhere: bool,
    pub(in crate::local::start_page) namespaces: BTreeMap<String, NamespaceRights>,
}

/// What is known of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) enum NamespaceRights {
    All,
    /// Rules name them all.
    Only(BTreeSet<String>),
    /// Asked one by one, as an authorizer could not list its rules.
    Asked(HashMap<String, bool>),
}

impl Rights {
    pub(in crate::local::start_page) fn of(&self, namespace: &str, segment: &str) -> Right {
        if self.everywhere {
            return Right::Yes;
        }
        let allowed = match self.namespaces.get(namespace) {
            None => None,
            Some(NamespaceRights::All) => Some(true),
            Some(NamespaceRights::Only(names)) => Some(names.contains(segment)),
            Some(NamespaceRights::Asked(reviewed)) => reviewed.get(segment).copied(),
        };
        match allowed {
            Some(true) => Right::Yes,
            Some(false) => Right::No,
            None => Right::Unknown,
        }
    }
}

/// What rules of a namespace allow.
pub(in crate::local::start_page) fn from_rules(
    rules: &[ResourceRule],
    group: &str,
) -> NamespaceRights {
    let mut names = BTreeSet::new();
    for rule in rules.iter().filter(|rule| is_about_proxy(rule, group)) {
        match rule.resource_names.as_deref().unwrap_or_default() {
            [] => return NamespaceRights::All,
            some => names.extend(some.iter().cloned()),
        }
    }
    NamespaceRights::Only(names)
}

fn is_about_proxy(rule: &ResourceRule, group: &str) -> bool {
    let has = |list: &Option<Vec<String>>, wanted: &[&str]| {
        let list = list.as_deref().unwrap_or_default();
        list.iter().any(|one| wanted.contains(&one.as_str()))
    };
    rule.verbs.iter().any(|verb| verb == VERB || verb == "*")
        && has(&rule.api_groups, &[group, "*"])
        && has(&rule.resources, &["services/proxy", "*/proxy", "*"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> ResourceRule {
        let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        ResourceRule {
            verbs: list(verbs),
            api_groups: Some(list(groups)),
            resources: Some(list(resources)),
            resource_names: (!names.is_empty()).then(|| list(names)),
        }
    }

    #[test]
    fn a_rule_counts_only_for_its_verb_group_and_resource() {
        for (verbs, groups, resources, allowed) in [
            (
                &["get"][..],
                &["throughway.dev"][..],
                &["services/proxy"][..],
                true,
            ),
            (&["*"], &["*"], &["*"], true),
            (
                &["list", "get"],
                &["", "throughway.dev"],
                &["pods", "*/proxy"],
                true,
            ),
            (&["create"], &["throughway.dev"], &["services/proxy"], false),
            (&["get"], &[""], &["services/proxy"], false),
            (&["get"], &["throughway.dev"], &["services"], false),
            (&["get"], &["throughway.dev"], &["pods/proxy"], false),
            (&["get"], &[], &["services/proxy"], false),
        ] {
            let expected = if allowed {
                NamespaceRights::All
            } else {
                NamespaceRights::Only(BTreeSet::new())
            };
            let rules = [rule(verbs, groups, resources, &[])];
            assert_eq!(from_rules(&rules, "throughway.dev"), expected, "{rules:?}");
        }
    }

    #[test]
    fn names_of_several_rules_add_up_and_a_rule_without_names_means_all() {
        let named = |name| rule(&["get"], &[""], &["services/proxy"], &[name]);
        let mut rules = vec![named("web"), named("https:dex:5556")];
        let mut rights = Rights::default();
        rights
            .namespaces
            .insert("demo".into(), from_rules(&rules, ""));
        assert_eq!(rights.of("demo", "web"), Right::Yes);
        assert_eq!(rights.of("demo", "https:dex:5556"), Right::Yes);
        assert_eq!(rights.of("demo", "web:80"), Right::No);
        assert_eq!(rights.of("other", "web"), Right::Unknown);
        rules.push(rule(&["*"], &[""], &["services/proxy"], &[]));
        assert_eq!(from_rules(&rules, ""), NamespaceRights::All);
    }

    #[test]
    fn a_response_that_was_not_asked_for_is_unknown() {
        let reviewed = HashMap::from([("web".to_owned(), true), ("db".to_owned(), false)]);
        let mut rights = Rights::default();
        let asked = NamespaceRights::Asked(reviewed);
        rights.namespaces.insert("demo".into(), asked);
        let all = ["web", "db", "new"].map(|name| rights.of("demo", name));
        assert_eq!(all, [Right::Yes, Right::No, Right::Unknown]);
    }
}
