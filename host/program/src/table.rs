//! Tables and numbers for a terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Creates an empty table. The first column is left-aligned, all others are right-aligned.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Formats a number with commas between groups of three digits, as in `68,352`.
///
/// ```
/// assert_eq!([0, 999, 1_000, 68_352].map(program::table::grouped), ["0", "999", "1,000", "68,352"]);
/// ```
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}
