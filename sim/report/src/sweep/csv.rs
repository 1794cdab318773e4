//! A sweep as CSV for programs.

use super::records::Sweep;
use crate::error::Error;

/// The points of `sweep` as CSV, with a header line.
///
/// # Errors
/// [`Error::Internal`] if the CSV library fails, which no sweep should cause.
pub fn csv(sweep: &Sweep) -> Result<String, Error> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for point in &sweep.points {
        writer.serialize(point).map_err(internal)?;
    }
    let bytes = writer.into_inner().map_err(internal)?;
    String::from_utf8(bytes).map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal { what: "--csv", why: error.to_string() }
}
