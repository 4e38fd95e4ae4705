//! Kubeconfigs: whatever stands in a file, reading it has a result, and what is selected of it too. JSON is YAML, so a
//! file that a reader of JSON takes says the same here.

use std::path::Path;

use kube::config::Kubeconfig;

use crate::local::api_server::kubeconfig::discover::parse;
use crate::local::api_server::kubeconfig::resolve;
use crate::local::config::ClusterOptions;

pub(crate) fn kubeconfigs(input: &[u8]) {
    let path = Path::new("/home/somebody/.kube/config");
    let read = parse(input.to_vec(), path);
    if let Ok(kubeconfig) = &read {
        let names = kubeconfig
            .contexts
            .iter()
            .map(|context| Some(context.name.clone()));
        for context in names.take(4).chain([None]) {
            let options = ClusterOptions {
                context,
                ..ClusterOptions::default()
            };
            let _ = resolve::resolve(kubeconfig, &options);
        }
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // Neither YAML's `c-printable` (1.2.2, section 5.1) nor kubectl's reader has these, though JSON has them in
    // strings.
    let is_unprintable = |one: char| matches!(one, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(is_unprintable) {
        assert!(read.is_err(), "kubectl refuses it: {text}");
        return;
    }
    // JSON writes characters beyond the first plane as two escapes, which YAML does not know.
    let is_common = !text.contains("\\u") && !text.contains("\\/");
    if let (true, Ok(expected)) = (is_common, serde_json::from_str::<Kubeconfig>(text)) {
        let read = read.unwrap_or_else(|_| panic!("it is JSON: {text}"));
        let names = |of: &Kubeconfig| {
            let contexts = of.contexts.iter().map(|one| one.name.clone());
            let clusters = of.clusters.iter().map(|one| one.name.clone());
            let users = of.auth_infos.iter().map(|one| one.name.clone());
            contexts.chain(clusters).chain(users).collect::<Vec<_>>()
        };
        assert_eq!(names(&read), names(&expected));
    }
}
