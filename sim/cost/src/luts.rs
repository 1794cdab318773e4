//! LUTs of a unit, estimated from units and ports that were synthesised.

use std::sync::LazyLock;

use serde::Deserialize;
use tmv::codec;
use tmv::config::UnitConfig;

/// The basis of the estimates, for reports.
pub const SOURCE: &str = "Yosys synth_xilinx, not Vivado (constraints/synth/points.csv); ~ marks a unit that was not \
                          synthesised itself: its ports, interpolated in vectors, and the rest of one that was";

/// The LUTs of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LutEstimate {
    /// Number of LUTs.
    pub luts: u32,
    /// Whether exactly this unit was synthesised; if not, the number is an estimate.
    pub measured: bool,
}

/// A row of `points.csv`.
#[derive(Clone, Debug, Deserialize)]
struct Synthesised {
    module: String,
    family: String,
    port_bits: usize,
    vectors: usize,
    groups: usize,
    codec: u32,
    ports: usize,
    lut: f64,
}

static POINTS: LazyLock<Vec<Synthesised>> = LazyLock::new(|| {
    let text = include_str!("../../../constraints/synth/points.csv");
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(|row| row.expect("points.csv is tested")).collect()
});

/// The LUTs of `unit` in a device family, named as Yosys names it. `None` if too few synthesised points are available
/// for an estimate.
pub fn estimate(unit: &UnitConfig, family: &str) -> Option<LutEstimate> {
    let alike =
        |p: &&Synthesised| p.family == family && p.port_bits == unit.port_bits && p.codec == codec::number(unit.codec);
    let wholes: Vec<_> = POINTS.iter().filter(alike).filter(|p| p.module.starts_with("tmv_unit")).collect();
    if let Some(p) = wholes.iter().find(|p| (p.ports, p.vectors, p.groups) == (unit.ports, unit.vectors, unit.groups)) {
        return Some(LutEstimate { luts: p.lut as u32, measured: true });
    }
    let ports = POINTS.iter().filter(alike).filter(|p| p.module == "tmv_port" && p.groups == 1);
    let port = line(&ports.map(|p| (p.vectors as f64, p.lut)).collect::<Vec<_>>())?;
    let (plain, grouped) = (wholes.iter().find(|p| p.groups == 1), wholes.iter().find(|p| p.groups > 1));
    let base = plain.or(grouped)?;
    let rest = base.lut - base.ports as f64 * port(base.vectors as f64);
    // LUTs that groups add, per vector of each port.
    let extra = match (plain, grouped) {
        (Some(plain), Some(grouped)) if unit.groups > 1 => {
            (grouped.lut - plain.lut) / (grouped.ports * grouped.vectors) as f64
        }
        _ => 0.0,
    };
    let luts = rest + unit.ports as f64 * (port(unit.vectors as f64) + extra * unit.vectors as f64);
    Some(LutEstimate { luts: luts.round() as u32, measured: false })
}

/// The least-squares line through `points`. `None` if all points have the same x or there are fewer than two points.
fn line(points: &[(f64, f64)]) -> Option<impl Fn(f64) -> f64 + use<>> {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    (points.len() > 1 && spread > 0.0).then_some(move |at| y + slope * (at - x))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_default_unit_was_synthesised() {
        let unit =
            |vectors| UnitConfig { ports: 4, port_bits: 128, vectors, groups: 2, codec: golden::Codec::WeightsBase3 };
        let (four, two) = (estimate(&unit(4), "xcup").unwrap(), estimate(&unit(2), "xcup").unwrap());
        assert!(four.measured && !two.measured && two.luts < four.luts, "{four:?} {two:?}");
        assert_eq!(estimate(&unit(4), "ecp5"), None);
    }

    #[test]
    fn a_line_goes_through_its_points() {
        let through = line(&[(1.0, 3.0), (2.0, 5.0), (4.0, 9.0)]).map(|f| f(3.0));
        assert!(through.is_some_and(|y| (y - 7.0).abs() < 1e-9));
        assert!(line(&[(1.0, 3.0)]).is_none() && line(&[(1.0, 3.0), (1.0, 4.0)]).is_none());
    }
}
