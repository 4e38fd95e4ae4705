//! Shares of what everybody needs: slots in flight, tunnels, and reviews by the API server.
//!
//! One user, one namespace or one unknown address must not take all. Who holds how much is kept in a sketch of a fixed
//! size (`sketch.rs`), so that nobody can fill a map with names, and a request costs a few atomic additions.
//!
//! Kubernetes: `pkg/server/filters/maxinflight.go` of k8s.io/apiserver for the slots, the rate limiter of client-go
//! (`util/flowcontrol/throttle.go`) for the reviews.

mod rate;
mod reviews;
mod sketch;
mod slots;

pub use rate::Rate;
pub use reviews::{ReviewLimit, TooManyReviews};
pub use slots::{Full, Slot, SlotOwner, Slots};
