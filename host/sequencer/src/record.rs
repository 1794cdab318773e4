//! The records that a job leaves in shared memory.
//!
//! The first word is the number of bytes that follow and are in use. Each record begins with a word for its kind and a
//! word for its size in bytes, without these two words. Records of tensors contain the elements.

use alloc::string::String;
use alloc::vec::Vec;

use decoder::Step;

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A step and its cycles.
    Step(Step, u64),
    /// A tensor: its name within the layer, and its elements.
    Tensor(String, Elements),
    /// Cycles in which the unit was busy, for each group of linears that read the same input, in order.
    Unit(Vec<u32>),
    /// The text of an error.
    Text(String),
    /// The row of the output head that was chosen, its logit as bits, and the number of logits that were computed.
    Head([u32; 3]),
}

/// The elements of a tensor. Floats are bits, so that NaNs can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elements {
    /// fp32.
    F32(Vec<u32>),
    /// int8.
    I8(Vec<i8>),
    /// int32.
    I32(Vec<i32>),
}

impl Elements {
    /// Number of elements.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::I32(values) => values.len(),
        }
    }
}

/// Kinds of records, as in memory.
pub mod kind {
    /// [`Record::Step`](super::Record::Step): index of the step, cycles, in two words.
    pub const STEP: u32 = 1;
    /// [`Record::Tensor`](super::Record::Tensor) of fp32: [`NAME_BYTES`](super::NAME_BYTES) of name, elements.
    pub const F32: u32 = 2;
    /// Like [`F32`], of int8, padded to whole words.
    pub const I8: u32 = 3;
    /// Like [`F32`], of int32.
    pub const I32: u32 = 4;
    /// [`Record::Unit`](super::Record::Unit): a word for each group.
    pub const UNIT: u32 = 6;
    /// [`Record::Text`](super::Record::Text), padded to whole words with zeros.
    pub const TEXT: u32 = 5;
    /// [`Record::Head`](super::Record::Head): three words.
    pub const HEAD: u32 = 7;
}

/// Bytes of a tensor's name, padded with zeros. They are followed by a word with the number of elements.
pub const NAME_BYTES: usize = 44;

/// Reads the records in `memory`. Returns `None` if they are damaged.
pub fn read(memory: &[u8]) -> Option<Vec<Record>> {
    let used = word(memory, 0)? as usize;
    let mut rest = memory.get(4..4 + used)?;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (kind, bytes) = (word(rest, 0)?, word(rest, 4)? as usize);
        let content = rest.get(8..8 + bytes)?;
        records.push(record(kind, content)?);
        rest = &rest[8 + bytes..];
    }
    Some(records)
}

fn record(kind: u32, content: &[u8]) -> Option<Record> {
    if kind == kind::STEP {
        let step = *Step::ALL.get(word(content, 0)? as usize)?;
        return Some(Record::Step(step, u64::from(word(content, 4)?) | u64::from(word(content, 8)?) << 32));
    }
    if kind == kind::UNIT {
        return (0..content.len() / 4).map(|i| word(content, 4 * i)).collect::<Option<_>>().map(Record::Unit);
    }
    if kind == kind::HEAD {
        return Some(Record::Head([word(content, 0)?, word(content, 4)?, word(content, 8)?]));
    }
    if kind == kind::TEXT {
        return Some(Record::Text(text(content)));
    }
    let name = text(content.get(..NAME_BYTES)?);
    let count = word(content, NAME_BYTES)? as usize;
    let data = &content[NAME_BYTES + 4..];
    let words = data.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let elements = match kind {
        kind::F32 => Elements::F32(words.collect()),
        kind::I32 => Elements::I32(words.map(|word| word as i32).collect()),
        kind::I8 => Elements::I8(data.get(..count)?.iter().map(|byte| *byte as i8).collect()),
        _ => return None,
    };
    (elements.len() == count).then_some(Record::Tensor(name, elements))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// The text before the first zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
