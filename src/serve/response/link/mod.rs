//! Where a URL in an answer leads, and how it must stand there: the one place that maps URLs.
//!
//! In: a URL as a backend wrote it into a header, a page or a style sheet. Out: the URL that leads through the proxy again,
//! or nothing, which means that it stays byte for byte. Mapped are root-absolute URLs and absolute ones that name the
//! backend; either may already carry the prefix, which is then not put there twice. Everything else stays: relative URLs
//! mean the same below every prefix, and those that lead elsewhere are none of ours.
//!
//! Mapped URLs are relative ([`Form::Relative`]), as that is the one form that means the same below every prefix:
//! kube-aggregator's, `kubectl proxy`'s, a dashboard's. Dot segments are resolved inside the target first, so no reference
//! climbs out of it. URLs are read as browsers read them (the URL standard): white space around them and tabs and line
//! ends within them don't count, and a backslash is a slash.
//!
//! RFC 3986 section 5.2; kube-apiserver's `pkg/util/proxy/transport.go` maps the same ones to absolute paths.

mod path;
mod reference;

use std::borrow::Cow;

use http::uri::Authority;

pub(super) use path::{to_root, without_dots};

use crate::serve::api::RequestInfo;
use crate::serve::destination::Scheme;
use crate::serve::endpoint::Endpoint;
use crate::serve::forward::Seen;
use path::after;
use reference::Reference;
pub(super) use reference::{as_browsers_read, is_scheme};

/// The longest relative way to the target's root that is put before every link. From deeper pages links get a path of the
/// origin instead: what a page grows by is bounded by its links, whatever path somebody asks for.
pub(super) const MAX_CLIMB: usize = 512;

/// The longest path of a target that is put before links; below a longer one they stay as they are. Names end at 253 bytes,
/// the rest is what a server in front adds.
pub(super) const MAX_PREFIX: usize = 1024;

/// What nearly all clusters put behind the names of Services; nothing in the API says which others do.
const CLUSTER_DOMAIN: &str = ".cluster.local";

/// How a mapped URL is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// Relative to the page, or to its `<base href>`.
    Relative,
    /// A path that starts with this prefix, which does not end in a slash.
    Absolute(String),
}

/// Maps the URLs of one answer.
#[derive(Debug, Clone)]
pub(super) struct Links {
    prefix: String,
    /// The path of the page inside the target: empty for the prefix itself, otherwise it starts with a slash.
    page: String,
    endpoint: Endpoint,
    form: Form,
    base: Base,
    /// The host and the prefix as the browser sees them, if that is known: apps that are told build links with them.
    seen_host: Option<String>,
    seen_prefix: Option<String>,
}

/// What relative URLs are relative to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Base {
    /// Something from where this relative reference leads to the target's root; it ends in a slash.
    SameOrigin { to_root: String },
    /// The same origin, so deep below the target's root that links are written as paths of the origin.
    Deep,
    /// Another origin. Root-absolute URLs mean that origin then, and no path leads back from there.
    Elsewhere,
}

impl Base {
    fn at(prefix: &str, base: &str) -> Self {
        match to_root(prefix, base) {
            to_root if to_root.len() <= MAX_CLIMB => Self::SameOrigin { to_root },
            _ => Self::Deep,
        }
    }
}

impl Links {
    pub(super) fn new(asked: &RequestInfo, endpoint: &Endpoint, form: Form) -> Self {
        let prefix = asked.prefix().to_owned();
        let page = match asked.path_inside() {
            "" => String::new(),
            path => without_dots(path).into_owned(),
        };
        let base = Base::at(&prefix, &format!("{prefix}{page}"));
        Self {
            prefix,
            page,
            endpoint: endpoint.clone(),
            form,
            base,
            seen_host: None,
            seen_prefix: None,
        }
    }

    /// The same, where URLs may also be written as the browser sees the target.
    pub(super) fn seen_as(mut self, seen: &Seen) -> Self {
        self.seen_host = seen.origin.as_ref().map(|origin| origin.host.clone());
        self.seen_prefix.clone_from(&seen.prefix);
        self
    }

