//! 10, the response. In: what was forwarded ([`Forwarded`]) and who will read it. Out: what the client gets, or the
//! next request of a redirect that is followed here.
//!
//! Before that, once for each request: the responses that are this server's own ([`OwnPages`]), after authorization
//! like all others, and what a redirect may need of the request ([`RedirectChain`]).
//!
//! The order is the specification. Each step is a line of `ResponseRewriter::apply`:
//!
//! | step | which responses | why here |
//! |---|---|---|
//! | [`envelope::wrap_response`] | of a target at an origin of its own; nothing else happens to them | nobody else is on that origin |
//! | `forbidden_headers::remove` | all that have such headers | before anything reads or adds headers |
//! | `redirect::decide` | with `Location` | may end it here: what is followed reaches no client |
//! | `RedirectChain::add_cookies` | at the end of a chain | before the next step, so that it sees them, too |
//! | `cookies::confine` | all with cookies, those of redirects among them | |
//! | `url_headers::map` | the backend's own | not `Refresh` and `Location` of this server, which are mapped already |
//! | [`app_login::replace_challenge`] | 401 | takes the cookies along, so behind them |
//! | `page::rewrite` | what pages consist of | may extend policies, so before the next but one |
//! | `html::hide_from_aggregator` | pages through the front proxy | reads the type by its usual spelling until then |
//! | `csp::isolate` | the backend's own, of sandboxed targets | last, so that no step takes its policy for the app's |
//! | `caching::tell` | all | |
//!
//! A response that none of them concerns skips all but the last two, as with most that programs read. A tunnel's 101
//! loses what no backend may say and names the sub-protocol that was agreed on; it is no page and no redirect.

mod caching;
mod context;
mod cookies;
mod csp;
mod forbidden_headers;
mod own_pages;
mod page;
pub mod page_helper;
mod redirect;
mod url_headers;

use http::{StatusCode, header};

pub use own_pages::OwnPages;
pub use redirect::chain::{Redirect, RedirectChain};

use crate::protocol::envelope;
use crate::protocol::status::Response;
use crate::serve::app_login;
use crate::serve::client::{ClientInfo, Ingress, PageTokens};
use crate::serve::cluster::Isolation;
use crate::serve::config::RewriteConfig;
use crate::serve::forward::{Forwarded, speaks_for_the_origin};
use crate::serve::html;
use crate::serve::html::budget::{Budget, MAX_TOTAL};
use caching::DependsOn;
use context::ResponseContext;
use page::PageRewriting;
use redirect::Decided;

/// What becomes of a response.
#[derive(Debug)]
pub enum Rewritten {
    Done(Response),
    /// It was a redirect, and this is where it leads.
    Follow(Redirect),
}

/// Rewrites responses.
#[derive(Debug)]
pub struct ResponseRewriter {
    pages: PageRewriting,
}

impl ResponseRewriter {
    pub fn new(config: RewriteConfig, page_tokens: PageTokens) -> Self {
        Self {
            pages: PageRewriting {
                config,
                tokens: page_tokens,
                budget: Budget::new(MAX_TOTAL),
            },
        }
    }

