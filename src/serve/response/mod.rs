//! 8, the answer. In: the backend's answer, the permit, the endpoint that gave it, who will read it. Out: what the reader gets,
//! or the next hop of a redirect that is followed here.
//!
//! Before that, once for each request: who will read the answer, what a redirect may need of the request, and the answers that
//! are this server's own (`own_answer`), after authorization like all others.
//!
//! A target that is seen at an origin of its own needs none of it: its answers leave in an envelope ([`envelope`]).
//!
//! Each rewriter is a file or folder, this page has their order. A tunnel's 101 loses what no backend may say, and is done.

mod caching;
mod cookies;
mod fields;
mod link;
mod login;
mod page;
mod page_helper;
mod policy;
mod reader;
mod redirect;
mod safety;

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};

pub use reader::Reading;
pub use redirect::follow::{Hop, Trail};

use crate::protocol::envelope;
use crate::protocol::status::{Request, Response};
use crate::serve::authorization::Permit;
use crate::serve::cluster::{Isolation, PageHelper, Prefix, Rewrite, ServiceSettings};
use crate::serve::config::{LinkStyle, RewriteConfig};
use crate::serve::destination::Scheme;
use crate::serve::endpoint::Endpoint;
use crate::serve::forward::{Logins, PageTokens, speaks_for_the_origin};
use caching::Depends;
use link::{Form, Links};
use page::budget::{Budget, MAX_TOTAL};
use page::{Injection, PageLimits, PageTreatment};
use policy::Admission;
use reader::{Destination, Reader, Via};
use redirect::Situation;

/// What becomes of an answer.
#[derive(Debug)]
pub enum Outcome {
    Answer(Response),
    Follow(Hop),
}

/// Rewrites answers.
#[derive(Debug)]
pub struct Answers {
    config: RewriteConfig,
    page_tokens: PageTokens,
    pages: Arc<Budget>,
}

/// What the rewriters made of an answer.
enum Made {
    /// It is still the backend's.
    Answer(Response, Depends),
    /// A page or a text of this server's own.
    Ours(Response, Depends),
    Follow(Hop),
}

/// One answer and what it is an answer to.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    pub reading: &'a Reading,
    pub permit: &'a Permit,
    pub endpoint: &'a Endpoint,
}

impl Answers {
    pub fn new(config: RewriteConfig, page_tokens: PageTokens) -> Self {
        Self {
            config,
            page_tokens,
            pages: Budget::new(MAX_TOTAL),
        }
    }

    /// Takes note of what a redirect would need that is followed here.
    pub fn trail(
        &self,
        reading: &Reading,
        permit: &Permit,
        settings: &ServiceSettings,
        request: &mut Request,
    ) -> Trail {
        if reading.seen().own.is_none() && redirect::may_follow(reading, settings) {
            Trail::begin(permit.info(), request, &self.config.never_forward_cookies)
        } else {
            Trail::without_hops()
        }
    }

    /// An answer that needs no backend, if this request has one.
    pub async fn own_answer(
        &self,
        reading: &Reading,
        permit: &Permit,
        logins: &Logins,
        request: &mut Request,
    ) -> Option<Response> {
        if reading.seen().own.is_some() {
            return None;
        }
        if let Some(answer) = login::own_answer(reading, permit, logins, request).await {
            return Some(answer);
        }
        let asked = permit.info();
        let inside = asked.path_inside();
        redirect::to_slash(reading, asked, request)
            .or_else(|| page_helper::script(inside))
            .or_else(|| page_helper::token(inside, || self.page_tokens.issue(permit)))
    }

