//! The driver: places weights, activations, results and descriptors in a device's memory, starts the unit, and
//! collects accumulators and cycle counts.
//!
//! Weights are loaded once and used by any number of runs. A run is a set of operators that share their activations.
//! A run with more tokens than one pass over the weights serves takes several passes.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use golden::{Layout, TernaryMatrix};

use crate::counters::PortCounters;
use crate::descriptor::{Completion, DESCRIPTOR_BYTES, Descriptor, ROW_BLOCK, Selection};
use crate::device::{Device, DeviceError, Origin, Outstanding};
use crate::info::UnitInfo;
use crate::regs;

/// Alignment of every address in a descriptor, in bytes.
const ALIGN: usize = DESCRIPTOR_BYTES;
/// log2 of the number of descriptors in the largest ring.
const MAX_RING_LOG2: u32 = 15;
/// The most reads of STATUS before a soft reset counts as failed. Draining takes a few hundred cycles.
const RESET_POLLS: u32 = 10_000;
/// All sources of interrupts.
const ALL_SOURCES: u32 = regs::IRQ_ENABLE_DONE | regs::IRQ_ENABLE_ERROR | regs::IRQ_ENABLE_BAD_ACCESS;

/// A weight matrix in a device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    rows: usize,
    cols: usize,
    row_beats: usize,
    /// Beats of a column with [`Layout::Columns`], else 0.
    column_beats: usize,
    address: u64,
    stride: usize,
    layout: Layout,
    selection: Selection,
}

impl Weights {
    /// Words of [`Weights::to_words`].
    pub const WORDS: usize = 8;
    /// Layouts in the order of their numbers in a word.
    const LAYOUTS: [Layout; 3] = [Layout::Blocks, Layout::Rows, Layout::Columns];

    /// The matrix as words that can be given to a driver on another processor of the same memory.
    pub fn to_words(self) -> [u32; Self::WORDS] {
        let Self { rows, cols, row_beats, column_beats, address, stride, layout, selection: _ } = self;
        let layout = Self::LAYOUTS.iter().position(|other| *other == layout).unwrap_or_default() as u32;
        let [rows, cols, row_beats, column_beats, stride] =
            [rows, cols, row_beats, column_beats, stride].map(|number| number as u32);
        [rows, cols, row_beats, address as u32, (address >> 32) as u32, stride, layout, column_beats]
    }

    /// The matrix that [`Weights::to_words`] described.
    pub fn from_words(words: [u32; Self::WORDS]) -> Self {
        let [rows, cols, row_beats, stride, column_beats] =
            [words[0], words[1], words[2], words[5], words[7]].map(|word| word as usize);
        let address = u64::from(words[4]) << 32 | u64::from(words[3]);
        let layout = Self::LAYOUTS.get(words[6] as usize).copied().unwrap_or_default();
        Self { rows, cols, row_beats, column_beats, address, stride, layout, selection: Selection::All }
    }

