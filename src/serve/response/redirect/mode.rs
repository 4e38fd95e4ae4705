//! How a client is told of a redirect: what it asks for, what the owner of the target says, and what it is.

use crate::serve::client::{ClientInfo, ClientKind, Ingress, RedirectPreference};
use crate::serve::cluster::{Redirects, ServiceSettings};

/// How a client is told of a redirect that it can't get as it is.
pub(super) enum RedirectMode {
    /// By a page that leads there.
    Page,
    /// Not at all: it is followed here.
    Follow,
    /// By the status and `Throughway-Location`.
    Manual,
}

/// Whether redirects of a request will be followed here, so that what a next request needs is to be kept.
pub(super) fn may_follow(client: &ClientInfo, settings: &ServiceSettings) -> bool {
    client.target_origin.is_none()
        && client.ingress == Ingress::FrontProxy
        && matches!(mode(client, settings), RedirectMode::Follow)
}

pub(super) fn mode(client: &ClientInfo, settings: &ServiceSettings) -> RedirectMode {
    match (client.redirects, settings.redirects, client.kind) {
        (RedirectPreference::Manual, _, _) => RedirectMode::Manual,
        (RedirectPreference::Usual, Redirects::Page, _)
        | (RedirectPreference::Usual, Redirects::Auto, ClientKind::Navigation) => {
            RedirectMode::Page
        }
        (RedirectPreference::Usual, Redirects::Follow | Redirects::Auto, _) => RedirectMode::Follow,
    }
}
