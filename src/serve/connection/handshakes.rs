//! Slots for connections that shake hands. In: an address. Out: a slot, always.
//!
//! Who comes shows only after the handshake. Until then kube-apiserver is among strangers, and may even share its
//! address with some. So a newcomer is never refused and never waits: where there is no slot, an unfinished handshake
//! is ended for it. That is the oldest one of the newcomer's own address, if this has its share; else the oldest one of
//! the address whose handshakes have waited longest, all added up. A handshake that is carried on takes milliseconds:
//! it is hit only by whoever fills an address' share, or all slots from many addresses, within that time.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// All slots, of which one address has a share.
#[derive(Debug)]
pub(super) struct Handshakes {
    begun: Mutex<Begun>,
    max: usize,
    max_of_address: usize,
    /// Times are counted from here.
    start: Instant,
}

/// One that counts until it is dropped, or ended for another.
#[derive(Debug)]
pub(super) struct Handshake {
    all: Arc<Handshakes>,
    of: IpAddr,
    number: u64,
    ended: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Begun {
    total: usize,
    next_number: u64,
    /// Addresses without one are not in it.
    by_address: HashMap<IpAddr, OfAddress>,
}

#[derive(Debug, Default)]
struct OfAddress {
    /// The oldest first.
    open: VecDeque<OpenHandshake>,
    /// The moments at which they began, added up.
    moments: Duration,
}

#[derive(Debug)]
struct OpenHandshake {
    number: u64,
    moment: Duration,
    ended: Arc<Notify>,
}

impl Handshakes {
    pub(super) fn new(max: usize, max_of_address: usize) -> Arc<Self> {
        Arc::new(Self {
            begun: Mutex::default(),
            max,
            max_of_address,
            start: Instant::now(),
        })
    }

