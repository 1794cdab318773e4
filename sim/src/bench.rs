//! The bench: one run on one freshly powered unit.

use std::fmt;

use golden::TernaryMatrix;
use host::config::Linear;
use host::descriptor::{DESCRIPTOR_BYTES, ROW_BLOCK};
use host::device::{Device, PortCounters};
use host::driver::Driver;
use host::program::Target;
use host::regs;
use serde::{Deserialize, Serialize};
use verilated::{ModelLibrary, VerilatedContext};

use crate::clock::ThreadClock;
use crate::device::VerilatedDevice;
use crate::exit::{Exit, Failure, interrupted};
use crate::memory::{Faults, MemoryConfig, ReadFault, SLVERR, Timing, WriteFault};
use crate::unit::UnitConfig;
use crate::verify::{Mismatch, Run, mismatches};

/// Physical address of the memory.
const BASE: u64 = 0x1000_0000;
/// Room for alignment.
const SLACK: usize = 1 << 16;
/// Cycles without an interrupt, as a multiple of the ideal, before a run is given up.
const PATIENCE: u64 = 1000;
/// Mismatches of an operator that are kept in full.
const KEPT_MISMATCHES: usize = 8;

/// A fault on purpose, in the first run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Injection {
    /// Flip the sign of one weight in the unit's memory: a mismatch, exit code 1.
    WeightBit,
    /// Flip one bit of a result on its way to memory: a mismatch, exit code 1.
    ResultBit,
    /// Answer a read beat with SLVERR: the unit has to report it, exit code 5.
    Slverr,
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WeightBit => "weight-bit",
            Self::ResultBit => "result-bit",
            Self::Slverr => "slverr",
        })
    }
}

/// A waveform of the first run.
#[derive(Clone, Debug)]
pub struct TraceRequest {
    /// Where it goes.
    pub target: Target,
    /// First cycle since power-up.
    pub from: u64,
    /// Cycles.
    pub cycles: u64,
}

/// How runs are executed.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The unit.
    pub unit: UnitConfig,
    /// The memory's timing.
    pub timing: Timing,
    /// Chance in 256 of a stall on every AXI channel.
    pub stall: u8,
    /// Seed of power-up values and stalls.
    pub seed: u64,
    /// A fault for the first run.
    pub inject: Option<Injection>,
    /// A waveform of the first run.
    pub trace: Option<TraceRequest>,
}

/// What an operator of a run delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorOutcome {
    /// The operator.
    pub linear: Linear,
    /// Outputs compared.
    pub outputs: usize,
    /// Those that differ.
    pub mismatches: usize,
    /// The first of them.
    pub first: Vec<Mismatch>,
    /// Cycles from the completion of the operator before (or the start) to its own, all passes.
    pub cycles: u64,
    /// For each pass over the weights, the cycle since power-up in which it completed.
    pub ends: Vec<u64>,
}

/// What a run delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Place in the stream.
    pub index: usize,
    /// The forward pass.
    pub pass: usize,
    /// SHA-256 of activations and expected accumulators.
    pub sha256: String,
    /// The decoder layer.
    pub layer: usize,
    /// One entry an operator.
    pub operators: Vec<OperatorOutcome>,
    /// Cycles the unit was busy.
    pub busy_cycles: u64,
    /// Counters of each port.
    pub ports: Vec<PortCounters>,
    /// Cycles simulated.
    pub simulated_cycles: u64,
    /// CPU seconds they took.
    pub seconds: f64,
    /// The fault that was injected, in words.
    pub injected: Option<String>,
}

