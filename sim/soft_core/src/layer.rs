//! A decoder layer as a job of the core.

use std::borrow::Cow;

use bitnet::config::{Linear, ModelConfig, Norm};
use bitnet::layer::KvCache;
use bitnet::skip::Skips;
use bitnet::weights::LayerWeights;
use decoder::Step;
use golden::rope::RopeTables;
use golden::{Dtype, TernaryMatrix};
use sequencer::job::{Job, Outcome, Region};
use sequencer::record::{self, Elements, Record};
use sequencer::{map, regs};
use tmv::driver::{Driver, Weights};

use crate::error::{Error, cause};
use crate::firmware::Firmware;
use crate::system::System;

/// Alignment of everything in memory, in bytes.
const ALIGN: usize = 4096;
/// Cycles for each value and multiply-accumulate after which the core is given up: several times what a core takes.
const PATIENCE: u64 = 4_000;

/// What a layer of a model needs besides the residual stream.
#[derive(Clone, Copy, Debug)]
pub struct LayerInput<'a> {
    /// The model.
    pub config: &'a ModelConfig,
    /// The weights of the layer.
    pub weights: &'a LayerWeights,
    /// The compute type.
    pub dtype: Dtype,
    /// Keys and values of the tokens before.
    pub cache: &'a KvCache,
    /// What the ternary unit skips.
    pub skips: Skips,
}

/// What a layer left in memory.
#[derive(Clone, Debug, Default)]
pub struct LayerOutput {
    /// Keys after the layer, `[past + tokens, kv_heads, head_dim]`.
    pub keys: Vec<f32>,
    /// Values after the layer, `[past + tokens, kv_heads, head_dim]`.
    pub values: Vec<f32>,
    /// The tensors, as far as they were asked for: name within the layer, elements.
    pub tensors: Vec<(String, Elements)>,
}

/// What came out of a job. Cycles are those of all its layers.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The residual stream behind the last layer, `[tokens, hidden]`.
    pub hidden: Vec<f32>,
    /// What each layer left.
    pub layers: Vec<LayerOutput>,
    /// Each step and its cycles, in order.
    pub steps: Vec<(Step, u64)>,
    /// Cycles of each step in which the ternary unit worked too. They are not among those of `steps`.
    pub overlapped: Vec<(Step, u64)>,
    /// Cycles from the job's begin to its end, with the work for records.
    pub cycles: u64,
    /// Cycles in which the unit was busy, for each group of linears that read the same input.
    pub busy: Vec<u64>,
    /// Cycles in which the unit was clocked.
    pub unit_cycles: u64,
}

/// Values of a layer's vectors and multiply-accumulates of its attention: a measure of a job.
pub fn work(config: &ModelConfig, tokens: usize, past: usize) -> usize {
    let c = config;
    let positions: usize = (1..=tokens).map(|token| past + token).sum();
    tokens * (6 * c.hidden_size + 5 * c.intermediate_size) + 2 * c.hidden_size * positions
}

/// Bytes of each of the regions of a job: of the unit, of the heap and of the records.
fn job_bytes(config: &ModelConfig, tokens: usize, past: usize) -> usize {
    let row = 2 * config.hidden_size + 2 * config.intermediate_size;
    // Every vector of a layer a few times, and the probabilities of attention.
    let vectors = 16 * tokens * row * 4;
    let probabilities = 2 * tokens * config.num_attention_heads * (past + tokens) * 4;
    3 * (vectors + probabilities) + (1 << 20)
}

/// Checks that a job with `bytes` of memory at the physical address `base` fits into the core's window.
///
/// # Errors
/// [`Error::TooLarge`].
pub fn check_window(base: u64, bytes: usize) -> Result<(), Error> {
    let (needed, limit) = (bytes as u64, map::WINDOW_BYTES - base % map::WINDOW_BYTES);
    if needed <= limit { Ok(()) } else { Err(Error::TooLarge { needed, limit }) }
}

/// Bytes of memory for `tokens` tokens after `past` tokens: `weights` bytes of matrices, and everything else.
pub fn memory_bytes(config: &ModelConfig, tokens: usize, past: usize, weights: usize) -> usize {
    let cache = 2 * 4 * (past + tokens) * config.kv_dim();
    let vectors =
        4 * (tokens * (config.hidden_size + config.head_dim()) + 3 * config.hidden_size + config.intermediate_size);
    (weights + cache + vectors + 3 * job_bytes(config, tokens, past) + (1 << 20)).next_multiple_of(1 << 20)
}

