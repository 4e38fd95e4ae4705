//! Whose address it is: from IP addresses to the live pods that claim them. The task that follows pods writes,
//! everybody reads without waiting.
//!
//! Normally an address has one pod. Two claim it for a moment when a pod has gone and its end has not arrived here yet,
//! and for longer when somebody keeps dead pods for it. Then it belongs to the one that started last, and to nobody if
//! that can't be told. Pods with their node's network share its addresses and are not in here. Neither is loopback,
//! which is dialled in a cluster inside one process alone, where all pods share it.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::quality::RandomState;
use papaya::HashMap;

use super::pods::{Network, Pod};

/// Pods that are kept for one address. A tenant could let any number claim one; the rest is not needed to refuse.
const MAX_CLAIMS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Addresses(HashMap<IpAddr, Arc<[Arc<Pod>]>, RandomState>);

impl Addresses {
    /// Follows a change of one pod: what it claimed before, and what it claims now.
    pub(super) fn replace(&self, before: Option<&Pod>, now: Option<&Arc<Pod>>) {
        let before = before.filter(|pod| pod.network == Network::Own);
        let now = now.filter(|pod| pod.network == Network::Own);
        let stays = |ip: &&IpAddr| now.is_some_and(|pod| pod.ips.contains(*ip));
        // A claim that stays is replaced below in one step: without it, even for a moment, an older pod's would count.
        for ip in before
            .iter()
            .flat_map(|pod| &pod.ips)
            .filter(|ip| !stays(ip))
        {
            let name = before.map(|pod| &*pod.name);
            self.update(ip.to_canonical(), |claims| {
                claims.retain(|pod| Some(&*pod.name) != name);
            });
        }
        for (ip, pod) in now
            .iter()
            .flat_map(|pod| pod.ips.iter().map(move |ip| (ip, pod)))
        {
            self.update(ip.to_canonical(), |claims| {
                claims.retain(|claim| claim.name != pod.name);
                claims.push(Arc::clone(pod));
                if claims.len() > MAX_CLAIMS {
                    // Whoever started first has lost the address anyway.
                    claims.sort_by(|a, b| b.started.cmp(&a.started));
                    claims.truncate(MAX_CLAIMS);
                }
            });
        }
    }

    fn update(&self, ip: IpAddr, change: impl FnOnce(&mut Vec<Arc<Pod>>)) {
        // In a cluster inside one process all pods share loopback.
        if ip.is_loopback() {
            return;
        }
        let table = self.0.pin();
        // Copied, changed and put back as a whole: readers see the list before or after and never in between.
        let mut claims = table
            .get(&ip)
            .map(|claims| claims.to_vec())
            .unwrap_or_default();
        change(&mut claims);
        if claims.is_empty() {
            table.remove(&ip);
        } else {
            table.insert(ip, claims.into());
        }
    }

    /// Whether an address is this pod's: no other live pod has claimed it since.
    pub(super) fn belongs_to(&self, ip: IpAddr, pod: &Pod) -> bool {
        let table = self.0.pin();
        let claims = table.get(&ip.to_canonical());
        let mut others = claims
            .into_iter()
            .flat_map(|claims| claims.iter())
            .filter(|claim| claim.name != pod.name);
        match pod.network {
            // A pod that started at the same time, or at a time that nobody knows, makes the address nobody's.
            Network::Own => others.all(|other| other.started < pod.started),
            // An address of the node that a pod of its own network claims is not the node's any more.
            Network::Host => others.next().is_none(),
        }
    }

    /// How many claims of an address are kept.
    #[cfg(test)]
    pub(super) fn claims(&self, ip: IpAddr) -> usize {
        self.0.pin().get(&ip).map_or(0, |claims| claims.len())
    }

    /// Whether any live pod claims an address.
    pub(super) fn is_claimed(&self, ip: IpAddr) -> bool {
        self.0.pin().contains_key(&ip.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pods::Phase;
    use super::*;

    fn pod(name: &str, started: &str) -> Arc<Pod> {
        Arc::new(Pod {
            name: name.into(),
            ips: [IpAddr::from([10, 0, 0, 1])].into(),
            ports: Box::default(),
            phase: Phase::Live,
            network: Network::Own,
            started: started.into(),
        })
    }

    #[test]
    fn an_address_is_never_the_older_pods_while_the_newer_one_changes() {
        let addresses = Addresses::default();
        let (older, newer) = (pod("a/older", "2026-01-01"), pod("a/newer", "2026-01-02"));
        addresses.replace(None, Some(&older));
        addresses.replace(None, Some(&newer));
        std::thread::scope(|threads| {
            let changing = threads.spawn(|| {
                for _ in 0..200_000 {
                    addresses.replace(Some(&newer), Some(&newer));
                }
            });
            while !changing.is_finished() {
                assert!(!addresses.belongs_to(older.ips[0], &older));
            }
        });
    }
}
