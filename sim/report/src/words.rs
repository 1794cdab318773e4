//! Phrases that several texts use.

/// The number of mismatches and the verdict, such as `0 mismatches: all equal to golden, bit for bit`.
pub fn verdict(mismatches: usize) -> String {
    let verdict = if mismatches == 0 { "all equal to golden, bit for bit" } else { "NOT EQUAL to golden" };
    format!("{mismatches} mismatches: {verdict}")
}

/// Share of the ideal cycles in the cycles, such as `98.1%`.
pub fn share(ideal: u64, cycles: u64) -> String {
    format!("{:.1}%", 100.0 * ideal as f64 / cycles.max(1) as f64)
}