/// Memory that is being laid out: from the begin on what the core can reach, and from the end on what only the units read.
pub(crate) struct Layout<'a> {
    system: &'a mut System,
    next: usize,
    end: usize,
}

impl<'a> Layout<'a> {
    /// Memory with nothing in it.
    pub(crate) fn new(system: &'a mut System) -> Self {
        let end = system.memory().bytes().len();
        Self { system, next: 0, end }
    }

    /// Memory with matrices in it, each in a layout of the ternary unit.
    pub(crate) fn with_matrices<'m>(
        system: &'a mut System,
        matrices: impl IntoIterator<Item = (golden::Layout, Cow<'m, TernaryMatrix>)>,
    ) -> Result<(Self, Vec<Weights>), Error> {
        let (weights, next) = system.with_unit(|unit| {
            let mut driver = Driver::open(unit)?;
            let weights = matrices.into_iter().map(|(layout, matrix)| driver.load_in(layout, &matrix));
            let weights = weights.collect::<Result<Vec<_>, _>>()?;
            Ok::<_, Error>((weights, driver.used()))
        })?;
        Ok((Self { next, ..Self::new(system) }, weights))
    }

    /// Takes `bytes` bytes. Returns their offset in memory.
    fn take(&mut self, bytes: usize) -> Result<usize, Error> {
        let at = self.next.next_multiple_of(ALIGN);
        self.next = at + bytes;
        let window = map::WINDOW_BYTES - self.system.memory().base() % map::WINDOW_BYTES;
        let limit = window.min(self.end as u64);
        if self.next as u64 > limit {
            return Err(Error::TooLarge { needed: self.next as u64, limit });
        }
        Ok(at)
    }

    /// Takes words at the end of memory and writes them. The core may not reach them. Returns their physical address.
    pub(crate) fn far_words(&mut self, words: impl ExactSizeIterator<Item = u32>) -> Result<u64, Error> {
        let bytes = 4 * words.len();
        let end = self.end.checked_sub(bytes).filter(|end| end / ALIGN * ALIGN >= self.next);
        let limit = (self.end - self.next) as u64;
        self.end = end.ok_or(Error::TooLarge { needed: bytes as u64, limit })? / ALIGN * ALIGN;
        self.fill(self.end, words);
        Ok(self.system.memory().base() + self.end as u64)
    }

    /// The physical address of an address of the core.
    pub(crate) fn physical(&mut self, address: u32) -> u64 {
        map::physical_address(self.system.memory().base(), address)
    }

    /// The core's address of an offset in memory.
    fn address(&mut self, offset: usize) -> u32 {
        map::core_address(self.system.memory().base() + offset as u64)
    }

    /// Takes a region.
    pub(crate) fn region(&mut self, bytes: usize) -> Result<Region, Error> {
        let at = self.take(bytes)?;
        Ok(Region { address: self.address(at), bytes: bytes as u32 })
    }

    /// Writes words. Returns their address.
    pub(crate) fn words(&mut self, words: impl ExactSizeIterator<Item = u32>) -> Result<u32, Error> {
        let at = self.take(4 * words.len())?;
        self.fill(at, words);
        Ok(self.address(at))
    }

    fn fill(&mut self, at: usize, words: impl ExactSizeIterator<Item = u32>) {
        let memory = &mut self.system.memory().bytes()[at..at + 4 * words.len()];
        memory.chunks_exact_mut(4).zip(words).for_each(|(memory, word)| memory.copy_from_slice(&word.to_le_bytes()));
    }

    /// Writes bytes into a region.
    pub(crate) fn write(&mut self, region: Region, bytes: &[u8]) -> Result<(), Error> {
        self.write_at(region, 0, bytes)
    }

