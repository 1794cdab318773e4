//! Output formats of tables.

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, presets};
use cpu_profile::tables::Table;

/// How a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text with lines around the cells.
    Text,
    /// Markdown, for a document.
    Markdown,
    /// Comma-separated values, for a spreadsheet.
    Csv,
}

/// Formats a table for printing.
pub(crate) fn show(table: &Table, format: Format) -> String {
    if format == Format::Csv {
        return csv(table);
    }
    let mut out = comfy_table::Table::new();
    let style = if format == Format::Markdown { presets::ASCII_MARKDOWN } else { presets::ASCII_FULL_CONDENSED };
    out.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
    out.set_header(&table.header);
    for (i, column) in out.column_iter_mut().enumerate() {
        // Columns of numbers are right-aligned.
        let number = |row: &Vec<String>| {
            row[i].is_empty() || row[i].starts_with(|c: char| c.is_ascii_digit() || "-~".contains(c))
        };
        if i > 0 && table.rows.iter().all(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    out.add_rows(&table.rows);
    format!("{out}\n")
}

/// Formats a table as CSV.
pub(crate) fn csv(table: &Table) -> String {
    let mut writer = csv::Writer::from_writer(vec![]);
    for row in [&table.header].into_iter().chain(&table.rows) {
        writer.write_record(row).expect("rows are as wide as the header");
    }
    let bytes = writer.into_inner().expect("memory takes it");
    String::from_utf8(bytes).expect("it was text")
}
