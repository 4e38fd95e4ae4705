//! For tests that measure: every attribute of the table.

use super::attributes::{Of, TABLE};

/// An element and an attribute for each row of the table.
pub(crate) fn attributes() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|(attribute, of, _)| match of {
        Of::Any => ("a", *attribute),
        Of::Only(elements) => (elements[0], *attribute),
    })
}
