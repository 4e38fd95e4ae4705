//! 2, what is asked. In: a request. Out: a [`RequestInfo`] for the road, or one of the documents.

mod request_info;

pub use request_info::{RequestInfo, Resource, Unserved, Verb};
