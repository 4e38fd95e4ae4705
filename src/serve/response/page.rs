//! Pages and what they consist of. In: a response of a backend. Out: the same, whose body is rewritten by [`html`]
//! while it streams; documents begin with the page helper, scripts of workers with its first line.
//!
//! How links are written depends on who reads them: a document gets relative ones, a fragment that a script fetches
//! paths. Left alone is what the target's settings say to leave alone.

use std::sync::Arc;

use http::HeaderMap;

use super::caching::DependsOn;
use super::context::ResponseContext;
use super::redirect::chain::RedirectChain;
use super::{csp, page_helper};
use crate::protocol::status::Response;
use crate::serve::client::{ClientKind, FetchDestination, PageTokens};
use crate::serve::cluster::{PageHelper, Prefix, Rewrite};
use crate::serve::config::{LinkStyle, RewriteConfig};
use crate::serve::html::budget::Budget;
use crate::serve::html::links::{LinkForm, Links};
use crate::serve::html::{self, Injection, PageLimits, PageTreatment, Sniffing};

/// What the rewriting of all pages shares.
#[derive(Debug)]
pub(super) struct PageRewriting {
    pub(super) config: RewriteConfig,
    pub(super) tokens: PageTokens,
    pub(super) budget: Arc<Budget>,
}

/// Rewrites what a page consists of, and lets documents begin with the page helper. The links are relative so far.
pub(super) fn rewrite(
    rewriting: &PageRewriting,
    context: ResponseContext<'_>,
    links: Links,
    mut response: Response,
) -> Response {
    let headers = response.headers_mut();
    // Read before the helper changes headers of the response.
    let is_html = html::is_html(headers);
    if is_left_alone(context) {
        return response;
    }
    let config = &rewriting.config;
    let Some(form) = form(context, config.links, is_html) else {
        return response;
    };
    let links = links.in_form(form);
    let has_helper = context.endpoint.settings.page_helper == PageHelper::On;
    let is_document = is_html && context.client.kind == ClientKind::Navigation;
    // The policies are opened only for a document that gets the helper; any other page keeps its own.
    let injection =
        (is_document && has_helper).then(|| helper(rewriting, context, &links, headers));
    // A worker can't be given a tag, so its first script begins with what it needs.
    let is_prepared = has_helper && is_of_worker(context, headers);
    let treatment = PageTreatment {
        prologue: is_prepared.then(page_helper::worker_prologue),
        method: context.permit.info().method.clone(),
        sniffing: match context.client.kind {
            // A browser that navigates shows what the type says; a script may read JSON under any type.
            ClientKind::Navigation => Sniffing::Off,
            ClientKind::Subresource | ClientKind::Program => Sniffing::Json,
        },
        links,
        injection,
        limits: PageLimits {
            memory: config.page_memory,
            decoded: config.page_limit,
        },
        budget: Arc::clone(&rewriting.budget),
    };
    html::rewrite(response, &treatment)
}

/// What a document begins with. The policies of the response are extended so that it runs.
fn helper(
    rewriting: &PageRewriting,
    context: ResponseContext<'_>,
    links: &Links,
    headers: &mut HeaderMap,
) -> Injection {
    // Before the tag is written, as the policies decide which form it has.
    let admission = csp::admit_helper(headers);
    let router = context.endpoint.settings.client_router;
    let source = links.map_in_page(page_helper::path(router));
    let hosts = context.backend().authorities();
    // A token for each document: it is good for its reader at this target, and for a day.
    let about = page_helper::About {
        router,
        source: source.as_deref().unwrap_or_default(),
        hosts: &[&hosts[0], &hosts[1]],
        token: &rewriting.tokens.issue(context.permit),
        cookies: &rewriting.config.never_forward_cookies.line(),
    };
    let html = match admission.form {
        csp::ScriptSource::External => page_helper::tag(admission.nonce.as_str(), about),
        csp::ScriptSource::Inline => page_helper::inline_tag(about),
    };
    Injection { html }
}

/// How links are written; `None`: they are better left as they are.
fn form(context: ResponseContext<'_>, style: LinkStyle, is_html: bool) -> Option<LinkForm> {
    let is_fragment = is_html && context.client.kind == ClientKind::Subresource;
    match (style, is_fragment) {
        (LinkStyle::Absolute, _) => {
            let prefix = context.client.prefix(context.permit);
            Some(LinkForm::Absolute(prefix.to_owned()))
        }
        (LinkStyle::Relative, false) => Some(LinkForm::Relative),
        // A fragment lands in a document that lies elsewhere, where relative links would mean something else. Without
        // knowing where, the page helper maps them when they are put there.
        (LinkStyle::Relative, true) => context
            .client
            .external
            .prefix
            .clone()
            .map(LinkForm::Absolute),
    }
}

/// What the response depends on besides its URL.
pub(super) fn depends(
    context: ResponseContext<'_>,
    style: LinkStyle,
    redirects: &RedirectChain<'_>,
    response: &Response,
) -> DependsOn {
    let is_page = html::is_html(response.headers()) && !is_left_alone(context);
    match (is_page, context.client.kind) {
        (true, ClientKind::Subresource) if style == LinkStyle::Relative => {
            DependsOn::ClientAndReferer
        }
        (true, _) => DependsOn::Client,
        (false, _) if redirects.has_followed() => DependsOn::Client,
        (false, _) => DependsOn::UrlAlone,
    }
}

/// Whether the owner of the target said that its pages are to stay as they are.
fn is_left_alone(context: ResponseContext<'_>) -> bool {
    let settings = &context.endpoint.settings;
    settings.prefix == Prefix::Keep || settings.rewrite == Rewrite::Off
}

/// Whether a response is a script that a worker begins with.
pub(super) fn is_of_worker(context: ResponseContext<'_>, headers: &HeaderMap) -> bool {
    context.client.destination == FetchDestination::Worker && html::is_script(headers)
}
