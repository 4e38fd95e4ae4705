//! Content security policies: what lets the page helper in, and nothing else with it.

use proptest::prelude::*;

use super::*;

fn admitted(policy: &str) -> String {
    admitting(policy, &Nonce("N".into()))
}

#[test]
fn a_line_of_more_than_64_kib_stays_as_it_is() {
    let of_length = |length: usize| {
        let policy = "script-src 'self'";
        format!("{policy}{}", " ".repeat(length - policy.len()))
    };
    for (length, is_changed) in [(MAX_POLICY, true), (MAX_POLICY + 1, false)] {
        let line = HeaderValue::try_from(of_length(length)).unwrap();
        let mut headers = HeaderMap::from_iter([(CONTENT_SECURITY_POLICY, line.clone())]);
        admit_helper(&mut headers);
        let now = &headers[CONTENT_SECURITY_POLICY];
        assert_eq!(*now != line, is_changed, "{length}");
    }
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
    ] {
        assert_eq!(admitted(policy), expected, "{policy}");
    }
}

#[test]
fn the_helpers_type_is_listed_and_only_the_directives_that_count_change() {
    for (policy, expected) in [
        (
            "script-src 'self'; require-trusted-types-for 'script'",
            "script-src 'self' 'nonce-N'; require-trusted-types-for 'script'",
        ),
        ("trusted-types a b", "trusted-types a b throughway"),
        ("trusted-types 'none'", "trusted-types throughway"),
        ("trusted-types *", "trusted-types *"),
        ("trusted-types", "trusted-types throughway"),
        (
            "script-src 'self'; script-src 'none'; Trusted-Types a; trusted-types b",
            "script-src 'self' 'nonce-N'; script-src 'none'; Trusted-Types a throughway; trusted-types b",
        ),
        (
            " ;; default-src 'self' 'unsafe-inline' 'strict-dynamic' ;",
            " ;; default-src 'self' 'unsafe-inline' 'strict-dynamic' ;; script-src-elem 'self' 'unsafe-inline' 'strict-dynamic' 'nonce-N'",
        ),
        (
            "script-src-elem 'self'; script-src 'unsafe-inline'; default-src 'none'",
            "script-src-elem 'self' 'nonce-N'; script-src 'unsafe-inline'; default-src 'none'",
        ),
        (
            "script-src-attr 'none'; style-src 'unsafe-inline'",
            "script-src-attr 'none'; style-src 'unsafe-inline'",
        ),
        ("sandbox allow-scripts", "sandbox allow-scripts"),
    ] {
        assert_eq!(admitted(policy), expected, "{policy}");
    }
}

#[test]
fn a_policy_that_only_reports_is_extended_and_decides_nothing() {
    let mut headers = HeaderMap::new();
    let policy = HeaderValue::from_static("script-src 'unsafe-inline', script-src 'self'");
    headers.append(REPORT_ONLY, policy);
    let admission = admit_helper(&mut headers);
    assert_eq!(admission.form, ScriptSource::External);
    let nonce = admission.nonce.as_str();
    assert_eq!(
        headers[&REPORT_ONLY],
        format!("script-src 'unsafe-inline', script-src 'self' 'nonce-{nonce}'")
    );
}

proptest! {
    /// What a browser reads of a policy: the first directive of each name, with its words.
    #[test]
    fn nothing_but_the_script_list_and_the_types_changes(
        policy in "((script-src|script-src-elem|default-src|img-src|trusted-types|sandbox)( ('self'|'none'|'unsafe-inline'|'nonce-a'|x)){0,3}[ ]?;[ ]?){0,5}",
    ) {
        let after = admitted(&policy);
        for name in ["script-src", "script-src-elem", "default-src", "img-src", "sandbox", "trusted-types"] {
            let words = |policy| {
                let rest = first(policy, name).map(|(_, rest)| rest);
                rest.map(|rest| rest.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
            };
            let before: Option<Vec<String>> = words(&policy);
            let mut after: Option<Vec<String>> = words(&after);
            let is_copy = name == "script-src-elem" && before.is_none();
            let before = if is_copy && after.is_some() {
                prop_assert!(first(&policy, "script-src").is_none());
                first(&policy, "default-src").map(|(_, rest)| rest.split_ascii_whitespace().map(str::to_owned).collect())
            } else {
                before
            };
            let ours = ["'nonce-N'", "throughway"];
            let added = after.as_mut().is_some_and(|words| {
                let is_ours = words.last().is_some_and(|word| ours.contains(&&**word));
                is_ours && words.pop().is_some()
            });
            let was_none = before.as_deref().is_some_and(|words| words == ["'none'"]);
            let expected = if added && was_none { Some(Vec::new()) } else { before };
            prop_assert_eq!(after, expected, "{}", name);
        }
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
    assert_eq!(admission.form, ScriptSource::Inline);
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
    assert_eq!(again.form, ScriptSource::External);
    assert_ne!(again.nonce, admission.nonce);
}

#[test]
fn a_sandbox_can_not_be_widened_by_the_backend() {
    let mut headers = HeaderMap::new();
    let own = HeaderValue::from_static("sandbox allow-same-origin allow-scripts");
    headers.append(CONTENT_SECURITY_POLICY, own);
    headers.append(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("sniff"));
    isolate(&mut headers);
    let sniffing: Vec<_> = headers.get_all(X_CONTENT_TYPE_OPTIONS).iter().collect();
    assert_eq!(sniffing, ["nosniff"]);
    let lines: Vec<&HeaderValue> = headers.get_all(CONTENT_SECURITY_POLICY).iter().collect();
    assert_eq!(lines.len(), 2, "policies of two lines are both to be met");
    assert!(!lines[1].to_str().unwrap().contains("allow-same-origin"));
}

#[test]
fn reports_stay_inside_the_target() {
    let mapped = |line: &str| {
        with_reports(line, &|url| {
            url.strip_prefix('/').map(|rest| format!("../{rest}"))
        })
    };
    for (line, expected) in [
        (
            "script-src 'self'; report-uri /csp https://r.example/x",
            Some("script-src 'self'; report-uri ../csp https://r.example/x"),
        ),
        (
            "\treport-uri  https://r.example/x , REPORT-URI /csp",
            Some("\treport-uri  https://r.example/x , REPORT-URI ../csp"),
        ),
        ("script-src /csp", None),
    ] {
        assert_eq!(mapped(line).as_deref(), expected, "{line}");
    }
}
