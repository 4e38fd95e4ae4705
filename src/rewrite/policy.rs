//! `Content-Security-Policy`: what the page helper needs is added to a page's policies, and nothing else.
//!
//! A policy that says nothing of scripts is left alone. One that lists sources gets a nonce that only our tags of this one
//! answer carry. One that relies on `'unsafe-inline'` gets none, as a nonce would switch that off: there the helper has to
//! stand in the page itself. A list of Trusted Types policies gets the helper's name.
//!
//! <https://www.w3.org/TR/CSP3/>: the directive for script elements is `script-src-elem`, else `script-src`, else
//! `default-src`; <https://www.w3.org/TR/trusted-types/>.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The Trusted Types policy that the page helper makes.
const TRUSTED_TYPES_POLICY: &str = "throughway";

const REPORT_ONLY: HeaderName = HeaderName::from_static("content-security-policy-report-only");

/// How the helper's tags have to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Admission {
    pub(super) nonce: Nonce,
    pub(super) form: Form,
}

/// A number that nobody can guess, for one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nonce(String);

/// Where the helper's script stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
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

/// Extends the policies of an answer so that tags with the nonce run.
pub(super) fn admit_helper(headers: &mut HeaderMap) -> Admission {
    let nonce = Nonce::random();
    let form = match relies_on_unsafe_inline(headers) {
        true => Form::Inline,
        false => Form::External,
    };
    for name in [CONTENT_SECURITY_POLICY, REPORT_ONLY] {
        change(headers, &name, |policy| admitting(policy, &nonce));
    }
    Admission { nonce, form }
}

/// Maps what a policy reports to; other directives hold origins, not paths.
pub(super) fn map_reports(headers: &mut HeaderMap, map: &dyn Fn(&str) -> Option<String>) {
    for name in [CONTENT_SECURITY_POLICY, REPORT_ONLY] {
        change(headers, &name, |policy| {
            let directives = policy.split(';').map(|directive| {
                let mut words = directive.split_ascii_whitespace();
                if !words
                    .next()
                    .is_some_and(|name| name.eq_ignore_ascii_case("report-uri"))
                {
                    return directive.to_owned();
                }
                let mapped = words.map(|url| map(url).unwrap_or_else(|| url.to_owned()));
                mapped.fold(" report-uri".to_owned(), |line, url| {
                    format!("{line} {url}")
                })
            });
            directives.collect::<Vec<_>>().join(";")
        });
    }
}

/// Gives a document an origin of its own, whatever else its policies say: each of them has to be met.
pub(super) fn sandbox(headers: &mut HeaderMap) {
    const SANDBOX: &str =
        "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads";
    headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
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
    if !headers.contains_key(name) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    headers.remove(name);
    for line in lines {
        let changed = line.to_str().ok().map(|text| {
            let policies: Vec<String> = text.split(',').map(&change).collect();
            HeaderValue::try_from(policies.join(","))
        });
        match changed {
            Some(Ok(changed)) => headers.append(name, changed),
            _ => headers.append(name, line),
        };
    }
}

/// The directive of a policy that decides on script elements.
struct ScriptList<'p> {
    name: &'p str,
    sources: &'p str,
}

fn directives(policy: &str) -> impl Iterator<Item = (&str, &str)> {
    policy
        .split(';')
        .map(str::trim_ascii)
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.split_once(|c: char| c.is_ascii_whitespace())
                .unwrap_or((text, ""))
        })
}

fn script_list(policy: &str) -> Option<ScriptList<'_>> {
    ["script-src-elem", "script-src", "default-src"]
        .iter()
        .find_map(|wanted| {
            let mut found = directives(policy);
            found
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(name, sources)| ScriptList { name, sources })
        })
}

fn is_unsafe_inline(sources: &str) -> bool {
    let has = |test: fn(&str) -> bool| {
        sources
            .split_ascii_whitespace()
            .any(|word| test(&word.to_ascii_lowercase()))
    };
    has(|word| word == "'unsafe-inline'")
        && !has(|word| {
            let starts = ["'nonce-", "'sha256-", "'sha384-", "'sha512-"];
            word == "'strict-dynamic'" || starts.iter().any(|start| word.starts_with(start))
        })
}

