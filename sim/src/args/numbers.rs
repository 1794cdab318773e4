//! Parsers for numbers in options.

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

/// A number of zero or more.
pub(crate) fn amount(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|e| e.to_string())?;
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err("expected a number of zero or more".into()) }
}

/// A clock in MHz, or a rate in GB/s.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let value = amount(text)?;
    if value >= 0.01 { Ok(value) } else { Err("expected a number of 0.01 or more".into()) }
}
