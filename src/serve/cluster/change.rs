//! What becomes of the objects of one kind, as lists and watches tell it.

use super::object::ReadObject;
use super::table::ObjectKey;

/// What happens to the objects of one kind.
#[derive(Debug)]
pub(super) enum Change<C> {
    /// A whole list begins: what it does not bring is gone at its end.
    ListBegins,
    Listed(ReadObject<C>),
    ListEnds,
    Applied(ReadObject<C>),
    Removed(ObjectKey),
}
