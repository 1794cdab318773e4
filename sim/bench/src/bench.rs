//! The bench: executes one run on one freshly powered unit.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bitnet::config::Linear;
use golden::TernaryMatrix;
use program::interrupt::interrupted;
use program::target::Target;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;
use tempfile::TempPath;
use tmv::config::UnitConfig;
use tmv::descriptor::{DESCRIPTOR_BYTES, ROW_BLOCK, Selection};
use tmv::device::Device;
use tmv::driver::{Driver, OperatorResult, RunResult, Weights};
use tmv::regs;
use verilated::{ModelLibrary, VerilatedContext};
use zynq_memory::{MemoryConfig, Timing};

use crate::clock::ThreadClock;
use crate::compare::mismatches;
use crate::device::VerilatedDevice;
use crate::error::Error;
use crate::injection::{Injection, flip_sign};
use crate::outcome::{OperatorOutcome, Outcome};
use crate::run::Run;

/// Physical address of the unit's memory.
const BASE: u64 = 0x1000_0000;
/// Extra bytes of memory for alignment.
const SLACK: usize = 1 << 16;
/// Limit for a run without an interrupt, as a multiple of the ideal cycles. Beyond it, the run is aborted.
const PATIENCE: u64 = 1000;
/// Maximum number of mismatches of an operator that are kept in full.
const KEPT_MISMATCHES: usize = 8;

/// A request for a waveform of the first run.
#[derive(Clone, Debug)]
pub struct TraceRequest {
    /// The file to write.
    pub target: Target,
    /// First cycle to record, counted from power-up; without one, that in which the run begins.
    pub from: Option<u64>,
    /// Number of cycles to record.
    pub cycles: u64,
    /// The reason why the waveform could not be written. The run is compared nevertheless.
    pub failure: Arc<Mutex<Option<program::Error>>>,
}

impl TraceRequest {
    /// The cycles to record of a run that begins in cycle `begin`.
    pub fn window(&self, begin: u64) -> Range<u64> {
        let from = self.from.unwrap_or(begin);
        from..from.saturating_add(self.cycles)
    }

    /// Puts the waveform where it is wanted, if it could be `closed`. A failure is kept, because the run has a result all the
    /// same.
    pub fn finish(&self, file: TempPath, closed: std::io::Result<()>) {
        let closed = closed.map_err(|error| self.target.failure(&error));
        let written = closed.and_then(|()| self.target.publish(file));
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = written.err();
    }
}

/// The settings with which runs are executed.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The unit.
    pub unit: UnitConfig,
    /// Timing of the memory.
    pub timing: Timing,
    /// Chance in 256 of a stall on every AXI channel.
    pub stall: u8,
    /// Seed of power-up values and stalls.
    pub seed: u64,
    /// A fault to inject into the first run, if any.
    pub inject: Option<Injection>,
    /// A waveform to record of the first run, if any.
    pub trace: Option<TraceRequest>,
}

impl Bench {
    /// Executes `run` on a unit powered up for this run, and compares every output.
    ///
    /// # Errors
    /// If unit, simulator or protocol fail, if the user presses Ctrl-C, if the unit cannot hold an operator, or if an
    /// injected fault has no effect.
    pub fn execute(&self, library: &ModelLibrary, run: &Run) -> Result<Outcome, Error> {
        let matrices: Vec<_> = run.operators.iter().map(|l| run.weights.linear(*l).ternary.planes()).collect();
        let matrices: Vec<&TernaryMatrix> = matrices.iter().map(|matrix| &**matrix).collect();
        let mut driver = Driver::open(self.power_up(library, run, &matrices)?)?;
        let trace = self.start_trace(&mut driver, run)?;
        let (weights, injected) = self.load(&mut driver, run, &matrices)?;

        let (clock, start) = (ThreadClock::start(), driver.device().cycles());
        let result = driver.run(&weights, &run.x_q, run.tokens).map_err(Error::from);
        let (seconds, simulated_cycles) = (clock.seconds(), driver.device().cycles() - start);
        if let Some((request, file)) = trace {
            request.finish(file, driver.device().model().close_trace());
        }
        let result = match &injected {
            Some(what) => result.map_err(|error| error.at(format!("injected {what}")))?,
            None => result?,
        };
        let now = Now { unit: driver.device().read_register(regs::CYCLE_LO)?, power_up: driver.device().cycles() };
        let operators = compared(run, &result, now);
        if let Some(what) = injected.as_ref().filter(|_| operators.iter().all(|o| o.mismatches == 0)) {
            return Err(Error::Unnoticed { what: what.clone() });
        }
        Ok(Outcome {
            index: run.index,
            pass: run.pass,
            sha256: run.sha256(),
            layer: run.layer,
            operators,
            busy_cycles: result.cycles,
            ports: result.ports.into_iter().map(Into::into).collect(),
            simulated_cycles,
            seconds,
            injected,
        })
    }

    /// Powers up and resets a unit with enough memory for `run`.
    fn power_up(
        &self,
        library: &ModelLibrary,
        run: &Run,
        matrices: &[&TernaryMatrix],
    ) -> Result<VerilatedDevice, Error> {
        let seed = self.run_seed(run);
        let bytes = self.memory_bytes(matrices.iter().map(|m| (m.rows(), m.cols())), run.tokens);
        let plain = MemoryConfig::plain(BASE, bytes, self.timing.clone());
        let memory = MemoryConfig { stall: self.stall, interleave: self.stall != 0, seed, ..plain };
        let context = VerilatedContext { seed, ..VerilatedContext::default() };
        let mut device = VerilatedDevice::new(library, &context, &self.unit, memory)?;
        let ideal: u64 = matrices.iter().map(|m| self.unit.ideal_cycles(m.rows(), m.cols(), run.tokens)).sum();
        device.set_patience((ideal * PATIENCE).max(1 << 24));
        device.set_stop(interrupted);
        Ok(device)
    }

