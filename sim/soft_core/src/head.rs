//! The output head as a job of the core: the token whose logit is the largest, chosen by both units, compared with golden.

use std::borrow::Cow;

use bitnet::config::ModelConfig;
use bitnet::weights::{HeadRows, WeightSource};
use golden::ranking::{Ranking, upper};
use golden::{Dtype, TernaryMatrix, matvec, norm, quantise};
use half::bf16;
use sequencer::head::{Chosen, HeadJob, PlacedHead, place};
use sequencer::job::Region;
use sequencer::record::{Elements, Record};
use tmv::driver::Weights;
use vector::VectorConfig;
use vector::head::{EXACT, GROUPS, Head, HeadPrograms, PLACES, Results};
use vector::instruction::{ADDRESS_WORD, Format};

use crate::body::Event;
use crate::compare::{Compared, compare};
use crate::error::Error;
use crate::firmware::Firmware;
use crate::layer::{Layout, complete};
use crate::system::System;
use crate::whole::Memory;

/// Rows that are loaded at a time.
const ROWS: usize = 4096;
/// Bytes of rings, programs and everything else that does not grow with the head.
const PROGRAMS: usize = 2 << 20;
/// Bytes of the core's heap and of its records.
const HEAP: usize = 1 << 16;
/// Cycles for each value of the ranking after which a job is given up, and cycles for each logit, and for all else.
const PATIENCE: u64 = 1;
const LOGIT: u64 = 16_384;
const REST: u64 = 2_000_000;

/// The rows of a head, in the form in which they lie in memory.
enum Rows {
    Bf16(Vec<bf16>),
    F32(Vec<f32>),
}

/// An output head and its ranking.
pub struct HeadWeights {
    config: ModelConfig,
    dtype: Dtype,
    rows: Rows,
    norm: Vec<f32>,
    ranking: Ranking,
    matrix: TernaryMatrix,
    mean_error: f32,
}

impl HeadWeights {
    /// The head of a model in a compute type.
    ///
    /// # Errors
    /// The errors of the source.
    pub fn of(source: &dyn WeightSource, dtype: Dtype) -> bitnet::Result<Self> {
        let config = source.config();
        let mut rows = Rows::Bf16(Vec::new());
        let mut ranking = Ranking::new(config.hidden_size);
        for start in (0..config.vocab_size).step_by(ROWS) {
            match (source.head(start..config.vocab_size.min(start + ROWS))?, &mut rows) {
                (HeadRows::Bf16(part), Rows::Bf16(all)) => {
                    ranking.push_rows(&part);
                    all.extend_from_slice(&part);
                }
                (part, Rows::Bf16(all)) if dtype == Dtype::Bf16 => {
                    let part: Vec<bf16> = part.to_f32().into_iter().map(bf16::from_f32).collect();
                    ranking.push_rows(&part);
                    all.extend(part);
                }
                (part, rows) => {
                    let part = part.to_f32();
                    ranking.push_rows(&part);
                    match rows {
                        Rows::F32(all) => all.extend(part),
                        Rows::Bf16(before) => {
                            *rows = Rows::F32(before.iter().map(|x| x.to_f32()).chain(part).collect());
                        }
                    }
                }
            }
        }
        let mut norm = source.final_norm()?;
        dtype.round_slice(&mut norm);
        let (matrix, errors) = (ranking.matrix(), ranking.errors());
        let mean_error = (errors.iter().copied().map(f64::from).sum::<f64>() / errors.len() as f64) as f32;
        Ok(Self { config: config.clone(), dtype, rows, norm, ranking, matrix, mean_error })
    }

    fn format(&self) -> Format {
        match &self.rows {
            Rows::Bf16(_) => Format::Bf16,
            Rows::F32(_) => Format::F32,
        }
    }

    /// The ternary copy.
    pub(crate) fn matrix(&self) -> (golden::Layout, Cow<'_, TernaryMatrix>) {
        (golden::Layout::Blocks, Cow::Borrowed(&self.matrix))
    }

    /// Columns of the head: elements of the residual stream of a token.
    pub(crate) fn cols(&self) -> usize {
        self.config.hidden_size
    }

    /// Rows of the head.
    pub fn rows(&self) -> usize {
        self.config.vocab_size
    }