    /// Applies the rewriters in their order.
    pub fn rewrite(&self, on: Occasion<'_>, trail: &mut Trail, mut response: Response) -> Outcome {
        let reading = on.reading;
        if let Some(own) = &reading.seen().own {
            envelope::seal_answer(response.headers_mut(), own);
            return Outcome::Answer(response);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            reading.seen().token.agree(response.headers_mut());
        }
        let (mut response, depends) = match self.made(on, trail, response) {
            Made::Answer(tunnel, _) if tunnel.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Outcome::Answer(tunnel);
            }
            Made::Follow(hop) => return Outcome::Follow(hop),
            Made::Ours(response, depends) => (response, depends),
            Made::Answer(mut response, depends) => {
                if on.endpoint.settings.isolation == Isolation::Sandbox {
                    policy::isolate(response.headers_mut());
                }
                (response, depends)
            }
        };
        caching::tell(response.headers_mut(), reading, depends);
        Outcome::Answer(response)
    }

    fn made(&self, on: Occasion<'_>, trail: &mut Trail, mut response: Response) -> Made {
        let Occasion {
            reading,
            permit,
            endpoint,
        } = on;
        if !trail.has_hops() && is_plain(on, &response) {
            return Made::Answer(response, Depends::UrlAlone);
        }
        let links = Self::links(on, Form::Relative);
        safety::remove(response.headers_mut(), &links);
        let place = cookies::Place {
            arrived: permit.info().prefix(),
            seen: reading.prefix(permit),
        };
        let never = &self.config.never_forward_cookies;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            cookies::rewrite(response.headers_mut(), place, never);
            return Made::Answer(response, Depends::UrlAlone);
        }
        let at = Situation {
            reading,
            settings: &endpoint.settings,
            asked: permit.info(),
            links: &links,
        };
        let decided = redirect::decide(at, trail, response);
        let (mut response, is_ours) = match decided {
            redirect::Outcome::Answer(response) => (response, false),
            redirect::Outcome::Told(response) => (response, true),
            redirect::Outcome::Follow(hop) => return Made::Follow(hop),
        };
        let headers = response.headers_mut();
        trail.hand_out(headers);
        cookies::rewrite(headers, place, never);
        if is_ours {
            return Made::Ours(response, Depends::Reader);
        }
        fields::rewrite(headers, &links);
        if trail.has_hops() {
            redirect::name_end(permit.info(), headers);
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            let refused = response.headers_mut();
            if let Some(page) = login::in_place_of(reading, permit.info(), refused) {
                return Made::Ours(page, Depends::UrlAlone);
            }
        }
        let depends = self.depends(on, trail, &response);
        let mut response = self.page(on, response);
        if reading.via == Via::FrontProxy {
            page::hide_from_aggregator(response.headers_mut());
        }
        Made::Answer(response, depends)
    }

    fn depends(&self, on: Occasion<'_>, trail: &Trail, response: &Response) -> Depends {
        let settings = &on.endpoint.settings;
        let is_left = settings.prefix == Prefix::Keep || settings.rewrite == Rewrite::Off;
        let is_page = page::is_html(response.headers()) && !is_left;
        match (is_page, on.reading.reader) {
            (true, Reader::Script) if self.config.links == LinkStyle::Relative => {
                Depends::ReaderAndPlace
            }
            (true, _) => Depends::Reader,
            (false, _) if trail.has_hops() => Depends::Reader,
            (false, _) => Depends::UrlAlone,
        }
    }

    /// Rewrites what a page consists of, and lets documents begin with the page helper.
    fn page(&self, on: Occasion<'_>, mut response: Response) -> Response {
        let settings = &on.endpoint.settings;
        let is_html = page::is_html(response.headers());
        let is_document = is_html && on.reading.reader == Reader::Document;
        if settings.prefix == Prefix::Keep || settings.rewrite == Rewrite::Off {
            return response;
        }
        let Some(form) = self.form(on, is_html) else {
            return response;
        };
        let links = Self::links(on, form);
        let injection = (is_document && settings.page_helper == PageHelper::On).then(|| {
            let admission = policy::admit_helper(response.headers_mut());
            let token = self.page_tokens.issue(on.permit);
            let cookies = self.config.never_forward_cookies.line();
            let router = settings.client_router;
            let source = links.map_in_page(page_helper::path(router));
            let hosts = hosts(on.endpoint);
            let about = page_helper::About {
                router,
                source: source.as_deref().unwrap_or_default(),
                hosts: &[&hosts[0], &hosts[1]],
                token: &token,
                cookies: &cookies,
            };
            let html = helper_tag(about, &admission);
            Injection { html }
        });
        let is_prepared =
            settings.page_helper == PageHelper::On && is_of_worker(on, response.headers());
        let treatment = PageTreatment {
            prologue: is_prepared.then(page_helper::worker_prologue),
            method: on.permit.info().method.clone(),
            reader: on.reading.reader,
            links,
            injection,
            limits: PageLimits {
                memory: self.config.page_memory,
                decoded: self.config.page_limit,
            },
            budget: Arc::clone(&self.pages),
        };
        page::rewrite(response, &treatment)
    }

    /// How links are written; `None`: they are better left as they are.
    fn form(&self, on: Occasion<'_>, is_html: bool) -> Option<Form> {
        let is_fragment = is_html && on.reading.reader == Reader::Script;
        match (self.config.links, is_fragment) {
            (LinkStyle::Absolute, _) => {
                Some(Form::Absolute(on.reading.prefix(on.permit).to_owned()))
            }
            (LinkStyle::Relative, false) => Some(Form::Relative),
            // A fragment lands in a document that lies elsewhere, where relative links would mean something else. Without
            // knowing where, the page helper maps them when they are put there.
            (LinkStyle::Relative, true) => on.reading.seen.prefix.clone().map(Form::Absolute),
        }
    }

    fn links(on: Occasion<'_>, form: Form) -> Links {
        Links::new(on.permit.info(), on.endpoint, form).seen_as(&on.reading.seen)
    }
}

/// Whether no rewriter has anything to do, as with most answers that programs read.
fn is_plain(on: Occasion<'_>, response: &Response) -> bool {
    let status = response.status();
    let headers = response.headers();
    !status.is_redirection()
        && status != StatusCode::UNAUTHORIZED
        && !headers.keys().any(|name| {
            fields::holds_urls(name) || speaks_for_the_origin(name) || *name == header::SET_COOKIE
        })
        && !page::is_of_a_page(headers, on.permit.info().path_inside())
        && !is_of_worker(on, headers)
}

/// Whether an answer is a script that a worker begins with.
fn is_of_worker(on: Occasion<'_>, headers: &HeaderMap) -> bool {
    on.reading.destination == Destination::Worker && page::is_script(headers)
}

/// What a document begins with.
fn helper_tag(about: page_helper::About<'_>, admission: &Admission) -> String {
    match admission.form {
        policy::Form::External => page_helper::tag(admission.nonce.as_str(), about),
        policy::Form::Inline => page_helper::inline_tag(about),
    }
}

/// The authorities by which a page may name its backend, each with its port.
fn hosts(endpoint: &Endpoint) -> [String; 2] {
    let host = endpoint.host.to_str().unwrap_or_default();
    let named: Option<http::uri::Authority> = host.parse().ok();
    let has_port = named.is_some_and(|named| named.port().is_some());
    let host = match endpoint.scheme {
        _ if has_port => host.to_owned(),
        Scheme::Http => format!("{host}:80"),
        Scheme::Https | Scheme::Kubelet => format!("{host}:443"),
    };
    [host, endpoint.address.to_string()]
}

#[cfg(test)]
pub(crate) mod tests;