    /// The order of the matrix's beats in memory.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The matrix in an operator that records rows, or reads only recorded ones.
    pub fn with(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// Some rows of the matrix, whole blocks of [`ROW_BLOCK`]; with [`Layout::Columns`] all of them.
    ///
    /// # Panics
    /// If the matrix has no such rows.
    pub fn part(&self, rows: Range<usize>) -> Self {
        assert!(rows.start.is_multiple_of(ROW_BLOCK) && rows.end <= self.rows, "blocks of {} rows", self.rows);
        assert!(self.layout != Layout::Columns || rows == (0..self.rows), "a column holds a part of every row");
        let address = self.address + (rows.start / self.layout.together() * self.stride) as u64;
        Self { rows: rows.len(), address, ..*self }
    }

    /// The product of the matrix with activations at `x_addr`, int8 `[tokens, x_stride]`, as a descriptor. Results go to
    /// `y_addr`.
    pub fn descriptor(&self, tokens: usize, x_addr: u64, x_stride: usize, y_addr: u64) -> Descriptor {
        Descriptor {
            tokens,
            layout: self.layout,
            selection: self.selection,
            in_features: self.cols,
            row_beats: self.row_beats,
            out_features: self.rows,
            column_beats: self.column_beats,
            x_addr,
            x_stride,
            w_addr: self.address,
            w_stride: self.stride,
            y_addr,
            ..Descriptor::default()
        }
    }

    /// Device addresses of the row blocks, of the single rows or of the single columns. One port reads one from its beginning
    /// to its end.
    pub fn blocks(&self, port_bytes: usize) -> impl Iterator<Item = Range<u64>> {
        let (address, stride) = (self.address, self.stride);
        let beats = match self.layout {
            Layout::Blocks => ROW_BLOCK * self.row_beats,
            Layout::Rows => self.row_beats,
            Layout::Columns => self.column_beats,
        };
        let bytes = (beats * port_bytes) as u64;
        let count = self.layout.pieces(self.rows, self.cols);
        (0..count).map(move |i| address + (i * stride) as u64).map(move |at| at..at + bytes)
    }
}

/// The results of one operator of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorResult {
    /// Accumulators, `[tokens, out_features]`, row-major.
    pub accumulators: Vec<i32>,
    /// Cycles from the completion of the previous operator (or from the doorbell) to the completion of this operator.
    pub cycles: u64,
    /// The unit's cycle counter at the completion of each pass over the weights.
    pub ends: Vec<u32>,
    /// Rows that were read: all of them in each pass, unless the operator skips rows.
    pub rows_read: u64,
    /// Columns that were read: all of them in each pass, unless the weights lie by columns.
    pub columns_read: u64,
}

/// The results of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// One entry per operator, in the order of the request.
    pub operators: Vec<OperatorResult>,
    /// Cycles the unit was busy.
    pub cycles: u64,
    /// Performance counters of each port.
    pub ports: Vec<PortCounters>,
}

/// A driver for one unit.
pub struct Driver<D> {
    device: D,
    info: UnitInfo,
    /// Descriptors queued since reset, modulo 65536.
    queued: u16,
    /// Bytes of device memory that hold weights.
    used: usize,
}

impl<D: Device> Driver<D> {
    /// Checks that this driver supports `device`, resets the unit and enables its interrupts.
    pub fn open(mut device: D) -> Result<Self, DeviceError> {
        let info = UnitInfo::read(&mut device)?;
        let mut driver = Self { device, info, queued: 0, used: 0 };
        driver.reset()?;
        Ok(driver)
    }

    /// The unit's parameters.
    pub fn info(&self) -> &UnitInfo {
        &self.info
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }

    /// Resets the unit, also after an error. Loaded weights stay in memory.
    ///
    /// # Errors
    /// If the unit waits for a burst that the memory does not answer. [`Driver::abort`] ends that.
    pub fn reset(&mut self) -> Result<(), DeviceError> {
        self.restart(regs::CONTROL_SOFT_RESET)
    }

    /// Resets the unit without waiting for bursts that are outstanding. This is the last resort after a memory that
    /// never answers: reset the ports of the memory too. If an answer comes later, the unit stops with STRAY_RESPONSE.
    pub fn abort(&mut self) -> Result<(), DeviceError> {
        self.restart(regs::CONTROL_ABORT)
    }

    fn restart(&mut self, command: u32) -> Result<(), DeviceError> {
        self.device.write_register(regs::CONTROL, command)?;
        let mut status = 0;
        for _ in 0..RESET_POLLS {
            status = self.device.read_register(regs::STATUS)?;
            if status == 0 {
                self.queued = 0;
                self.device.write_register(regs::IRQ_STATUS, ALL_SOURCES)?;
                return self.device.write_register(regs::IRQ_ENABLE, ALL_SOURCES);
            }
        }
        let outstanding = self.outstanding()?;
        Err(DeviceError::ResetTimeout { polls: RESET_POLLS, status, outstanding })
    }

    /// Bursts that the unit has requested and that are not complete.
    fn outstanding(&mut self) -> Result<Outstanding, DeviceError> {
        let status = self.device.read_register(regs::STATUS)?;
        let field = |mask: u32| (status & mask) >> mask.trailing_zeros();
        let ports = (0..self.info.ports as u32)
            .map(|port| self.device.read_register(regs::PORT_OUTSTANDING + port * regs::PORT_OUTSTANDING_STRIDE));
        Ok(Outstanding {
            ports: ports.collect::<Result<_, _>>()?,
            front_end: field(regs::STATUS_FRONTEND_BURSTS),
            writes: field(regs::STATUS_WRITE_BURSTS),
        })
    }