/// One policy with what the helper needs.
pub(super) fn admitting(policy: &str, nonce: &Nonce) -> String {
    let list = script_list(policy).filter(|list| !is_unsafe_inline(list.sources));
    let allowed = |sources: &str| {
        let none = sources.trim_ascii().eq_ignore_ascii_case("'none'");
        let kept = if none { "" } else { sources.trim_ascii_end() };
        format!("{kept} 'nonce-{}'", nonce.as_str())
    };
    let directive = |text: &str| {
        let Some((name, sources)) = directives(text).next() else {
            return text.to_owned();
        };
        let space = &text[..text.len() - text.trim_ascii_start().len()];
        let is_list = list
            .as_ref()
            .is_some_and(|list| list.name.eq_ignore_ascii_case(name));
        if is_list && !name.eq_ignore_ascii_case("default-src") {
            return format!("{space}{name} {}", allowed(sources).trim_ascii_start());
        }
        if name.eq_ignore_ascii_case("trusted-types") {
            return format!("{space}{name} {}", with_our_type(sources));
        }
        text.to_owned()
    };
    let mut directives: Vec<String> = policy.split(';').map(directive).collect();
    // What else falls back to default-src is not to be opened.
    if let Some(list) = list.filter(|list| list.name.eq_ignore_ascii_case("default-src")) {
        directives.push(format!(
            " script-src-elem {}",
            allowed(list.sources).trim_ascii_start()
        ));
    }
    directives.join(";")
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
mod tests {
    use super::*;

    fn admitted(policy: &str) -> String {
        admitting(policy, &Nonce("N".into()))
    }

    #[test]
    fn the_list_for_scripts_gets_the_nonce_and_nothing_else_changes() {
        for (policy, expected) in [
            (
                "script-src 'self'; img-src *",
                "script-src 'self' 'nonce-N'; img-src *",
            ),
            ("img-src *", "img-src *"),
            ("", ""),
            ("SCRIPT-SRC 'none'", "SCRIPT-SRC 'nonce-N'"),
            ("script-src", "script-src 'nonce-N'"),
            (
                "script-src 'nonce-abc' 'strict-dynamic'",
                "script-src 'nonce-abc' 'strict-dynamic' 'nonce-N'",
            ),
            (
                "script-src 'self'; script-src-elem https://cdn",
                "script-src 'self'; script-src-elem https://cdn 'nonce-N'",
            ),
            (
                "default-src 'self'; object-src 'none'",
                "default-src 'self'; object-src 'none'; script-src-elem 'self' 'nonce-N'",
            ),
            (
                "default-src 'none'",
                "default-src 'none'; script-src-elem 'nonce-N'",
            ),
            (
                "script-src 'self' 'unsafe-inline'",
                "script-src 'self' 'unsafe-inline'",
            ),
            (
                "script-src 'unsafe-inline' 'sha256-x'",
                "script-src 'unsafe-inline' 'sha256-x' 'nonce-N'",
            ),
            (
                "script-src 'self'; require-trusted-types-for 'script'",
                "script-src 'self' 'nonce-N'; require-trusted-types-for 'script'",
            ),
            ("trusted-types a b", "trusted-types a b throughway"),
            ("trusted-types 'none'", "trusted-types throughway"),
            ("trusted-types *", "trusted-types *"),
            ("sandbox allow-scripts", "sandbox allow-scripts"),
        ] {
            assert_eq!(admitted(policy), expected, "{policy}");
        }
    }

    #[test]
    fn every_policy_of_every_line_is_extended_and_unsafe_inline_asks_for_the_inline_form() {
        let mut headers = HeaderMap::new();
        for line in [
            "script-src 'self', script-src https:",
            "default-src 'unsafe-inline'",
        ] {
            headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(line));
        }
        let admission = admit_helper(&mut headers);
        assert_eq!(admission.form, Form::Inline);
        let nonce = admission.nonce.as_str();
        let lines: Vec<&str> = headers
            .get_all(CONTENT_SECURITY_POLICY)
            .iter()
            .map(|line| line.to_str().unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                format!("script-src 'self' 'nonce-{nonce}', script-src https: 'nonce-{nonce}'"),
                "default-src 'unsafe-inline'".to_owned(),
            ]
        );
        let again = admit_helper(&mut HeaderMap::new());
        assert_eq!(again.form, Form::External);
        assert_ne!(again.nonce, admission.nonce);
    }

    #[test]
    fn a_sandbox_can_not_be_widened_by_the_backend() {
        let mut headers = HeaderMap::new();
        let own = HeaderValue::from_static("sandbox allow-same-origin allow-scripts");
        headers.append(CONTENT_SECURITY_POLICY, own);
        sandbox(&mut headers);
        let lines: Vec<&HeaderValue> = headers.get_all(CONTENT_SECURITY_POLICY).iter().collect();
        assert_eq!(lines.len(), 2, "policies of two lines are both to be met");
        assert!(!lines[1].to_str().unwrap().contains("allow-same-origin"));
    }

    #[test]
    fn reports_stay_inside_the_target() {
        let mut headers = HeaderMap::new();
        let policy =
            HeaderValue::from_static("script-src 'self'; report-uri /csp https://r.example/x");
        headers.append(CONTENT_SECURITY_POLICY, policy);
        map_reports(&mut headers, &|url| {
            url.strip_prefix('/').map(|rest| format!("../{rest}"))
        });
        assert_eq!(
            headers[CONTENT_SECURITY_POLICY],
            "script-src 'self'; report-uri ../csp https://r.example/x"
        );
    }
}