    /// Bytes of memory for a head whose ternary copy has `ternary` bytes, but for [`HeadWeights::far_bytes`].
    pub fn memory_bytes(&self, ternary: usize) -> usize {
        let (rows, cols) = (self.rows().next_multiple_of(PLACES), self.config.hidden_size);
        (ternary + 20 * rows + 16 * cols + 2 * HEAP + PROGRAMS).next_multiple_of(1 << 20)
    }

    /// Bytes of memory for the rows themselves, which the core need not reach.
    pub fn far_bytes(&self) -> usize {
        let row = if self.format() == Format::Bf16 { 2 } else { 4 };
        (row * self.rows() * self.config.hidden_size).next_multiple_of(1 << 20)
    }
}

/// A head in the memory of a system, with its programs.
pub struct LoadedHead<'a> {
    weights: &'a HeadWeights,
    unit: VectorConfig,
    placed: PlacedHead,
    /// The core's addresses of the log of the job, and of the job.
    log: Region,
    job: u32,
    records: Region,
}

/// Cycles of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadTimes {
    /// From the job to its completion.
    pub cycles: u64,
    /// Until the ternary unit begins: the norm and the codes.
    pub begin: u64,
    /// In which the ternary unit is busy.
    pub busy: u64,
}

/// What came out of a job.
#[derive(Clone, Debug)]
pub struct HeadOutput {
    /// The row that was chosen.
    pub chosen: Chosen,
    /// The times of the job.
    pub times: HeadTimes,
    /// Rows whose logits were computed, with their bits, as far as there was room.
    pub logits: Vec<(u32, u32)>,
    /// The scale of the codes, and the margin times their norm.
    scale: f32,
    margin: f32,
    tensors: Vec<(String, Elements)>,
}

/// Lays out a head and its programs in the memory of a system with the vector unit `unit`. `margin` is a number of standard
/// deviations.
///
/// # Errors
/// If it does not fit.
pub fn load<'a>(
    system: &mut System,
    weights: &'a HeadWeights,
    unit: &VectorConfig,
    margin: f32,
) -> Result<LoadedHead<'a>, Error> {
    let (mut layout, ternary) = Layout::with_matrices(system, [weights.matrix()])?;
    let stream = layout.region(4 * weights.config.hidden_size)?;
    let hidden = layout.physical(stream.address);
    load_in(&mut layout, weights, &ternary[0], unit, margin, hidden)
}

/// Lays out a head and its programs, for the residual stream at the physical address `hidden`.
pub(crate) fn load_in<'a>(
    layout: &mut Layout<'_>,
    weights: &'a HeadWeights,
    ternary: &Weights,
    unit: &VectorConfig,
    margin: f32,
    hidden: u64,
) -> Result<LoadedHead<'a>, Error> {
    let exact = match &weights.rows {
        Rows::Bf16(rows) => {
            let pairs = rows.chunks(2).map(|pair| {
                u32::from(pair[0].to_bits()) | u32::from(pair.get(1).map_or(0, |high| high.to_bits())) << 16
            });
            layout.far_words(pairs)?
        }
        Rows::F32(rows) => layout.far_words(rows.iter().map(|value| value.to_bits()))?,
    };
    // A row beyond the last one has an estimate of 0: the core does not choose it.
    let padded = |values: &[f32]| [values, &[0.0; PLACES]].concat();
    let norm = layout.floats(&weights.norm)?;
    let factors = layout.floats(&padded(weights.ranking.factors()))?;
    let errors = layout.floats(&padded(weights.ranking.errors()))?;
    let places = layout.floats(&(0..PLACES as u16).map(f32::from).collect::<Vec<_>>())?;
    let config = &weights.config;
    let (heap, records) = (layout.region(HEAP)?, layout.region(HEAP)?);
    // The job has the size of its words, whatever they say.
    let job_at = layout.region(4 * HeadJob::WORDS)?;
    let mut physical = |address| layout.physical(address);
    let head = Head {
        rows: weights.rows(),
        cols: config.hidden_size,
        eps: config.rms_norm_eps,
        dtype: weights.dtype,
        format: weights.format(),
        margin,
        hidden,
        norm: physical(norm),
        exact,
        factors: physical(factors),
        errors: physical(errors),
        places: physical(places),
        mean_error: weights.mean_error,
        results: Results::default(),
    };
    let shared = layout.region(0)?;
    let placed = place(head, ternary, *unit, layout.physical(shared.address))?;
    let shared = layout.region(placed.job.shared.bytes as usize)?;
    for (at, bytes) in &placed.bytes {
        layout.write_at(shared, *at, bytes)?;
    }
    let job = HeadJob { shared, heap, records, ..placed.job };
    let words: Vec<u8> = job.to_words().into_iter().flat_map(u32::to_le_bytes).collect();
    layout.write(job_at, &words)?;
    let log = Region { address: shared.address + job.log, bytes: 4 * EXACT as u32 };
    Ok(LoadedHead { weights, unit: *unit, placed, log, job: job_at.address, records })
}