    /// Encodes `matrix` into the device's memory, in row blocks. The result can be used by any number of runs.
    pub fn load(&mut self, matrix: &TernaryMatrix) -> Result<Weights, DeviceError> {
        self.load_in(Layout::Blocks, matrix)
    }

    /// Like [`Driver::load`], in a layout of choice. Operators that skip rows need [`Layout::Rows`], those that skip columns
    /// [`Layout::Columns`].
    pub fn load_in(&mut self, layout: Layout, matrix: &TernaryMatrix) -> Result<Weights, DeviceError> {
        let codec = self.info.codec;
        let (rows, cols, port_bytes) = (matrix.rows(), matrix.cols(), self.info.port_bytes);
        let columns = layout == Layout::Columns;
        let most = |number: u32| if self.info.columns { number as usize } else { 0 };
        let limits = [
            ("in_features", cols, self.info.max_in_features()),
            ("columns of weights by columns", if columns { cols } else { 0 }, most(regs::MAX_COLUMNS)),
            ("rows of weights by columns", if columns { rows } else { 0 }, most(regs::MAX_COLUMN_ROWS)),
        ];
        if let Some((what, found, limit)) = limits.into_iter().find(|(_, found, limit)| found > limit) {
            return Err(DeviceError::Unsupported { what, found, limit });
        }
        let stride = codec.piece_bytes(layout, rows, cols, port_bytes).next_multiple_of(ALIGN);
        let bytes = layout.pieces(rows, cols) * stride;
        let at = self.allocate(bytes, "weights")?;
        self.used = at + bytes;
        codec
            .encode_in(layout, matrix, port_bytes, stride, &mut self.device.memory()[at..at + bytes])
            .map_err(|error| DeviceError::Fault(error.into()))?;
        self.device.to_device(at..at + bytes)?;
        Ok(Weights {
            rows,
            cols,
            row_beats: codec.row_beats(cols, port_bytes),
            column_beats: codec.column_beats(layout, rows, port_bytes),
            address: self.device.memory_base() + at as u64,
            stride,
            layout,
            selection: Selection::All,
        })
    }

    /// Bytes from the beginning of the device's memory that hold weights.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Frees the memory of all loaded weights.
    pub fn unload(&mut self) {
        self.used = 0;
    }

    /// Multiplies every matrix in `operators` with the activations `x`, int8 `[tokens, in_features]`.
    ///
    /// After an error of the unit, the driver resets the unit.
    ///
    /// # Panics
    /// If `x` is not `[tokens, in_features]`, or if the operators differ in their columns.
    pub fn run(&mut self, operators: &[Weights], x: &[i8], tokens: usize) -> Result<RunResult, DeviceError> {
        let cols = operators.first().map_or(0, |w| w.cols);
        assert_eq!(x.len(), tokens * cols, "activations must be [tokens, in_features]");
        assert!(operators.iter().all(|w| w.cols == cols), "operators of a run share their activations");
        if tokens == 0 || operators.is_empty() {
            return Ok(RunResult { operators: Vec::new(), cycles: 0, ports: Vec::new() });
        }
        let plan = self.plan(operators, x, tokens)?;
        let result = self.execute(&plan).and_then(|()| self.collect(&plan, operators, tokens));
        result.inspect_err(|_| {
            // The first error is reported. If the reset fails too, the next use of the unit reports that.
            let _ = self.reset();
        })
    }

