//! A report as one page with its pictures. The page needs neither network nor script.

mod canvas;
mod field;
mod page;
mod plots;
mod token;

use maud::PreEscaped;

use crate::export::Exporter;
use crate::records::Report;

/// The names of the pictures.
pub const PICTURES: [&str; 4] = ["operators", "roofline", "amdahl", "ports"];

/// The report as a page.
pub struct Page;

impl Exporter for Page {
    fn export(&self, report: &Report) -> String {
        page::page(report).into_string()
    }
}

/// One picture of the page as an SVG file, by its name in [`PICTURES`]. Empty if the report has no projection.
pub struct Picture(pub &'static str);

impl Exporter for Picture {
    fn export(&self, report: &Report) -> String {
        report.projection.as_ref().map_or_else(PreEscaped::default, |p| plots::plot(self.0, p)).into_string()
    }
}
