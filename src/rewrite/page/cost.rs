//! For tests that measure: every attribute of the table, and a page on its usual way through the rewriter.

use super::attributes::{Of, TABLE};
use super::html::{Html, Ingredients, Nesting};
use super::{PIECE, step};
use crate::rewrite::link::Form;
use crate::rewrite::link::tests::links;

/// An element and an attribute for each row of the table.
pub(in crate::rewrite) fn attributes() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|(attribute, of, _)| match of {
        Of::Any => ("a", *attribute),
        Of::Only(elements) => (elements[0], *attribute),
    })
}

/// Takes a page through as a body does: in pieces and steps.
pub(in crate::rewrite) fn piecewise(page: &str) {
    let links = links("/a/b", Form::Relative);
    let step = step(&links);
    let mut html = Html::new(Ingredients {
        links,
        injection: None,
        charset: None,
        memory: 1024 * 1024,
        budget: crate::rewrite::page::budget::Budget::new(crate::rewrite::page::budget::MAX_TOTAL),
        nesting: Nesting::Outermost,
    });
    let mut out = Vec::new();
    for piece in page.as_bytes().chunks(step.min(PIECE)) {
        html.write(piece, &mut out);
        out.clear();
    }
    html.end(&mut out);
}
