//! The caller, as Kubernetes knows them: a name and groups.

use std::collections::BTreeMap;

/// The group of everybody who is known.
pub(super) const AUTHENTICATED: &str = "system:authenticated";

/// The group of everybody who is not.
pub(super) const UNAUTHENTICATED: &str = "system:unauthenticated";

/// Members may do everything, as everywhere in Kubernetes; without this nobody could repair a broken authorizer.
const MASTERS: &str = "system:masters";

pub(super) const ANONYMOUS: &str = "system:anonymous";

/// The caller, as Kubernetes knows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct User {
    pub name: String,
    pub uid: Option<String>,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Bytes that it takes to remember it, about.
    pub fn size(&self) -> usize {
        let texts = |texts: &[String]| -> usize {
            let size = |text: &String| text.len() + size_of::<String>();
            texts.iter().map(size).sum()
        };
        let extra = self.extra.iter();
        let extra: usize = extra.map(|(key, values)| key.len() + texts(values)).sum();
        size_of::<Self>() + self.name.len() + texts(&self.groups) + extra
    }

    /// Whether they may do everything, whatever is full and whatever an authorizer says.
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    /// Adds the group of everybody who is known, unless the groups say otherwise already.
    pub(super) fn authenticated(mut self) -> Self {
        let decided = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        // A front proxy may name `system:anonymous`, who must not become somebody by passing through here.
        if self.name != ANONYMOUS && !self.groups.iter().any(decided) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }
}
