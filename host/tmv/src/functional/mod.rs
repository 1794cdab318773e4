//! Functional model of the unit. Registers, descriptors and memory are as in hardware; `golden` does the arithmetic;
//! time is not modelled.
//!
//! The model works with the same driver as the Verilated unit and passes the same conformance suite, so drivers can
//! be developed against it. Its cycle counters stay zero. Its errors have the same codes as in hardware, and the same
//! addresses where hardware reports the address of a beat.

mod request;

use alloc::vec;
use alloc::vec::Vec;

use golden::{Layout, TernaryMatrix};
use request::{Request, record};

use crate::codec;
use crate::descriptor::{Completion, DESCRIPTOR_BYTES, ROW_BLOCK, doorbell};
use crate::device::{Device, DeviceError, Origin};
use crate::info::UnitInfo;
use crate::regs;

/// A device without hardware.
pub struct FunctionalDevice {
    info: UnitInfo,
    base: u64,
    memory: Vec<u8>,
    irq_enable: u32,
    irq_status: u32,
    watchdog: u32,
    access_error: u32,
    ring_base: u64,
    ring_log2: u32,
    tail: u16,
    /// Descriptors at the end of the queue whose activations are not in memory.
    late: u16,
    /// How often the other unit told, and no descriptor waited for it yet.
    told: u8,
    /// How often this unit told.
    tells: usize,
    head: u16,
    error: Option<Fault>,
    /// The activations that a KEEP_X descriptor may use.
    held: Option<Activations>,
    /// Of the last two descriptors with RECORD, the last one first: out_features, and which rows had a result above zero.
    recorded: Vec<(usize, Vec<bool>)>,
}

/// The activations of the last descriptor that loaded any.
struct Activations {
    in_features: usize,
    /// One entry per token. An entry has the length of a whole weight row; its padding is zero.
    rows: Vec<Vec<u8>>,
}

/// An error code, the part of the unit that reports it, and the address.
#[derive(Clone, Copy)]
struct Fault {
    code: u8,
    source: Origin,
    address: u64,
}

impl FunctionalDevice {
    /// Creates a unit with the given parameters and `bytes` of memory at the physical address `base`.
    pub fn new(info: UnitInfo, base: u64, bytes: usize) -> Self {
        Self {
            info,
            base,
            memory: vec![0; bytes],
            irq_enable: 0,
            irq_status: 0,
            watchdog: regs::WATCHDOG_RESET,
            access_error: 0,
            ring_base: 0,
            ring_log2: 0,
            tail: 0,
            late: 0,
            told: 0,
            tells: 0,
            head: 0,
            error: None,
            held: None,
            recorded: Vec::new(),
        }
    }

    fn soft_reset(&mut self) {
        (self.tail, self.late, self.told, self.head, self.error, self.held) = (0, 0, 0, 0, None, None);
        self.recorded.clear();
    }

    /// The other unit tells.
    pub fn tell(&mut self) {
        self.told = self.told.saturating_add(1);
        self.run();
    }

    /// How often this unit told the other one.
    pub fn tells(&self) -> usize {
        self.tells
    }

    /// The bytes `[address, address + len)` of memory. If some are outside, the fault with `code` and `source`, with
    /// the address of the first of them.
    fn slice(&mut self, address: u64, len: usize, code: u8, source: Origin) -> Result<&mut [u8], Fault> {
        let size = self.memory.len() as u64;
        let start = address.wrapping_sub(self.base);
        let outside = if start < size { self.base + size } else { address };
        let fits = start <= size && len as u64 <= size - start;
        let range = start as usize..(start as usize).wrapping_add(len);
        if fits { Ok(&mut self.memory[range]) } else { Err(Fault { code, source, address: outside }) }
    }

    /// Records an access that is not allowed.
    fn refuse(&mut self, offset: u32, write: u32) {
        if self.irq_status & regs::IRQ_ENABLE_BAD_ACCESS == 0 {
            self.access_error = offset | write | regs::ACCESS_ERROR_VALID;
        }
        self.irq_status |= regs::IRQ_ENABLE_BAD_ACCESS;
    }

    fn stop(&mut self, fault: Fault) {
        self.error = Some(fault);
        self.irq_status |= regs::IRQ_ENABLE_ERROR;
    }

    /// Takes a new number of queued descriptors, unless it takes descriptors back, the ring cannot hold all of them, or more
    /// are late than are queued.
    fn doorbell(&mut self, value: u32) {
        let (tail, late) = (value as u16, (value >> regs::RING_TAIL_LATE.trailing_zeros()) as u16);
        let (ahead, before) = (tail.wrapping_sub(self.head), self.tail.wrapping_sub(self.head));
        if ahead < before || u32::from(ahead) > 1 << self.ring_log2 || late > ahead {
            let address = u64::from(tail);
            return self.stop(Fault { code: regs::ERR_BAD_DOORBELL, source: Origin::FrontEnd, address });
        }
        (self.tail, self.late) = (tail, late);
        self.run();
    }

