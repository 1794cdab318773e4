//! The report as JSON for programs, with a checksum over everything else in it.

use std::path::Path;

use program::console::pretty;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::export::Exporter;
use crate::records::{Report, SCHEMA_VERSION};

/// The key of the checksum in the report.
const DIGEST: &str = "digest";

/// The report as JSON.
pub struct Json;

impl Exporter for Json {
    fn export(&self, report: &Report) -> String {
        pretty(&value(report))
    }
}

/// The report as a JSON value, checksum included.
pub(crate) fn value(report: &Report) -> Value {
    let mut value = serde_json::to_value(report).expect("a report has string keys only");
    let digest = digest(&value);
    value.as_object_mut().expect("a report is an object").insert(DIGEST.into(), digest.into());
    value
}

/// Reads a report and checks its checksum.
///
/// # Errors
/// If the file cannot be read, is not a report, has another schema version, or was changed since it was written.
pub fn read(path: &Path) -> Result<Report, Error> {
    let refuse = |why: String| Error::refused(path.display(), why);
    let text = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
    let mut value: Value = serde_json::from_slice(&text).map_err(|e| refuse(format!("not a report: {e}")))?;
    let version = value.get("schema_version").and_then(Value::as_u64);
    if version != Some(SCHEMA_VERSION.into()) {
        let found = version.map_or("none".into(), |v| v.to_string());
        return Err(refuse(format!("not a report of schema version {SCHEMA_VERSION}: found {found}")));
    }
    let found = value.as_object_mut().and_then(|object| object.remove(DIGEST));
    let expected = digest(&value);
    if found.as_ref().and_then(Value::as_str) != Some(&expected) {
        return Err(refuse("changed since it was written: its digest does not fit its content".into()));
    }
    serde_json::from_value(value).map_err(|e| refuse(format!("not a report: {e}")))
}

/// SHA-256 over the compact form of `value`, whose keys are sorted.
fn digest(value: &Value) -> String {
    hex::encode(Sha256::digest(value.to_string()))
}
