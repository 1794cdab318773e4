//! A sweep over many units: records, text, CSV, and a picture.

mod csv;
mod plot;
mod records;
mod text;

pub use self::csv::csv;
pub use plot::svg;
pub use records::{Point, Sample, Sweep, mark_front};
pub use text::text;
