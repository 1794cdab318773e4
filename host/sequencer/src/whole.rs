//! Layers on both units: floats on the vector unit, products on the ternary unit, and a processor that rings.
//!
//! Programs and descriptors are written once: [`place`] puts them into memory. For each token, the processor rings two
//! doorbells and waits for the end ([`Units::run`]). It touches no operand. The units wait for each other by wires, as their
//! descriptors and instructions say ([`vector::schedule`]).

use alloc::vec::Vec;

use decoder::Linear;
use tmv::descriptor::{self, DESCRIPTOR_BYTES, Selection};
use tmv::device::{Device, DeviceError};
use tmv::driver::Weights;
use tmv::info::UnitInfo;
use tmv::regs as ternary;
use vector::driver::Driver as VectorDriver;
use vector::layer::{Layer, Unfit};
use vector::schedule::{Product, Schedule, schedule};
use vector::{VectorConfig, regs};

use crate::job::Region;

/// The first word of a job of this kind.
const MAGIC: u32 = 0x4A4F_4256;
/// Bytes before the rings: the numbers of descriptors.
const HEADER_BYTES: usize = DESCRIPTOR_BYTES;
/// Looks at a unit, or at both, until they are given up.
pub(crate) const POLLS: u32 = 100_000_000;
/// The most descriptors of a ring.
const MAX_DESCRIPTORS: u32 = 1 << 15;