    fn run(&mut self) {
        while self.head != self.tail && self.error.is_none() {
            let index = u64::from(self.head) & ((1 << self.ring_log2) - 1);
            let address = (self.ring_base & !(DESCRIPTOR_BYTES as u64 - 1)) + index * DESCRIPTOR_BYTES as u64;
            let late = self.tail.wrapping_sub(self.head) <= self.late;
            match self.descriptor(address, late) {
                Ok(None) => return,
                Ok(Some(irq)) => {
                    self.head = self.head.wrapping_add(1);
                    self.irq_status |= if irq { regs::IRQ_ENABLE_DONE } else { 0 };
                }
                Err(fault) => self.stop(fault),
            }
        }
    }

    /// Executes the descriptor at `address`. Returns whether the descriptor requests an interrupt; `None` if it has to wait
    /// for activations, because it is `late`.
    fn descriptor(&mut self, address: u64, late: bool) -> Result<Option<bool>, Fault> {
        let mut bytes = [0; DESCRIPTOR_BYTES];
        bytes.copy_from_slice(self.slice(address, DESCRIPTOR_BYTES, regs::ERR_READ_DECERR, Origin::FrontEnd)?);
        let fault = |code| Fault { code, source: Origin::FrontEnd, address };
        if !self.ring_base.is_multiple_of(DESCRIPTOR_BYTES as u64) {
            return Err(fault(regs::ERR_MISALIGNED));
        }
        let d = Request::read(&bytes).filter(|d| self.accepts(d)).ok_or(fault(regs::ERR_BAD_DESCRIPTOR))?;
        if !d.is_aligned() {
            return Err(fault(regs::ERR_MISALIGNED));
        }
        if !d.keep_x && (late || (d.after && self.told == 0)) {
            return Ok(None);
        }
        self.told -= u8::from(d.after);
        if !d.keep_x {
            self.held = Some(self.load(&d)?);
        }
        let held = self.held.as_ref().ok_or(fault(regs::ERR_BAD_DESCRIPTOR))?;
        let x: Vec<i8> = held.rows.iter().flatten().map(|byte| i8::from_le_bytes([*byte])).collect();
        let read: Option<Vec<bool>> = match d.layout {
            Layout::Columns => Some(x.iter().map(|x| *x != 0).collect()),
            _ => d.skip.then(|| self.recorded[usize::from(d.older)].1.clone()),
        };
        let matrix = self.weights(&d, read.as_deref())?;
        let y = golden::matvec::matvec(&matrix, &x);
        if d.record {
            self.recorded.insert(0, (d.out_features, y.iter().map(|y| *y > 0).collect()));
            self.recorded.truncate(2);
        }

        // A column has more rows in its padding.
        let (rows, out) = (matrix.rows(), d.out_features.next_multiple_of(ROW_BLOCK));
        let image = self.slice(d.y_addr, out * d.tokens * 4, regs::ERR_WRITE_DECERR, Origin::Writer)?;
        for (i, word) in image.chunks_exact_mut(4).enumerate() {
            let (block, token) = (i / ROW_BLOCK / d.tokens, i / ROW_BLOCK % d.tokens);
            word.copy_from_slice(&y[token * rows + block * ROW_BLOCK + i % ROW_BLOCK].to_le_bytes());
        }
        self.tells += usize::from(d.tell);
        let at = address + Completion::OFFSET as u64;
        let tag = self.head;
        self.slice(at, 16, regs::ERR_WRITE_DECERR, Origin::Writer)?
            .copy_from_slice(&record(tag, read.map_or(0, |read| read.iter().filter(|read| **read).count())));
        Ok(Some(d.irq))
    }

    /// Loads the activations of a descriptor. The unit reads whole rows and takes the padding as zero.
    fn load(&mut self, d: &Request) -> Result<Activations, Fault> {
        let row_bytes = d.row_beats * self.info.lanes();
        let mut row = |token: usize| {
            let address = d.x_addr + token as u64 * d.x_stride;
            let mut row = self.slice(address, row_bytes, regs::ERR_READ_DECERR, Origin::FrontEnd)?.to_vec();
            row[d.in_features..].fill(0);
            Ok(row)
        };
        let rows = (0..d.tokens).map(&mut row).collect::<Result<_, _>>()?;
        Ok(Activations { in_features: d.in_features, rows })
    }

