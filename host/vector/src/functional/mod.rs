//! Functional model of the vector unit. Registers, programs and memory are as in hardware; [`Machine`] does the arithmetic;
//! time is not modelled.
//!
//! The model works with the same driver as the Verilated unit and passes the same conformance suite, so programs and drivers
//! can be developed against it. Counters of cycles stay zero; those of slots, instructions and beats count. Its errors have
//! the codes, sources and addresses of hardware. If a pass has several faults, or if passes at work together have one each,
//! hardware may report another one of them.
//!
//! As BAD_INSTRUCTION of the engine it refuses what hardware does not notice: a pass that reads what it wrote
//! ([`machine::Fault::Overlap`]), and a stream of words that the program stored, without a fence between them
//! ([`machine::Fault::Unfenced`]).

pub(crate) mod decode;

use alloc::vec;
use alloc::vec::Vec;

use decode::Request;
use tmv::device::{Device, DeviceError};
use tmv::functional::csr::{Command, Csr, Fault};

use crate::config::VectorConfig;
use crate::driver::Counters;
use crate::instruction::{From, Instruction, To, WORDS};
use crate::machine::{self, Machine, Memory};
use crate::regs;

const DESC_BYTES: usize = regs::DESC_BYTES as usize;
/// Bytes of a completion record.
const RECORD_BYTES: usize = 16;

/// A device without hardware.
#[derive(Debug)]
pub struct FunctionalDevice {
    config: VectorConfig,
    base: u64,
    memory: Vec<u8>,
    csr: Csr,
    machine: Machine,
    counters: Counters,
    /// The program that waits for the other unit.
    waiting: Option<Waiting>,
    /// How often the other unit told, and no instruction waited for it yet.
    told: u8,
    /// How often this unit told.
    tells: usize,
}

/// A program at work.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    request: Request,
    /// Instructions that are complete.
    done: u16,
    /// The next instruction told already.
    telling: bool,
}

