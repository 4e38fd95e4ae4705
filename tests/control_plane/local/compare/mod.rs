//! `kubectl proxy` and `throughway local` with the same flags, on the same cluster, asked the same: the same bytes go
//! to both, and status, header lines and body are compared.
//!
//! What is meant to differ stands in [`differences`] and, in the same words, in docs/local.md. A difference that is not
//! listed fails a test, and so does a listed one that is gone.

mod cases;
mod differences;
mod failures;
mod files;
mod kubeconfigs;
mod objects;
mod process;
mod raw;
mod sessions;
mod start;
mod upgrades;

use std::collections::BTreeSet;

use throughway_testing::control_plane::{Cluster, on_cluster};

use cases::{Case, Group};
use differences::DIFFERENCES;
use process::{Folder, Pair};
use raw::Heard;

/// How often the cluster may change between two answers to the same request.
const MOMENTS: usize = 5;

/// What is to be said of two answers that are not as expected, if they are not.
fn difference(case: &Case, kubectl: &Heard, ours: &Heard) -> Option<String> {
    let (is_expected, why) = match case.differs {
        None => (kubectl == ours, "not the same".to_owned()),
        Some(difference) => (
            kubectl != ours,
            format!("no longer differs: {}", difference.what),
        ),
    };
    (!is_expected).then(|| {
        format!(
            "{} {why}\n  kubectl: {}\n  ours:    {}",
            String::from_utf8_lossy(&case.request).escape_debug(),
            brief(kubectl),
            brief(ours)
        )
    })
}

fn brief(heard: &Heard) -> String {
    let body: String = heard.text().chars().take(700).collect();
    let lines: Vec<String> = heard
        .lines
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    format!(
        "{} {lines:?} {body:?} ({} bytes, {:?})",
        heard.status,
        heard.body.len(),
        heard.end
    )
}

/// Asks both everything that a group asks.
async fn compare(cluster: &Cluster, group: &Group, wrong: &mut Vec<String>) {
    let flags: Vec<&str> = group.flags.iter().map(String::as_str).collect();
    let pair = Pair::serve(cluster, &flags).await;
    for case in &group.cases {
        let (kubectl, ours) = at_one_moment(
            async || pair.ask(&case.request).await,
            async || pair.kubectl.ask(&case.request).await.compared(),
        )
        .await;
        wrong.extend(difference(case, &kubectl, &ours).map(|text| format!("{flags:?} {text}")));
    }
}

/// What both say of the same cluster: asks again where kubectl proxy itself says something else a moment later.
/// kube-aggregator learns groups' documents in its own time, and answers of two moments tell nothing of the two
/// proxies.
async fn at_one_moment<T: PartialEq>(
    both: impl AsyncFn() -> (T, T),
    kubectl_again: impl AsyncFn() -> T,
) -> (T, T) {
    let (mut kubectl, mut ours) = both().await;
    for _ in 0..MOMENTS {
        if kubectl == ours || kubectl == kubectl_again().await {
            break;
        }
        (kubectl, ours) = both().await;
    }
    (kubectl, ours)
}

#[test]
fn every_flag_works_as_kubectl_proxys_does() {
    on_cluster(async |cluster: &Cluster| {
        let folder = Folder::new("flags");
        let mut wrong = Vec::new();
        let mut shown = BTreeSet::new();
        for group in cases::groups(cluster, &folder) {
            compare(cluster, &group, &mut wrong).await;
            let differences = group.cases.iter().filter_map(|case| case.differs);
            shown.extend(differences.map(|difference| difference.what));
        }
        assert!(
            wrong.is_empty(),
            "{} answers:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        let here = DIFFERENCES
            .iter()
            .filter(|difference| difference.shown_by == "every_flag_works_as_kubectl_proxys_does");
        let not_shown: Vec<&str> = here
            .map(|difference| difference.what)
            .filter(|what| !shown.contains(what))
            .collect();
        assert!(not_shown.is_empty(), "no case shows {not_shown:?}");
    });
}

#[test]
fn the_documentation_lists_the_same_differences() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/local.md")).unwrap();
    let section = text
        .split_once("## Compared with kubectl proxy")
        .expect("the section")
        .1
        .split("\n## ")
        .next()
        .unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    let expected: Vec<String> = DIFFERENCES
        .iter()
        .map(|difference| difference.row())
        .collect();
    assert_eq!(rows, expected);
    let tests = [
        include_str!("mod.rs"),
        include_str!("failures.rs"),
        include_str!("files.rs"),
        include_str!("objects.rs"),
        include_str!("start.rs"),
        include_str!("upgrades.rs"),
    ];
    for difference in DIFFERENCES {
        let test = format!("fn {}()", difference.shown_by);
        assert!(tests.iter().any(|text| text.contains(&test)), "no {test}");
    }
}

#[test]
fn header_lines_keep_their_order() {
    on_cluster(async |cluster: &Cluster| {
        let pair = Pair::serve(cluster, &[]).await;
        let request = Case::get("/api/v1/namespaces/demo/configmaps/none").request;
        let is_sorted = |heard: Heard| heard.lines.is_sorted();
        assert!(is_sorted(pair.kubectl.ask(&request).await));
        assert!(!is_sorted(pair.ours.ask(&request).await));
    });
}
