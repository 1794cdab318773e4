//! The descriptor: one operator on up to as many tokens as one pass over the weights serves.
//!
//! `docs/registers.md` defines the layout and the meaning of the words.

use golden::Layout;

use crate::regs;

/// Bytes of a descriptor, and the alignment of every address and stride in it.
pub const DESCRIPTOR_BYTES: usize = regs::DESC_BYTES as usize;
/// Rows in one row block.
pub const ROW_BLOCK: usize = regs::ROW_BLOCK as usize;

/// The value of the doorbell `RING_TAIL` for `tail` descriptors ever queued, modulo 65,536, of which the last `late` have
/// activations that are not in memory yet.
pub fn doorbell(tail: u16, late: u16) -> u32 {
    u32::from(tail) | u32::from(late) << regs::RING_TAIL_LATE.trailing_zeros()
}

const _: () = assert!(ROW_BLOCK == golden::codec::ROW_BLOCK, "the unit and golden cut weights into the same blocks");

/// What an operator of one token does about rows whose result need not be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All rows are computed.
    #[default]
    All,
    /// All rows are computed, and the unit records which results are above zero.
    Record,
    /// Only the rows that the last operator with [`Selection::Record`] recorded are read and computed. The results of the
    /// others are zero. Needs [`Layout::Rows`].
    Skip,
    /// Like [`Selection::Skip`], with the record before the last one.
    SkipOlder,
}

impl Selection {
    /// Whether rows are skipped, because of a record.
    pub fn skips(self) -> bool {
        matches!(self, Self::Skip | Self::SkipOlder)
    }

    fn flags(self) -> u32 {
        match self {
            Self::All => 0,
            Self::Record => regs::FLAG_RECORD,
            Self::Skip => regs::FLAG_SKIP,
            Self::SkipOlder => regs::FLAG_SKIP | regs::FLAG_OLDER,
        }
    }
}

/// One operator that the unit executes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Use the activations of the previous descriptor.
    pub keep_x: bool,
    /// Raise the interrupt DONE on completion.
    pub irq: bool,
    /// Tell the other unit, by a wire, when all results are in memory.
    pub tell: bool,
    /// The activations are late until the other unit tells, by a wire. Not with `keep_x`.
    pub after: bool,
    /// The order of the weights. With [`Layout::Columns`], which needs one token and [`Selection::All`], only the columns
    /// are read whose activation is not zero.
    pub layout: Layout,
    /// Which rows are recorded or read.
    pub selection: Selection,
    /// Number of tokens, from 1 to [`max_tokens`](crate::info::UnitInfo::max_tokens).
    pub tokens: usize,
    /// K: columns of the weight matrix.
    pub in_features: usize,
    /// Beats of one weight row.
    pub row_beats: usize,
    /// N: rows of the weight matrix.
    pub out_features: usize,
    /// Beats of one weight column with [`Layout::Columns`], else 0.
    pub column_beats: usize,
    /// Address of the activations, int8 `[tokens, x_stride]`.
    pub x_addr: u64,
    /// Bytes from the activations of one token to the activations of the next token.
    pub x_stride: usize,
    /// Address of the weight image.
    pub w_addr: u64,
    /// Bytes from one row block, row or column to the next.
    pub w_stride: usize,
    /// Address of the results, int32 `[ceil(N / 8), tokens, 8]`.
    pub y_addr: u64,
}

/// The completion record, which the unit writes into a completed descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Status word; bit 31 is set when the descriptor is done. The other bits are the number of rows or columns that were
    /// read, if some were skipped.
    pub status: u32,
    /// Value of the cycle counter when the descriptor was accepted.
    pub start_cycle: u32,
    /// Value of the cycle counter when the last result was acknowledged.
    pub end_cycle: u32,
    /// Number of the descriptor since reset, modulo 65536.
    pub tag: u16,
}

impl Descriptor {
    /// Size of the results in bytes.
    pub fn result_bytes(&self) -> usize {
        self.out_features.div_ceil(ROW_BLOCK) * self.tokens * ROW_BLOCK * 4
    }

    /// Encodes the 64 bytes that the unit reads. The completion record in them is zero.
    pub fn encode(&self) -> [u8; DESCRIPTOR_BYTES] {
        let mut words = [0u32; DESCRIPTOR_BYTES / 4];
        words[regs::DESC_CONTROL] = regs::OPCODE << 24
            | (self.tokens as u32) << 8
            | if self.keep_x { regs::FLAG_KEEP_X } else { 0 }
            | if self.irq { regs::FLAG_IRQ } else { 0 }
            | if self.tell { regs::FLAG_TELL } else { 0 }
            | if self.after { regs::FLAG_AFTER } else { 0 }
            | match self.layout {
                Layout::Blocks => 0,
                Layout::Rows => regs::FLAG_ROWS,
                Layout::Columns => regs::FLAG_COLUMNS,
            }
            | self.selection.flags();
        words[regs::DESC_IN_FEATURES] = (self.row_beats as u32) << 16 | self.in_features as u32;
        words[regs::DESC_OUT_FEATURES] = self.out_features as u32;
        words[regs::DESC_COLUMN_BEATS] = self.column_beats as u32;
        for (word, address) in
            [(regs::DESC_X_ADDR, self.x_addr), (regs::DESC_W_ADDR, self.w_addr), (regs::DESC_Y_ADDR, self.y_addr)]
        {
            words[word] = address as u32;
            words[word + 1] = (address >> 32) as u32;
        }
        words[regs::DESC_X_STRIDE] = self.x_stride as u32;
        words[regs::DESC_W_STRIDE] = self.w_stride as u32;
        let mut bytes = [0; DESCRIPTOR_BYTES];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

impl Completion {
    /// Byte offset of the completion record in a descriptor.
    pub const OFFSET: usize = 4 * regs::DESC_STATUS;
    /// Status word of a completed descriptor.
    pub const DONE: u32 = 1 << 31;

    /// Decodes the completion record of a descriptor.
    pub fn decode(bytes: &[u8; DESCRIPTOR_BYTES]) -> Self {
        Self {
            status: word(bytes, regs::DESC_STATUS),
            start_cycle: word(bytes, regs::DESC_START_CYCLE),
            end_cycle: word(bytes, regs::DESC_END_CYCLE),
            tag: word(bytes, regs::DESC_TAG) as u16,
        }
    }

    /// Encodes the 16 bytes that the unit writes.
    pub fn encode(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (chunk, word) in
            bytes.chunks_exact_mut(4).zip([self.status, self.start_cycle, self.end_cycle, u32::from(self.tag)])
        {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

fn word(bytes: &[u8; DESCRIPTOR_BYTES], index: usize) -> u32 {
    let at = 4 * index;
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_round_trips() {
        let record =
            Completion { status: Completion::DONE, start_cycle: 0x0102_0304, end_cycle: 0x0506_0708, tag: 0x090a };
        let mut bytes = [0; DESCRIPTOR_BYTES];
        bytes[Completion::OFFSET..].copy_from_slice(&record.encode());
        assert_eq!(bytes[48..], [0, 0, 0, 0x80, 4, 3, 2, 1, 8, 7, 6, 5, 0x0a, 9, 0, 0]);
        assert_eq!(Completion::decode(&bytes), record);
    }
}
