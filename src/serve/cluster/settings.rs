//! What a Service's annotations say about how it is proxied: `throughway.dev/<setting>: <value>`.
//!
//! In: the annotations. Out: [`ServiceSettings`], and a sentence for each annotation that says nothing known; the
//! default holds in its place. Whoever may write a Service is trusted for that Service alone: no setting widens what
//! RBAC or the flags of the server allow.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use http::HeaderValue;
use http::uri::Authority;

/// What every annotation of ours begins with.
const DOMAIN: &str = "throughway.dev/";

/// Annotations of one Service that are complained about; a Service may have thousands.
pub(super) const MAX_WARNINGS: usize = 8;

/// A DNS name and a port: it goes along with every request.
const MAX_HOST: usize = 253 + 6;

/// How one Service is proxied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceSettings {
    pub prefix: Prefix,
    pub rewrite: Rewrite,
    pub page_helper: PageHelper,
    pub client_router: ClientRouter,
    pub redirects: Redirects,
    /// What the backend sees as `Host` instead of the Service's DNS name.
    pub host: Option<HeaderValue>,
    pub isolation: Isolation,
}

/// `throughway.dev/prefix`: what path the backend gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prefix {
    /// The path inside the target.
    #[default]
    Strip,
    /// The whole path: the app knows where it lives, so nothing in its responses is rewritten.
    Keep,
}

/// `throughway.dev/rewrite`: whether links in pages, style sheets and manifests are rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rewrite {
    #[default]
    On,
    Off,
}

/// `throughway.dev/page-helper`: whether documents get the script that maps the URLs which scripts build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PageHelper {
    #[default]
    On,
    Off,
}

/// `throughway.dev/client-router`: whether a router in the app's pages reads its own paths in `location`, without the
/// prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientRouter {
    /// Apps that know their prefix, or look at the address at any time, need it as it is.
    #[default]
    Off,
    On,
}

/// `throughway.dev/redirects`: what becomes of a redirect that can't be passed on through the front proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Redirects {
    /// A page for those who navigate, followed here for everybody else.
    #[default]
    Auto,
    Follow,
    Page,
}

/// `throughway.dev/isolation`: whether documents are kept apart from the rest of the origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    #[default]
    None,
    /// Documents get an origin of their own that shares nothing with anybody. A Service may ask for it, none can lift
    /// what the administrator or another Service of its pods asks for.
    Sandbox,
}

/// Most Services say nothing, and share this.
static DEFAULT: LazyLock<Arc<ServiceSettings>> = LazyLock::new(Arc::default);

static DEFAULT_SANDBOXED: LazyLock<Arc<ServiceSettings>> = LazyLock::new(|| {
    Arc::new(ServiceSettings {
        isolation: Isolation::Sandbox,
        ..ServiceSettings::default()
    })
});

