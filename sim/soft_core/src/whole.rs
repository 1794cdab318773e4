//! Decoder layers as a job of the core that computes nothing itself: floats on the vector unit, products on the ternary
//! unit.

use std::borrow::Cow;

use bitnet::config::{Linear, ModelConfig, Norm};
use decoder::Step;
use golden::rope::RopeTables;
use golden::{Dtype, TernaryMatrix};
use sequencer::job::Region;
use sequencer::record::Elements;
use sequencer::whole::{WholeJob, place};
use tmv::driver::Weights;
use vector::VectorConfig;
use vector::layer::{Layer, Part};
use vector::program::Shown;
use vector::schedule::Schedule;

use crate::body::Event;
use crate::error::Error;
use crate::firmware::Firmware;
use crate::layer::{LayerInput, LayerOutput, Layout, Output, complete, work};
use crate::system::System;

/// Cycles for each value and multiply-accumulate after which the units are given up, and cycles for all else.
const PATIENCE: u64 = 64;
const REST: u64 = 1_000_000;
/// Bytes for rings and programs of a layer.
const PROGRAMS: usize = 1 << 19;
/// Bytes of the core's heap, and of its records.
const HEAP: usize = 1 << 20;
const RECORDS: usize = 1 << 16;

/// Bytes of memory for `layers` layers with `tokens` tokens after `past` tokens: `weights` bytes of matrices a layer, and
/// everything else.
pub fn memory_bytes(config: &ModelConfig, layers: usize, tokens: usize, past: usize, weights: usize) -> usize {
    let (row, positions) = (2 * config.hidden_size + 2 * config.intermediate_size, past + tokens);
    let cache = 2 * 4 * positions * config.kv_dim();
    let vectors = 4 * (16 * tokens * row + 4 * row);
    let probabilities = 8 * tokens * config.num_attention_heads * (positions + 64);
    let layer = weights + cache + vectors + probabilities + PROGRAMS;
    (layers * layer + HEAP + RECORDS + (2 << 20)).next_multiple_of(1 << 20)
}

