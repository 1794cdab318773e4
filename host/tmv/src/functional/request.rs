//! The model's own reading of a descriptor.
//!
//! The positions are written out from `docs/registers.md`. The driver's encoder and the unit take them from the
//! register map. So a mistake in one of them shows as a difference between the two devices.

use golden::Layout;

use crate::descriptor::{Completion, DESCRIPTOR_BYTES};

/// The fields of a descriptor, as far as the unit reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) keep_x: bool,
    pub(super) irq: bool,
    pub(super) tell: bool,
    pub(super) after: bool,
    pub(super) layout: Layout,
    pub(super) record: bool,
    pub(super) skip: bool,
    pub(super) older: bool,
    pub(super) tokens: usize,
    pub(super) in_features: usize,
    pub(super) row_beats: usize,
    pub(super) out_features: usize,
    pub(super) column_beats: usize,
    pub(super) x_addr: u64,
    pub(super) w_addr: u64,
    pub(super) y_addr: u64,
    pub(super) x_stride: u64,
    pub(super) w_stride: usize,
}

impl Request {
    /// Reads a descriptor. `None` if the opcode is another one, or if a bit is set that means nothing.
    pub(super) fn read(bytes: &[u8; DESCRIPTOR_BYTES]) -> Option<Self> {
        let number = |at: usize, len: usize| bytes[at..at + len].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
        // Byte 0: flags; byte 1: tokens in the low half, two flags; bytes 14 and 15: zero; the high three bytes of each address.
        let zero = [bytes[0] & !0x7f, bytes[1] & 0xc0, bytes[2]];
        let zero = zero.iter().chain(&bytes[14..16]).chain(&bytes[21..24]).chain(&bytes[29..32]).chain(&bytes[37..40]);
        if bytes[3] != 0xb1 || zero.into_iter().any(|byte| *byte != 0) {
            return None;
        }
        let layout = match bytes[0] & 0x44 {
            0 => Layout::Blocks,
            4 => Layout::Rows,
            0x40 => Layout::Columns,
            _ => return None,
        };
        Some(Self {
            keep_x: bytes[0] & 1 != 0,
            irq: bytes[0] & 2 != 0,
            tell: bytes[1] & 0x10 != 0,
            after: bytes[1] & 0x20 != 0,
            layout,
            record: bytes[0] & 8 != 0,
            skip: bytes[0] & 16 != 0,
            older: bytes[0] & 32 != 0,
            tokens: usize::from(bytes[1] & 0xf),
            in_features: number(4, 2) as usize,
            row_beats: number(6, 2) as usize,
            out_features: number(8, 4) as usize,
            column_beats: number(12, 2) as usize,
            x_addr: number(16, 5),
            w_addr: number(24, 5),
            y_addr: number(32, 5),
            x_stride: number(40, 4),
            w_stride: number(44, 4) as usize,
        })
    }

    /// Whether every address and stride is a multiple of the size of a descriptor.
    pub(super) fn is_aligned(&self) -> bool {
        let places = self.x_addr | self.w_addr | self.y_addr | self.x_stride | self.w_stride as u64;
        places.is_multiple_of(DESCRIPTOR_BYTES as u64)
    }
}

/// The completion record of the operator with number `tag`, as the unit writes it behind byte 48 of the descriptor:
/// `read` is the number of rows or columns that were read, if some were skipped. The model has no clock, so both cycles are
/// zero.
pub(super) fn record(tag: u16, read: usize) -> [u8; 16] {
    Completion { status: Completion::DONE | read as u32, start_cycle: 0, end_cycle: 0, tag }.encode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::{Descriptor, Selection};

    /// Every field has another value, and every byte of a value is another one.
    #[test]
    fn the_driver_writes_what_the_model_reads() {
        let d = Descriptor {
            keep_x: true,
            irq: false,
            tell: false,
            after: true,
            layout: Layout::Blocks,
            selection: Selection::All,
            tokens: 3,
            in_features: 6912,
            row_beats: 108,
            out_features: 0x0102_0304,
            column_beats: 0x0506,
            x_addr: 0x12_3456_7840,
            x_stride: 0x2122_2340,
            w_addr: 0xff_0102_0300,
            w_stride: 0x3132_3380,
            y_addr: 0x41_4243_4440,
        };
        let read = Request::read(&d.encode()).expect("the driver's descriptor is good");
        let expected = Request {
            keep_x: true,
            irq: false,
            tell: false,
            after: true,
            layout: Layout::Blocks,
            record: false,
            skip: false,
            older: false,
            tokens: 3,
            in_features: 6912,
            row_beats: 108,
            out_features: 0x0102_0304,
            column_beats: 0x0506,
            x_addr: 0x12_3456_7840,
            x_stride: 0x2122_2340,
            w_addr: 0xff_0102_0300,
            w_stride: 0x3132_3380,
            y_addr: 0x41_4243_4440,
        };
        assert_eq!(read, expected);
        assert!(read.is_aligned());
        let other = Descriptor { keep_x: false, irq: true, tell: true, after: false, ..d };
        let flags = Request { keep_x: false, irq: true, tell: true, after: false, ..expected };
        assert_eq!(Request::read(&other.encode()), Some(flags));
        let single = Descriptor { layout: Layout::Rows, ..d };
        assert_eq!(Request::read(&single.encode()), Some(Request { layout: Layout::Rows, ..expected }));
        let columns = Descriptor { layout: Layout::Columns, ..d };
        assert_eq!(Request::read(&columns.encode()), Some(Request { layout: Layout::Columns, ..expected }));
        let record = Descriptor { selection: Selection::Record, ..d };
        assert_eq!(Request::read(&record.encode()), Some(Request { record: true, ..expected }));
        for (selection, older) in [(Selection::Skip, false), (Selection::SkipOlder, true)] {
            let skip = Descriptor { selection, ..d };
            assert_eq!(Request::read(&skip.encode()), Some(Request { skip: true, older, ..expected }));
        }
    }
}