/// The reason why a job stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A unit, or the way to it, failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The vector unit failed.
    #[error(transparent)]
    Vector(#[from] vector::driver::Error),
    /// More products are ready than there are.
    #[error("{ready} products are ready, and {queued} are queued")]
    Ready {
        /// Products that are ready.
        ready: u16,
        /// Products that are queued.
        queued: u16,
    },
    /// A job has no descriptors of a unit, or more than a ring holds.
    #[error("a job has 1 to {limit} descriptors of each unit, found {found:?}")]
    Header {
        /// Descriptors of the ternary unit and of the vector unit.
        found: [u32; HEADER_WORDS],
        /// The most descriptors of a ring.
        limit: u32,
    },
    /// Both units wait for each other, or for something else.
    #[error(
        "the units came to no end; STATUS and RING_HEAD of the ternary unit read {:#010x} and {}, those of the vector unit \
         {:#010x} and {}", ternary[0], ternary[1], vector[0], vector[1]
    )]
    Stuck {
        /// Registers STATUS and RING_HEAD of the ternary unit.
        ternary: [u32; 2],
        /// The same of the vector unit.
        vector: [u32; 2],
    },
    /// A unit gave no answer.
    #[error("the {unit} unit gave no answer; STATUS reads {status:#010x}")]
    NoAnswer {
        /// The unit.
        unit: &'static str,
        /// Value of the register STATUS.
        status: u32,
    },
    /// A logit is a NaN or infinite.
    #[error("the logit of row {row} of the output head is not finite")]
    Logit {
        /// The row.
        row: u32,
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

/// Layers in memory.
#[derive(Clone, Debug)]
pub struct Placed {
    /// What was placed.
    pub schedule: Schedule,
    /// The numbers of descriptors, both rings and the programs, for the address that was given.
    pub bytes: Vec<u8>,
}

/// log2 of the size of a ring for `count` descriptors.
fn ring_log2(count: usize) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

/// Rings, descriptors and programs of layers, one behind the other ([`schedule`]), for memory at the physical address `at`, a
/// multiple of 64. `weights` are those of each layer.
///
/// # Errors
/// [`Unfit`].
pub fn place(
    layers: &[Layer],
    weights: &[[Weights; 7]],
    config: VectorConfig,
    at: u64,
    show: Option<u64>,
) -> Result<Placed, Unfit> {
    layers.iter().try_for_each(|layer| layer.check(&config))?;
    let schedule = schedule(layers, config, show);
    let programs = schedule.code.code().chunks(regs::MAX_INSTRUCTIONS as usize);
    let counts = [schedule.products.len(), programs.len()];
    let rings = counts.map(ring_log2);
    let mut bytes: Vec<u8> = counts.into_iter().flat_map(|count| (count as u32).to_le_bytes()).collect();
    bytes.resize(HEADER_BYTES, 0);
    let group_of = |product: &Product| Linear::GROUPS.iter().position(|group| group.contains(&product.linear));
    let mut before: Option<&Product> = None;
    for (index, product) in schedule.products.iter().enumerate() {
        let Product { layer: number, linear, rows, after, tell } = product;
        let (layer, group) = (&layers[*number], group_of(product).unwrap_or_default());
        // Rows of a token are eight apart, and so are the tokens.
        let y = layer.accumulators[linear.index()] + (4 * layer.tokens * rows.start) as u64;
        let weights = weights[*number][linear.index()].part(rows.clone()).with(selection(
            layer,
            &schedule.products[..index],
            product,
        ));
        let mut descriptor = weights.descriptor(layer.tokens, layer.codes[group], layer.codes_stride, y);
        descriptor.keep_x = before.is_some_and(|before| group_of(before) == group_of(product));
        (descriptor.after, descriptor.tell) = (*after, *tell);
        bytes.extend(descriptor.encode());
        before = Some(product);
    }
    bytes.resize(HEADER_BYTES + (DESCRIPTOR_BYTES << rings[0]), 0);
    let first = at + (bytes.len() + (DESCRIPTOR_BYTES << rings[1])) as u64;
    let mut address = first;
    for program in programs {
        bytes.extend(vector::driver::descriptor(address, program.len(), false).into_iter().flat_map(u32::to_le_bytes));
        address += (program.len() * regs::INSTR_BYTES as usize) as u64;
    }
    bytes.resize((first - at) as usize, 0);
    bytes.extend(schedule.code.code().iter().flat_map(|i| i.encode()).flat_map(u32::to_le_bytes));
    Ok(Placed { schedule, bytes })
}

/// What a product does about rows, behind the products `before`.
fn selection(layer: &Layer, before: &[Product], product: &Product) -> Selection {
    match product.linear {
        Linear::Gate if layer.skips() => Selection::Record,
        Linear::Up if layer.skips() => {
            let last = before.iter().rfind(|product| product.linear == Linear::Gate);
            if last.is_some_and(|gate| gate.rows == product.rows) { Selection::Skip } else { Selection::SkipOlder }
        }
        _ => Selection::All,
    }
}

/// The doorbell of the ternary unit for `queued` products, of which all but the first `ready` are late.
fn doorbell(queued: u16, ready: u16) -> Result<u32, Error> {
    Ok(descriptor::doorbell(queued, queued.checked_sub(ready).ok_or(Error::Ready { ready, queued })?))
}

/// Words of the header that a processor sees: descriptors of the ternary unit and of the vector unit.
pub const HEADER_WORDS: usize = 2;

/// Layers that were placed, for the processor that runs them.
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
    pub(crate) ternary: T,
    pub(crate) vector: VectorDriver<V>,
}

impl<T: Device, V: Device> Units<T, V> {
    /// Checks both units and resets them.
    ///
    /// # Errors
    /// [`Error::Device`], [`Error::Vector`].
    pub fn open(mut ternary: T, mut vector: V) -> Result<Self, Error> {
        UnitInfo::read(&mut ternary)?;
        // Of a job that was given up, a unit may tell the other one until it is reset itself: both are stopped before their
        // tellings are forgotten.
        ternary.write_register(ternary::CONTROL, ternary::CONTROL_SOFT_RESET)?;
        vector.write_register(regs::CONTROL, regs::CONTROL_SOFT_RESET)?;
        let mut units = Self { ternary, vector: VectorDriver::open(vector)? };
        units.wait_ternary(None)?;
        units.vector.reset()?;
        units.ternary.write_register(ternary::CONTROL, ternary::CONTROL_SOFT_RESET)?;
        units.wait_ternary(None)?;
        Ok(units)
    }

    /// Runs layers. `header` is what [`place`] put at the address of the job. After an error, both units are stopped.
    ///
    /// # Errors
    /// [`Error`].
    pub fn run(&mut self, job: &WholeJob, header: [u32; HEADER_WORDS]) -> Result<(), Error> {
        self.layers(job, header).inspect_err(|_| {
            // The first error is told. If a reset fails too, the next job says so.
            let _ = self.ternary.write_register(ternary::CONTROL, ternary::CONTROL_SOFT_RESET);
            let _ = self.vector.reset();
        })
    }

