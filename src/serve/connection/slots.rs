//! Who may hold a connection: all together, strangers, one address, and those that still shake hands.
//!
//! Strangers never get all slots. kube-apiserver, which comes with the front proxy's certificate, always finds one, and
//! who it is shows only after the handshake; so handshakes have slots of their own ([`super::handshakes`]).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PeerClass;
use super::handshakes::{Handshake, Handshakes};
use crate::serve::config::ConnectionLimits;

/// Strangers get three of this many parts of all slots.
const PARTS: usize = 4;

/// Of all slots, one in this many is for connections that shake hands.
const HANDSHAKE_PART: usize = 8;

/// Of the slots for handshakes, one address gets one in this many.
const HANDSHAKE_SHARE: usize = 4;

/// The slots of one port.
#[derive(Debug, Clone)]
pub(super) struct ConnectionSlots {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    handshakes: Arc<Handshakes>,
    of_strangers: Arc<Counts>,
}

/// Why a connection is closed without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSlot {
    #[error("all connections are taken")]
    All,
    #[error("all connections that unknown callers may have are taken")]
    Strangers,
    #[error("this address has all the connections that it may have")]
    Address,
    #[error("its TLS handshake took long, and another one needed the slot")]
    Handshake,
}

/// A connection that shakes hands.
#[derive(Debug)]
pub(super) struct HandshakeSlot {
    slot: OwnedSemaphorePermit,
    handshake: Handshake,
}

impl HandshakeSlot {
    /// Resolves when it has to end, as another connection needs the slot.
    pub(super) async fn displaced(&self) -> NoSlot {
        self.handshake.ended().await;
        NoSlot::Handshake
    }
}

/// A connection whose handshake is over.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    _all: OwnedSemaphorePermit,
    _stranger: Option<(OwnedSemaphorePermit, Counted)>,
}

impl ConnectionSlots {
    pub(super) fn new(limits: &ConnectionLimits) -> Self {
        let all = limits.max_connections;
        let handshakes = (all / HANDSHAKE_PART).max(1);
        Self {
            all: Arc::new(Semaphore::new(all)),
            strangers: Arc::new(Semaphore::new((all - all / PARTS).max(1))),
            handshakes: Handshakes::new(handshakes, (handshakes / HANDSHAKE_SHARE).max(1)),
            of_strangers: Arc::new(Counts::new(limits.max_connections_per_address)),
        }
    }

    /// A slot to shake hands in.
    pub(super) fn for_handshake(&self, ip: IpAddr) -> Result<HandshakeSlot, NoSlot> {
        // Never waited for: whoever waits here would keep a socket for nothing.
        let slot = Arc::clone(&self.all).try_acquire_owned();
        Ok(HandshakeSlot {
            slot: slot.map_err(|_| NoSlot::All)?,
            handshake: self.handshakes.begin(network(ip)),
        })
    }

    /// A slot for as long as the connection lasts.
    pub(super) fn for_connection(
        &self,
        handshaking: HandshakeSlot,
        ip: IpAddr,
        class: PeerClass,
    ) -> Result<ConnectionSlot, NoSlot> {
        let HandshakeSlot { slot, handshake } = handshaking;
        // Given up before the lasting one is asked for: a handshake that is over must not be displaced.
        drop(handshake);
        let stranger = match class {
            PeerClass::FrontProxy => None,
            PeerClass::Stranger => {
                let slot = Arc::clone(&self.strangers).try_acquire_owned();
                // All strangers first and then the address: who finds no slot gives back what was taken by being
                // dropped.
                let slot = slot.map_err(|_| NoSlot::Strangers)?;
                Some((slot, self.of_strangers.count(ip)?))
            }
        };
        Ok(ConnectionSlot {
            // The slot of the handshake goes on as the connection's, so nobody can take it in between.
            _all: slot,
            _stranger: stranger,
        })
    }
}