    /// The path of the page inside the target.
    pub(super) fn page(&self) -> &str {
        &self.page
    }

    /// The same, with paths that start with the prefix that is known here.
    pub(super) fn absolute(&self) -> Self {
        Self {
            form: Form::Absolute(self.prefix.clone()),
            ..self.clone()
        }
    }

    /// Path, query and fragment inside the target that a URL leads to. A path may be missing, which is the root.
    pub(super) fn inside<'u>(&self, url: &'u str) -> Option<Cow<'u, str>> {
        match as_browsers_read(url) {
            Cow::Borrowed(url) => self.path_of(url).map(Cow::Borrowed),
            Cow::Owned(url) => self.path_of(&url).map(|path| Cow::Owned(path.to_owned())),
        }
    }

    /// Whether a URL leads out of the target for sure: to another host, or to what is no place on a host.
    pub(super) fn leads_elsewhere(&self, url: &str) -> bool {
        let url = as_browsers_read(url);
        match Reference::read(&url) {
            Reference::Path(_) | Reference::Relative(_) => self.base == Base::Elsewhere,
            Reference::Authority { .. } | Reference::OtherScheme => self.path_of(&url).is_none(),
        }
    }

    /// Whether a URL inside the target would be asked for by TLS, which the target does not speak.
    pub(super) fn wants_tls(&self, url: &str) -> bool {
        let https = Reference::read(url).default_port() == Some(443);
        https && self.endpoint.scheme == Scheme::Http
    }

    /// The URL as it must stand in a header or a style sheet; `None`: it stays byte for byte.
    pub(super) fn map(&self, url: &str) -> Option<String> {
        self.written(url, "")
    }

    /// The URL as it must stand in a page. A relative one carries a mark, which changes nothing in what it means but tells
    /// the page helper that it was root-absolute: one more `./` before the path inside the target.
    pub(super) fn map_in_page(&self, url: &str) -> Option<String> {
        self.written(url, "./")
    }

    /// The same for what is known to be a path, query and fragment inside the target. Read as a URL, `//x` would be a host.
    pub(super) fn map_inside(&self, inside: &str) -> Option<String> {
        self.written_inside(inside, "")
    }

    /// Takes note of a page's `<base href>`, given as the backend wrote it. Only the first one of a page counts.
    pub(super) fn rebase(&mut self, href: &str) {
        let href = as_browsers_read(href);
        if let Some(inside) = self.path_of(&href) {
            let end = inside.find(['?', '#']).unwrap_or(inside.len());
            let path = without_dots(&inside[..end]);
            self.base = Base::at(&self.prefix, &format!("{}{path}", self.prefix));
            return;
        }
        match Reference::read(&href) {
            Reference::Authority { .. } => self.base = Base::Elsewhere,
            // Browsers take no base whose URL has no place for paths, such as `data:`.
            Reference::OtherScheme => {}
            Reference::Path(path) | Reference::Relative(path) => {
                let end = path.find(['?', '#']).unwrap_or(path.len());
                let page = format!("{}{}", self.prefix, self.page);
                let folder = page.rfind('/').map_or(0, |slash| slash + 1);
                let joined = match &path[..end] {
                    "" => page,
                    relative => format!("{}{relative}", &page[..folder]),
                };
                self.base = Base::at(&self.prefix, &without_dots(&joined));
            }
        }
    }

    fn written(&self, url: &str, mark: &str) -> Option<String> {
        match &self.base {
            Base::SameOrigin { .. } | Base::Deep => self.written_inside(&self.inside(url)?, mark),
            Base::Elsewhere => None,
        }
    }

    fn written_inside(&self, inside: &str, mark: &str) -> Option<String> {
        let to_root = match &self.base {
            Base::SameOrigin { to_root } => Some(to_root),
            Base::Deep => None,
            Base::Elsewhere => return None,
        };
        let end = inside.find(['?', '#']).unwrap_or(inside.len());
        let (path, rest) = inside.split_at(end);
        let path = without_dots(path);
        let (begin, mark, path) = match (&self.form, to_root) {
            (Form::Relative, Some(to_root)) => (to_root, mark, &path[1..]),
            (Form::Relative, None) => (self.path_of_origin(), "", &*path),
            (Form::Absolute(prefix), _) => (prefix, "", &*path),
        };
        (begin.len() <= MAX_PREFIX).then(|| [begin, mark, path, rest].concat())
    }

    /// The target's path, as the browser has it if that is known.
    fn path_of_origin(&self) -> &String {
        self.seen_prefix.as_ref().unwrap_or(&self.prefix)
    }

    /// How many bytes a link grows by at the most, so that whoever writes many can stop in time.
    pub(super) fn growth(&self) -> usize {
        match (&self.form, &self.base) {
            (Form::Absolute(prefix), _) => prefix.len(),
            (Form::Relative, Base::SameOrigin { to_root }) => to_root.len() + 2,
            (Form::Relative, Base::Deep | Base::Elsewhere) => self.path_of_origin().len(),
        }
        .min(MAX_PREFIX)
    }

    fn path_of<'u>(&self, url: &'u str) -> Option<&'u str> {
        let path = match Reference::read(url) {
            Reference::Path(path) => path,
            Reference::Authority {
                authority,
                path,
                default_port,
            } => {
                let own = own_default_port(&self.endpoint);
                let is_seen = self.seen_host.as_deref();
                let is_seen = is_seen.is_some_and(|host| host.eq_ignore_ascii_case(authority));
                (is_seen || names(authority, default_port.unwrap_or(own), &self.endpoint))
                    .then_some(path)?
            }
            Reference::Relative(_) | Reference::OtherScheme => return None,
        };
        Some(self.without_prefix(path))
    }

    fn without_prefix<'u>(&self, path: &'u str) -> &'u str {
        let external = match &self.form {
            Form::Absolute(external) => after(path, external),
            Form::Relative => None,
        };
        let seen = self.seen_prefix.as_deref();
        external
            .or_else(|| after(path, seen?))
            .or_else(|| after(path, &self.prefix))
            .unwrap_or(path)
    }
}