    /// Decodes the weights of a descriptor, with all padding. Single rows or columns that are not `read` are zero, whatever is
    /// in memory.
    fn weights(&mut self, d: &Request, read: Option<&[bool]>) -> Result<TernaryMatrix, Fault> {
        let (codec, port_bytes, lanes) = (self.info.codec, self.info.port_bytes, self.info.lanes());
        let columns = d.layout == Layout::Columns;
        let rows = if columns { d.column_beats * lanes } else { d.out_features.next_multiple_of(ROW_BLOCK) };
        let cols = d.row_beats * lanes;
        let bytes = codec.piece_bytes(d.layout, rows, cols, port_bytes);
        let single;
        let (image, stride) = match read {
            None => {
                let image_bytes = codec.image_bytes_in(d.layout, rows, cols, port_bytes, d.w_stride);
                (&*self.slice(d.w_addr, image_bytes, regs::ERR_READ_DECERR, Origin::Port(0))?, d.w_stride)
            }
            Some(read) => {
                let mut image = vec![0; codec.image_bytes_in(d.layout, rows, cols, port_bytes, bytes)];
                let zeros = TernaryMatrix::zeros(rows, cols);
                codec.encode_in(d.layout, &zeros, port_bytes, bytes, &mut image).expect("an image of rows or columns");
                for (piece, out) in image.chunks_exact_mut(bytes).enumerate().filter(|(piece, _)| read[*piece]) {
                    let address = d.w_addr + (piece * d.w_stride) as u64;
                    out.copy_from_slice(self.slice(address, bytes, regs::ERR_READ_DECERR, Origin::Port(0))?);
                }
                single = image;
                (&single[..], bytes)
            }
        };
        codec.decode_in(d.layout, image, rows, cols, port_bytes, stride).map_err(|error| {
            let beat = match (error, d.layout) {
                (golden::Error::ImageCode { row, col }, Layout::Blocks) => {
                    row / ROW_BLOCK * d.w_stride + (col / lanes * ROW_BLOCK + row % ROW_BLOCK) * port_bytes
                }
                (golden::Error::ImageCode { row, col }, Layout::Rows) => row * d.w_stride + col / lanes * port_bytes,
                (golden::Error::ImageCode { row, col }, Layout::Columns) => col * d.w_stride + row / lanes * port_bytes,
                _ => 0,
            };
            Fault { code: regs::ERR_BAD_WEIGHT, source: Origin::Port(0), address: d.w_addr + beat as u64 }
        })
    }

    /// Whether every field of a descriptor is in range for this unit.
    fn accepts(&self, d: &Request) -> bool {
        let same_x = |held: &Activations| held.in_features == d.in_features && held.rows.len() == d.tokens;
        (1..=self.info.max_tokens()).contains(&d.tokens)
            && d.in_features > 0
            && d.row_beats == self.info.codec.row_beats(d.in_features, self.info.port_bytes)
            && d.row_beats <= self.info.bank_words
            && (1..=regs::MAX_OUT_FEATURES as usize).contains(&d.out_features)
            && d.w_stride >= self.info.codec.piece_bytes(d.layout, d.out_features, d.in_features, self.info.port_bytes)
            && self.accepts_flags(d)
            && (!d.keep_x || self.held.as_ref().is_some_and(same_x))
    }
}

impl FunctionalDevice {
    /// Whether the flags of a descriptor that records or skips rows have the company that they need.
    fn accepts_flags(&self, d: &Request) -> bool {
        let recorded = self.recorded.get(usize::from(d.older));
        let rows = d.out_features.next_multiple_of(ROW_BLOCK);
        let whole = d.tokens == 1 && d.out_features <= regs::MAX_RECORDED_ROWS as usize;
        let same = |(n, bits): &(usize, Vec<bool>)| *n == d.out_features && bits.len() == rows;
        d.column_beats == self.info.codec.column_beats(d.layout, d.out_features, self.info.port_bytes)
            && (d.layout != Layout::Columns || self.accepts_columns(d))
            && (!d.record || (whole && !d.skip))
            && (!d.skip || (whole && d.layout == Layout::Rows && recorded.is_some_and(same)))
            && (!d.older || d.skip)
            && !(d.keep_x && d.after)
    }

    /// Whether an operator that reads columns has one token, and as many rows and columns as the unit has room for.
    fn accepts_columns(&self, d: &Request) -> bool {
        self.info.columns
            && d.tokens == 1
            && !d.record
            && d.in_features <= regs::MAX_COLUMNS as usize
            && d.out_features <= regs::MAX_COLUMN_ROWS as usize
    }
}