    /// Lays out a run in the memory behind the weights: descriptor ring, activations, results.
    fn plan(&mut self, operators: &[Weights], x: &[i8], tokens: usize) -> Result<Plan, DeviceError> {
        // Each token needs other columns.
        let by_columns = operators.iter().any(|w| w.layout == Layout::Columns);
        let most = if by_columns { 1 } else { self.info.max_tokens() };
        let passes = tokens.div_ceil(most);
        let count = passes * operators.len();
        let log2 = count.next_power_of_two().trailing_zeros();
        if log2 > MAX_RING_LOG2 {
            let limit = 1 << MAX_RING_LOG2;
            return Err(DeviceError::Unsupported { what: "the number of descriptors", found: count, limit });
        }
        let cols = operators[0].cols;
        let x_stride = (operators[0].row_beats * self.info.lanes()).next_multiple_of(ALIGN);

        let base = self.device.memory_base();
        let ring = self.allocate(DESCRIPTOR_BYTES << log2, "the descriptor ring")?;
        let x_at = self.allocate_from(ring + (DESCRIPTOR_BYTES << log2), tokens * x_stride, "activations")?;
        let mut y_at = x_at + tokens * x_stride;

        for (token, row) in x.chunks_exact(cols).enumerate() {
            let at = x_at + token * x_stride;
            let image = &mut self.device.memory()[at..at + x_stride];
            image[cols..].fill(0);
            for (byte, value) in image.iter_mut().zip(row) {
                *byte = value.to_le_bytes()[0];
            }
        }

        let mut descriptors = Vec::with_capacity(count);
        for pass in 0..passes {
            let first = pass * most;
            for (index, w) in operators.iter().enumerate() {
                let descriptor = Descriptor {
                    keep_x: index > 0,
                    irq: descriptors.len() + 1 == count,
                    ..w.descriptor(
                        most.min(tokens - first),
                        base + (x_at + first * x_stride) as u64,
                        x_stride,
                        base + y_at as u64,
                    )
                };
                y_at = self.allocate_from(y_at, descriptor.result_bytes(), "results")? + descriptor.result_bytes();
                y_at = y_at.next_multiple_of(ALIGN);
                descriptors.push(descriptor);
            }
        }
        let mask = (1usize << log2) - 1;
        let slots: Vec<usize> =
            (0..count).map(|i| ring + ((usize::from(self.queued) + i) & mask) * DESCRIPTOR_BYTES).collect();
        for (slot, descriptor) in slots.iter().zip(&descriptors) {
            self.device.memory()[*slot..*slot + DESCRIPTOR_BYTES].copy_from_slice(&descriptor.encode());
        }
        let end = y_at.min(self.device.memory().len());
        Ok(Plan { ring, end, log2, descriptors, slots, first_tag: self.queued, most })
    }

    /// Rings the doorbell and waits until the unit is done or reports an error.
    fn execute(&mut self, plan: &Plan) -> Result<(), DeviceError> {
        self.device.to_device(plan.ring..plan.end)?;
        let ring = self.device.memory_base() + plan.ring as u64;
        self.device.write_register(regs::CONTROL, regs::CONTROL_CLEAR_COUNTERS)?;
        self.device.write_register(regs::RING_BASE_LO, ring as u32)?;
        self.device.write_register(regs::RING_BASE_HI, (ring >> 32) as u32)?;
        self.device.write_register(regs::RING_LOG2, plan.log2)?;
        self.queued = self.queued.wrapping_add(plan.descriptors.len() as u16);
        self.device.barrier();
        self.device.write_register(regs::RING_TAIL, u32::from(self.queued))?;
        self.device.wait_interrupt()?;
        self.device.barrier();
        let pending = self.device.read_register(regs::IRQ_STATUS)?;
        let access = match pending & regs::IRQ_ENABLE_BAD_ACCESS {
            0 => 0,
            _ => self.device.read_register(regs::ACCESS_ERROR)?,
        };
        self.device.write_register(regs::IRQ_STATUS, pending)?;
        if access != 0 {
            let kind = if access & regs::ACCESS_ERROR_WRITE != 0 { "write" } else { "read" };
            return Err(DeviceError::register(access & regs::ACCESS_ERROR_OFFSET, kind));
        }
        if self.device.read_register(regs::STATUS)? & regs::STATUS_ERROR == 0 {
            return self.device.from_device(plan.ring..plan.end);
        }
        let error = self.device.read_register(regs::ERROR)?;
        let low = self.device.read_register(regs::ERROR_ADDR_LO)?;
        let high = self.device.read_register(regs::ERROR_ADDR_HI)?;
        let code = (error & regs::ERROR_CODE) as u8;
        let (_, name, meaning) =
            regs::ERRORS.iter().find(|e| e.0 == code).copied().unwrap_or((code, "UNKNOWN", "an unknown code"));
        let origin = Origin::from_source((error & regs::ERROR_SOURCE) >> regs::ERROR_SOURCE.trailing_zeros());
        Err(DeviceError::Unit { code, name, meaning, origin, address: u64::from(high) << 32 | u64::from(low) })
    }

