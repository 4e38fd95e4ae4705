//! What tests of this stage and of those behind it begin with: a permit, and a client of which nothing is known.

use std::sync::Arc;

use http::HeaderMap;

use super::*;
use crate::serve::api::RequestInfo;
use crate::serve::authentication::{self, Caller, User};
use crate::serve::config::ApiGroup;

/// A permit of this user for a target below the group's path.
pub(crate) fn permit(user: &str, target: &str) -> Permit {
    permit_for("GET", user, target)
}

pub(crate) fn permit_for(method: &str, user: &str, target: &str) -> Permit {
    let group = ApiGroup::for_tests();
    let uri = format!("/apis/throughway.dev/v1{target}/proxy/a");
    let method = method.parse().unwrap();
    let asked = RequestInfo::read(&group, &method, &uri.parse().unwrap()).unwrap();
    let user = User {
        name: user.into(),
        ..User::default()
    };
    let caller = Caller {
        user: Arc::new(user),
        method: authentication::Method::FrontProxy,
    };
    Permit::for_tests(caller, asked)
}

/// A program that the target has never been seen by.
pub(crate) fn program() -> ClientInfo {
    ClientInfo::of(
        &permit("alice", "/namespaces/demo/pods/web"),
        &HeaderMap::new(),
    )
}

/// What is known of a client that asks by these headers, where these origins are listed.
pub(crate) fn describe(
    permit: &Permit,
    headers: &HeaderMap,
    listed: &[ExternalOrigin],
) -> ClientInfo {
    let known = KnownOrigins { listed, own: None };
    let token = OfferedToken::default();
    let external = ExternalUrl::of(headers, permit.info().prefix(), &known, &token);
    ClientInfo::of(permit, headers).seeing(external, token)
}
