//! How often the API server is asked who a token is and what a user may: one limit for both kinds of review.
//!
//! k8s.io/apiserver's client for this has 200 a second and a burst of 400 (`pkg/server/options/authentication.go`); all
//! of it together stays below that here. Unknown callers have a lane of their own, a tenth of the whole, and never
//! wait: what they send can be as much as they like. Known users wait their turn. While turns are scarce no user has
//! more than a quarter of them.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rate::{Rate, Rates};
use super::sketch::{Cells, Counters, Names};

/// Reviews of known users: at once, a second, and after a pause.
const KNOWN_AT_ONCE: usize = 56;
const KNOWN_A_SECOND: u32 = 180;
const KNOWN_BURST: u32 = 360;

/// One user's share while turns are scarce.
const USER_A_SECOND: u32 = KNOWN_A_SECOND / 4;
const USER_BURST: u32 = KNOWN_BURST / 4;

/// Reviews that one user has under way or waiting.
const MAX_OF_ONE_USER: u32 = 256;

/// Reviews of unknown callers, all together.
const UNKNOWN_AT_ONCE: usize = 8;
const UNKNOWN_A_SECOND: u32 = 20;
const UNKNOWN_BURST: u32 = 40;

/// Reviews of unknown callers of one address, or of one network of 64 bits of IPv6.
const ADDRESS_A_SECOND: u32 = 10;
const ADDRESS_BURST: u32 = 20;

/// How long a known user waits for a turn, at each of the limits.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(2);

/// Too many reviews would be needed; another try may find fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many reviews at once, try again later")]
pub struct TooManyReviews;

/// The limit, shared by all who ask for reviews.
#[derive(Debug)]
pub struct ReviewLimit {
    known: Arc<Semaphore>,
    known_rate: Rate,
    users: Rates,
    names: Names,
    of_users: Counters,
    unknown: Arc<Semaphore>,
    unknown_rate: Rate,
    addresses: Rates,
    limited_known: AtomicU64,
    limited_unknown: AtomicU64,
}

/// The right to ask for one review, for as long as it is held.
#[derive(Debug)]
pub struct ReviewSlot<'a> {
    _permit: OwnedSemaphorePermit,
    _of_user: Option<OfUser<'a>>,
}

/// One more review of a user.
#[derive(Debug)]
struct OfUser<'a> {
    counters: &'a Counters,
    cells: Cells,
}

impl Drop for OfUser<'_> {
    fn drop(&mut self) {
        self.counters.remove(self.cells);
    }
}

impl Default for ReviewLimit {
    fn default() -> Self {
        Self {
            known: Arc::new(Semaphore::new(KNOWN_AT_ONCE)),
            known_rate: Rate::new(KNOWN_A_SECOND, KNOWN_BURST),
            users: Rates::new(USER_A_SECOND, USER_BURST),
            names: Names::default(),
            of_users: Counters::default(),
            unknown: Arc::new(Semaphore::new(UNKNOWN_AT_ONCE)),
            unknown_rate: Rate::new(UNKNOWN_A_SECOND, UNKNOWN_BURST),
            addresses: Rates::new(ADDRESS_A_SECOND, ADDRESS_BURST),
            limited_known: AtomicU64::new(0),
            limited_unknown: AtomicU64::new(0),
        }
    }
}

impl ReviewLimit {
    /// Waits for a turn of a user who is known.
    ///
    /// # Errors
    /// The user has a full share, or there are more reviews than there will be turns for soon.
    pub async fn known(
        &self,
        user: &(impl Hash + ?Sized),
    ) -> Result<ReviewSlot<'_>, TooManyReviews> {
        let turn = self.turn_of(user).await;
        if turn.is_err() {
            self.limited_known.fetch_add(1, Ordering::Relaxed);
        }
        turn
    }

    async fn turn_of(&self, user: &(impl Hash + ?Sized)) -> Result<ReviewSlot<'_>, TooManyReviews> {
        let cells = self.names.cells(user);
        let running = self.of_users.add(cells);
        // Made before anything can fail or be dropped, so that the count always goes down again.
        let of_user = OfUser {
            counters: &self.of_users,
            cells,
        };
        if running > MAX_OF_ONE_USER {
            return Err(TooManyReviews);
        }
        // Charged although turns may be plenty: when they become scarce, it has to be known who took them.
        let own_wait = self.users.charge(user, QUEUE_TIMEOUT);
        if self.known_rate.is_scarce() {
            if own_wait >= QUEUE_TIMEOUT {
                return Err(TooManyReviews);
            }
            // The caller may go away in here. What was charged stays, as it would be easy to ask and leave.
            tokio::time::sleep(own_wait).await;
        }
        // Taken before the slot, so that nobody holds one of the few slots while waiting for a rate.
        let wait = self.known_rate.take(QUEUE_TIMEOUT).ok_or(TooManyReviews)?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let permit = Arc::clone(&self.known).acquire_owned();
        // Callers come in in their order; the time bounds a queue behind slow reviews.
        let permit = tokio::time::timeout(QUEUE_TIMEOUT, permit).await;
        match permit {
            Ok(Ok(permit)) => Ok(ReviewSlot {
                _permit: permit,
                _of_user: Some(of_user),
            }),
            _ => Err(TooManyReviews),
        }
    }

    /// A turn of somebody at `address` who is not known, now or not at all.
    ///
    /// # Errors
    /// There are as many reviews of unknown callers as there may be.
    pub fn unknown(&self, address: IpAddr) -> Result<ReviewSlot<'_>, TooManyReviews> {
        self.turn_at(address).ok_or_else(|| {
            self.limited_unknown.fetch_add(1, Ordering::Relaxed);
            TooManyReviews
        })
    }

    fn turn_at(&self, address: IpAddr) -> Option<ReviewSlot<'_>> {
        // One address can't use up the others' turns: its own are looked at first.
        if !self.addresses.take(&network(address)) {
            return None;
        }
        // Tried and not waited for: what strangers wait with would be memory that they can have at will.
        let permit = Arc::clone(&self.unknown).try_acquire_owned().ok()?;
        // Last, as a turn that is taken can't be given back.
        self.unknown_rate.take(Duration::ZERO)?;
        Some(ReviewSlot {
            _permit: permit,
            _of_user: None,
        })
    }

    /// How many reviews of known users were not made.
    pub fn limited_known(&self) -> u64 {
        self.limited_known.load(Ordering::Relaxed)
    }

    /// How many reviews of unknown callers were not made.
    pub fn limited_unknown(&self) -> u64 {
        self.limited_unknown.load(Ordering::Relaxed)
    }
}