/// Whether an authority is the backend's own, by its address or by the `Host` that it was sent. Apps know their name better
/// than their port: they leave it away, as nginx's `$host` does, or say the one that they listen on.
fn names(authority: &str, default_port: u16, endpoint: &Endpoint) -> bool {
    let Ok(named) = authority.parse::<Authority>() else {
        return false;
    };
    if authority.contains('@') {
        return false;
    }
    let Some(port) = port_of(&named, default_port) else {
        return false;
    };
    let host = endpoint
        .host
        .to_str()
        .ok()
        .and_then(|host| host.parse::<Authority>().ok());
    let by_host = host.is_some_and(|own| {
        let own_port = own.port_u16().unwrap_or(own_default_port(endpoint));
        let ports = [default_port, own_port, endpoint.address.port()];
        is_name_of(named.host(), own.host()) && ports.contains(&port)
    });
    let address = named
        .host()
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>();
    by_host || (address == Ok(endpoint.address.ip()) && port == endpoint.address.port())
}

/// Whether a host is the backend's, whose Service may be named with the cluster's domain.
fn is_name_of(host: &str, own: &str) -> bool {
    if host.eq_ignore_ascii_case(own) {
        return true;
    }
    let at = host.len().checked_sub(CLUSTER_DOMAIN.len());
    let parts = at.and_then(|at| host.split_at_checked(at));
    parts.is_some_and(|(name, domain)| {
        domain.eq_ignore_ascii_case(CLUSTER_DOMAIN)
            && name.eq_ignore_ascii_case(own)
            && own.ends_with(".svc")
    })
}

/// The port of an authority; `None`: what stands there is none, so the URL leads nowhere.
fn port_of(named: &Authority, default_port: u16) -> Option<u16> {
    let port = named.as_str().strip_prefix(named.host())?;
    match port.strip_prefix(':').unwrap_or(port) {
        "" => Some(default_port),
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok(),
        _ => None,
    }
}

fn own_default_port(endpoint: &Endpoint) -> u16 {
    match endpoint.scheme {
        Scheme::Http => 80,
        Scheme::Https | Scheme::Kubelet => 443,
    }
}

#[cfg(test)]
pub(super) mod tests;
