//! The responses that need no backend. In: an authorized request. Out: a response, if it is one of these.
//!
//! | asked for | response |
//! |---|---|
//! | a login page | [`crate::serve::app_login`] |
//! | `…/proxy` without its slash | a redirect to `…/proxy/`, for who resolves links against it |
//! | the page helper, a token for it | [`page_helper`] |
//!
//! Nothing of this is at a target's own origin.

use super::{page_helper, redirect};
use crate::protocol::status::{Request, Response};
use crate::serve::app_login::{self, Logins};
use crate::serve::authorization::Permit;
use crate::serve::client::{ClientInfo, PageTokens};

/// Gives the responses that need no backend.
#[derive(Debug)]
pub struct OwnPages {
    page_tokens: PageTokens,
    logins: Logins,
}

impl OwnPages {
    pub fn new(page_tokens: PageTokens, logins: Logins) -> Self {
        Self {
            page_tokens,
            logins,
        }
    }

    /// A response that needs no backend, if this request has one.
    pub async fn respond(
        &self,
        client: &ClientInfo,
        permit: &Permit,
        request: &mut Request,
    ) -> Option<Response> {
        // At its own origin everything belongs to the app, this server's paths too.
        if client.target_origin.is_some() {
            return None;
        }
        // First, as the login's body must be read before anybody else takes the request.
        if let Some(response) = app_login::respond(client, permit, &self.logins, request).await {
            return Some(response);
        }
        let info = permit.info();
        let inside = info.path_inside();
        redirect::to_slash(client, info, request)
            .or_else(|| page_helper::script(inside))
            .or_else(|| page_helper::token(inside, || self.page_tokens.issue(permit)))
    }
}
