//! The parameters that a unit reports in its identity registers.

use crate::codec;
use crate::device::{Device, DeviceError};
use crate::regs;

/// The parameters that a unit reports in its identity registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitInfo {
    /// AXI read ports.
    pub ports: usize,
    /// Width of a beat in bytes.
    pub port_bytes: usize,
    /// Activation vectors served at the full rate of the weights.
    pub vectors: usize,
    /// Groups of vectors. One pass over the weights serves the groups one after another.
    pub groups: usize,
    /// Codec of the weights.
    pub codec: golden::Codec,
    /// Words in one activation bank.
    pub bank_words: usize,
    /// Whether the unit reads weights by columns.
    pub columns: bool,
}

impl UnitInfo {
    /// Reads and checks the identity registers. Fails if the unit or its register map is not the expected one.
    pub fn read<D: Device + ?Sized>(device: &mut D) -> Result<Self, DeviceError> {
        for (register, offset, expected) in [
            ("ID", regs::ID, regs::ID_VALUE),
            ("VERSION", regs::VERSION, regs::MAP_VERSION),
            ("MAP_HASH", regs::MAP_HASH, regs::MAP_HASH_VALUE),
        ] {
            let found = device.read_register(offset)?;
            if found != expected {
                return Err(DeviceError::WrongUnit { register, expected, found });
            }
        }
        let param0 = device.read_register(regs::PARAM0)?;
        let param1 = device.read_register(regs::PARAM1)?;
        let field = |value: u32, mask: u32| ((value & mask) >> mask.trailing_zeros()) as usize;
        let number = field(param0, regs::PARAM0_CODEC);
        let limit = golden::Codec::ALL.map(codec::number).into_iter().max().unwrap_or_default() as usize;
        let unknown = DeviceError::Unsupported { what: "the codec number", found: number, limit };
        let codec = codec::from_number(number as u32).ok_or(unknown)?;
        Ok(Self {
            ports: field(param0, regs::PARAM0_PORTS),
            port_bytes: field(param0, regs::PARAM0_PORT_BYTES),
            vectors: field(param0, regs::PARAM0_VECTORS),
            groups: field(param0, regs::PARAM0_GROUPS),
            codec,
            bank_words: field(param1, regs::PARAM1_BANK_WORDS),
            columns: field(param1, regs::PARAM1_COLUMNS) != 0,
        })
    }

    /// Weights in one beat.
    pub fn lanes(&self) -> usize {
        self.codec.lanes_per_beat(self.port_bytes)
    }

    /// The most tokens that one pass over the weights serves.
    pub fn max_tokens(&self) -> usize {
        self.vectors * self.groups
    }

    /// The most weights in one row of a matrix, limited by the activation bank.
    pub fn max_in_features(&self) -> usize {
        self.bank_words * self.lanes()
    }
}
