//! A layer on both units: floats on the vector unit, products on the ternary unit, and a processor that rings.
//!
//! Programs and descriptors are written once: [`place`] puts them into memory. For each token, the processor only rings
//! doorbells and waits ([`Units::run`]). It touches no operand.

use alloc::vec::Vec;

use decoder::Linear;
use tmv::descriptor::DESCRIPTOR_BYTES;
use tmv::device::{Device, DeviceError};
use tmv::driver::Weights;
use tmv::info::UnitInfo;
use tmv::regs as ternary;
use vector::driver::Driver as VectorDriver;
use vector::layer::{Layer, Part, Unfit};
use vector::program::Assembler;
use vector::{VectorConfig, regs};

use crate::job::Region;

/// The first word of a job of this kind.
const MAGIC: u32 = 0x4A4F_4256;
/// log2 of the descriptors in the ring of each unit.
const RING_LOG2: u32 = 3;
/// Bytes of a ring.
const RING_BYTES: usize = DESCRIPTOR_BYTES << RING_LOG2;
const INSTR_BYTES: usize = regs::INSTR_BYTES as usize;
/// Reads of STATUS that a unit may take.
const POLLS: u32 = 100_000_000;

/// The reason why a layer stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A unit, or the way to it, failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The vector unit failed.
    #[error(transparent)]
    Vector(#[from] vector::driver::Error),
    /// A unit gave no answer.
    #[error("the {unit} unit gave no answer; STATUS reads {status:#010x}")]
    NoAnswer {
        /// The unit.
        unit: &'static str,
        /// Value of the register STATUS.
        status: u32,
    },
    /// The ternary unit stopped with an error code.
    #[error("the ternary unit stopped with {name} ({meaning})")]
    Ternary {
        /// Name of the error code.
        name: &'static str,
        /// Meaning of the error code.
        meaning: &'static str,
    },
}

/// A layer in memory: rings, descriptors and programs.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The programs of the parts.
    pub programs: [Assembler; Part::ALL.len()],
    /// Everything, for the address that was given.
    pub bytes: Vec<u8>,
}

/// Rings, descriptors and programs of a layer, for memory at the physical address `at`, a multiple of 64. Tensors are
/// shown from `show` on, if it is given.
///
/// # Errors
/// [`Unfit`].
pub fn place(
    layer: &Layer,
    weights: &[Weights; 7],
    config: VectorConfig,
    at: u64,
    show: Option<u64>,
) -> Result<Placed, Unfit> {
    layer.check(&config)?;
    let mut bytes = alloc::vec![0; 2 * RING_BYTES];
    let mut slot = 0;
    for (group, codes) in Linear::GROUPS.into_iter().zip(layer.codes) {
        for linear in group {
            let y = layer.accumulators[linear.index()];
            let mut descriptor = weights[linear.index()].descriptor(layer.tokens, codes, layer.codes_stride, y);
            descriptor.keep_x = *linear != group[0];
            bytes[slot..slot + DESCRIPTOR_BYTES].copy_from_slice(&descriptor.encode());
            slot += DESCRIPTOR_BYTES;
        }
    }
    let mut next = show;
    let programs = Part::ALL.map(|part| {
        let code = layer.part(config, part, next);
        next = code.show_end();
        code
    });
    for (index, code) in programs.iter().enumerate() {
        let descriptor = vector::driver::descriptor(at + bytes.len() as u64, code.code().len(), false);
        let slot = RING_BYTES + index * DESCRIPTOR_BYTES;
        let words = bytes[slot..slot + DESCRIPTOR_BYTES].as_chunks_mut::<4>().0.iter_mut();
        words.zip(descriptor).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        bytes.extend(code.code().iter().flat_map(|i| i.encode()).flat_map(u32::to_le_bytes));
    }
    debug_assert!(bytes.len().is_multiple_of(INSTR_BYTES), "whole instructions");
    Ok(Placed { programs, bytes })
}

/// A layer that was placed, for the processor that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeJob {
    /// Physical address of what [`place`] returned.
    pub placed: u64,
    /// Memory of the processor alone.
    pub heap: Region,
    /// Room for records.
    pub records: Region,
}

impl WholeJob {
    /// Words of a job.
    pub const WORDS: usize = 7;

