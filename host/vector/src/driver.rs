//! Runs programs on a vector unit.

use core::ops::Range;

use tmv::device::{Device, DeviceError};

use crate::config::VectorConfig;
use crate::instruction::Instruction;
use crate::regs;

/// Reads of STATUS that a soft reset may take.
const RESET_POLLS: u32 = 10_000;
/// All sources of interrupts.
const ALL_SOURCES: u32 = regs::IRQ_ENABLE_DONE | regs::IRQ_ENABLE_ERROR | regs::IRQ_ENABLE_BAD_ACCESS;
const DESC_BYTES: usize = regs::DESC_BYTES as usize;
const INSTR_BYTES: usize = regs::INSTR_BYTES as usize;

/// An error between the host and a vector unit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device or the bus failed, or the unit is another one.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The unit stopped with an error code.
    #[error("the vector unit stopped with {name} ({meaning}) at address {address:#012x}, reported by {origin}")]
    Unit {
        /// Error code, `regs::ERR_*`.
        code: u8,
        /// Name of the error code.
        name: &'static str,
        /// Meaning of the error code.
        meaning: &'static str,
        /// The part of the unit that reported the error.
        origin: &'static str,
        /// Address of the beat, descriptor or instruction.
        address: u64,
    },
    /// The program has no instructions, or more than the unit takes.
    #[error("a program has 1 to {limit} instructions, found {found}")]
    Length {
        /// Instructions found.
        found: usize,
        /// Most instructions.
        limit: usize,
    },
}

/// What a program took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// Cycles from the start of the program to the moment its last word was in memory.
    pub cycles: u32,
}

/// Performance counters since the last program began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Slots that went through the lanes.
    pub slots: u32,
    /// Cycles in which a slot waited for its stream.
    pub stall_stream: u32,
    /// Cycles in which a slot waited for room in the storer.
    pub stall_store: u32,
    /// Instructions completed.
    pub instructions: u32,
    /// Beats read for streams.
    pub read_beats: u32,
    /// Beats written.
    pub write_beats: u32,
}

/// The descriptor of a program of `count` instructions at `address`; `irq` asks for an interrupt.
pub fn descriptor(address: u64, count: usize, irq: bool) -> [u32; DESC_BYTES / 4] {
    let mut descriptor = [0u32; DESC_BYTES / 4];
    descriptor[regs::DESC_CONTROL] = regs::OPCODE << 24 | if irq { regs::FLAG_IRQ } else { 0 };
    descriptor[regs::DESC_COUNT] = count as u32;
    descriptor[regs::DESC_PROGRAM] = address as u32;
    descriptor[regs::DESC_PROGRAM_HI] = (address >> 32) as u32;
    descriptor
}

/// A driver for one vector unit.
#[derive(Debug)]
pub struct Driver<D> {
    device: D,
    config: VectorConfig,
    /// Descriptors queued since reset, modulo 65536.
    queued: u16,
}

