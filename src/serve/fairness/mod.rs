//! Shares of what everybody needs: places in flight, tunnels, and reviews by the API server.
//!
//! One user, one namespace or one unknown address must not take all. Who holds how much is kept in a sketch of a fixed
//! size (`sketch.rs`), so that nobody can fill a map with names, and a request costs a few atomic additions.
//!
//! Kubernetes: `pkg/server/filters/maxinflight.go` of k8s.io/apiserver for the places, the rate limiter of client-go
//! (`util/flowcontrol/throttle.go`) for the reviews.

mod places;
mod rate;
mod reviews;
mod sketch;

pub use places::{Full, Holder, Place, Places};
pub use rate::Rate;
pub use reviews::{ReviewLimit, ReviewSlot, TooManyReviews};