impl FunctionalDevice {
    /// A unit with the given parameters and `bytes` of memory at the physical address `base`.
    pub fn new(config: VectorConfig, base: u64, bytes: usize) -> Self {
        Self {
            config,
            base,
            memory: vec![0; bytes],
            csr: Csr::new(0xffff),
            machine: Machine::new(config),
            counters: Counters::default(),
            waiting: None,
            told: 0,
            tells: 0,
        }
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

    fn run(&mut self) {
        while let Some(at) = self.csr.next() {
            match self.descriptor(at) {
                Ok(None) => return,
                Ok(Some(irq)) => self.csr.complete(irq),
                Err(fault) => self.csr.stop(fault),
            }
        }
    }

    /// The words at an address, which the front end reads.
    fn words<const N: usize>(&mut self, address: u64) -> Result<[u32; N], Fault> {
        let mut memory = Memory { base: self.base, bytes: &mut self.memory };
        let bytes = memory.slice(address, 4 * N).map_err(|address| Fault {
            code: regs::ERR_READ_DECERR,
            source: regs::SOURCE_FRONTEND,
            address,
        })?;
        let mut words = [0; N];
        words.iter_mut().zip(bytes.as_chunks().0).for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
        Ok(words)
    }

    /// Runs the descriptor at an address, as far as it goes. Returns whether it asks for an interrupt; `None` if it waits for
    /// the other unit.
    fn descriptor(&mut self, at: u64) -> Result<Option<bool>, Fault> {
        let mut state = match self.waiting.take() {
            Some(state) => state,
            None => {
                self.machine.begin();
                Waiting { request: self.request(at)?, done: 0, telling: false }
            }
        };
        while state.done < state.request.count {
            if !self.instruction(&mut state)? {
                self.waiting = Some(state);
                return Ok(None);
            }
        }
        // Done, two cycles, and the number of the descriptor.
        let record = [1 << 31, 0, 0, u32::from(self.csr.head())];
        let mut memory = Memory { base: self.base, bytes: &mut self.memory };
        let bytes = memory.slice(at + 4 * regs::DESC_STATUS as u64, RECORD_BYTES).map_err(|address| Fault {
            code: regs::ERR_WRITE_DECERR,
            source: regs::SOURCE_WRITER,
            address,
        })?;
        bytes.iter_mut().zip(record.into_iter().flat_map(u32::to_le_bytes)).for_each(|(byte, new)| *byte = new);
        self.counters.write_beats += (RECORD_BYTES / self.config.port_bytes()) as u32;
        Ok(Some(state.request.irq))
    }

    fn request(&mut self, at: u64) -> Result<Request, Fault> {
        let words = self.words::<{ DESC_BYTES / 4 }>(at)?;
        let fault = |code| Fault { code, source: regs::SOURCE_FRONTEND, address: at };
        if !self.csr.is_ring_aligned() {
            return Err(fault(regs::ERR_MISALIGNED));
        }
        let request = decode::descriptor(&words).ok_or(fault(regs::ERR_BAD_DESCRIPTOR))?;
        if request.address.is_multiple_of(DESC_BYTES as u64) { Ok(request) } else { Err(fault(regs::ERR_MISALIGNED)) }
    }

    /// Runs the next instruction of a program. Returns whether it was complete: if not, it waits for the other unit.
    fn instruction(&mut self, state: &mut Waiting) -> Result<bool, Fault> {
        let at = state.request.address + u64::from(state.done) * u64::from(regs::INSTR_BYTES);
        let words = self.words::<WORDS>(at)?;
        let bad = |source| Fault { code: regs::ERR_BAD_INSTRUCTION, source, address: at };
        let legal = decode::instruction(&words).filter(|instr| machine::is_legal(instr, &self.config));
        let instr = legal.ok_or(bad(regs::SOURCE_FRONTEND))?;
        if instr.tell && !state.telling {
            self.tells += 1;
            state.telling = true;
        }
        if instr.after && self.told == 0 {
            return Ok(false);
        }
        self.told -= u8::from(instr.after);
        let mut memory = Memory { base: self.base, bytes: &mut self.memory };
        self.machine.step(&instr, &mut memory).map_err(|fault| match fault {
            machine::Fault::Read(address) => {
                Fault { code: regs::ERR_READ_DECERR, source: regs::SOURCE_LOADER, address }
            }
            machine::Fault::Write(address) => {
                Fault { code: regs::ERR_WRITE_DECERR, source: regs::SOURCE_WRITER, address }
            }
            machine::Fault::NotFinite => Fault { code: regs::ERR_NOT_FINITE, source: regs::SOURCE_ENGINE, address: at },
            machine::Fault::Illegal => bad(regs::SOURCE_FRONTEND),
            machine::Fault::Beyond | machine::Fault::Overlap | machine::Fault::Unfenced => bad(regs::SOURCE_ENGINE),
        })?;
        self.count(&instr);
        (state.done, state.telling) = (state.done + 1, false);
        Ok(true)
    }

    /// Counts a complete instruction.
    fn count(&mut self, instr: &Instruction) {
        let slots = instr.counts.iter().fold(1, |slots: u32, n| slots.wrapping_mul(u32::from(*n)));
        let counters = &mut self.counters;
        counters.instructions = counters.instructions.wrapping_add(1);
        counters.slots = counters.slots.wrapping_add(slots);
        if let From::Memory(range) = instr.from {
            let beats = u32::from(range.rows).wrapping_mul(u32::from(range.row_beats));
            counters.read_beats = counters.read_beats.wrapping_add(beats);
        }
        if let To::Memory(range) = instr.to {
            counters.write_beats = counters.write_beats.wrapping_add(u32::from(range.row_beats));
        }
    }
}

impl Device for FunctionalDevice {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        if let Some(value) = self.csr.read(offset) {
            return Ok(value);
        }
        let fields = |fields: &[(usize, u32)]| {
            fields.iter().fold(0, |word, (value, mask)| word | (*value as u32) << mask.trailing_zeros())
        };
        let config = &self.config;
        Ok(match offset {
            regs::ID => regs::ID_VALUE,
            regs::VERSION => regs::MAP_VERSION,
            regs::MAP_HASH => regs::MAP_HASH_VALUE,
            regs::PARAM0 => fields(&[
                (config.lanes, regs::PARAM0_LANES),
                (config.port_bytes(), regs::PARAM0_PORT_BYTES),
                (config.ports, regs::PARAM0_PORTS),
            ]),
            regs::PARAM1 => fields(&[
                (config.words, regs::PARAM1_WORDS),
                (config.accs, regs::PARAM1_ACCS),
                (config.stream_words, regs::PARAM1_STREAM_WORDS),
            ]),
            regs::SLOTS => self.counters.slots,
            regs::INSTRUCTIONS => self.counters.instructions,
            regs::READ_BEATS => self.counters.read_beats,
            regs::WRITE_BEATS => self.counters.write_beats,
            regs::STALL_STREAM | regs::STALL_STORE => 0,
            _ => {
                self.csr.refuse(offset, 0);
                0
            }
        })
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        match self.csr.write(offset, value) {
            Command::Control { reset, clear } => {
                if clear {
                    self.counters = Counters::default();
                }
                if reset {
                    (self.waiting, self.told) = (None, 0);
                }
            }
            Command::Run => self.run(),
            Command::None => {}
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