impl<D: Device> Driver<D> {
    /// Checks that this driver supports `device`, resets the unit and enables its interrupts.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn open(mut device: D) -> Result<Self, Error> {
        for (register, offset, expected) in [
            ("ID", regs::ID, regs::ID_VALUE),
            ("VERSION", regs::VERSION, regs::MAP_VERSION),
            ("MAP_HASH", regs::MAP_HASH, regs::MAP_HASH_VALUE),
        ] {
            let found = device.read_register(offset)?;
            if found != expected {
                return Err(DeviceError::WrongUnit { register, expected, found }.into());
            }
        }
        let (param0, param1) = (device.read_register(regs::PARAM0)?, device.read_register(regs::PARAM1)?);
        let field = |value: u32, mask: u32| ((value & mask) >> mask.trailing_zeros()) as usize;
        let config = VectorConfig {
            lanes: field(param0, regs::PARAM0_LANES),
            ports: field(param0, regs::PARAM0_PORTS),
            port_bits: 8 * field(param0, regs::PARAM0_PORT_BYTES),
            words: field(param1, regs::PARAM1_WORDS),
            accs: field(param1, regs::PARAM1_ACCS),
            stream_words: field(param1, regs::PARAM1_STREAM_WORDS),
        };
        let mut driver = Self { device, config, queued: 0 };
        driver.reset()?;
        Ok(driver)
    }

    /// The unit's parameters.
    pub fn config(&self) -> VectorConfig {
        self.config
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }

    /// Resets the unit, also after an error.
    ///
    /// # Errors
    /// If the unit waits for a burst that the memory does not answer.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.device.write_register(regs::CONTROL, regs::CONTROL_SOFT_RESET)?;
        for _ in 0..RESET_POLLS {
            if self.device.read_register(regs::STATUS)? == 0 {
                self.queued = 0;
                self.device.write_register(regs::IRQ_STATUS, ALL_SOURCES)?;
                self.device.write_register(regs::IRQ_ENABLE, ALL_SOURCES)?;
                return Ok(());
            }
        }
        let status = self.device.read_register(regs::STATUS)?;
        Err(DeviceError::ResetTimeout { polls: RESET_POLLS, status, outstanding: Default::default() }.into())
    }

    /// Runs a program. Its descriptor and its instructions go to `at` in the device's memory; `touched` is what it reads
    /// and writes there besides.
    ///
    /// After an error of the unit, the driver resets the unit.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Panics
    /// If the program does not fit into memory.
    pub fn run(&mut self, program: &[Instruction], at: usize, touched: Range<usize>) -> Result<Completed, Error> {
        let at = at.next_multiple_of(DESC_BYTES);
        let end = self.place(program, at)?;
        self.device.to_device(at..end)?;
        self.device.to_device(touched.clone())?;
        let result = self.execute(at).and_then(|()| {
            self.device.from_device(at..at + DESC_BYTES)?;
            self.device.from_device(touched)?;
            self.record(at)
        });
        result.inspect_err(|_| {
            // The first error is reported. If the reset fails too, the next use of the unit reports that.
            let _ = self.reset();
        })
    }

    /// Writes descriptor and program. Returns the end of both.
    fn place(&mut self, program: &[Instruction], at: usize) -> Result<usize, Error> {
        let limit = regs::MAX_INSTRUCTIONS as usize;
        if program.is_empty() || program.len() > limit {
            return Err(Error::Length { found: program.len(), limit });
        }
        let first = self.device.memory_base() + (at + DESC_BYTES) as u64;
        let descriptor = descriptor(first, program.len(), true);
        let end = at + DESC_BYTES + program.len() * INSTR_BYTES;
        let memory = &mut self.device.memory()[at..end];
        let words = descriptor.into_iter().chain(program.iter().flat_map(Instruction::encode));
        memory.as_chunks_mut::<4>().0.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        Ok(end)
    }

    fn execute(&mut self, at: usize) -> Result<(), Error> {
        let ring = self.device.memory_base() + at as u64;
        self.device.write_register(regs::CONTROL, regs::CONTROL_CLEAR_COUNTERS)?;
        self.device.write_register(regs::RING_BASE_LO, ring as u32)?;
        self.device.write_register(regs::RING_BASE_HI, (ring >> 32) as u32)?;
        self.device.write_register(regs::RING_LOG2, 0)?;
        self.queued = self.queued.wrapping_add(1);
        self.device.barrier();
        self.device.write_register(regs::RING_TAIL, u32::from(self.queued))?;
        self.device.wait_interrupt()?;
        self.device.barrier();
        let pending = self.device.read_register(regs::IRQ_STATUS)?;
        self.device.write_register(regs::IRQ_STATUS, pending)?;
        if self.device.read_register(regs::STATUS)? & regs::STATUS_ERROR == 0 { Ok(()) } else { Err(self.error()?) }
    }

    /// Waits until so many descriptors are complete since the reset, for at most `polls` reads.
    ///
    /// # Errors
    /// [`Error::Unit`], [`Error::Device`].
    pub fn wait_for(&mut self, count: u16, polls: u32) -> Result<(), Error> {
        for _ in 0..polls {
            if self.completed(count)? {
                return Ok(());
            }
        }
        let status = self.device.read_register(regs::STATUS)?;
        Err(DeviceError::Timeout { cycles: u64::from(polls), status }.into())
    }

    /// Whether so many descriptors are complete since the reset.
    ///
    /// # Errors
    /// [`Error::Unit`], [`Error::Device`].
    pub fn completed(&mut self, count: u16) -> Result<bool, Error> {
        if self.device.read_register(regs::RING_HEAD)? as u16 >= count {
            return Ok(true);
        }
        if self.device.read_register(regs::STATUS)? & regs::STATUS_ERROR != 0 { Err(self.error()?) } else { Ok(false) }
    }

    /// The error that the unit holds.
    fn error(&mut self) -> Result<Error, Error> {
        let error = self.device.read_register(regs::ERROR)?;
        let low = self.device.read_register(regs::ERROR_ADDR_LO)?;
        let high = self.device.read_register(regs::ERROR_ADDR_HI)?;
        let code = (error & regs::ERROR_CODE) as u8;
        let (_, name, meaning) =
            regs::ERRORS.iter().find(|e| e.0 == code).copied().unwrap_or((code, "UNKNOWN", "an unknown code"));
        let origin = match (error & regs::ERROR_SOURCE) >> regs::ERROR_SOURCE.trailing_zeros() {
            regs::SOURCE_LOADER => "the loader",
            regs::SOURCE_ENGINE => "the engine",
            regs::SOURCE_WRITER => "the storer",
            regs::SOURCE_FRONTEND => "the front end",
            _ => "an unknown part",
        };
        Ok(Error::Unit { code, name, meaning, origin, address: u64::from(high) << 32 | u64::from(low) })
    }

    fn record(&mut self, at: usize) -> Result<Completed, Error> {
        let tag = self.queued.wrapping_sub(1);
        let words = self.device.memory()[at..at + DESC_BYTES].as_chunks::<4>().0;
        let word = |index: usize| u32::from_le_bytes(words[index]);
        let status = word(regs::DESC_STATUS);
        if status != 1 << 31 || word(regs::DESC_TAG) != u32::from(tag) {
            return Err(DeviceError::Incomplete { index: 0, tag, found: status }.into());
        }
        Ok(Completed { cycles: word(regs::DESC_END_CYCLE).wrapping_sub(word(regs::DESC_START_CYCLE)) })
    }

    /// Reads the performance counters.
    ///
    /// # Errors
    /// [`Error::Device`].
    pub fn counters(&mut self) -> Result<Counters, Error> {
        Ok(Counters {
            slots: self.device.read_register(regs::SLOTS)?,
            stall_stream: self.device.read_register(regs::STALL_STREAM)?,
            stall_store: self.device.read_register(regs::STALL_STORE)?,
            instructions: self.device.read_register(regs::INSTRUCTIONS)?,
            read_beats: self.device.read_register(regs::READ_BEATS)?,
            write_beats: self.device.read_register(regs::WRITE_BEATS)?,
        })
    }
}
