//! 3, who asks. In: the [`Peer`] and the request. Out: a [`Caller`], and the request without any credential.
//!
//! Refuses: see [`AuthenticationError`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::connection::Peer;
use crate::status::{Request, Status};

/// The caller, as Kubernetes knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct User {
    pub name: String,
    pub uid: Option<String>,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

/// How the caller proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    FrontProxy,
    ClientCertificate,
    BearerToken,
    Anonymous,
}

/// An identified caller and the way they came in.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: Arc<User>,
    pub method: Method,
}

#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {}

impl AuthenticationError {
    pub fn status(&self) -> Status {
        Status::unauthorized()
    }

    /// One word for the log line and the metric label.
    pub fn reason(&self) -> &'static str {
        "unauthorized"
    }
}

#[derive(Debug)]
pub struct Authentication {}

impl Authentication {
    pub async fn identify(
        &self,
        _peer: &Peer,
        _request: Request,
    ) -> Result<(Caller, Request), AuthenticationError> {
        todo!()
    }
}
