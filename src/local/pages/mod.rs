//! HTML that this program serves itself: markup that is safe by its type, and pages that load nothing.
//!
//! In: templates of this program, and texts from anywhere. Out: [`html::Html`], whole documents with their headers, and
//! the page of a [`super::problem::Problem`].

pub(super) mod document;
pub(super) mod html;
pub(super) mod problem;
