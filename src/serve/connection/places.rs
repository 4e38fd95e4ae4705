//! Who may hold a connection: all together, strangers, one address, and those that still shake hands.
//!
//! Strangers never get all places. kube-apiserver, which comes with the front proxy's certificate, always finds one, and who
//! it is shows only after the handshake; so handshakes have places of their own ([`super::handshakes`]).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PeerClass;
use super::handshakes::{Handshake, Handshakes};
use crate::serve::config::ConnectionLimits;

/// Strangers get three of this many parts of all places.
const PARTS: usize = 4;

/// Of all places, one in this many is for connections that shake hands.
const HANDSHAKE_PART: usize = 8;

/// Of the places for handshakes, one address gets one in this many.
const HANDSHAKE_SHARE: usize = 4;

/// The places of one port.
#[derive(Debug, Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    handshakes: Arc<Handshakes>,
    of_strangers: Arc<Counts>,
}

/// Why a connection is closed without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlace {
    #[error("all connections are taken")]
    All,
    #[error("all connections that unknown callers may have are taken")]
    Strangers,
    #[error("this address has all the connections that it may have")]
    Address,
    #[error("its TLS handshake took long, and another one needed the place")]
    Handshake,
}

/// A connection that shakes hands.
#[derive(Debug)]
pub(super) struct Shaking {
    place: OwnedSemaphorePermit,
    handshake: Handshake,
}

impl Shaking {
    /// Resolves when it has to end, as another connection needs the place.
    pub(super) async fn displaced(&self) -> NoPlace {
        self.handshake.ended().await;
        NoPlace::Handshake
    }
}

/// A connection whose handshake is over.
#[derive(Debug)]
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    _stranger: Option<(OwnedSemaphorePermit, Counted)>,
}

impl Places {
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

    /// A place to shake hands in.
    pub(super) fn shake(&self, ip: IpAddr) -> Result<Shaking, NoPlace> {
        let place = Arc::clone(&self.all).try_acquire_owned();
        Ok(Shaking {
            place: place.map_err(|_| NoPlace::All)?,
            handshake: self.handshakes.begin(network(ip)),
        })
    }

    /// A place for as long as the connection lasts.
    pub(super) fn keep(
        &self,
        shaking: Shaking,
        ip: IpAddr,
        class: PeerClass,
    ) -> Result<Place, NoPlace> {
        let Shaking { place, handshake } = shaking;
        drop(handshake);
        let stranger = match class {
            PeerClass::FrontProxy => None,
            PeerClass::Stranger => {
                let place = Arc::clone(&self.strangers).try_acquire_owned();
                let place = place.map_err(|_| NoPlace::Strangers)?;
                Some((place, self.of_strangers.count(ip)?))
            }
        };
        Ok(Place {
            _all: place,
            _stranger: stranger,
        })
    }
}

/// Connections by address, with a bound for each.
#[derive(Debug)]
struct Counts {
    /// Addresses without a connection are not in it, so it is no longer than there are connections.
    by_address: Mutex<HashMap<IpAddr, usize>>,
    most_of_one: usize,
}

/// One that is counted until it is dropped.
#[derive(Debug)]
struct Counted {
    counts: Arc<Counts>,
    of: IpAddr,
}

impl Counts {
    fn new(most_of_one: usize) -> Self {
        Self {
            by_address: Mutex::default(),
            most_of_one,
        }
    }

    fn count(self: &Arc<Self>, ip: IpAddr) -> Result<Counted, NoPlace> {
        let of = network(ip);
        let mut open = self.open();
        let count = open.entry(of).or_default();
        if *count >= self.most_of_one {
            return Err(NoPlace::Address);
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

    fn places(max_connections: usize, max_connections_per_address: usize) -> Places {
        Places::new(&ConnectionLimits {
            max_connections,
            max_connections_per_address,
            ..ConnectionLimits::kubernetes()
        })
    }

    fn ip(host: u8) -> IpAddr {
        IpAddr::from([10, 77, 0, host])
    }

    fn connect(places: &Places, host: u8, class: PeerClass) -> Result<Place, NoPlace> {
        places.keep(places.shake(ip(host))?, ip(host), class)
    }

    #[test]
    fn strangers_leave_places_to_the_front_proxy() {
        let places = places(40, 1000);
        let strangers: Vec<Place> = (0..30)
            .map(|host| connect(&places, host, PeerClass::Stranger).unwrap())
            .collect();
        let refused = connect(&places, 31, PeerClass::Stranger);
        assert_eq!(refused.err(), Some(NoPlace::Strangers));
        let front_proxies: Vec<Place> = (0..10)
            .map(|_| connect(&places, 1, PeerClass::FrontProxy).unwrap())
            .collect();
        assert_eq!(
            connect(&places, 1, PeerClass::FrontProxy).err(),
            Some(NoPlace::All)
        );
        drop((strangers, front_proxies));
        connect(&places, 31, PeerClass::Stranger).expect("all places are free again");
    }

    #[test]
    fn one_address_has_its_share_and_the_front_proxy_at_it_has_no_bound() {
        let places = places(1000, 3);
        let kept: Vec<Place> = (0..3)
            .map(|_| connect(&places, 1, PeerClass::Stranger).unwrap())
            .collect();
        assert_eq!(
            connect(&places, 1, PeerClass::Stranger).err(),
            Some(NoPlace::Address)
        );
        connect(&places, 2, PeerClass::Stranger).expect("another address");
        connect(&places, 1, PeerClass::FrontProxy).expect("the front proxy behind that address");
        drop(kept);
        connect(&places, 1, PeerClass::Stranger).expect("its places are free again");
        assert!(
            places.of_strangers.open().is_empty(),
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