/// The matrices of a layer for `tokens` tokens, each in the layout in which the ternary unit reads it.
pub(crate) fn matrices<'a>(
    input: &LayerInput<'a>,
    tokens: usize,
) -> impl Iterator<Item = (golden::Layout, Cow<'a, TernaryMatrix>)> + use<'a> {
    let (weights, skips) = (input.weights, input.skips);
    let matrix = move |linear| (skips.layout(linear, tokens), weights.linear(linear).ternary.planes());
    Linear::ALL.into_iter().map(matrix)
}

/// Runs layers on both units, one behind the other: `stream` is the residual stream that enters the first one, `[tokens,
/// hidden]`. `tensors` says whether the vector unit leaves all tensors of the only layer in memory.
///
/// # Errors
/// If the layers do not fit, or if the core does not complete them.
pub fn run(
    system: &mut System,
    firmware: &Firmware,
    unit: &VectorConfig,
    stream: &[f32],
    inputs: &[LayerInput<'_>],
    tensors: bool,
) -> Result<Output, Error> {
    let tokens = inputs.first().map_or(0, |input| stream.len() / input.config.hidden_size);
    let (mut layout, weights) = Layout::with_matrices(system, inputs.iter().flat_map(|input| matrices(input, tokens)))?;
    let layers = load(&mut layout, unit, stream, inputs, &weights, tensors)?;
    layers.run(system, firmware)
}

/// Layers in the memory of a system, with their programs.
pub(crate) struct LoadedLayers {
    config: ModelConfig,
    layers: Vec<Layer>,
    schedule: Schedule,
    job: u32,
    records: Region,
}

/// Lays out layers, one behind the other, and their programs: `stream` is the residual stream that enters the first one.
/// `weights` are those of all matrices in order. `tensors` says whether the vector unit leaves all tensors of the only layer
/// in memory.
pub(crate) fn load(
    layout: &mut Layout<'_>,
    unit: &VectorConfig,
    stream: &[f32],
    inputs: &[LayerInput<'_>],
    weights: &[Weights],
    tensors: bool,
) -> Result<LoadedLayers, Error> {
    let first = inputs.first().ok_or_else(|| Error::Records("there is no layer to run".into()))?;
    let (config, dtype, past) = (first.config, first.dtype, first.cache.tokens());
    let tokens = stream.len() / config.hidden_size;
    let rope = RopeTables::new(past..past + tokens, config.head_dim(), config.rope_theta, dtype);
    let hidden = layout.floats(stream)?;
    let (cos, sin) = (layout.floats(&rope.cos)?, layout.floats(&rope.sin)?);
    let [hidden, cos, sin] = [hidden, cos, sin].map(|address| layout.physical(address));
    let layers = inputs.iter().map(|input| layer(layout, input, tokens, [hidden, cos, sin]));
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    let (weights, _) = weights.as_chunks::<7>();
    // Tensors come behind everything else, so that the programs have their size before the tensors have their place.
    let (heap, records) = (layout.region(HEAP)?, layout.region(RECORDS)?);
    let programs = layout.region(layers.len() * PROGRAMS)?;
    let show = layout.region(0)?.address;
    let show = layout.physical(show);
    let at = layout.physical(programs.address);
    let placed = place(&layers, weights, *unit, at, tensors.then_some(show))?;
    layout.write(programs, &placed.bytes)?;
    if let Some(end) = placed.schedule.code.show_end() {
        layout.region((end - show) as usize)?;
    }
    let job = layout.words(WholeJob { placed: at, heap, records }.to_words().into_iter())?;
    Ok(LoadedLayers { config: config.clone(), layers, schedule: placed.schedule, job, records })
}

/// Lays out a layer: all but its matrices, the residual stream and the tables of the rotation, whose addresses are given.
fn layer(
    layout: &mut Layout<'_>,
    input: &LayerInput<'_>,
    tokens: usize,
    [hidden, cos, sin]: [u64; 3],
) -> Result<Layer, Error> {
    let (config, dtype) = (input.config, input.dtype);
    let new = vec![0.0; tokens * config.kv_dim()];
    let keys = values(layout, &[input.cache.keys(), &new].concat(), dtype)?;
    let cached = values(layout, &[input.cache.values(), &new].concat(), dtype)?;
    let mut norms = [0; 4];
    for (address, norm) in norms.iter_mut().zip(Norm::ALL) {
        let mut weight = input.weights.norm(norm).to_vec();
        dtype.round_slice(&mut weight);
        *address = layout.floats(&weight)?;
    }
    // A row of codes is readable up to whole rows of weights.
    let widest = config.hidden_size.max(config.intermediate_size);
    let codes_stride = (widest + 512).next_multiple_of(64);
    let mut codes = [0; 4];
    for address in &mut codes {
        *address = layout.region(tokens * codes_stride)?.address;
    }
    let mut accumulators = [0; 7];
    for (address, linear) in accumulators.iter_mut().zip(Linear::ALL) {
        let rows = linear.out_features(config).next_multiple_of(8);
        *address = layout.region(4 * tokens * rows)?.address;
    }
    let mut physical = |address| layout.physical(address);
    Ok(Layer {
        shape: config.into(),
        dtype,
        tokens,
        past: input.cache.tokens(),
        factors: Linear::ALL.map(|linear| input.weights.linear(linear).factor),
        skip_rows: input.skips.rows,
        skip_columns: input.skips.columns,
        hidden,
        norms: norms.map(&mut physical),
        cos,
        sin,
        keys: physical(keys),
        values: physical(cached),
        codes: codes.map(&mut physical),
        codes_stride,
        accumulators: accumulators.map(&mut physical),
    })
}

impl LoadedLayers {
    /// The physical address of the residual stream.
    pub(crate) fn stream(&self) -> u64 {
        self.layers[0].hidden
    }

    /// Runs the layers.
    pub(crate) fn run(&self, system: &mut System, firmware: &Firmware) -> Result<Output, Error> {
        let Layer { tokens, past, hidden, .. } = self.layers[0];
        system.take_events();
        let patience = self.layers.len() as u64 * (REST + PATIENCE * work(&self.config, tokens, past) as u64);
        let (start, before) = (system.cycles(), system.unit_cycles());
        let found = complete(system, firmware, self.job, self.records, patience)?;
        if let Some(other) = found.first() {
            return Err(Error::Records(format!("{other:?} is not expected")));
        }
        let (cycles, unit_cycles) = (system.cycles() - start, system.unit_cycles() - before);
        let measured = measured(&system.take_events(), &self.schedule)?;
        let memory = Memory { base: system.memory().base(), bytes: system.memory().bytes() };
        Ok(Output {
            hidden: memory.singles(hidden, tokens * self.config.hidden_size),
            layers: self.layers.iter().map(|layer| self.output(&memory, layer)).collect(),
            steps: measured.alone,
            overlapped: measured.overlapped,
            busy: measured.busy,
            cycles,
            unit_cycles,
        })
    }

    /// What a layer left in memory.
    fn output(&self, memory: &Memory<'_>, layer: &Layer) -> LayerOutput {
        let (config, Layer { tokens, past, dtype, .. }) = (&self.config, *layer);
        let cached = |address| memory.values(address, (past + tokens) * config.kv_dim(), dtype);
        let mut tensors = memory.tensors(self.schedule.code.shown(), past + tokens);
        for (part, codes) in Part::ALL.into_iter().zip(layer.codes) {
            for linear in part.products() {
                let (rows, cols) = (linear.out_features(config), linear.in_features(config));
                let x_q = (0..tokens)
                    .flat_map(|t| memory.at(codes + (t * layer.codes_stride) as u64, cols).iter().map(|b| *b as i8));
                tensors.push((format!("{}.x_q", linear.name()), Elements::I8(x_q.collect())));
                let block = |row: usize, token: usize| 4 * ((row / 8 * tokens + token) * 8 + row % 8) as u64;
                let one = |token: usize, row: usize| {
                    let bytes = memory.at(layer.accumulators[linear.index()] + block(row, token), 4);
                    i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
                };
                let all = (0..tokens).flat_map(|token| (0..rows).map(move |row| (token, row)));
                let acc = all.map(|(token, row)| one(token, row)).collect();
                tensors.push((format!("{}.acc", linear.name()), Elements::I32(acc)));
            }
        }
        LayerOutput { keys: cached(layer.keys), values: cached(layer.values), tensors }
    }
}

/// Writes values of the compute type. Returns the core's address.
fn values(layout: &mut Layout<'_>, values: &[f32], dtype: Dtype) -> Result<u32, Error> {
    match dtype {
        Dtype::Fp32 => layout.floats(values),
        Dtype::Bf16 => {
            let halves: Vec<u32> = values.iter().map(|x| x.to_bits() >> 16).collect();
            let pair = |pair: &[u32]| pair[0] | pair.get(1).copied().unwrap_or(0) << 16;
            layout.words(halves.chunks(2).map(pair).collect::<Vec<_>>().into_iter())
        }
    }
}

/// Cycles of steps, in order.
type Steps = Vec<(Step, u64)>;

/// Where the cycles of layers went.
struct Measured {
    /// Cycles of each step in which the ternary unit had no product to compute. Those of products are the time in which
    /// neither unit had work, and that of the products themselves.
    alone: Steps,
    /// Cycles of each step while the ternary unit computed products.
    overlapped: Steps,
    /// Cycles of each group of products, all layers together: from when the vector unit tells that their activations are
    /// there, until the ternary unit tells that all their results are.
    busy: Vec<u64>,
}

/// The cycles of each step from what happened in the simulation. An instruction begins with the end of the one before, or
/// when the ternary unit tells for which it waits. Before the vector unit tells, a wait until words are in memory is a part of
/// the step that stored them.
fn measured(events: &[(u64, Event)], schedule: &Schedule) -> Result<Measured, Error> {
    let times = |wanted: Event| events.iter().filter(move |(_, event)| *event == wanted).map(|(at, _)| *at);
    let done: Vec<u64> = times(Event::Instruction).collect();
    let told: Vec<u64> = times(Event::TernaryTells).collect();
    let begins: Vec<u64> = times(Event::VectorTells).collect();
    // How often the ternary unit tells until the results of each group are there.
    let (mut ends, mut count) = (Vec::new(), 0);
    for (index, product) in schedule.products.iter().enumerate() {
        count += usize::from(product.tell);
        if schedule.products.get(index + 1).is_none_or(|next| next.after) {
            ends.push(count);
        }
    }
    let instructions = schedule.code.code();
    let expected = (1, ends.len(), count, instructions.len());
    let found = (times(Event::VectorDoorbell).count(), begins.len(), told.len(), done.len());
    if found != expected {
        let what = "doorbells, tellings of the vector unit, tellings of the ternary unit, and instructions";
        return Err(Error::Records(format!("the simulation saw {found:?} {what}, expected {expected:?}")));
    }
    // The begin and the end of each group of products.
    let work: Vec<(u64, u64)> = begins.into_iter().zip(ends).map(|(begin, end)| (begin, told[end - 1])).collect();
    let within = |from: u64, to: u64| -> u64 {
        work.iter().map(|(begin, end)| to.min(*end).saturating_sub(from.max(*begin))).sum()
    };
    let (mut alone, mut overlapped) = ([0; Step::ALL.len()], [0; Step::ALL.len()]);
    let (mut steps, mut step) = (schedule.code.steps().iter().peekable(), None);
    let (mut begin, mut told) = (times(Event::VectorDoorbell).next().unwrap_or_default(), told.into_iter());
    // Time in which the vector unit worked alone, for each group of products: from its start to that of the next one.
    let mut after = vec![0; work.len()];
    let mut book = |at: usize, from: u64, to: u64| {
        let hidden = within(from, to);
        alone[at] += to - from - hidden;
        overlapped[at] += hidden;
        if let Some(group) = work.iter().rposition(|(start, _)| *start < to) {
            after[group] += to - from - hidden;
        }
    };
    let mut tells = work.iter().map(|(begin, _)| *begin);
    for (index, end) in done.iter().enumerate() {
        if let (true, Some(at)) = (instructions[index].tell, step) {
            let stored = tells.next().unwrap_or(begin).max(begin);
            book(at, begin, stored);
            begin = stored;
        }
        while steps.peek().is_some_and(|(_, first)| *first <= index) {
            step = steps.next().and_then(|(step, _)| step.index());
        }
        let from = match instructions[index].after {
            true => begin.max(told.next().unwrap_or_default()),
            false => begin,
        };
        book(step.ok_or_else(|| Error::Records("an instruction belongs to no step".into()))?, from, *end);
        begin = *end;
    }
    let last = *done.last().unwrap_or(&begin);
    let mut busy = vec![0; Linear::GROUPS.len()];
    for (index, (start, end)) in work.iter().enumerate() {
        let group = index % Linear::GROUPS.len();
        let until = work.get(index + 1).map_or(last, |(start, _)| *start);
        let at = Step::Products(Linear::GROUPS[group][0]).index().unwrap_or_default();
        alone[at] += (until - start).saturating_sub(after[index]);
        busy[group] += end - start;
    }
    let steps = |cycles: [u64; Step::ALL.len()]| Step::ALL.into_iter().zip(cycles).collect();
    Ok(Measured { alone: steps(alone), overlapped: steps(overlapped), busy })
}

/// Memory after a job.
pub(crate) struct Memory<'a> {
    pub(crate) base: u64,
    pub(crate) bytes: &'a [u8],
}

impl Memory<'_> {
    pub(crate) fn at(&self, address: u64, bytes: usize) -> &[u8] {
        let at = (address - self.base) as usize;
        &self.bytes[at..at + bytes]
    }

    pub(crate) fn singles(&self, address: u64, count: usize) -> Vec<f32> {
        self.at(address, 4 * count).as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn values(&self, address: u64, count: usize, dtype: Dtype) -> Vec<f32> {
        match dtype {
            Dtype::Fp32 => self.singles(address, count),
            Dtype::Bf16 => {
                let halves = self.at(address, 2 * count).as_chunks::<2>().0;
                halves.iter().map(|b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16)).collect()
            }
        }
    }

    /// The tensors that programs left, with tokens and heads in the order of golden's.
    fn tensors(&self, shown: &[Shown], positions: usize) -> Vec<(String, Elements)> {
        let mut rows: Vec<(String, (usize, usize), Vec<u32>)> = Vec::new();
        for shown in shown {
            let (module, name) = shown.name;
            let dot = if module.is_empty() { "" } else { "." };
            let full = format!("{module}{dot}{name}");
            for row in 0..shown.rows {
                let mut values = self.singles(shown.address + 4 * (row * shown.stride) as u64, shown.elements);
                let of_token = rows.iter().filter(|(n, at, _)| *n == full && at.1 == shown.token).count();
                // Rows are heads: golden has all tokens of a head together, and a probability for every position.
                let at = if matches!(name, "q_rope" | "k_rope" | "attn_probs") {
                    (of_token, shown.token)
                } else {
                    (0, shown.token)
                };
                if name == "attn_probs" {
                    values.resize(positions, 0.0);
                }
                rows.push((full.clone(), at, values.iter().map(|x| x.to_bits()).collect()));
            }
        }
        let mut tensors: Vec<(String, Vec<u32>)> = Vec::new();
        rows.sort_by_key(|row| row.1);
        for (name, _, values) in rows {
            match tensors.iter_mut().find(|(n, _)| *n == name) {
                Some((_, all)) => all.extend(values),
                None => tensors.push((name, values)),
            }
        }
        tensors.into_iter().map(|(name, values)| (name, Elements::F32(values))).collect()
    }
}