impl Device for FunctionalDevice {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        let fault = self.error.unwrap_or(Fault { code: 0, source: Origin::Port(0), address: 0 });
        let bank = regs::PORT_BUSY..regs::PORT_BUSY + regs::PORT_BUSY_STRIDE * self.info.ports as u32;
        Ok(match offset {
            regs::ID => regs::ID_VALUE,
            regs::VERSION => regs::MAP_VERSION,
            regs::MAP_HASH => regs::MAP_HASH_VALUE,
            regs::PARAM0 => {
                let fields = [
                    (self.info.ports, regs::PARAM0_PORTS),
                    (self.info.port_bytes, regs::PARAM0_PORT_BYTES),
                    (self.info.vectors, regs::PARAM0_VECTORS),
                    (self.info.groups, regs::PARAM0_GROUPS),
                    (codec::number(self.info.codec) as usize, regs::PARAM0_CODEC),
                ];
                fields.iter().fold(0, |word, (value, mask)| word | (*value as u32) << mask.trailing_zeros())
            }
            regs::PARAM1 => {
                let columns = u32::from(self.info.columns) << regs::PARAM1_COLUMNS.trailing_zeros();
                self.info.bank_words as u32 | (ROW_BLOCK as u32) << 16 | regs::CONTEXTS << 20 | columns
            }
            regs::STATUS => {
                let busy = self.head != self.tail;
                (if busy { regs::STATUS_BUSY } else { 0 }) | (if self.error.is_some() { regs::STATUS_ERROR } else { 0 })
            }
            regs::ERROR => u32::from(fault.code) | fault.source.source() << 8,
            regs::ERROR_ADDR_LO => fault.address as u32,
            regs::ERROR_ADDR_HI => (fault.address >> 32) as u32,
            regs::ACCESS_ERROR if self.irq_status & regs::IRQ_ENABLE_BAD_ACCESS != 0 => self.access_error,
            regs::ACCESS_ERROR => 0,
            regs::IRQ_ENABLE => self.irq_enable,
            regs::IRQ_STATUS => self.irq_status,
            regs::WATCHDOG => self.watchdog,
            regs::RING_BASE_LO => self.ring_base as u32,
            regs::RING_BASE_HI => (self.ring_base >> 32) as u32,
            regs::RING_LOG2 => self.ring_log2,
            regs::RING_TAIL => doorbell(self.tail, self.late),
            regs::RING_HEAD => u32::from(self.head),
            regs::CONTROL | regs::CYCLE_LO | regs::CYCLE_HI | regs::RUN_START | regs::BUSY_CYCLES => 0,
            offset if bank.contains(&offset) && offset % 4 == 0 && offset % regs::PORT_BUSY_STRIDE < 28 => 0,
            offset => {
                self.refuse(offset, 0);
                0
            }
        })
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        // The bits of each register that may be set, from `docs/registers.md`.
        let allowed = match offset {
            regs::CONTROL | regs::IRQ_ENABLE | regs::IRQ_STATUS => 0x7,
            regs::WATCHDOG => u32::MAX,
            // The model is never busy between two accesses, unless an error stopped it.
            regs::RING_BASE_LO if self.head == self.tail => u32::MAX,
            regs::RING_BASE_HI if self.head == self.tail => 0xff,
            regs::RING_LOG2 if self.head == self.tail => 0xf,
            regs::RING_TAIL if self.error.is_none() => u32::MAX,
            _ => {
                self.refuse(offset, regs::ACCESS_ERROR_WRITE);
                return Ok(());
            }
        };
        if value & !allowed != 0 {
            self.refuse(offset, regs::ACCESS_ERROR_WRITE);
            return Ok(());
        }
        match offset {
            regs::CONTROL if value & (regs::CONTROL_SOFT_RESET | regs::CONTROL_ABORT) != 0 => self.soft_reset(),
            regs::IRQ_ENABLE => self.irq_enable = value,
            regs::IRQ_STATUS => self.irq_status &= !value,
            regs::WATCHDOG => self.watchdog = value,
            regs::RING_BASE_LO => self.ring_base = self.ring_base & !0xffff_ffff | u64::from(value),
            regs::RING_BASE_HI => self.ring_base = self.ring_base & 0xffff_ffff | u64::from(value) << 32,
            regs::RING_LOG2 => self.ring_log2 = value,
            regs::RING_TAIL => self.doorbell(value),
            _ => {}
        }
        Ok(())
    }

    fn memory_base(&self) -> u64 {
        self.base
    }

    fn memory(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn wait_interrupt(&mut self) -> Result<(), DeviceError> {
        match self.irq_status & self.irq_enable {
            0 => Err(DeviceError::Timeout { cycles: 0, status: self.read_register(regs::STATUS)? }),
            _ => Ok(()),
        }
    }
}