/// What one caller has of the addresses: one of IPv4, 64 bits of IPv6.
fn network(address: IpAddr) -> IpAddr {
    // An IPv4 address written as IPv6 is the same caller.
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            // Whoever has an IPv6 address usually has all of its network.
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::Poll;

    use super::*;

    type Granted<'a> = Result<ReviewSlot<'a>, TooManyReviews>;

    /// A review that a user has under way.
    #[expect(dead_code, reason = "they are held")]
    enum Asking<'a> {
        Has(ReviewSlot<'a>),
        Waits(Pin<Box<dyn Future<Output = Granted<'a>> + 'a>>),
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_strangers_gets_its_share_and_the_known_wait_for_nothing() {
        let limit = ReviewLimit::default();
        let mut reviews = 0;
        for _ in 0..10 {
            for at in 0..1000_u32 {
                reviews += u32::from(
                    limit
                        .unknown(address(u8::try_from(at % 200).unwrap()))
                        .is_ok(),
                );
                let known = limit.known("alice");
                let start = tokio::time::Instant::now();
                if at % 100 == 0 {
                    known.await.unwrap();
                    assert_eq!(start.elapsed(), Duration::ZERO);
                }
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(
            reviews <= UNKNOWN_BURST + 10 * UNKNOWN_A_SECOND,
            "{reviews}"
        );
        assert_eq!(limit.limited_known(), 0);
        assert_eq!(limit.limited_unknown(), 10_000 - u64::from(reviews));
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_leaves_turns_to_another() {
        let limit = ReviewLimit::default();
        let got = (0..1000).filter(|_| limit.unknown(address(1)).is_ok());
        assert_eq!(got.count(), ADDRESS_BURST as usize);
        assert!(limit.unknown(address(2)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_of_ipv6_is_its_network() {
        let parse = |text: &str| network(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:1:2"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:192.0.2.1"), address(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_who_asks_for_thousands_leaves_turns_to_others() {
        let limit = ReviewLimit::default();
        for _ in 0..5000 {
            let _ = tokio::time::timeout(Duration::from_millis(1), limit.known("greedy")).await;
        }
        let start = tokio::time::Instant::now();
        limit.known("alice").await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_reviews_run_at_once_than_there_are_turns() {
        let limit = ReviewLimit::default();
        let mut held = Vec::new();
        for user in 0..KNOWN_AT_ONCE {
            held.push(limit.known(&user).await.unwrap());
        }
        assert_eq!(limit.known("late").await.unwrap_err(), TooManyReviews);
        held.pop();
        limit.known("late").await.unwrap();
        let unknown = |last| limit.unknown(address(last));
        let mut held: Vec<_> = (0..8).map(|last| unknown(last).unwrap()).collect();
        assert_eq!(unknown(8).unwrap_err(), TooManyReviews);
        held.pop();
        unknown(8).unwrap();
    }

    /// Each of them has its share, so it is all of them together who have to wait.
    #[tokio::test(start_paused = true)]
    async fn known_users_together_keep_to_their_rate() {
        let limit = ReviewLimit::default();
        let asking = (0..5000_u32).map(async |user| limit.known(&user).await.is_ok());
        let asked = futures_util::future::join_all(asking).await;
        let got = asked.into_iter().filter(|is_ok| *is_ok).count();
        let within_patience = KNOWN_A_SECOND * 2;
        assert_eq!(got, (KNOWN_BURST + within_patience) as usize);
    }

    /// There is no lack of turns a second, but none of those that it has comes back.
    #[tokio::test(start_paused = true)]
    async fn a_user_whose_reviews_are_slow_has_256_under_way() {
        let limit = ReviewLimit::default();
        let (mut running, mut refused) = (Vec::new(), 0);
        for _ in 0..3 {
            for _ in 0..90 {
                let mut asking = Box::pin(limit.known("greedy"));
                match futures_util::poll!(&mut asking) {
                    Poll::Ready(Err(TooManyReviews)) => refused += 1,
                    Poll::Ready(Ok(turn)) => running.push(Asking::Has(turn)),
                    Poll::Pending => running.push(Asking::Waits(asking)),
                }
            }
            tokio::time::advance(Duration::from_millis(500)).await;
        }
        assert_eq!((running.len(), refused), (256, 14));
    }
}