    fn layers(&mut self, job: &WholeJob, header: [u32; HEADER_WORDS]) -> Result<(), Error> {
        if header.iter().any(|count| !(1..=MAX_DESCRIPTORS).contains(count)) {
            return Err(Error::Header { found: header, limit: MAX_DESCRIPTORS });
        }
        let [products, programs] = header;
        self.rings(job.placed + HEADER_BYTES as u64, header.map(|count| ring_log2(count as usize)))?;
        self.ring_ternary(products as u16, products as u16)?;
        self.vector.device().write_register(regs::RING_TAIL, programs)?;
        // A unit that fails tells nobody, and the other one waits: look at both.
        for _ in 0..POLLS {
            if self.vector.completed(programs as u16)? {
                return self.wait_ternary(Some(products as u16));
            }
            self.ternary_status()?;
        }
        let (ternary, vector) = (&mut self.ternary, self.vector.device());
        Err(Error::Stuck {
            ternary: [ternary.read_register(ternary::STATUS)?, ternary.read_register(ternary::RING_HEAD)?],
            vector: [vector.read_register(regs::STATUS)?, vector.read_register(regs::RING_HEAD)?],
        })
    }

    /// Rings the doorbell of the ternary unit for `queued` products, of which all but the first `ready` are late.
    pub(crate) fn ring_ternary(&mut self, queued: u16, ready: u16) -> Result<(), Error> {
        Ok(self.ternary.write_register(ternary::RING_TAIL, doorbell(queued, ready)?)?)
    }

    /// Tells both units where their rings are: at `rings` that of the ternary unit, then the other one.
    pub(crate) fn rings(&mut self, rings: u64, log2: [u32; 2]) -> Result<(), Error> {
        self.ternary.write_register(ternary::RING_BASE_LO, rings as u32)?;
        self.ternary.write_register(ternary::RING_BASE_HI, (rings >> 32) as u32)?;
        self.ternary.write_register(ternary::RING_LOG2, log2[0])?;
        let rings = rings + (DESCRIPTOR_BYTES << log2[0]) as u64;
        let vector = self.vector.device();
        vector.write_register(regs::RING_BASE_LO, rings as u32)?;
        vector.write_register(regs::RING_BASE_HI, (rings >> 32) as u32)?;
        vector.write_register(regs::RING_LOG2, log2[1])?;
        vector.barrier();
        Ok(())
    }

    /// Waits until the ternary unit has completed so many descriptors; until it is idle, if no number is given.
    pub(crate) fn wait_ternary(&mut self, count: Option<u16>) -> Result<(), Error> {
        let mut status = 0;
        for _ in 0..POLLS {
            if let Some(count) = count
                && self.ternary.read_register(ternary::RING_HEAD)? as u16 >= count
            {
                return Ok(());
            }
            status = self.ternary_status()?;
            if count.is_none() && status & (ternary::STATUS_BUSY | ternary::STATUS_DRAINING) == 0 {
                return Ok(());
            }
        }
        Err(Error::NoAnswer { unit: "ternary", status })
    }

    /// STATUS of the ternary unit, or the error that it holds.
    fn ternary_status(&mut self) -> Result<u32, Error> {
        let status = self.ternary.read_register(ternary::STATUS)?;
        if status & ternary::STATUS_ERROR == 0 {
            return Ok(status);
        }
        let code = (self.ternary.read_register(ternary::ERROR)? & ternary::ERROR_CODE) as u8;
        let known = ternary::ERRORS.iter().find(|e| e.0 == code).copied();
        let (_, name, meaning) = known.unwrap_or((code, "UNKNOWN", "an unknown code"));
        Err(Error::Ternary { name, meaning })
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

    #[test]
    fn a_doorbell_says_what_is_late() {
        assert_eq!([0, 5, 32].map(|ready| doorbell(32, ready).ok()), [Some(0x20_0020), Some(0x1b_0020), Some(0x20)]);
        assert!(doorbell(32, 33).is_err());
    }
}
