//! What `throughway local` does otherwise than `kubectl proxy`, and why.

/// One difference, as docs/local.md lists it.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    pub what: &'static str,
    pub kubectl: &'static str,
    pub ours: &'static str,
    pub reason: &'static str,
    /// The test that fails when it is gone.
    pub shown_by: &'static str,
}

impl Difference {
    /// As a row of the table.
    pub fn row(&self) -> String {
        format!("| {} | {} | {} | {} |", self.what, self.kubectl, self.ours, self.reason)
    }
}

pub const DIFFERENCES: &[&Difference] = &[];
