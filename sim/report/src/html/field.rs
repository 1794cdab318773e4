//! Values of a report, as a page shows them.

use std::fmt::Display;

use maud::{Markup, Render, html};

/// A shown value, with the path of its field in the report's JSON, such as `totals.outputs` or `operators.3.cycles`.
///
/// A test reads the page and compares each value with the field that its path names.
pub(super) struct Field {
    path: String,
    text: String,
}

impl Field {
    /// The path of the field.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The value as the page shows it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl Render for Field {
    fn render(&self) -> Markup {
        html! { span data-field=(self.path) { (self.text) } }
    }
}

/// A value without formatting.
pub(super) fn plain(path: impl Display, value: impl Display) -> Field {
    Field { path: path.to_string(), text: value.to_string() }
}

/// A value without formatting; `-` if absent.
pub(super) fn maybe(path: impl Display, value: Option<impl Display>) -> Field {
    Field { path: path.to_string(), text: value.map_or("-".into(), |value| value.to_string()) }
}

/// A number with `decimals` decimals; `-` if absent.
pub(super) fn number(path: impl Display, value: impl Into<Option<f64>>, decimals: usize) -> Field {
    maybe(path, value.into().map(|value| format!("{value:.decimals$}")))
}

/// A table. The first column and columns of text are aligned left.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<Markup>>) -> Markup {
    let class = |column: &str| match column {
        "source" | "basis" => Some("text long"),
        "on" => Some("text"),
        _ => None,
    };
    html! {
        div class="wide" { table {
            thead { tr { @for column in head { th class=[class(column)] { (column) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (i, (column, cell)) in head.iter().zip(row).enumerate() {
                            @if i == 0 { th class=[class(column)] { (cell) } }
                            @else { td class=[class(column)] { (cell) } }
                        }
                    }
                }
            }
        } }
        "\n"
    }
}

/// The cells of a row.
macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$(maud::html! { ($cell) }),*] };
}
pub(super) use cells;
