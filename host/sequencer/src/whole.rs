//! A layer on both units: floats on the vector unit, products on the ternary unit, and a processor that rings.
//!
//! Programs, descriptors and the list of actions are written once: [`place`] puts them into memory. For each token, the
//! processor only rings doorbells and waits, as the list says ([`Units::run`]). It touches no operand.
//!
//! The ternary unit gets products before their activations are there: while it waits for these, it reads weights.

use alloc::vec::Vec;

use decoder::Linear;
use tmv::descriptor::{self, DESCRIPTOR_BYTES, Selection};
use tmv::device::{Device, DeviceError};
use tmv::driver::Weights;
use tmv::info::UnitInfo;
use tmv::regs as ternary;
use vector::driver::Driver as VectorDriver;
use vector::layer::{Layer, Unfit};
use vector::schedule::{Action, Product, Schedule};
use vector::{VectorConfig, regs};

use crate::job::Region;

/// The first word of a job of this kind.
const MAGIC: u32 = 0x4A4F_4256;
/// Bytes before the rings: room for the list of actions.
const LIST_BYTES: usize = 1024;
/// Reads of STATUS that a unit may take.
pub(crate) const POLLS: u32 = 100_000_000;

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
    /// The list of actions is none.
    #[error("the list of actions is damaged")]
    List,
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

/// A layer in memory.
#[derive(Clone, Debug)]
pub struct Placed {
    /// What was placed.
    pub schedule: Schedule,
    /// The list of actions, both rings and the programs, for the address that was given.
    pub bytes: Vec<u8>,
}

/// log2 of the size of a ring for `count` descriptors.
fn ring_log2(count: usize) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