    /// A slot for a connection of this address, whoever has to go for it.
    pub(super) fn begin(self: &Arc<Self>, of: IpAddr) -> Handshake {
        let moment = self.start.elapsed();
        let ended = Arc::new(Notify::new());
        let mut begun = self.begun();
        // Its own share first: an address that has filled that displaces itself and never another.
        if begun.count(of) >= self.max_of_address {
            begun.end_oldest(of);
        } else if begun.total >= self.max
            && let Some(slowest) = begun.slowest(moment)
        {
            // Ended before the newcomer is counted, so that it can't be the one that goes.
            begun.end_oldest(slowest);
        }
        let number = begun.next_number;
        begun.next_number += 1;
        begun.total += 1;
        let own = begun.by_address.entry(of).or_default();
        own.moments += moment;
        // Pushed at the end under the lock, so the front is always the oldest.
        own.open.push_back(OpenHandshake {
            number,
            moment,
            ended: Arc::clone(&ended),
        });
        Handshake {
            all: Arc::clone(self),
            of,
            number,
            ended,
        }
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    fn count(&self, of: IpAddr) -> usize {
        self.by_address.get(&of).map_or(0, |own| own.open.len())
    }

    /// The address whose handshakes have waited longest, all added up. It is looked for only when all slots are taken.
    fn slowest(&self, now: Duration) -> Option<IpAddr> {
        // The sum of the waits is that of now, once for each, less the moments at which they began: no handshake is
        // visited.
        let waited = |own: &OfAddress| {
            let count = u32::try_from(own.open.len()).unwrap_or(u32::MAX);
            now.saturating_mul(count).saturating_sub(own.moments)
        };
        let slowest = self
            .by_address
            .iter()
            // Many that just began wait as long together as a few old ones; then the address with more of them goes
            // first.
            .max_by_key(|(_, own)| (waited(own), own.open.len()));
        slowest.map(|(of, _)| *of)
    }

    fn end_oldest(&mut self, of: IpAddr) {
        if let Some(open) = self.remove(of, |own| own.pop_front()) {
            // A permit of `Notify` is kept, so one that has not begun to wait learns of it as well.
            open.ended.notify_one();
        }
    }

    fn remove(
        &mut self,
        of: IpAddr,
        which: impl FnOnce(&mut VecDeque<OpenHandshake>) -> Option<OpenHandshake>,
    ) -> Option<OpenHandshake> {
        let own = self.by_address.get_mut(&of)?;
        let open = which(&mut own.open)?;
        own.moments -= open.moment;
        self.total -= 1;
        // An address without handshakes is forgotten, so strangers can't fill the map with addresses.
        if own.open.is_empty() {
            self.by_address.remove(&of);
        }
        Some(open)
    }
}

impl Handshake {
    /// Resolves when it is to end for another.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        // What was ended for another is counted no more, and is not found here: nothing is counted down twice.
        self.all.begun().remove(self.of, |open| {
            let at = open.iter().position(|open| open.number == self.number)?;
            open.remove(at)
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MAX: usize = 8;
    const MAX_OF_ADDRESS: usize = 2;

    fn ip(host: u8) -> IpAddr {
        IpAddr::from([10, 77, 0, host])
    }

    fn is_ended(handshake: &Handshake) -> bool {
        handshake.ended().now_or_never().is_some()
    }

    fn which_ended(handshakes: &[Handshake]) -> Vec<usize> {
        let ended = handshakes.iter().enumerate();
        ended
            .filter_map(|(at, handshake)| is_ended(handshake).then_some(at))
            .collect()
    }

    async fn a_while() {
        tokio::time::advance(Duration::from_millis(10)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_its_share_gives_up_its_own_oldest() {
        let all = Handshakes::new(MAX, MAX_OF_ADDRESS);
        let mut begun = vec![all.begin(ip(2))];
        for _ in 0..4 {
            a_while().await;
            begun.push(all.begin(ip(1)));
        }
        assert_eq!(which_ended(&begun), [1, 2]);
        assert_eq!(all.begun().total, 3);
        drop(begun);
        assert_eq!(all.begun().total, 0);
        assert!(
            all.begun().by_address.is_empty(),
            "an address is remembered"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn four_addresses_that_stall_give_way_to_others_and_to_nobody_of_them() {
        let all = Handshakes::new(MAX, MAX_OF_ADDRESS);
        let mut stalled = Vec::new();
        for host in [1, 2, 3, 4, 1, 2, 3, 4] {
            stalled.push(all.begin(ip(host)));
            a_while().await;
        }
        // More at once than there would be slots if the stalled were left alone.
        let good: Vec<Handshake> = (0..4).map(|at| all.begin(ip(100 + at))).collect();
        assert_eq!(which_ended(&good), [] as [usize; 0]);
        assert_eq!(which_ended(&stalled).len(), 4);
        drop(stalled);
        assert_eq!(all.begun().total, 4);
    }

    /// As many addresses as there are slots, each with one: whoever opens two at once is not the one that holds the
    /// most.
    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_goes_and_not_who_has_just_begun_two() {
        let all = Handshakes::new(MAX, MAX_OF_ADDRESS);
        let mut stalled = Vec::new();
        for host in 0..8 {
            stalled.push(all.begin(ip(host)));
            a_while().await;
        }
        let good = [all.begin(ip(100)), all.begin(ip(100))];
        assert_eq!(which_ended(&good), [] as [usize; 0]);
        assert_eq!(which_ended(&stalled), [0, 1]);
    }

    /// One stalls slowly, another comes again and again: neither hits who shakes hands meanwhile.
    #[tokio::test(start_paused = true)]
    async fn a_flood_hits_itself() {
        let all = Handshakes::new(MAX, 4);
        let mut flood = Vec::new();
        for _ in 0..4 {
            flood.push(all.begin(ip(1)));
            flood.push(all.begin(ip(2)));
        }
        a_while().await;
        let good = all.begin(ip(100));
        for _ in 0..1000 {
            flood.push(all.begin(ip(1)));
            flood.push(all.begin(ip(2)));
        }
        assert!(!is_ended(&good));
        assert_eq!(all.begun().total, MAX);
    }
}