    /// Reads the completion records, the results and the counters.
    fn collect(&mut self, plan: &Plan, operators: &[Weights], tokens: usize) -> Result<RunResult, DeviceError> {
        let empty = |w: &Weights| OperatorResult {
            accumulators: vec![0; tokens * w.rows],
            cycles: 0,
            ends: Vec::new(),
            rows_read: 0,
            columns_read: 0,
        };
        let mut results: Vec<OperatorResult> = operators.iter().map(empty).collect();
        let mut from = self.device.read_register(regs::RUN_START)?;
        let base = self.device.memory_base();
        let memory = self.device.memory();
        for (index, (descriptor, slot)) in plan.descriptors.iter().zip(&plan.slots).enumerate() {
            let mut bytes = [0; DESCRIPTOR_BYTES];
            bytes.copy_from_slice(&memory[*slot..*slot + DESCRIPTOR_BYTES]);
            let done = Completion::decode(&bytes);
            let tag = plan.first_tag.wrapping_add(index as u16);
            let read = done.status & !Completion::DONE;
            let (rows, cols) = (descriptor.out_features, descriptor.in_features);
            let (skips, by_columns) = (descriptor.selection.skips(), descriptor.layout == Layout::Columns);
            let possible = if by_columns {
                cols
            } else if skips {
                rows
            } else {
                0
            };
            if done.status & Completion::DONE == 0 || read as usize > possible || done.tag != tag {
                return Err(DeviceError::Incomplete { index, tag, found: done.status });
            }
            let result = &mut results[index % operators.len()];
            result.rows_read += if skips { u64::from(read) } else { rows as u64 };
            result.columns_read += if by_columns { u64::from(read) } else { cols as u64 };
            result.cycles += u64::from(done.end_cycle.wrapping_sub(from));
            result.ends.push(done.end_cycle);
            from = done.end_cycle;

            let first = index / operators.len() * plan.most;
            let y = (descriptor.y_addr - base) as usize;
            // No division for each value: a soft core has none that is fast.
            let mut blocks = memory[y..y + descriptor.result_bytes()].chunks_exact(4 * ROW_BLOCK);
            for row in (0..rows).step_by(ROW_BLOCK) {
                for (token, block) in (first..first + descriptor.tokens).zip(&mut blocks) {
                    let out = &mut result.accumulators[token * rows + row..(token + 1) * rows];
                    for (out, word) in out.iter_mut().zip(block.chunks_exact(4)) {
                        *out = i32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                    }
                }
            }
        }
        let cycles = u64::from(self.device.read_register(regs::BUSY_CYCLES)?);
        let ports = (0..self.info.ports).map(|p| PortCounters::read(&mut self.device, p)).collect::<Result<_, _>>()?;
        Ok(RunResult { operators: results, cycles, ports })
    }

    fn allocate(&mut self, bytes: usize, what: &'static str) -> Result<usize, DeviceError> {
        self.allocate_from(self.used, bytes, what)
    }

    /// The first aligned offset at or after `at`, if `bytes` fit there.
    fn allocate_from(&mut self, at: usize, bytes: usize, what: &'static str) -> Result<usize, DeviceError> {
        let at = at.next_multiple_of(ALIGN);
        let total = self.device.memory().len();
        if at + bytes > total {
            return Err(DeviceError::OutOfMemory { what, asked: bytes, free: total.saturating_sub(at), total });
        }
        Ok(at)
    }
}

/// The memory layout of a run.
struct Plan {
    /// Offset in device memory of the ring, which comes first, and of the end of the results, which come last.
    ring: usize,
    end: usize,
    log2: u32,
    descriptors: Vec<Descriptor>,
    /// Offset of each descriptor in device memory.
    slots: Vec<usize>,
    first_tag: u16,
    /// Tokens of a pass.
    most: usize,
}
