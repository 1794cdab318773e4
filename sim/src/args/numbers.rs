//! Parsers for numbers in options. Each has the limits within which the program works, and says why they are there.

use bitnet::gates::Gates;
use clap::builder::RangedU64ValueParser;

/// A number of ports or vectors.
pub(crate) fn one_to_eight() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=8)
}

/// A number of groups of vectors.
pub(crate) fn groups(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(groups @ (1 | 2 | 4 | 8)) => Ok(groups),
        _ => Err("expected 1, 2, 4 or 8".into()),
    }
}

/// The width of a port in bits.
pub(crate) fn width(text: &str) -> Result<usize, String> {
    match text {
        "64" => Ok(64),
        "128" => Ok(128),
        _ => Err("expected 64 or 128".into()),
    }
}

/// A clock of the unit in MHz.
pub(crate) fn clock(text: &str) -> Result<f64, String> {
    within(text, 10.0, 1000.0, "MHz, as logic on a Zynq has")
}

/// A number of lanes that a vector unit can have.
pub(crate) fn lanes(text: &str) -> Result<usize, String> {
    let lanes = text.parse().ok().filter(|lanes| [8, 16, 32].contains(lanes));
    lanes.ok_or_else(|| "a vector unit has 8, 16 or 32 lanes".into())
}

/// A number of standard deviations. With a thousand, all logits are computed.
pub(crate) fn margin(text: &str) -> Result<f32, String> {
    within(text, 1.0, 1000.0, "standard deviations").map(|margin| margin as f32)
}

/// A share of gates above zero.
pub(crate) fn gate_share(text: &str) -> Result<Gates, String> {
    match text {
        "published" => Ok(Gates::Published),
        _ => within(text, 0.0, 1.0, "of the gates, or `published`").map(Gates::Share),
    }
}

/// The rate of a DRAM in GB/s.
pub(crate) fn dram(text: &str) -> Result<f64, String> {
    within(text, 0.1, 1000.0, "GB/s, as memories have")
}

/// The rate at which processors read the DRAM, in GB/s.
pub(crate) fn load(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1000.0, "GB/s, as memories have")
}

/// An overhead of a driver call in microseconds.
pub(crate) fn overhead(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1e6, "us: a driver call takes less than a second")
}

fn within(text: &str, least: f64, most: f64, why: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|e| e.to_string())?;
    // A number that is not a number is in no range.
    if (least..=most).contains(&value) { Ok(value) } else { Err(format!("expected {least} to {most} {why}")) }
}
