//! What responses cost: each header that the product names, however it is filled. Bodies are in [`super::bodies`].

use super::*;
use crate::effort::{
    Bill, HEADER_LENGTHS, LENGTH, MAX_PASSES, NASTY, filled, headers_of_the_source,
};

/// A status, who asks, and what the browser says it wants it for: the ways that responses take through the rewriters.
const MODES: [(u16, authentication::Method, &str); 4] = [
    (401, DIRECT, "navigate"),
    (302, BEHIND, "navigate"),
    (302, DIRECT, "cors"),
    (200, BEHIND, "cors"),
];

type Line = (HeaderName, HeaderValue);

/// The tables of the rewriters, and whatever else the source names.
fn names() -> Vec<HeaderName> {
    let tables = url_headers::FIELDS.iter().map(|(name, _)| *name);
    let mut names = headers_of_the_source();
    names.extend(
        tables
            .chain(crate::serve::forward::ORIGIN_HEADERS)
            .map(str::to_owned),
    );
    names
        .iter()
        .map(|name| HeaderName::try_from(name).unwrap())
        .collect()
}

/// Measures a response with these lines on each of the ways.
fn measure(bill: &mut Bill<1>, what: &str, lines: &[Line]) {
    let length = lines.iter().map(|(_, value)| value.len()).sum();
    for (status, via, mode) in MODES {
        let asked = Asked::of(via, &[("sec-fetch-mode", mode)]);
        let prepare = || {
            let mut response = backend_response(status, &[], "");
            for (name, value) in lines {
                response.headers_mut().append(name, value.clone());
            }
            let text = HeaderValue::from_static("text/html");
            response.headers_mut().entry("content-type").or_insert(text);
            response
        };
        bill.work(&format!("{status} {what}"), length, prepare, |response| {
            drop(asked.answered(response));
        });
    }
}

#[test]
fn a_header_of_a_response_costs_no_more_than_a_few_looks_at_it() {
    let mut bill = Bill::new([MAX_PASSES]);
    let names = names();
    for pattern in NASTY {
        for length in HEADER_LENGTHS {
            let value = HeaderValue::try_from(filled(pattern.as_bytes(), length)).unwrap();
            for name in &names {
                let line = (name.clone(), value.clone());
                measure(&mut bill, &format!("{name}: {pattern} {length}"), &[line]);
            }
        }
    }
    bill.settle();
}

/// In all headers at once.
#[test]
fn whatever_byte_a_response_is_filled_with_it_costs_a_few_looks_at_it() {
    let mut bill = Bill::new([MAX_PASSES]);
    let names = names();
    for byte in 0..=u8::MAX {
        let Ok(value) = HeaderValue::try_from(filled(&[byte], LENGTH / names.len())) else {
            continue;
        };
        let lines = names.iter().map(|name| (name.clone(), value.clone()));
        let lines: Vec<Line> = lines.collect();
        measure(&mut bill, &format!("{byte:#x}"), &lines);
    }
    bill.settle();
}

#[test]
fn many_lines_of_a_header_cost_no_more_than_their_number() {
    let mut bill = Bill::new([MAX_PASSES]);
    for name in &names() {
        let line = |at| format!("a{at}=</>;{}", "b".repeat(56));
        let lines = (0..LENGTH / 64).map(|at| (name.clone(), line(at).parse().unwrap()));
        let lines: Vec<Line> = lines.collect();
        measure(&mut bill, &format!("{name}: many lines"), &lines);
    }
    bill.settle();
}