    /// The job as words, little endian in memory.
    pub fn to_words(self) -> [u32; Self::WORDS] {
        let Self { placed, heap, records } = self;
        [MAGIC, placed as u32, (placed >> 32) as u32, heap.address, heap.bytes, records.address, records.bytes]
    }

    /// The job in `words`; `None` if they are no job of this kind.
    pub fn from_words(words: &[u32]) -> Option<Self> {
        let [MAGIC, low, high, heap, heap_bytes, records, records_bytes] = *words.first_chunk::<{ Self::WORDS }>()?
        else {
            return None;
        };
        Some(Self {
            placed: u64::from(low) | u64::from(high) << 32,
            heap: Region { address: heap, bytes: heap_bytes },
            records: Region { address: records, bytes: records_bytes },
        })
    }
}

/// A processor's view of both units.
pub struct Units<T, V> {
    ternary: T,
    vector: VectorDriver<V>,
}

impl<T: Device, V: Device> Units<T, V> {
    /// Checks both units and resets them.
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::Vector`].
    pub fn open(mut ternary: T, vector: V) -> Result<Self, Error> {
        UnitInfo::read(&mut ternary)?;
        let vector = VectorDriver::open(vector)?;
        ternary.write_register(ternary::CONTROL, ternary::CONTROL_SOFT_RESET)?;
        let mut units = Self { ternary, vector };
        units.wait_ternary()?;
        Ok(units)
    }

    /// Runs a layer. Returns the cycles in which the ternary unit was busy, for each group of linears.
    ///
    /// # Errors
    /// [`Error`].
    pub fn run(&mut self, job: &WholeJob) -> Result<[u32; 4], Error> {
        let rings = [job.placed, job.placed + RING_BYTES as u64];
        self.ternary.write_register(ternary::RING_BASE_LO, rings[0] as u32)?;
        self.ternary.write_register(ternary::RING_BASE_HI, (rings[0] >> 32) as u32)?;
        self.ternary.write_register(ternary::RING_LOG2, RING_LOG2)?;
        let vector = self.vector.device();
        vector.write_register(regs::RING_BASE_LO, rings[1] as u32)?;
        vector.write_register(regs::RING_BASE_HI, (rings[1] >> 32) as u32)?;
        vector.write_register(regs::RING_LOG2, RING_LOG2)?;
        vector.barrier();
        let (mut busy, mut products) = ([0; 4], 0);
        let mut before = self.ternary.read_register(ternary::BUSY_CYCLES)?;
        for (index, part) in Part::ALL.into_iter().enumerate() {
            self.vector.device().write_register(regs::RING_TAIL, index as u32 + 1)?;
            self.vector.wait(POLLS)?;
            if part.products().is_empty() {
                continue;
            }
            products += part.products().len() as u32;
            self.ternary.write_register(ternary::RING_TAIL, products)?;
            self.wait_ternary()?;
            let after = self.ternary.read_register(ternary::BUSY_CYCLES)?;
            busy[index] = after.wrapping_sub(before);
            before = after;
        }
        Ok(busy)
    }

    /// Waits until the ternary unit is idle.
    fn wait_ternary(&mut self) -> Result<(), Error> {
        let mut status = 0;
        for _ in 0..POLLS {
            status = self.ternary.read_register(ternary::STATUS)?;
            if status & ternary::STATUS_ERROR != 0 {
                let code = (self.ternary.read_register(ternary::ERROR)? & ternary::ERROR_CODE) as u8;
                let known = ternary::ERRORS.iter().find(|e| e.0 == code).copied();
                let (_, name, meaning) = known.unwrap_or((code, "UNKNOWN", "an unknown code"));
                return Err(Error::Ternary { name, meaning });
            }
            if status & (ternary::STATUS_BUSY | ternary::STATUS_DRAINING) == 0 {
                return Ok(());
            }
        }
        Err(Error::NoAnswer { unit: "ternary", status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_round_trips() {
        let region = |n: u32| Region { address: n << 8, bytes: n };
        let job = WholeJob { placed: 0x9_0000_0040, heap: region(32), records: region(33) };
        let words = job.to_words();
        assert_eq!(WholeJob::from_words(&words), Some(job));
        assert_eq!(WholeJob::from_words(&words[..6]), None);
        assert_eq!(WholeJob::from_words(&[0; WholeJob::WORDS]), None);
    }
}
