//! 4, may they. In: a [`Caller`] and a [`RequestInfo`]. Out: a [`Permit`], or a refusal.

use crate::api::RequestInfo;
use crate::authentication::Caller;
use crate::status::Status;

/// The proof that this caller may do what they asked. Nothing else makes one.
#[derive(Debug, Clone)]
pub struct Permit {
    caller: Caller,
    asked: RequestInfo,
}

impl Permit {
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub fn asked(&self) -> &RequestInfo {
        &self.asked
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AuthorizationError {}

impl AuthorizationError {
    pub fn status(&self) -> Status {
        todo!()
    }

    /// One word for the log line and the metric label.
    pub fn reason(&self) -> &'static str {
        todo!()
    }
}

#[derive(Debug)]
pub struct Authorization {}

impl Authorization {
    pub async fn authorize(
        &self,
        _caller: Caller,
        _asked: RequestInfo,
    ) -> Result<Permit, AuthorizationError> {
        todo!()
    }

    /// Non-resource paths: `/metrics`.
    pub async fn authorize_path(
        &self,
        _caller: &Caller,
        _path: &str,
    ) -> Result<(), AuthorizationError> {
        todo!()
    }
}
