//! Where a URL in a response leads, and how it must stand there: the one place that maps URLs.
//!
//! In: a URL as a backend wrote it into a header, a page or a style sheet. Out: the URL that leads through the proxy
//! again, or nothing, which means that it stays byte for byte. Mapped are root-absolute URLs and absolute ones that
//! name the backend; either may already carry the prefix, which is then not put there twice. Everything else stays:
//! relative URLs mean the same below every prefix, and those that lead elsewhere are none of ours.
//!
//! Mapped URLs are relative ([`LinkForm::Relative`]), as that is the one form that means the same below every prefix:
//! kube-aggregator's, `kubectl proxy`'s, a dashboard's. Dot segments are resolved inside the target first, so no
//! reference climbs out of it. URLs are read as browsers read them (the URL standard): white space around them and tabs
//! and line ends within them don't count, and a backslash is a slash.
//!
//! RFC 3986 section 5.2; kube-apiserver's `pkg/util/proxy/transport.go` maps the same ones to absolute paths.

mod backend;
mod path;
mod reference;

use std::borrow::Cow;

pub(crate) use backend::{BackendNames, BackendScheme};
use path::after;
pub(crate) use path::{to_root, without_dots};
use reference::UrlReference;
pub(crate) use reference::{as_browsers_read, is_scheme};

/// The longest relative way to the target's root that is put before every link. From deeper pages links get a path of
/// the origin instead: what a page grows by is bounded by its links, whatever path somebody asks for.
pub(crate) const MAX_CLIMB: usize = 512;

/// The longest path of a target that is put before links; below a longer one they stay as they are. Names end at 253
/// bytes, the rest is what a server in front adds.
pub(crate) const MAX_PREFIX: usize = 1024;

/// How a mapped URL is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkForm {
    /// Relative to the page, or to its `<base href>`.
    Relative,
    /// A path that starts with this prefix, which does not end in a slash.
    Absolute(String),
}

