//! The units of a sweep, by formula.

use std::collections::HashMap;

use bitnet::config::{Linear, ModelConfig};
use cost::board::DdrMode;
use cost::formula::layer_cycles;
use cost::luts;
use cost::setup::Setup;
use itertools::iproduct;
use report::sweep::Point;
use tmv::config::{MAX_TOKENS, UnitConfig};

use super::args::SweepArgs;
use crate::args::unit::board;
use crate::failure::Failure;

/// Every combination of the options that can be built.
pub(super) fn setups(args: &SweepArgs, config: &ModelConfig) -> Result<Vec<Setup>, Failure> {
    let mut setups = Vec::new();
    for name in &args.boards {
        let board = board(name)?;
        let clocks = if args.clock_mhz.is_empty() { vec![board.clock_mhz.value] } else { args.clock_mhz.clone() };
        let widths = if args.width.is_empty() { vec![board.family.port_bits] } else { args.width.clone() };
        let all = iproduct!(&clocks, &args.ports, &widths, &args.vectors, &args.groups, &args.codec);
        for (&clock_mhz, &ports, &port_bits, &vectors, &groups, &codec) in all {
            let unit = UnitConfig { ports, port_bits, vectors, groups, codec };
            let fits = unit.max_tokens() <= MAX_TOKENS
                && ports <= board.family.ports.value
                && port_bits <= board.family.port_bits;
            let memory = args.memory.into();
            let setup = Setup { board, unit, memory, ddr: DdrMode::Modelled, ps_gb_per_s: 0.0, clock_mhz, stall: 0 };
            if fits && setup.too_wide(config, &Linear::ALL).is_none() {
                setups.push(setup);
            }
        }
    }
    if setups.is_empty() {
        return Err(Failure::usage("no such unit can be built: boards have 4 ports of 64 or 128 bits (sim boards)"));
    }
    Ok(setups)
}

/// The figures of each unit, by formula.
pub(super) fn points(setups: &[Setup], config: &ModelConfig, prefill_tokens: usize) -> Vec<Point> {
    let mut readers: HashMap<String, Option<f64>> = HashMap::new();
    let layers = config.num_hidden_layers as f64;
    let point = |setup: &Setup| {
        let (unit, board) = (&setup.unit, setup.board);
        let key = format!("{} {} {} {}", board.name, unit.ports, unit.port_bits, setup.clock_mhz);
        let reader = *readers.entry(key).or_insert_with(|| setup.reader_gb_per_s());
        let (timing, rate) = (setup.timing(), reader.map(|gb| gb * 1e3 / setup.clock_mhz));
        let cycles = |tokens| layers * layer_cycles(unit, config, tokens, &timing, rate);
        let per_s = |tokens: usize| tokens as f64 * setup.clock_mhz * 1e6 / cycles(tokens);
        let bytes: usize =
            Linear::ALL.iter().map(|l| unit.weight_bytes(l.out_features(config), l.in_features(config))).sum();
        let luts = luts::estimate(unit, &board.family.synthesis);
        Point {
            board: board.name.clone(),
            ports: unit.ports,
            port_bits: unit.port_bits,
            vectors: unit.vectors,
            groups: unit.groups,
            codec: unit.codec.to_string(),
            clock_mhz: setup.clock_mhz,
            reader_gb_per_s: reader,
            weight_bytes: (bytes * config.num_hidden_layers) as u64,
            decode_cycles: cycles(1).round() as u64,
            decode_tokens_per_s: per_s(1),
            prefill_tokens_per_s: per_s(prefill_tokens),
            lut_share: luts.map(|l| f64::from(l.luts) / f64::from(board.device.luts)),
            luts: luts.map(|l| l.luts),
            luts_measured: luts.is_some_and(|l| l.measured),
            pareto: false,
        }
    };
    setups.iter().map(point).collect()
}

/// Indices of `count` points, evenly spread. Points on the Pareto front are chosen first.
pub(super) fn chosen(points: &[Point], count: usize) -> Vec<usize> {
    let (front, rest): (Vec<usize>, Vec<usize>) = (0..points.len()).partition(|i| points[*i].pareto);
    let spread = |from: &[usize], count: usize| -> Vec<usize> {
        let count = count.min(from.len());
        (0..count).map(|i| from[i * from.len() / count]).collect()
    };
    let mut chosen = spread(&front, count);
    chosen.extend(spread(&rest, count - chosen.len()));
    chosen
}
