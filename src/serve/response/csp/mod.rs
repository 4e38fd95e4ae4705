//! `Content-Security-Policy`: what the page helper needs is added to a page's policies, and nothing else.
//!
//! A policy that says nothing of scripts is left alone. One that lists sources gets a nonce that only our tags of this
//! one response carry. One that relies on `'unsafe-inline'` gets none, as a nonce would switch that off: there the
//! helper has to stand in the page itself. A list of Trusted Types policies gets the helper's name.
//!
//! <https://www.w3.org/TR/CSP3/>: the directive for script elements is `script-src-elem`, else `script-src`, else
//! `default-src`; <https://www.w3.org/TR/trusted-types/>.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The Trusted Types policy that the page helper makes.
const TRUSTED_TYPES_POLICY: &str = "throughway";

/// A longer line of policies stays as it is, so the page helper may not run in such a page.
const MAX_POLICY: usize = 64 * 1024;

const REPORT_ONLY: HeaderName = HeaderName::from_static("content-security-policy-report-only");

/// How the helper's tags have to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Admission {
    pub(super) nonce: Nonce,
    pub(super) form: ScriptSource,
}

/// A number that nobody can guess, for one response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nonce(String);

/// Where the helper's script stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScriptSource {
    /// In a file of its own.
    External,
    /// In the page: a policy allows whatever stands there, and may not allow our file.
    Inline,
}

impl Nonce {
    pub(super) fn random() -> Self {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system's random numbers don't run out");
        Self(BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Extends the policies of a response so that tags with the nonce run.
pub(super) fn admit_helper(headers: &mut HeaderMap) -> Admission {
    let nonce = Nonce::random();
    // One policy that relies on `'unsafe-inline'` is enough, as each has to let the helper run.
    let form = match relies_on_unsafe_inline(headers) {
        true => ScriptSource::Inline,
        false => ScriptSource::External,
    };
    // Report-only too, or every page would be reported for our own tag.
    for name in [CONTENT_SECURITY_POLICY, REPORT_ONLY] {
        change(headers, &name, |policy| admitting(policy, &nonce));
    }
    Admission { nonce, form }
}

/// A line of policies with what they report to mapped; other directives hold origins, not paths. `None`: nothing
/// changes.
pub(super) fn with_reports(line: &str, map: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if !line.to_ascii_lowercase().contains("report-uri") {
        return None;
    }
    let policies = line.split(',').map(|policy| {
        let directives = policy
            .split(';')
            .map(|text| reporting_inside(text, map).unwrap_or_else(|| text.to_owned()));
        directives.collect::<Vec<_>>().join(";")
    });
    Some(policies.collect::<Vec<_>>().join(","))
}

/// A `report-uri` directive with its URLs mapped; `None` for any other, and for one without a URL to map.
fn reporting_inside(text: &str, map: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let (name, urls) = named(text)?;
    if !name.eq_ignore_ascii_case("report-uri") {
        return None;
    }
    let urls: Vec<(&str, Option<String>)> = urls
        .split_ascii_whitespace()
        .map(|url| (url, map(url)))
        .collect();
    if urls.iter().all(|(_, mapped)| mapped.is_none()) {
        return None;
    }
    let start = text.len() - text.trim_ascii_start().len();
    let mut line = format!("{}{name}", &text[..start]);
    for (url, mapped) in &urls {
        line.push(' ');
        line.push_str(mapped.as_deref().unwrap_or(url));
    }
    Some(line)
}

/// Keeps whatever a browser makes of a response apart from the rest of the origin, whatever else its policies say: each
/// of them has to be met. It goes with every response, of any type and status: XHTML, SVG and XML run scripts too, a
/// response without a type is guessed at, and what was fetched as an image may be opened from the browser's cache.
/// Outside of documents it means nothing.
pub(super) fn isolate(headers: &mut HeaderMap) {
    const SANDBOX: &str =
        "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";
    // Added as a policy of its own: a browser meets each, so no other line can loosen it. Without `allow-same-origin`
    // the page has an origin of its own.
    headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    // A type that is guessed could be one that runs scripts.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn relies_on_unsafe_inline(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_SECURITY_POLICY)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|policy| script_list(policy).is_some_and(|list| is_unsafe_inline(list.sources)))
}

/// Changes each policy of a header; one line may hold several.
fn change(headers: &mut HeaderMap, name: &HeaderName, change: impl Fn(&str) -> String) {
    for (_, line) in headers.iter_mut().filter(|(found, _)| *found == name) {
        // A line that is too long stays whole: cut, it would be another policy.
        let text = line.to_str().ok().filter(|text| text.len() <= MAX_POLICY);
        let Some(text) = text else { continue };
        let policies: Vec<String> = text.split(',').map(&change).collect();
        if let Ok(changed) = HeaderValue::try_from(policies.join(",")) {
            *line = changed;
        }
    }
}

/// The directive of a policy that decides on script elements.
struct ScriptList<'p> {
    /// Which of the policy's directives it is.
    at: usize,
    name: &'static str,
    sources: &'p str,
}

/// A directive's name, and the rest of it.
fn named(directive: &str) -> Option<(&str, &str)> {
    let text = directive.trim_ascii();
    let split = text.split_once(|c: char| c.is_ascii_whitespace());
    (!text.is_empty()).then(|| split.unwrap_or((text, "")))
}

/// The first directive of a name, and its place; browsers pass over the others.
fn first<'p>(policy: &'p str, wanted: &str) -> Option<(usize, &'p str)> {
    let mut found = policy.split(';').map(named).enumerate();
    // A line of thousands of policies that are empty is not looked at thousands of times.
    if policy.is_empty() {
        return None;
    }
    found.find_map(|(at, directive)| {
        let (name, rest) = directive?;
        name.eq_ignore_ascii_case(wanted).then_some((at, rest))
    })
}

fn script_list(policy: &str) -> Option<ScriptList<'_>> {
    ["script-src-elem", "script-src", "default-src"]
        .into_iter()
        .find_map(|name| {
            let (at, sources) = first(policy, name)?;
            Some(ScriptList { at, name, sources })
        })
}