/// Maps the URLs of one response.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    prefix: String,
    /// The path of the page inside the target: empty for the prefix itself, otherwise it starts with a slash.
    page: String,
    backend: BackendNames,
    form: LinkForm,
    base: Base,
    /// The host and the prefix as the browser sees them, if that is known: apps that are told build links with them.
    external_host: Option<String>,
    external_prefix: Option<String>,
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
    /// For the response to a request for `path` inside the target, whose own path here is `prefix`.
    pub(crate) fn new(prefix: &str, path: &str, backend: BackendNames, form: LinkForm) -> Self {
        let prefix = prefix.to_owned();
        // Without dots, so that a relative way is counted from where the browser takes the page to be.
        let page = match path {
            "" => String::new(),
            path => without_dots(path).into_owned(),
        };
        let base = Base::at(&prefix, &format!("{prefix}{page}"));
        Self {
            prefix,
            page,
            backend,
            form,
            base,
            external_host: None,
            external_prefix: None,
        }
    }

    /// The same, where URLs may also be written as the browser sees the target.
    pub(crate) fn with_external(self, host: Option<&str>, prefix: Option<&str>) -> Self {
        Self {
            external_host: host.map(str::to_owned),
            external_prefix: prefix.map(str::to_owned),
            ..self
        }
    }

    /// The same, written in another form.
    pub(crate) fn in_form(self, form: LinkForm) -> Self {
        Self { form, ..self }
    }

    /// The path of the page inside the target.
    pub(crate) fn page(&self) -> &str {
        &self.page
    }

    /// The same, with paths that start with the prefix that is known here.
    pub(crate) fn absolute(&self) -> Self {
        Self {
            form: LinkForm::Absolute(self.prefix.clone()),
            ..self.clone()
        }
    }

    /// Path, query and fragment inside the target that a URL leads to. A path may be missing, which is the root.
    pub(crate) fn inside<'u>(&self, url: &'u str) -> Option<Cow<'u, str>> {
        match as_browsers_read(url) {
            Cow::Borrowed(url) => self.path_of(url).map(Cow::Borrowed),
            Cow::Owned(url) => self.path_of(&url).map(|path| Cow::Owned(path.to_owned())),
        }
    }

    /// Whether a URL leads out of the target for sure: to another host, or to what is no place on a host.
    pub(crate) fn leads_elsewhere(&self, url: &str) -> bool {
        let url = as_browsers_read(url);
        match UrlReference::read(&url) {
            UrlReference::Path(_) | UrlReference::Relative(_) => self.base == Base::Elsewhere,
            UrlReference::Authority { .. } | UrlReference::OtherScheme => {
                self.path_of(&url).is_none()
            }
        }
    }

    /// Whether a URL inside the target would be asked for by TLS, which the target does not speak.
    pub(crate) fn wants_tls(&self, url: &str) -> bool {
        let https = UrlReference::read(url).default_port() == Some(443);
        https && self.backend.scheme == BackendScheme::Http
    }

    /// The URL as it must stand in a header or a style sheet; `None`: it stays byte for byte.
    pub(crate) fn map(&self, url: &str) -> Option<String> {
        self.mapped(url, "")
    }

    /// The URL as it must stand in a page. A relative one carries a mark, which changes nothing in what it means but
    /// tells the page helper that it was root-absolute: one more `./` before the path inside the target.
    pub(crate) fn map_in_page(&self, url: &str) -> Option<String> {
        self.mapped(url, "./")
    }

    /// The same for what is known to be a path, query and fragment inside the target. Read as a URL, `//x` would be a
    /// host.
    pub(crate) fn map_inside(&self, inside: &str) -> Option<String> {
        self.mapped_inside(inside, "")
    }

    /// Takes note of a page's `<base href>`, given as the backend wrote it. Only the first one of a page counts.
    pub(crate) fn rebase(&mut self, href: &str) {
        let href = as_browsers_read(href);
        // A base inside the target is the usual case: links are then relative to that.
        if let Some(inside) = self.path_of(&href) {
            let end = inside.find(['?', '#']).unwrap_or(inside.len());
            let path = without_dots(&inside[..end]);
            self.base = Base::at(&self.prefix, &format!("{}{path}", self.prefix));
            return;
        }
        match UrlReference::read(&href) {
            UrlReference::Authority { .. } => self.base = Base::Elsewhere,
            // Browsers take no base whose URL has no place for paths, such as `data:`.
            UrlReference::OtherScheme => {}
            UrlReference::Path(path) | UrlReference::Relative(path) => {
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

    fn mapped(&self, url: &str, mark: &str) -> Option<String> {
        match &self.base {
            Base::SameOrigin { .. } | Base::Deep => self.mapped_inside(&self.inside(url)?, mark),
            // Root-absolute URLs mean the other origin, and no path leads back from there.
            Base::Elsewhere => None,
        }
    }

    fn mapped_inside(&self, inside: &str, mark: &str) -> Option<String> {
        let to_root = match &self.base {
            Base::SameOrigin { to_root } => Some(to_root),
            Base::Deep => None,
            Base::Elsewhere => return None,
        };
        let end = inside.find(['?', '#']).unwrap_or(inside.len());
        let (path, rest) = inside.split_at(end);
        // Resolved inside the target first, so that no reference climbs out of it.
        let path = without_dots(path);
        let (begin, mark, path) = match (&self.form, to_root) {
            (LinkForm::Relative, Some(to_root)) => (to_root, mark, &path[1..]),
            (LinkForm::Relative, None) => (self.path_of_origin(), "", &*path),
            (LinkForm::Absolute(prefix), _) => (prefix, "", &*path),
        };
        // Below a longer path every link would become larger than the page can bear, so all stay.
        (begin.len() <= MAX_PREFIX).then(|| [begin, mark, path, rest].concat())
    }

    /// The target's path, as the browser has it if that is known.
    fn path_of_origin(&self) -> &String {
        self.external_prefix.as_ref().unwrap_or(&self.prefix)
    }

    /// How many bytes a link grows by at the most, so that whoever writes many can stop in time.
    pub(crate) fn growth(&self) -> usize {
        match (&self.form, &self.base) {
            (LinkForm::Absolute(prefix), _) => prefix.len(),
            (LinkForm::Relative, Base::SameOrigin { to_root }) => to_root.len() + 2,
            (LinkForm::Relative, Base::Deep | Base::Elsewhere) => self.path_of_origin().len(),
        }
        .min(MAX_PREFIX)
    }

    fn path_of<'u>(&self, url: &'u str) -> Option<&'u str> {
        let path = match UrlReference::read(url) {
            UrlReference::Path(path) => path,
            UrlReference::Authority {
                authority,
                path,
                default_port,
            } => {
                let external = self.external_host.as_deref();
                let is_external = external.is_some_and(|host| host.eq_ignore_ascii_case(authority));
                (is_external || self.backend.include(authority, default_port)).then_some(path)?
            }
            UrlReference::Relative(_) | UrlReference::OtherScheme => return None,
        };
        // Apps that know their prefix have put it there already, and must not get it twice.
        Some(self.without_prefix(path))
    }

    fn without_prefix<'u>(&self, path: &'u str) -> &'u str {
        let external = match &self.form {
            LinkForm::Absolute(external) => after(path, external),
            LinkForm::Relative => None,
        };
        let seen = self.external_prefix.as_deref();
        external
            .or_else(|| after(path, seen?))
            .or_else(|| after(path, &self.prefix))
            .unwrap_or(path)
    }
}

#[cfg(test)]
pub(crate) mod tests;