    /// The seed of a run. It depends only on the bench's seed and the run, not on when or where the run is executed.
    fn run_seed(&self, run: &Run) -> u64 {
        mix(mix(mix(self.seed ^ run.pass as u64) ^ run.layer as u64) ^ run.operators[0].index() as u64)
    }

    /// Opens the waveform if one is requested and this is the first run. Returns the request and the temporary file.
    fn start_trace(
        &self,
        driver: &mut Driver<VerilatedDevice>,
        run: &Run,
    ) -> Result<Option<(&TraceRequest, TempPath)>, Error> {
        let Some(request) = self.trace.as_ref().filter(|_| run.first) else { return Ok(None) };
        let file = request.target.temporary()?;
        driver.device().model().open_trace(&file, request.window(0))?;
        Ok(Some((request, file)))
    }

    /// Loads the weights into the unit's memory and sets up the requested fault. Returns the weights and a
    /// description of the fault.
    fn load(
        &self,
        driver: &mut Driver<VerilatedDevice>,
        run: &Run,
        matrices: &[&TernaryMatrix],
    ) -> Result<(Vec<Weights>, Option<String>), Error> {
        let inject = self.inject.filter(|_| run.first);
        let (mut flipped, mut injected) = (None, None);
        if inject == Some(Injection::WeightBit) {
            let (matrix, what) = flip_sign(matrices[0], run)?;
            (flipped, injected) = (Some(matrix), Some(what));
        }
        let first = flipped.as_ref().unwrap_or(matrices[0]);
        let all = std::iter::once(first).chain(matrices[1..].iter().copied());
        let mut weights = Vec::new();
        for (linear, matrix) in run.operators.iter().zip(all) {
            let selection = match linear {
                Linear::Gate if run.skips_rows => Selection::Record,
                Linear::Up if run.skips_rows => Selection::Skip,
                _ => Selection::All,
            };
            weights.push(driver.load_in(run.skips.layout(*linear, run.tokens), matrix)?.with(selection));
        }
        if let Some(fault) = inject {
            injected = injected.or(fault.spoil(driver.device().axi_memory(), &self.unit));
        }
        Ok((weights, injected))
    }

    /// Bytes of device memory that a run takes. `operators` gives `(rows, cols)` of each operator.
    pub fn memory_bytes(&self, operators: impl Iterator<Item = (usize, usize)>, tokens: usize) -> usize {
        let (mut bytes, mut count, mut x) = (SLACK, 0, 0);
        let passes = tokens.div_ceil(self.unit.max_tokens());
        for (rows, cols) in operators {
            let blocks = rows.div_ceil(ROW_BLOCK);
            bytes += self.unit.weight_bytes(rows, cols) + blocks * (tokens * ROW_BLOCK * 4 + 64) + 64 * (passes + 1);
            // A single row or column fills whole lines.
            bytes += (blocks * ROW_BLOCK).max(cols.next_multiple_of(ROW_BLOCK)) * DESCRIPTOR_BYTES;
            count += passes;
            x = tokens * (cols + 2 * self.unit.info().lanes() + 64);
        }
        bytes + x + DESCRIPTOR_BYTES * count.next_power_of_two()
    }
}

/// The present cycle: as the unit counts from its reset, modulo 2^32; and as waveforms count, from power-up.
#[derive(Clone, Copy)]
struct Now {
    unit: u32,
    power_up: u64,
}

impl Now {
    /// The earlier cycle that the unit recorded as `recorded`, counted from power-up. It is less than 2^32 cycles ago.
    fn since_power_up(self, recorded: u32) -> u64 {
        self.power_up.saturating_sub(u64::from(self.unit.wrapping_sub(recorded)))
    }
}

/// Compares each output of the operators of `run`.
fn compared(run: &Run, result: &RunResult, now: Now) -> Vec<OperatorOutcome> {
    let one = |((linear, got), expected): ((&Linear, &OperatorResult), &Vec<i32>)| {
        let mut first = mismatches(expected, &got.accumulators, expected.len() / run.tokens);
        let mismatches = first.len();
        first.truncate(KEPT_MISMATCHES);
        OperatorOutcome {
            linear: *linear,
            outputs: expected.len(),
            mismatches,
            first,
            rows_read: got.rows_read,
            columns_read: got.columns_read,
            cycles: got.cycles,
            ends: got.ends.iter().map(|end| now.since_power_up(*end)).collect(),
        }
    };
    run.operators.iter().zip(&result.operators).zip(&run.expected).map(one).collect()
}

/// One step of SplitMix64: a bijection that spreads every input bit over the word.
fn mix(x: u64) -> u64 {
    SplitMix64::from_seed(x.to_le_bytes()).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_since_power_up_outlast_the_counter() {
        assert_eq!(Now { unit: 900, power_up: 1_000 }.since_power_up(400), 500);
        // The unit's counter has passed 2^32 since.
        assert_eq!(Now { unit: 5, power_up: (1 << 32) + 105 }.since_power_up(u32::MAX), (1 << 32) + 99);
    }
}
