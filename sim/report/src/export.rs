//! The trait of all output formats of a report.

use crate::records::Report;

/// An output format of a report.
pub trait Exporter {
    /// The whole output for `report`.
    fn export(&self, report: &Report) -> String;
}