/// Rings, descriptors, programs and actions of a layer, for memory at the physical address `at`, a multiple of 64. Tensors
/// are shown from `show` on, if it is given.
///
/// # Errors
/// [`Unfit`].
///
/// # Panics
/// If there are more actions than the list has room for.
pub fn place(
    layer: &Layer,
    weights: &[Weights; 7],
    config: VectorConfig,
    at: u64,
    show: Option<u64>,
) -> Result<Placed, Unfit> {
    layer.check(&config)?;
    let schedule = layer.schedule(config, show);
    let rings = [ring_log2(schedule.products.len()), ring_log2(schedule.ends.len())];
    let list = [schedule.actions.len() as u32, rings[0], rings[1]].into_iter();
    let mut bytes: Vec<u8> = list.chain(schedule.actions.iter().map(word)).flat_map(u32::to_le_bytes).collect();
    assert!(bytes.len() <= LIST_BYTES, "{} actions", schedule.actions.len());
    bytes.resize(LIST_BYTES, 0);
    let mut before: Option<&Product> = None;
    for (index, product) in schedule.products.iter().enumerate() {
        let Product { linear, rows } = product;
        let group = Linear::GROUPS.iter().position(|group| group.contains(linear)).unwrap_or_default();
        // Rows of a token are eight apart, and so are the tokens.
        let y = layer.accumulators[linear.index()] + (4 * layer.tokens * rows.start) as u64;
        let weights =
            weights[linear.index()].part(rows.clone()).with(selection(layer, &schedule.products[..index], product));
        let mut descriptor = weights.descriptor(layer.tokens, layer.codes[group], layer.codes_stride, y);
        descriptor.keep_x = before.is_some_and(|before| Linear::GROUPS[group].contains(&before.linear));
        bytes.extend(descriptor.encode());
        before = Some(product);
    }
    bytes.resize(LIST_BYTES + (DESCRIPTOR_BYTES << rings[0]), 0);
    let programs = at + (bytes.len() + (DESCRIPTOR_BYTES << rings[1])) as u64;
    let mut first = 0;
    for end in &schedule.ends {
        let address = programs + (first * regs::INSTR_BYTES as usize) as u64;
        bytes.extend(vector::driver::descriptor(address, end - first, false).into_iter().flat_map(u32::to_le_bytes));
        first = *end;
    }
    bytes.resize((programs - at) as usize, 0);
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

/// An action as a word of the list: what in 31:16, the number in 15:0.
fn word(action: &Action) -> u32 {
    let (what, count) = match action {
        Action::Programs(count) => (0, count),
        Action::Products(count) => (1, count),
        Action::ProgramsDone(count) => (2, count),
        Action::ProductsDone(count) => (3, count),
        Action::Queue(count) => (4, count),
    };
    what << 16 | u32::from(*count)
}

/// The action of a word of the list.
fn action(word: u32) -> Option<Action> {
    let count = word as u16;
    Some(match word >> 16 {
        0 => Action::Programs(count),
        1 => Action::Products(count),
        2 => Action::ProgramsDone(count),
        3 => Action::ProductsDone(count),
        4 => Action::Queue(count),
        _ => return None,
    })
}

/// The doorbell of the ternary unit for `queued` products, of which all but the first `ready` are late.
fn doorbell(queued: u16, ready: u16) -> Result<u32, Error> {
    Ok(descriptor::doorbell(queued, queued.checked_sub(ready).ok_or(Error::List)?))
}

/// Words of the list of actions that a processor sees.
pub const LIST_WORDS: usize = LIST_BYTES / 4;

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
    pub(crate) ternary: T,
    pub(crate) vector: VectorDriver<V>,
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
        units.wait_ternary(None)?;
        Ok(units)
    }

    /// Runs a layer. `list` is what [`place`] put at the address of the job.
    ///
    /// # Errors
    /// [`Error`].
    pub fn run(&mut self, job: &WholeJob, list: &[u32]) -> Result<(), Error> {
        let [count, ternary_log2, vector_log2, actions @ ..] = list else { return Err(Error::List) };
        self.rings(job.placed + LIST_BYTES as u64, [*ternary_log2, *vector_log2])?;
        let (mut queued, mut ready) = (0, 0);
        let actions = actions.get(..*count as usize).ok_or(Error::List)?;
        for word in actions {
            match action(*word).ok_or(Error::List)? {
                Action::Programs(count) => {
                    self.vector.device().write_register(regs::RING_TAIL, u32::from(count))?;
                }
                Action::Queue(count) => {
                    queued = count;
                    self.ring_ternary(queued, ready)?;
                }
                Action::Products(count) => {
                    ready = count;
                    self.ring_ternary(queued, ready)?;
                }
                Action::ProgramsDone(count) => self.vector.wait_for(count, POLLS)?,
                Action::ProductsDone(count) => self.wait_ternary(Some(count))?,
            }
        }
        Ok(())
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
            status = self.ternary.read_register(ternary::STATUS)?;
            if status & ternary::STATUS_ERROR != 0 {
                let code = (self.ternary.read_register(ternary::ERROR)? & ternary::ERROR_CODE) as u8;
                let known = ternary::ERRORS.iter().find(|e| e.0 == code).copied();
                let (_, name, meaning) = known.unwrap_or((code, "UNKNOWN", "an unknown code"));
                return Err(Error::Ternary { name, meaning });
            }
            if count.is_none() && status & (ternary::STATUS_BUSY | ternary::STATUS_DRAINING) == 0 {
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

    #[test]
    fn a_doorbell_says_what_is_late() {
        assert_eq!([0, 5, 32].map(|ready| doorbell(32, ready).ok()), [Some(0x20_0020), Some(0x1b_0020), Some(0x20)]);
        assert!(doorbell(32, 33).is_err());
    }

    #[test]
    fn actions_round_trip() {
        for count in [0, 1, u16::MAX] {
            for known in [
                Action::Programs(count),
                Action::Products(count),
                Action::ProgramsDone(count),
                Action::ProductsDone(count),
                Action::Queue(count),
            ] {
                assert_eq!(action(word(&known)), Some(known));
            }
        }
        assert_eq!(action(5 << 16), None);
    }
}