impl ServiceSettings {
    /// What holds for whatever has no annotations: pods, nodes, most Services.
    pub fn unset() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }

    /// The same for documents that are kept apart from the rest of the origin.
    pub fn sandboxed(self: &Arc<Self>) -> Arc<Self> {
        if self.isolation == Isolation::Sandbox {
            // Shared where it says so already: settings go along with every request.
            return Arc::clone(self);
        }
        if Arc::ptr_eq(self, &DEFAULT) {
            return Arc::clone(&DEFAULT_SANDBOXED);
        }
        Arc::new(Self {
            isolation: Isolation::Sandbox,
            ..Self::clone(self)
        })
    }

    /// Reads a Service's annotations; the second part says what was not understood, one sentence each.
    pub(super) fn read(annotations: &BTreeMap<String, String>) -> (Arc<Self>, Vec<String>) {
        let mut settings = Self::default();
        let mut warnings = Vec::new();
        for (name, value) in annotations {
            let Some(setting) = name.strip_prefix(DOMAIN) else {
                continue;
            };
            // The rest is skipped without a word: the first few tell what is wrong.
            if let Err(expected) = settings.set(setting, value)
                && warnings.len() < MAX_WARNINGS
            {
                // An annotation may be very long, a log line and an Event should not be.
                let (setting, value) = (begin_of(setting), begin_of(value));
                warnings.push(format!(
                    "annotation {DOMAIN}{setting}: {value:?} is not understood ({expected}), the default holds"
                ));
            }
        }
        // Nearly all Services share one, which keeps thousands of them small.
        if settings == Self::default() {
            return (Self::unset(), warnings);
        }
        (Arc::new(settings), warnings)
    }

    fn set(&mut self, setting: &str, value: &str) -> Result<(), &'static str> {
        match (setting, value) {
            ("prefix", "strip") => self.prefix = Prefix::Strip,
            ("prefix", "keep") => self.prefix = Prefix::Keep,
            ("prefix", _) => return Err("strip or keep"),
            ("rewrite", "on") => self.rewrite = Rewrite::On,
            ("rewrite", "off") => self.rewrite = Rewrite::Off,
            ("page-helper", "on") => self.page_helper = PageHelper::On,
            ("page-helper", "off") => self.page_helper = PageHelper::Off,
            ("client-router", "on") => self.client_router = ClientRouter::On,
            ("client-router", "off") => self.client_router = ClientRouter::Off,
            ("rewrite" | "page-helper" | "client-router", _) => return Err("on or off"),
            ("redirects", "auto") => self.redirects = Redirects::Auto,
            ("redirects", "follow") => self.redirects = Redirects::Follow,
            ("redirects", "page") => self.redirects = Redirects::Page,
            ("redirects", _) => return Err("auto, follow or page"),
            ("host", value) => self.host = Some(host(value).ok_or("a host, with or without port")?),
            // A Service may say none, and it lifts nothing that others ask for.
            ("isolation", "none") => self.isolation = Isolation::None,
            ("isolation", "sandbox") => self.isolation = Isolation::Sandbox,
            ("isolation", _) => return Err("none or sandbox"),
            _ => return Err("no setting of that name"),
        }
        Ok(())
    }
}

fn begin_of(text: &str) -> &str {
    let end = text.char_indices().nth(64).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

fn host(value: &str) -> Option<HeaderValue> {
    if value.len() > MAX_HOST {
        return None;
    }
    let authority: Authority = value.parse().ok()?;
    let is_plain = !value.contains('@') && !authority.host().is_empty();
    is_plain
        .then(|| HeaderValue::from_str(value).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(annotations: &[(&str, &str)]) -> (Arc<ServiceSettings>, Vec<String>) {
        let owned = annotations
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ServiceSettings::read(&owned.collect())
    }

    #[test]
    fn every_setting_is_read() {
        let (settings, warnings) = read(&[
            ("throughway.dev/prefix", "keep"),
            ("throughway.dev/rewrite", "off"),
            ("throughway.dev/page-helper", "off"),
            ("throughway.dev/client-router", "on"),
            ("throughway.dev/redirects", "page"),
            ("throughway.dev/host", "grafana.example:3000"),
            ("throughway.dev/isolation", "sandbox"),
            ("example.com/prefix", "other people's"),
        ]);
        let expected = ServiceSettings {
            prefix: Prefix::Keep,
            rewrite: Rewrite::Off,
            page_helper: PageHelper::Off,
            client_router: ClientRouter::On,
            redirects: Redirects::Page,
            host: Some(HeaderValue::from_static("grafana.example:3000")),
            isolation: Isolation::Sandbox,
        };
        assert_eq!((&*settings, warnings.len()), (&expected, 0));
    }

    #[test]
    fn what_is_not_understood_is_said_and_the_default_holds() {
        for (name, value) in [
            ("throughway.dev/prefix", "Keep"),
            ("throughway.dev/rewrite", "yes"),
            ("throughway.dev/page-helper", ""),
            ("throughway.dev/client-router", "auto"),
            ("throughway.dev/redirects", "none"),
            ("throughway.dev/host", "user@evil"),
            ("throughway.dev/host", "a b"),
            ("throughway.dev/host", ""),
            ("throughway.dev/isolation", "on"),
            ("throughway.dev/other", "on"),
            ("throughway.dev/prefix", &"é".repeat(100_000)),
        ] {
            let (settings, warnings) = read(&[(name, value)]);
            assert_eq!(*settings, ServiceSettings::default(), "{name}={value}");
            assert!(warnings[0].contains(name), "{warnings:?}");
            assert!(warnings[0].len() < 400, "{warnings:?}");
        }
    }
}
