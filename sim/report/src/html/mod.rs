//! A report as one page with its pictures. The page needs neither network nor script.

mod canvas;
mod field;
mod page;
mod plots;
mod token;
mod units;

use maud::PreEscaped;

use crate::export::Exporter;
use crate::records::Report;

/// The names of the pictures.
pub const PICTURES: [&str; 5] = ["operators", "roofline", "amdahl", "ports", "units"];

/// The report as a page.
pub struct Page;

impl Exporter for Page {
    fn export(&self, report: &Report) -> String {
        page::page(report).into_string()
    }
}

/// One picture of the page as an SVG file, by its name in [`PICTURES`]. Empty if the report has nothing to show in it.
pub struct Picture(pub &'static str);

impl Exporter for Picture {
    fn export(&self, report: &Report) -> String {
        let picture = match self.0 {
            "units" => report.nonlinear.as_ref().map(units::picture),
            name => report.projection.as_ref().map(|p| plots::plot(name, p)),
        };
        picture.unwrap_or_else(PreEscaped::default).into_string()
    }
}
