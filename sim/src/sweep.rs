//! The sweep command: many units on paper, a few of them simulated to check the paper.

use std::collections::HashMap;
use std::path::PathBuf;

use golden::Dtype;
use host::config::{Linear, ModelConfig};
use host::layer::{DecoderLayer, KvCache};
use host::program::{Target, pretty};
use host::synthetic::Synthetic;
use host::weights::WeightSource;
use itertools::iproduct;
use serde::Serialize;
use verilated::Trace;

use crate::analytic::layer_cycles;
use crate::bench::weight_bytes;
use crate::board::{Board, DdrMode, MemoryMode};
use crate::cli::SweepArgs;
use crate::dump::Dump;
use crate::exit::{Exit, Failure};
use crate::luts;
use crate::output::{JsonOutput, Progress};
use crate::report::{SCHEMA_VERSION, STATUS, grouped, table};
use crate::setup::Setup;
use crate::sweep_plot;
use crate::unit::{MAX_TOKENS, UnitConfig};
use crate::verify::{Recorder, Selection, threads, verify};

/// The layer that is simulated; all layers have the same shapes.
const LAYER: usize = 14;

/// Runs the command; `command` is what was typed.
///
/// # Errors
/// A usage error where no unit is left or a file cannot be written; whatever keeps samples from being simulated. A
/// sample with a mismatch is an exit code.
pub fn run(args: &SweepArgs, command: &str) -> Result<Exit, Failure> {
    let json = JsonOutput::new(args.json.as_deref())?;
    let file = |flag, path: &Option<PathBuf>| path.as_deref().map(|path| Target::new(flag, path)).transpose();
    let (csv, svg) = (file("--csv", &args.csv)?, file("--svg", &args.svg)?);
    let config = ModelConfig::bitnet_2b_4t();
    let setups = setups(args, &config)?;
    let mut points = points(&setups, &config, args.prefill_tokens);
    mark_front(&mut points);
    let samples = chosen(&points, args.sample).into_iter().map(|i| sample(&setups[i], &points[i], args));
    let samples: Vec<Sample> = samples.collect::<Result<_, _>>()?;
    let sweep = Sweep {
        schema_version: SCHEMA_VERSION,
        command: command.into(),
        model: "BitNet b1.58-2B-4T".into(),
        prefill_tokens: args.prefill_tokens,
        points,
        samples,
        assumptions: assumptions(args, &setups),
        status: STATUS.into(),
    };
    if let Some(csv) = csv {
        csv.write(sweep.csv()?.as_bytes())?;
    }
    if let Some(svg) = svg {
        svg.write(sweep_plot::svg(&sweep)?.as_bytes())?;
    }
    json.put(&pretty(&sweep), &sweep.text())?;
    let wrong = sweep.samples.iter().any(|s| s.mismatches > 0);
    Ok(if wrong { Exit::Mismatch } else { Exit::Ok })
}

/// Every combination that can be built.
fn setups(args: &SweepArgs, config: &ModelConfig) -> Result<Vec<Setup>, Failure> {
    let mut setups = Vec::new();
    for name in &args.boards {
        let board = Board::find(name).map_err(|e| Failure::usage(format!("--board: {e}")))?;
        let clocks = if args.clock_mhz.is_empty() { vec![board.clock_mhz.value] } else { args.clock_mhz.clone() };
        let widths = if args.width.is_empty() { vec![board.family.port_bits] } else { args.width.clone() };
        let all = iproduct!(&clocks, &args.ports, &widths, &args.vectors, &args.groups, &args.codec);
        for (&clock_mhz, &ports, &port_bits, &vectors, &groups, &codec) in all {
            let unit = UnitConfig { ports, port_bits, vectors, groups, codec };
            let fits = unit.max_tokens() <= MAX_TOKENS
                && ports <= board.family.ports.value
                && port_bits <= board.family.port_bits;
            let memory = args.memory;
            let setup = Setup { board, unit, memory, ddr: DdrMode::Modelled, ps_gb_per_s: 0.0, clock_mhz, stall: 0 };
            if fits && setup.check(config, &Linear::ALL).is_ok() {
                setups.push(setup);
            }
        }
    }
    if setups.is_empty() {
        return Err(Failure::usage("no such unit can be built: boards have 4 ports of 64 or 128 bits (sim boards)"));
    }
    Ok(setups)
}