fn is_unsafe_inline(sources: &str) -> bool {
    let has = |test: fn(&str) -> bool| {
        sources
            .split_ascii_whitespace()
            .any(|word| test(&word.to_ascii_lowercase()))
    };
    // CSP3, "Does a source list allow all inline behavior for type": with one of these, browsers ignore
    // `'unsafe-inline'`.
    has(|word| word == "'unsafe-inline'")
        && !has(|word| {
            let starts = ["'nonce-", "'sha256-", "'sha384-", "'sha512-"];
            word == "'strict-dynamic'" || starts.iter().any(|start| word.starts_with(start))
        })
}

/// One policy with what the helper needs; that of a `<meta>` is one too.
pub(super) fn admitting(policy: &str, nonce: &Nonce) -> String {
    // With `'unsafe-inline'` the helper stands in the page, and a nonce would end what the page relies on.
    let list = script_list(policy).filter(|list| !is_unsafe_inline(list.sources));
    let types = first(policy, "trusted-types");
    if list.is_none() && types.is_none() {
        return policy.to_owned();
    }
    let mut directives: Vec<String> = policy.split(';').map(str::to_owned).collect();
    if let Some((at, types)) = types {
        // Before the sources, whose change may add a directive at the end; the places of the others stay.
        replace(&mut directives[at], &with_our_type(types));
    }
    let Some(list) = list else {
        return directives.join(";");
    };
    let sources = with_nonce(list.sources, nonce);
    if list.name == "default-src" {
        // What else falls back to default-src is not to be opened.
        directives.push(format!(" script-src-elem {sources}"));
    } else {
        replace(&mut directives[list.at], &sources);
    }
    directives.join(";")
}

/// Writes another value behind a directive's name.
fn replace(directive: &mut String, value: &str) {
    let start = directive.len() - directive.trim_ascii_start().len();
    let name = directive[start..].split_ascii_whitespace().next();
    let end = start + name.map_or(0, str::len);
    directive.truncate(end);
    directive.push(' ');
    directive.push_str(value);
}

fn with_nonce(sources: &str, nonce: &Nonce) -> String {
    let nonce = format!("'nonce-{}'", nonce.as_str());
    match sources.trim_ascii() {
        "" => nonce,
        // `'none'` counts only when it stands alone, so it is replaced.
        none if none.eq_ignore_ascii_case("'none'") => nonce,
        sources => format!("{sources} {nonce}"),
    }
}

fn with_our_type(types: &str) -> String {
    let types = types.trim_ascii();
    let listed = |wanted: &str| types.split_ascii_whitespace().any(|name| name == wanted);
    if listed("*") || listed(TRUSTED_TYPES_POLICY) {
        return types.to_owned();
    }
    if types.is_empty() || types.eq_ignore_ascii_case("'none'") {
        return TRUSTED_TYPES_POLICY.to_owned();
    }
    format!("{types} {TRUSTED_TYPES_POLICY}")
}

#[cfg(test)]
mod tests;