impl LoadedHead<'_> {
    /// Chooses the token for the residual stream of one token, `[hidden_size]`.
    ///
    /// # Errors
    /// If the core does not complete the job.
    ///
    /// # Panics
    /// If `hidden` has another length.
    pub fn run(&self, system: &mut System, firmware: &Firmware, hidden: &[f32]) -> Result<HeadOutput, Error> {
        assert_eq!(hidden.len(), self.weights.cols(), "the stream of one token");
        let stream: Vec<u8> = hidden.iter().flat_map(|x| x.to_le_bytes()).collect();
        let at = (self.placed.head.hidden - system.memory().base()) as usize;
        system.memory().bytes()[at..at + stream.len()].copy_from_slice(&stream);
        self.choose(system, firmware)
    }

    /// Chooses the token for the residual stream that is in memory.
    pub(crate) fn choose(&self, system: &mut System, firmware: &Firmware) -> Result<HeadOutput, Error> {
        let mut layout = Layout::new(system);
        layout.write(self.log, &[0; 4 * EXACT])?;
        system.take_events();
        let (rows, cols) = (self.weights.rows(), self.weights.cols());
        let patience = REST + PATIENCE * (rows * cols) as u64 + LOGIT * rows as u64;
        let busy = |system: &mut System| system.with_unit(|unit| unit.read_register(tmv::regs::BUSY_CYCLES));
        // On a top, time passes while the host reads.
        let busy_before = busy(system)?;
        let start = system.cycles();
        let found = complete(system, firmware, self.job, self.records, patience)?;
        let cycles = system.cycles() - start;
        let [Record::Head([row, logit, logits])] = found[..] else {
            return Err(Error::Records(format!("{found:?} is not expected")));
        };
        let events = system.take_events();
        // The first doorbell queues the chunks, the second one says that their activations are there.
        let doorbells = events.iter().filter(|(_, event)| *event == Event::TernaryDoorbell).map(|(at, _)| *at);
        let [queued, begun] = doorbells.collect::<Vec<_>>()[..] else {
            return Err(Error::Records("the ternary unit was not started".into()));
        };
        let busy = u64::from(busy(system)?.wrapping_sub(busy_before)).saturating_sub(begun - queued);
        let chosen = Chosen { row, logit, logits };
        Ok(self.output(system, HeadTimes { cycles, begin: begun.saturating_sub(start), busy }, chosen))
    }

    /// The rows whose logits were computed, and the logits, as far as the programs still have them: of each row once for
    /// every time it was computed.
    fn exact(&self, memory: &Memory<'_>) -> Vec<(u32, u32)> {
        let PlacedHead { head, job, programs, .. } = &self.placed;
        let word = |address: u64| memory.singles(address, 1)[0].to_bits();
        let (group, row_bytes) = (programs.group, u64::from(job.row_bytes));
        let of_group = group + HeadPrograms::REST;
        let one = |program: usize, index: usize| {
            let instruction = (program * GROUPS + index / group) * of_group + index % group;
            let at = job.base + u64::from(job.programs) + (instruction as u64) * u64::from(vector::regs::INSTR_BYTES);
            let address = at + 4 * ADDRESS_WORD as u64;
            let address = u64::from(word(address)) | u64::from(word(address + 4) & 0xff) << 32;
            let logit = (program * GROUPS + index / group) * self.unit.lanes + index % group;
            (((address - head.exact) / row_bytes) as u32, word(head.results.logits + 4 * logit as u64))
        };
        let computed = |program: usize| word(job.base + u64::from(job.log) + 4 * program as u64) as usize;
        (0..EXACT).flat_map(|program| (0..computed(program)).map(move |index| one(program, index))).collect()
    }

    /// What the units left in memory.
    fn output(&self, system: &mut System, times: HeadTimes, chosen: Chosen) -> HeadOutput {
        let Head { rows, cols, results, .. } = self.placed.head;
        let memory = Memory { base: system.memory().base(), bytes: system.memory().bytes() };
        let words = |at: u64, count: usize| memory.singles(at, count).into_iter().map(f32::to_bits);
        let number = |index: usize| memory.singles(results.numbers + (4 * index * self.unit.lanes) as u64, 1)[0];
        let codes = memory.at(results.codes, cols).iter().map(|byte| *byte as i8).collect();
        let accumulators = words(results.accumulators, rows).map(|word| word as i32).collect();
        let logits = self.exact(&memory);
        HeadOutput {
            chosen,
            times,
            scale: number(0),
            margin: number(1),
            tensors: vec![
                ("model.norm.out".into(), Elements::F32(words(results.normalised, cols).collect())),
                ("lm_head.x_q".into(), Elements::I8(codes)),
                ("lm_head.acc".into(), Elements::I32(accumulators)),
                ("lm_head.estimates".into(), Elements::F32(words(results.estimates, rows).collect())),
                ("lm_head.logits".into(), Elements::F32(logits.iter().map(|(_, logit)| *logit).collect())),
                ("lm_head.token".into(), Elements::I32(vec![chosen.row as i32])),
            ],
            logits,
        }
    }
}