impl Bench {
    /// Executes `run` on a unit powered up for it, and compares every output.
    ///
    /// # Errors
    /// A fault of unit, simulator or protocol; Ctrl-C; an operator the unit cannot hold.
    pub fn execute(&self, library: &ModelLibrary, run: &Run) -> Result<Outcome, Failure> {
        let seed = mix(mix(mix(self.seed ^ run.pass as u64) ^ run.layer as u64) ^ run.operators[0].index() as u64);
        let matrices: Vec<&TernaryMatrix> = run.operators.iter().map(|l| &run.weights.linear(*l).ternary).collect();
        let memory = MemoryConfig {
            base: BASE,
            bytes: self.memory_bytes(matrices.iter().map(|m| (m.rows(), m.cols())), run.tokens),
            timing: self.timing.clone(),
            stall: self.stall,
            interleave: self.stall != 0,
            shy: false,
            seed,
            faults: Faults::default(),
        };
        let context = VerilatedContext { seed, ..VerilatedContext::default() };
        let mut device = VerilatedDevice::new(library, &context, &self.unit, memory)?;
        let ideal: u64 = matrices.iter().map(|m| self.unit.ideal_cycles(m.rows(), m.cols(), run.tokens)).sum();
        device.set_patience((ideal * PATIENCE).max(1 << 24));
        device.set_stop(interrupted);
        let trace = self.trace.as_ref().filter(|_| run.first);
        let trace = trace.map(|t| t.target.temporary().map(|file| (t, file))).transpose()?;
        if let Some((request, file)) = &trace {
            let window = request.from..request.from.saturating_add(request.cycles);
            device.model().open_trace(file, window)?;
        }

        let mut driver = Driver::open(device)?;
        let mut weights = matrices.iter().map(|m| driver.load(m)).collect::<Result<Vec<_>, _>>()?;
        let inject = self.inject.filter(|_| run.first);
        let injected = match inject {
            Some(Injection::WeightBit) => {
                let (flipped, what) = flip_sign(matrices[0], run)?;
                driver.unload();
                weights[0] = driver.load(&flipped)?;
                for (weights, matrix) in weights.iter_mut().zip(&matrices).skip(1) {
                    *weights = driver.load(matrix)?;
                }
                Some(what)
            }
            Some(Injection::ResultBit) => {
                // The first beat ever written starts a row block: its low word is a row that exists.
                driver.device().axi_memory().faults().write = Some((0, WriteFault::FlipBit(3)));
                Some("bit 3 of the first result beat, as it was written to memory".into())
            }
            Some(Injection::Slverr) => {
                // The first beat after the descriptor on the port that fetches it.
                let beat = (DESCRIPTOR_BYTES / (self.unit.port_bits / 8)) as u64;
                driver.device().axi_memory().faults().read = Some((0, beat, ReadFault::Response(SLVERR)));
                Some(format!("SLVERR on read beat {beat} of port 0"))
            }
            None => None,
        };

        let (clock, start) = (ThreadClock::start(), driver.device().cycles());
        let result = driver.run(&weights, &run.x_q, run.tokens);
        let (seconds, simulated_cycles) = (clock.seconds(), driver.device().cycles() - start);
        if let Some((request, file)) = trace {
            driver.device().model().close_trace();
            request.target.publish(file)?;
        }
        let result = match (result, &injected) {
            (Err(error), Some(what)) => return Err(Failure::from(error).at(format!("injected {what}"))),
            (result, _) => result?,
        };
        // The unit counts cycles from its reset, waveforms from power-up.
        let now = driver.device().read_register(regs::CYCLE_LO)?;
        let power_up = driver.device().cycles().saturating_sub(u64::from(now));

        let operators = run.operators.iter().zip(result.operators).zip(&run.expected);
        let operators: Vec<OperatorOutcome> = operators
            .zip(&matrices)
            .map(|(((linear, got), expected), matrix)| {
                let mut first = mismatches(expected, &got.accumulators, matrix.rows());
                let mismatches = first.len();
                first.truncate(KEPT_MISMATCHES);
                OperatorOutcome {
                    linear: *linear,
                    outputs: expected.len(),
                    mismatches,
                    first,
                    cycles: got.cycles,
                    ends: got.ends.iter().map(|end| power_up + u64::from(*end)).collect(),
                }
            })
            .collect();
        if let Some(what) = injected.as_ref().filter(|_| operators.iter().all(|o| o.mismatches == 0)) {
            return Err(Failure::new(Exit::Internal, format!("injected {what}, and nothing noticed it")));
        }
        Ok(Outcome {
            index: run.index,
            pass: run.pass,
            sha256: run.sha256(),
            layer: run.layer,
            operators,
            busy_cycles: result.cycles,
            ports: result.ports,
            simulated_cycles,
            seconds,
            injected,
        })
    }

    /// Bytes of device memory that a run of `[rows, cols]` operators takes.
    pub fn memory_bytes(&self, operators: impl Iterator<Item = (usize, usize)>, tokens: usize) -> usize {
        let (mut bytes, mut count, mut x) = (SLACK, 0, 0);
        let passes = tokens.div_ceil(self.unit.max_tokens());
        for (rows, cols) in operators {
            let blocks = rows.div_ceil(ROW_BLOCK);
            bytes += weight_bytes(&self.unit, rows, cols) + blocks * (tokens * ROW_BLOCK * 4 + 64) + 64 * (passes + 1);
            count += passes;
            x = tokens * (cols + 2 * self.unit.info().lanes() + 64);
        }
        bytes + x + DESCRIPTOR_BYTES * count.next_power_of_two()
    }
}

/// Bytes of the weight image of a `[rows, cols]` operator.
pub fn weight_bytes(unit: &UnitConfig, rows: usize, cols: usize) -> usize {
    let stride = unit.codec.block_bytes(cols, unit.port_bits / 8).next_multiple_of(DESCRIPTOR_BYTES);
    rows.div_ceil(ROW_BLOCK) * stride
}

/// `matrix` with the sign of one weight flipped whose activation is not zero, and which weight that is.
fn flip_sign(matrix: &TernaryMatrix, run: &Run) -> Result<(TernaryMatrix, String), Failure> {
    let cols = matrix.cols();
    let counts = |c: usize| run.x_q.iter().skip(c).step_by(cols).any(|x| *x != 0);
    let columns: Vec<usize> = (0..cols).filter(|c| counts(*c)).collect();
    let sites = (0..matrix.rows()).flat_map(|r| columns.iter().map(move |c| (r, *c)));
    let (r, c) = sites.into_iter().find(|(r, c)| matrix.get(*r, *c) != 0).ok_or_else(|| {
        Failure::usage(format!("--inject weight-bit: no weight of {} meets an activation other than 0", run.describe()))
    })?;
    let mut flipped = matrix.clone();
    flipped.set(r, c, -matrix.get(r, c));
    Ok((flipped, format!("the sign of weight [{r}, {c}] of {} in the unit's memory", run.operators[0])))
}

/// A bijection that spreads every input bit over the word (the finaliser of SplitMix64).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
