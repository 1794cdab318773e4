//! Functional model of the unit. Registers, descriptors and memory are as in hardware; `golden` does the arithmetic;
//! time is not modelled.
//!
//! The model works with the same driver as the Verilated unit and passes the same conformance suite, so drivers can
//! be developed against it. Its cycle counters stay zero. Its errors have the same codes as in hardware, and the same
//! addresses where hardware reports the address of a beat.

pub mod csr;
mod request;

use alloc::vec;
use alloc::vec::Vec;

use csr::{Command, Csr, Fault};
use golden::{Layout, TernaryMatrix};
use request::{Request, record};

use crate::codec;
use crate::descriptor::{Completion, DESCRIPTOR_BYTES, ROW_BLOCK};
use crate::device::{Device, DeviceError, Origin};
use crate::info::UnitInfo;
use crate::regs;

/// A device without hardware.
pub struct FunctionalDevice {
    info: UnitInfo,
    base: u64,
    memory: Vec<u8>,
    csr: Csr,
    /// How often the other unit told, and no descriptor waited for it yet.
    told: u8,
    /// How often this unit told.
    tells: usize,
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

impl FunctionalDevice {
    /// Creates a unit with the given parameters and `bytes` of memory at the physical address `base`.
    pub fn new(info: UnitInfo, base: u64, bytes: usize) -> Self {
        Self {
            info,
            base,
            memory: vec![0; bytes],
            csr: Csr::new(u32::MAX),
            told: 0,
            tells: 0,
            held: None,
            recorded: Vec::new(),
        }
    }

    fn soft_reset(&mut self) {
        (self.told, self.held) = (0, None);
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
        let source = source.source();
        let fits = start <= size && len as u64 <= size - start;
        let range = start as usize..(start as usize).wrapping_add(len);
        if fits { Ok(&mut self.memory[range]) } else { Err(Fault { code, source, address: outside }) }
    }

    fn run(&mut self) {
        while let Some(address) = self.csr.next() {
            match self.descriptor(address, self.csr.is_late()) {
                Ok(None) => return,
                Ok(Some(irq)) => self.csr.complete(irq),
                Err(fault) => self.csr.stop(fault),
            }
        }
    }

    /// Executes the descriptor at `address`. Returns whether the descriptor requests an interrupt; `None` if it has to wait
    /// for activations, because it is `late`.
    fn descriptor(&mut self, address: u64, late: bool) -> Result<Option<bool>, Fault> {
        let mut bytes = [0; DESCRIPTOR_BYTES];
        bytes.copy_from_slice(self.slice(address, DESCRIPTOR_BYTES, regs::ERR_READ_DECERR, Origin::FrontEnd)?);
        let fault = |code| Fault { code, source: regs::SOURCE_FRONTEND, address };
        if !self.csr.is_ring_aligned() {
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
        let tag = self.csr.head();
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
            Fault { code: regs::ERR_BAD_WEIGHT, source: 0, address: d.w_addr + beat as u64 }
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
        let bank = regs::PORT_BUSY..regs::PORT_BUSY + regs::PORT_BUSY_STRIDE * self.info.ports as u32;
        if let Some(value) = self.csr.read(offset) {
            return Ok(value);
        }
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
            offset if bank.contains(&offset) && offset % 4 == 0 && offset % regs::PORT_BUSY_STRIDE < 28 => 0,
            offset => {
                self.csr.refuse(offset, 0);
                0
            }
        })
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        match self.csr.write(offset, value) {
            Command::Control { reset: true, .. } => self.soft_reset(),
            Command::Run => self.run(),
            // The counters stay zero.
            Command::Control { .. } | Command::None => {}
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
        self.csr.wait_interrupt()
    }
}