/// A unit on a board, and what the formula says of it.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Board.
    pub board: String,
    /// AXI read ports.
    pub ports: usize,
    /// Bits of a port.
    pub port_bits: usize,
    /// Activation vectors.
    pub vectors: usize,
    /// Groups of them.
    pub groups: usize,
    /// Weight codec.
    pub codec: String,
    /// Clock.
    pub clock_mhz: f64,
    /// What plain readers get from the memory; none for the ideal one.
    pub reader_gb_per_s: Option<f64>,
    /// Bytes of weights a token reads in decode, all layers.
    pub weight_bytes: u64,
    /// Cycles of the linears of a token in decode, all layers.
    pub decode_cycles: u64,
    /// Tokens a second, linears alone.
    pub decode_tokens_per_s: f64,
    /// Tokens a second of a prompt, linears alone.
    pub prefill_tokens_per_s: f64,
    /// LUTs of the unit, if there are measured points to estimate from.
    pub luts: Option<u32>,
    /// Whether this very unit was synthesised.
    pub luts_measured: bool,
    /// Their share of the device.
    pub lut_share: Option<f64>,
    /// No other point of its board has fewer LUTs and is as fast, or is faster with as many.
    pub pareto: bool,
}

fn points(setups: &[Setup], config: &ModelConfig, prefill_tokens: usize) -> Vec<Point> {
    let mut readers: HashMap<String, Option<f64>> = HashMap::new();
    let layers = config.num_hidden_layers as f64;
    let point = |setup: &Setup| {
        let (unit, board) = (&setup.unit, setup.board);
        let key = format!("{} {} {} {}", board.name, unit.ports, unit.port_bits, setup.clock_mhz);
        let reader = *readers.entry(key).or_insert_with(|| setup.memory_section().reader_gb_per_s);
        let (timing, rate) = (setup.timing(), reader.map(|gb| gb * 1e3 / setup.clock_mhz));
        let cycles = |tokens| layers * layer_cycles(unit, config, tokens, &timing, rate);
        let per_s = |tokens: usize| tokens as f64 * setup.clock_mhz * 1e6 / cycles(tokens);
        let bytes: usize =
            Linear::ALL.iter().map(|l| weight_bytes(unit, l.out_features(config), l.in_features(config))).sum();
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

/// Marks what no other point of the same board is better than, in LUTs, decode and prefill.
fn mark_front(points: &mut [Point]) {
    let sized = points.iter().all(|p| p.luts.is_some());
    // Differences below a thousandth are none.
    let key = |p: &Point| {
        let rate = |x: f64| -(x.ln() * 1e3).round();
        let size = p.luts.filter(|_| sized).map_or((p.ports * p.port_bits * p.vectors + p.groups) as f64, f64::from);
        [size, rate(p.decode_tokens_per_s), rate(p.prefill_tokens_per_s)]
    };
    let keys: Vec<_> = points.iter().map(|p| (p.board.clone(), key(p))).collect();
    for (point, (board, own)) in points.iter_mut().zip(&keys) {
        let better = |k: &[f64; 3]| k != own && k.iter().zip(own).all(|(a, b)| a <= b);
        point.pareto = !keys.iter().any(|(other, k)| other == board && better(k));
    }
}

/// `count` of the points, spread over them, those on the front first.
fn chosen(points: &[Point], count: usize) -> Vec<usize> {
    let (front, rest): (Vec<usize>, Vec<usize>) = (0..points.len()).partition(|i| points[*i].pareto);
    let spread = |from: &[usize], count: usize| -> Vec<usize> {
        let count = count.min(from.len());
        (0..count).map(|i| from[i * from.len() / count]).collect()
    };
    let mut chosen = spread(&front, count);
    chosen.extend(spread(&rest, count - chosen.len()));
    chosen
}

/// A point, simulated.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// The unit.
    pub unit: String,
    /// Tokens.
    pub tokens: usize,
    /// Outputs compared.
    pub outputs: usize,
    /// Those that differ.
    pub mismatches: usize,
    /// Cycles of a layer, simulated.
    pub cycles: u64,
    /// The same by the formula.
    pub predicted_cycles: u64,
    /// (predicted - simulated) / simulated.
    pub error: f64,
}

/// Two passes of a layer over the unit's vectors, or one token.
fn sample(setup: &Setup, point: &Point, args: &SweepArgs) -> Result<Sample, Failure> {
    let source = Synthetic::new(ModelConfig::bitnet_2b_4t(), args.seed);
    let (config, name) = (source.config(), setup.unit_section().describe());
    let most = setup.unit.max_tokens();
    let tokens = if most == 1 { 1 } else { 2 * most };
    eprintln!("simulating {tokens} tokens: {name}");
    let ideal = |l: Linear| setup.ideal_cycles(config, l, tokens);
    let progress = Progress::new("verifying", Linear::ALL.map(ideal).iter().sum());
    let verified = verify(
        &setup.bench(args.seed, None),
        args.jobs.unwrap_or_else(threads),
        || setup.unit.build(Trace::Off, &progress),
        |outcome| {
            progress.advance(outcome.operators.iter().map(|o| ideal(o.linear)).sum());
            Ok(())
        },
        |queue| {
            let selection = Selection { linears: Linear::ALL.to_vec(), ..Selection::default() };
            let mut recorder = Recorder::new(queue, selection);
            let weights = source.layer(LAYER)?;
            let (hidden, mut dump) = (source.hidden(LAYER, tokens)?, Dump::new(false));
            let layer = DecoderLayer::new(config, LAYER, &weights);
            layer.forward(&hidden, &mut KvCache::new(), Dtype::Fp32, &mut recorder, &mut dump)?;
            Ok(())
        },
    );
    progress.finish();
    verified.produced?;
    let operators = || verified.outcomes.iter().flat_map(|o| &o.operators);
    let cycles: u64 = operators().map(|o| o.cycles).sum();
    let rate = point.reader_gb_per_s.map(|gb| gb * 1e3 / setup.clock_mhz);
    let predicted = layer_cycles(&setup.unit, config, tokens, &setup.timing(), rate);
    Ok(Sample {
        unit: name,
        tokens,
        outputs: operators().map(|o| o.outputs).sum(),
        mismatches: operators().map(|o| o.mismatches).sum(),
        cycles,
        predicted_cycles: predicted.round() as u64,
        error: predicted / cycles as f64 - 1.0,
    })
}

fn assumptions(args: &SweepArgs, setups: &[Setup]) -> Vec<String> {
    let mut lines = vec![
        "tokens a second are of the BitLinears alone: no driver calls, norms, attention or output head".into(),
        "cycles by a formula (sim/src/analytic.rs); its error against the RTL is below the table".into(),
        format!("LUTs: {}", luts::SOURCE),
        "that a clock closes timing is assumed for every point".into(),
    ];
    if args.memory == MemoryMode::Ddr {
        let mut boards: Vec<&Board> = setups.iter().map(|s| s.board).collect();
        boards.dedup_by_key(|b| &b.name);
        lines.extend(boards.iter().map(|b| {
            let [least, most] = &b.band_gb_per_s;
            format!("memory of {}: seen to deliver {} to {} GB/s (sim boards)", b.name, least.value, most.value)
        }));
    } else {
        lines.push("memory ideal: every port moves a beat each cycle, which no board does".into());
    }
    lines
}

/// Everything a sweep found out.
#[derive(Serialize)]
pub struct Sweep {
    schema_version: u32,
    command: String,
    model: String,
    /// Tokens of the prompt.
    pub prefill_tokens: usize,
    /// One entry a unit.
    pub points: Vec<Point>,
    samples: Vec<Sample>,
    assumptions: Vec<String>,
    status: String,
}

impl Sweep {
    fn text(&self) -> String {
        let prefill = format!("prefill {} tok/s", self.prefill_tokens);
        let mut points = table(&[
            "board",
            "ports",
            "vectors",
            "codec",
            "MHz",
            "memory GB/s",
            "MB a token",
            "decode tok/s",
            &prefill,
            "LUTs",
            "of device",
            "front",
        ]);
        for p in &self.points {
            points.add_row([
                p.board.clone(),
                format!("{} x {}", p.ports, p.port_bits),
                format!("{} x {}", p.vectors, p.groups),
                p.codec.clone(),
                p.clock_mhz.to_string(),
                p.reader_gb_per_s.map_or("-".into(), |gb| format!("{gb:.2}")),
                format!("{:.1}", p.weight_bytes as f64 / 1e6),
                format!("{:.2}", p.decode_tokens_per_s),
                format!("{:.1}", p.prefill_tokens_per_s),
                p.luts.map_or("-".into(), |luts| {
                    (if p.luts_measured { "" } else { "~" }).to_string() + &grouped(luts.into())
                }),
                p.lut_share.map_or("-".into(), |share| format!("{:.1}%", 100.0 * share)),
                if p.pareto { "*" } else { "" }.into(),
            ]);
        }
        let mut out = format!("{}, BitLinears of all layers\n{points}\n", self.model);
        out += "front: nothing on the same board has fewer LUTs and is as fast, or is faster with as many\n";
        if !self.samples.is_empty() {
            let mut samples = table(&["simulated", "tokens", "mismatches", "cycles a layer", "by formula", "error"]);
            for s in &self.samples {
                samples.add_row([
                    s.unit.clone(),
                    s.tokens.to_string(),
                    s.mismatches.to_string(),
                    grouped(s.cycles),
                    grouped(s.predicted_cycles),
                    format!("{:+.2}%", 100.0 * s.error),
                ]);
            }
            out += &format!("\n{samples}\n");
        }
        out += "\nAssumptions\n";
        self.assumptions.iter().for_each(|line| out += &format!("- {line}\n"));
        out + &self.status + "\n"
    }

    fn csv(&self) -> Result<String, Failure> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for point in &self.points {
            writer.serialize(point).map_err(|e| Failure::new(Exit::Internal, e))?;
        }
        let bytes = writer.into_inner().map_err(|e| Failure::new(Exit::Internal, e))?;
        String::from_utf8(bytes).map_err(|e| Failure::new(Exit::Internal, e))
    }
}