    /// Writes bytes into a region, from byte `from` of it on.
    pub(crate) fn write_at(&mut self, region: Region, from: usize, bytes: &[u8]) -> Result<(), Error> {
        if from + bytes.len() > region.bytes as usize {
            return Err(Error::TooLarge { needed: (from + bytes.len()) as u64, limit: u64::from(region.bytes) });
        }
        let at = offset(region.address, self.system) + from;
        self.system.memory().bytes()[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn floats(&mut self, values: &[f32]) -> Result<u32, Error> {
        self.words(values.iter().map(|value| value.to_bits()))
    }
}

/// Writes the firmware into on-chip memory, and lets the core run.
///
/// # Errors
/// If the sequencer is not the expected one.
pub fn boot(system: &mut System, firmware: &Firmware) -> Result<(), Error> {
    for (register, offset, expected) in [
        ("ID", regs::ID, regs::ID_VALUE),
        ("VERSION", regs::VERSION, regs::MAP_VERSION),
        ("MAP_HASH", regs::MAP_HASH, regs::MAP_HASH_VALUE),
    ] {
        let found = system.read(offset)?;
        if found != expected {
            return Err(Error::Register { register, expected, found });
        }
    }
    system.write(regs::CONTROL, 0)?;
    system.until_stopped()?;
    system.write(regs::RAM_ADDR, 0)?;
    for word in firmware.image.chunks_exact(4) {
        system.write(regs::RAM_DATA, u32::from_le_bytes([word[0], word[1], word[2], word[3]]))?;
    }
    let base = system.memory().base();
    system.write(regs::WINDOW, map::window_of(base))?;
    system.write(regs::CONTROL, regs::CONTROL_RUN)
}

/// Runs a layer on the core: `stream` is the residual stream, `[tokens, hidden]`. `tensors` says whether the core records
/// its tensors.
///
/// # Errors
/// If the layer does not fit, or if the core does not complete it.
pub fn run(
    system: &mut System,
    firmware: &Firmware,
    stream: &[f32],
    input: &LayerInput<'_>,
    tensors: bool,
) -> Result<Output, Error> {
    let config = input.config;
    let tokens = stream.len() / config.hidden_size;
    let past = input.cache.tokens();
    let matrix = |linear| (golden::Layout::Blocks, input.weights.linear(linear).ternary.planes());
    let (mut layout, weights) = Layout::with_matrices(system, Linear::ALL.into_iter().map(matrix))?;
    let rope = RopeTables::new(past..past + tokens, config.head_dim(), config.rope_theta, input.dtype);
    let hidden = layout.floats(stream)?;
    let new = vec![0.0; tokens * config.kv_dim()];
    let keys = layout.floats(&[input.cache.keys(), &new].concat())?;
    let values = layout.floats(&[input.cache.values(), &new].concat())?;
    let (cos, sin) = (layout.floats(&rope.cos)?, layout.floats(&rope.sin)?);
    let mut norms = [0; 4];
    for (address, norm) in norms.iter_mut().zip(Norm::ALL) {
        let mut weight = input.weights.norm(norm).to_vec();
        input.dtype.round_slice(&mut weight);
        *address = layout.floats(&weight)?;
    }
    let unit = layout.region(job_bytes(config, tokens, past))?;
    let heap = layout.region(job_bytes(config, tokens, past))?;
    let records = layout.region(if tensors { job_bytes(config, tokens, past) } else { 1 << 16 })?;
    let base = layout.system.memory().base();
    let job = Job {
        dtype: input.dtype,
        shape: config.into(),
        tokens: tokens as u32,
        past: past as u32,
        hidden,
        keys,
        values,
        cos,
        sin,
        norms,
        factors: Linear::ALL.map(|linear| input.weights.linear(linear).factor),
        weights: weights.try_into().expect("a layer has seven linears"),
        unit,
        unit_base: map::physical_address(base, unit.address),
        heap,
        records,
        tensors,
    };
    let address = layout.words(job.to_words().into_iter())?;
    let (start, unit_start) = (system.cycles(), system.unit_cycles());
    let found = complete(system, firmware, address, records, PATIENCE * work(config, tokens, past) as u64)?;
    let mut output =
        Output { cycles: system.cycles() - start, unit_cycles: system.unit_cycles() - unit_start, ..Output::default() };
    let mut layer = LayerOutput::default();
    for record in found {
        match record {
            Record::Step(step, cycles) => output.steps.push((step, cycles)),
            Record::Tensor(name, elements) => layer.tensors.push((name, elements)),
            Record::Unit(busy) => output.busy = busy.into_iter().map(u64::from).collect(),
            Record::Text(text) => return Err(Error::Records(text)),
            Record::Head(_) => return Err(Error::Records("a token of an output head is not expected".into())),
        }
    }
    check_records(&output)?;
    let mut floats = |address: u32, count: usize| -> Vec<f32> {
        let at = offset(address, system);
        let bytes = system.memory().bytes()[at..at + 4 * count].chunks_exact(4);
        bytes.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let row = config.kv_dim();
    output.hidden = floats(hidden, stream.len());
    (layer.keys, layer.values) = (floats(keys, (past + tokens) * row), floats(values, (past + tokens) * row));
    output.layers = vec![layer];
    Ok(output)
}

/// The offset in memory of an address of the core.
fn offset(address: u32, system: &mut System) -> usize {
    (map::window_offset(address) - system.memory().base() % map::WINDOW_BYTES) as usize
}

/// Gives the core the job at `address`, and waits for at most `patience` cycles. Returns the job's records.
///
/// # Errors
/// If the core does not complete the job.
pub(crate) fn complete(
    system: &mut System,
    firmware: &Firmware,
    address: u32,
    records: Region,
    patience: u64,
) -> Result<Vec<Record>, Error> {
    let start = system.cycles();
    system.write(regs::JOB, address)?;
    let answered = system.wait(patience)?;
    let at = offset(records.address, system);
    let found = record::read(&system.memory().bytes()[at..at + records.bytes as usize]);
    if !answered {
        return Err(Error::NoAnswer { cycles: system.cycles() - start, pc: firmware.place(system.pc()) });
    }
    outcome(system, firmware, found)
}

/// Checks that every step is there once, in order, and that the unit was not busy for longer than its step.
fn check_records(output: &Output) -> Result<(), Error> {
    let steps: Vec<Step> = output.steps.iter().map(|(step, _)| *step).collect();
    if steps != Step::ALL {
        return Err(Error::Records(format!("expected the steps {:?}, found {steps:?}", Step::ALL)));
    }
    let products = output.steps.iter().filter(|(step, _)| matches!(step, Step::Products(_)));
    let products: Vec<u64> = products.map(|(_, cycles)| *cycles).collect();
    let busy = &output.busy;
    if busy.len() != products.len() || busy.iter().zip(&products).any(|(busy, all)| busy > all) {
        return Err(Error::Records(format!("the unit was busy for {busy:?} cycles of {products:?}")));
    }
    Ok(())
}

/// The records of a job that completed, or the reason why it did not.
fn outcome(system: &mut System, firmware: &Firmware, records: Option<Vec<Record>>) -> Result<Vec<Record>, Error> {
    let events = system.read(regs::IRQ_STATUS)?;
    system.write(regs::IRQ_STATUS, events)?;
    let pc = firmware.place(system.pc());
    if events & regs::IRQ_STATUS_CORE_FAULT != 0 {
        return Err(Error::Bus { address: system.read(regs::FAULT_ADDR)?, pc });
    }
    if events & regs::IRQ_STATUS_MEMORY_FAULT != 0 {
        return Err(Error::Memory { pc });
    }
    if events & regs::IRQ_STATUS_BAD_ACCESS != 0 {
        return Err(Error::Refused);
    }
    if events & regs::IRQ_STATUS_DONE == 0 {
        return Err(Error::Records(format!("an interrupt without DONE: IRQ_STATUS was {events:#x}")));
    }
    let result = system.read(regs::RESULT)?;
    let text = |records: Option<Vec<Record>>| {
        let last = records.and_then(|records| records.into_iter().next_back());
        match last {
            Some(Record::Text(text)) => text,
            _ => "without a text".into(),
        }
    };
    match Outcome::from_code(result) {
        Some(Outcome::Done) => records.ok_or_else(|| Error::Records("they have no end".into())),
        Some(Outcome::Trapped) => Err(Error::Trapped {
            cause: cause(system.read(regs::TRAP_CAUSE)?),
            pc: firmware.place(system.read(regs::TRAP_PC)?),
            value: system.read(regs::TRAP_VALUE)?,
        }),
        Some(Outcome::Failed) => Err(Error::Reported { how: "reported an error", text: text(records) }),
        Some(Outcome::Panicked) => Err(Error::Reported { how: "panicked", text: text(records) }),
        Some(Outcome::StackOverflow) => {
            Err(Error::Reported { how: "stopped", text: "the stack grew into other memory".into() })
        }
        Some(Outcome::NoJob) => Err(Error::Reported { how: "stopped", text: "it found no job".into() }),
        None => Err(Error::Reported { how: "stopped", text: format!("RESULT has the unknown value {result:#x}") }),
    }
}
