//! The parameters a unit is built with.

use golden::Codec;

use crate::descriptor::{DESCRIPTOR_BYTES, ROW_BLOCK};
use crate::info::UnitInfo;
use crate::regs;

/// Columns of the widest matrix of BitNet b1.58-2B-4T: its MLP's down_proj.
const LONGEST_ROW: usize = 6912;

/// The most tokens that any unit serves in one pass over the weights. The unit's descriptor and collector set this
/// limit.
pub const MAX_TOKENS: usize = regs::MAX_TOKENS as usize;

/// Parameters of the RTL module `tmv_unit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitConfig {
    /// AXI read ports, 1 to 8.
    pub ports: usize,
    /// Width of a beat in bits, 64 or 128.
    pub port_bits: usize,
    /// Activation vectors, 1 to 8.
    pub vectors: usize,
    /// Groups of vectors, a power of two. One pass over the weights serves the groups one after another.
    pub groups: usize,
    /// Codec of the weights.
    pub codec: Codec,
}

impl UnitConfig {
    /// The parameters that a unit with this configuration reports.
    pub fn info(&self) -> UnitInfo {
        UnitInfo {
            ports: self.ports,
            port_bytes: self.port_bits / 8,
            vectors: self.vectors,
            groups: self.groups,
            codec: self.codec,
            bank_words: self.bank_words(),
            columns: true,
        }
    }

    /// Words of an activation bank: as few as hold the longest row of BitNet b1.58-2B-4T. A word is as wide as a beat
    /// has lanes.
    pub fn bank_words(&self) -> usize {
        self.codec.row_beats(LONGEST_ROW, self.port_bits / 8).next_power_of_two()
    }

    /// Weights per cycle, over all ports.
    pub fn lanes(&self) -> usize {
        self.ports * self.info().lanes()
    }

    /// The most tokens that one pass over the weights serves.
    pub fn max_tokens(&self) -> usize {
        self.info().max_tokens()
    }

    /// Lower bound of the cycles for a `[rows, cols]` matrix and `tokens` tokens. The beats of the weights are
    /// divided among the ports, and each beat takes one cycle for every `vectors` tokens.
    pub fn ideal_cycles(&self, rows: usize, cols: usize, tokens: usize) -> u64 {
        let beats = rows * self.codec.row_beats(cols, self.port_bits / 8);
        (beats.div_ceil(self.ports) * tokens.div_ceil(self.vectors)) as u64
    }

    /// Bytes of the weight image of a `[rows, cols]` matrix.
    pub fn weight_bytes(&self, rows: usize, cols: usize) -> usize {
        let stride = self.codec.block_bytes(cols, self.port_bits / 8).next_multiple_of(DESCRIPTOR_BYTES);
        rows.div_ceil(ROW_BLOCK) * stride
    }
}