    /// The redirects of one request, before any of them was met.
    pub fn redirect_chain(&self) -> RedirectChain<'_> {
        RedirectChain::new(&self.pages.config.never_forward_cookies)
    }

    /// What becomes of the response to a request of this client.
    pub fn rewrite(
        &self,
        client: &ClientInfo,
        redirects: &mut RedirectChain<'_>,
        forwarded: Forwarded<'_>,
    ) -> Rewritten {
        let (permit, endpoint, login, response) = forwarded.into_parts();
        let context = ResponseContext {
            client,
            login: &login,
            permit,
            endpoint: &endpoint,
        };
        self.apply(context, redirects, response)
    }

    /// Applies the steps in their order.
    fn apply(
        &self,
        context: ResponseContext<'_>,
        redirects: &mut RedirectChain<'_>,
        mut response: Response,
    ) -> Rewritten {
        let (client, info) = (context.client, context.permit.info());
        // Nobody else is at that origin, so nothing has to be kept from anybody.
        if let Some(own) = &client.target_origin {
            envelope::wrap_response(response.headers_mut(), own);
            return Rewritten::Done(response);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Rewritten::Done(self.tunnel(context, response));
        }
        // At the end of a chain there are cookies to hand out, however plain the last response is.
        if !redirects.has_followed() && is_plain(context, &response) {
            return Rewritten::Done(finished(context, DependsOn::UrlAlone, response));
        }
        let links = context.links();
        forbidden_headers::remove(response.headers_mut(), &links);
        // After the forbidden headers are gone, so that a page in its place has none of them either.
        let (mut response, is_ours) = match redirect::decide(context, &links, redirects, response) {
            Decided::Passed(response) => (response, false),
            Decided::Replaced(response) => (response, true),
            Decided::Follow(redirect) => return Rewritten::Follow(redirect),
        };
        let headers = response.headers_mut();
        // Before they are confined, so that all cookies of the chain are.
        redirects.add_cookies(headers);
        cookies::confine(
            headers,
            context.paths(),
            &self.pages.config.never_forward_cookies,
        );
        // A page of ours may not be rewritten as if the backend had written it.
        if is_ours {
            // Nothing of the backend is in it but its status, and what follows is about what a backend wrote.
            caching::tell(headers, client, DependsOn::Client);
            return Rewritten::Done(response);
        }
        url_headers::map(headers, &links);
        if redirects.has_followed() {
            redirect::name_end(info, headers);
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            let headers = response.headers_mut();
            let form = app_login::replace_challenge(client, context.login, info, headers);
            if let Some(mut form) = form {
                // Nobody keeps the form, so no cache has to know what it depends on.
                caching::tell(form.headers_mut(), client, DependsOn::UrlAlone);
                return Rewritten::Done(form);
            }
        }
        // Asked before the rewriting, which takes the response and changes what the question reads.
        let depends = page::depends(context, self.pages.config.links, redirects, &response);
        let mut response = page::rewrite(&self.pages, context, links, response);
        // After everything that reads the type by its usual spelling.
        if client.ingress == Ingress::FrontProxy {
            html::hide_from_aggregator(response.headers_mut());
        }
        Rewritten::Done(finished(context, depends, response))
    }

    /// The 101 of a tunnel.
    fn tunnel(&self, context: ResponseContext<'_>, mut response: Response) -> Response {
        let headers = response.headers_mut();
        // Browsers end a socket whose offer got no response, and the backend was not shown all of it.
        // The handshake has no other place for it, and a tunnel is never looked at again.
        context.client.page_token.agree(headers);
        forbidden_headers::remove(headers, &context.links());
        cookies::confine(
            headers,
            context.paths(),
            &self.pages.config.never_forward_cookies,
        );
        response
    }
}

/// What is done to every response of a backend at the end.
fn finished(context: ResponseContext<'_>, depends: DependsOn, mut response: Response) -> Response {
    let headers = response.headers_mut();
    // Last, so that no step above takes this policy for one of the app's.
    if context.endpoint.settings.isolation == Isolation::Sandbox {
        csp::isolate(headers);
    }
    caching::tell(headers, context.client, depends);
    response
}

/// Whether no step has anything to do, as with most responses that programs read.
fn is_plain(context: ResponseContext<'_>, response: &Response) -> bool {
    let status = response.status();
    let headers = response.headers();
    let concerns_a_step = |name: &header::HeaderName| {
        url_headers::holds_urls(name) || speaks_for_the_origin(name) || *name == header::SET_COOKIE
    };
    // Each of these is one step's reason to look closer.
    !status.is_redirection()
        && status != StatusCode::UNAUTHORIZED
        && !headers.keys().any(concerns_a_step)
        && !html::is_of_a_page(headers, context.permit.info().path_inside())
        && !page::is_of_worker(context, headers)
}

#[cfg(test)]
pub(crate) mod tests;
