//! The register map as JSON, for programs in any language.

use crate::map::RegisterMap;

/// The text of `tmv_regs.json`.
pub fn document(map: &RegisterMap) -> String {
    serde_json::to_string_pretty(map).expect("a map has string keys only") + "\n"
}