/// How far logits are from their estimates, in the standard deviations that the ranking states.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviations {
    /// The root of the mean square over all rows.
    pub rms: f64,
    /// The largest magnitude.
    pub largest: f64,
    /// Rows whose logit is above its upper estimate.
    pub beyond: u64,
    /// That of the row with the largest logit: positive if its estimate is too small.
    pub chosen: f64,
}

impl HeadOutput {
    /// The deviations of all of golden's logits from their estimates. Rows without an error do not count.
    ///
    /// # Panics
    /// If `logits` are not those of the head.
    pub fn deviations(&self, weights: &HeadWeights, logits: &[f32], margin: f32) -> Deviations {
        let tensor = |name: &str| self.tensors.iter().find(|(found, _)| found == name);
        let Some((_, Elements::I32(acc))) = tensor("lm_head.acc") else { panic!("the head has accumulators") };
        let (factors, errors) = (weights.ranking.factors(), weights.ranking.errors());
        let norm = f64::from(self.margin) / f64::from(margin);
        let deviation = |row: usize| {
            let estimate = f64::from(acc[row]) * f64::from(factors[row]);
            (f64::from(logits[row]) * f64::from(self.scale) - estimate) / (f64::from(errors[row]) * norm)
        };
        let counts = |row: &usize| errors[*row] > 0.0;
        let chosen = Some(self.chosen.row as usize).filter(counts).map_or(0.0, deviation);
        let deviations = (0..weights.rows()).filter(counts).map(deviation);
        let (mut squares, mut count, mut largest, mut beyond) = (0.0, 0.0, 0.0f64, 0);
        for deviation in deviations {
            (squares, count) = (squares + deviation * deviation, count + 1.0);
            largest = largest.max(deviation.abs());
            beyond += u64::from(deviation > f64::from(margin));
        }
        Deviations { rms: (squares / f64::max(count, 1.0)).sqrt(), largest, beyond, chosen }
    }

    /// Compares everything that the units left with golden: `logits` are all of its logits, of which `token` is chosen.
    ///
    /// # Panics
    /// If `logits` are not those of the head.
    pub fn compare(&self, weights: &HeadWeights, hidden: &[f32], logits: &[f32], token: u32) -> Vec<Compared> {
        let (config, ranking) = (&weights.config, &weights.ranking);
        let x = norm::rms_norm(hidden, &weights.norm, config.rms_norm_eps, weights.dtype);
        let codes = quantise::activations(&x, config.hidden_size);
        let acc = matvec::matvec(&weights.matrix, &codes.q);
        let rows = acc.iter().zip(ranking.factors().iter().zip(ranking.errors()));
        let estimates = rows.map(|(acc, (factor, error))| upper(*acc, *factor, *error, self.margin).to_bits());
        let computed = self.logits.iter().map(|(row, _)| logits[*row as usize].to_bits());
        let estimates = Elements::F32(estimates.collect());
        let expected = [
            ("model.norm.out".into(), Elements::F32(x.iter().map(|x| x.to_bits()).collect())),
            ("lm_head.x_q".into(), Elements::I8(codes.q)),
            ("lm_head.acc".into(), Elements::I32(acc)),
            ("lm_head.estimates".into(), estimates),
            ("lm_head.logits".into(), Elements::F32(computed.collect())),
            ("lm_head.token".into(), Elements::I32(vec![token as i32])),
        ];
        compare(&expected, &self.tensors)
    }
}