/// Connections by address, with a bound for each.
#[derive(Debug)]
struct Counts {
    /// Addresses without a connection are not in it, so it is no longer than there are connections.
    by_address: Mutex<HashMap<IpAddr, usize>>,
    max_of_one: usize,
}

/// One that is counted until it is dropped.
#[derive(Debug)]
struct Counted {
    counts: Arc<Counts>,
    of: IpAddr,
}

impl Counts {
    fn new(max_of_one: usize) -> Self {
        Self {
            by_address: Mutex::default(),
            max_of_one,
        }
    }

    fn count(self: &Arc<Self>, ip: IpAddr) -> Result<Counted, NoSlot> {
        let of = network(ip);
        // For one look at a map and never across an await.
        let mut open = self.open();
        let count = open.entry(of).or_default();
        if *count >= self.max_of_one {
            return Err(NoSlot::Address);
        }
        *count += 1;
        Ok(Counted {
            counts: Arc::clone(self),
            of,
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.counts.open();
        if let Some(count) = open.get_mut(&self.of) {
            *count -= 1;
            // Forgotten with the last one, so that the map is never longer than there are connections.
            if *count == 0 {
                open.remove(&self.of);
            }
        }
    }
}

/// What counts as one address: whoever has an IPv6 address has the whole /64 of it (RFC 4291 section 2.5.4).
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(max_connections: usize, max_connections_per_address: usize) -> ConnectionSlots {
        ConnectionSlots::new(&ConnectionLimits {
            max_connections,
            max_connections_per_address,
            ..ConnectionLimits::kubernetes()
        })
    }

    fn ip(host: u8) -> IpAddr {
        IpAddr::from([10, 77, 0, host])
    }

    fn connect(
        slots: &ConnectionSlots,
        host: u8,
        class: PeerClass,
    ) -> Result<ConnectionSlot, NoSlot> {
        slots.for_connection(slots.for_handshake(ip(host))?, ip(host), class)
    }

    #[test]
    fn strangers_leave_places_to_the_front_proxy() {
        let slots = slots(40, 1000);
        let strangers: Vec<ConnectionSlot> = (0..30)
            .map(|host| connect(&slots, host, PeerClass::Stranger).unwrap())
            .collect();
        let refused = connect(&slots, 31, PeerClass::Stranger);
        assert_eq!(refused.err(), Some(NoSlot::Strangers));
        let front_proxies: Vec<ConnectionSlot> = (0..10)
            .map(|_| connect(&slots, 1, PeerClass::FrontProxy).unwrap())
            .collect();
        assert_eq!(
            connect(&slots, 1, PeerClass::FrontProxy).err(),
            Some(NoSlot::All)
        );
        drop((strangers, front_proxies));
        connect(&slots, 31, PeerClass::Stranger).expect("all slots are free again");
    }

    #[test]
    fn one_address_has_its_share_and_the_front_proxy_at_it_has_no_bound() {
        let slots = slots(1000, 3);
        let open: Vec<ConnectionSlot> = (0..3)
            .map(|_| connect(&slots, 1, PeerClass::Stranger).unwrap())
            .collect();
        assert_eq!(
            connect(&slots, 1, PeerClass::Stranger).err(),
            Some(NoSlot::Address)
        );
        connect(&slots, 2, PeerClass::Stranger).expect("another address");
        connect(&slots, 1, PeerClass::FrontProxy).expect("the front proxy behind that address");
        drop(open);
        connect(&slots, 1, PeerClass::Stranger).expect("its slots are free again");
        assert!(
            slots.of_strangers.open().is_empty(),
            "an address without connections is remembered"
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("fd00:1:2:3::1"), of("fd00:1:2:3:ffff::2"));
        assert_ne!(of("fd00:1:2:3::1"), of("fd00:1:2:4::1"));
        assert_eq!(of("::ffff:10.77.0.1"), ip(1));
    }
}
