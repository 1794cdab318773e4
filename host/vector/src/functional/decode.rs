//! The model's own reading of descriptors and instructions.
//!
//! The positions are written out from `docs/vector-registers.md` and `rtl/vector/README.md`. The driver's encoder and the
//! unit take theirs from elsewhere, so a mistake in one of them shows as a difference between the two devices.

use crate::instruction::{A, At, B, C, Format, From, Instruction, Kind, Op, Post, Range, To, WORDS};

/// A program in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) address: u64,
    pub(super) count: u16,
    pub(super) irq: bool,
}

/// Reads a descriptor. `None` if the opcode is another one, a field is out of range, or a bit is set that means nothing.
pub(super) fn descriptor(words: &[u32; 16]) -> Option<Request> {
    let zero = words[0] & 0x00ff_fffd | words[3] & !0xff | words[4..12].iter().fold(0, |all, word| all | word);
    let good = words[0] >> 24 == 0xb2 && zero == 0 && (1..=4096).contains(&words[1]);
    let address = u64::from(words[3]) << 32 | u64::from(words[2]);
    good.then_some(Request { address, count: words[1] as u16, irq: words[0] & 2 != 0 })
}

/// Reads an instruction. `None` if a code means nothing, or if a bit is set that means nothing.
pub(crate) fn instruction(w: &[u32; WORDS]) -> Option<Instruction> {
    let bits = |low: u32, count: u32| w[0] >> low & ((1 << count) - 1);
    let flag = |bit: u32| bits(bit, 1) != 0;
    // Counts, places and strides: half a word each, from the low half of word 3 on.
    let half = |index: usize| (w[3 + index / 2] >> (16 * (index % 2))) as u16;
    let loops = |first: usize| [half(first), half(first + 1), half(first + 2), half(first + 3)];
    let place = |first: usize| At { base: half(first), strides: loops(first + 1) };
    if w[14] & 0xfc00 != 0 {
        return None;
    }
    let range = |format| Range {
        address: u64::from(w[14] & 0xff) << 32 | u64::from(w[13]),
        rows: half(9),
        row_stride: (w[15] & 0xffff) * 16,
        row_beats: (w[15] >> 16) as u16,
        format,
    };
    let format = |code| match code {
        1 => Some(range(Format::F32)),
        2 => Some(range(Format::Bf16)),
        3 => Some(range(Format::Int)),
        _ => None,
    };
    Some(Instruction {
        kind: *[Kind::Map, Kind::Sum, Kind::Keep, Kind::Max, Kind::MaxAbs].get(bits(0, 3) as usize)?,
        counts: loops(0),
        from: format(bits(3, 2)).map_or(From::Scratch, From::Memory),
        x: place(4),
        y: place(10),
        y_element: flag(20),
        to: format(bits(21, 2)).map_or(To::Scratch, To::Memory),
        d: place(15),
        r: (w[14] >> 16) as u16,
        op: *[Op::Mul, Op::Div, Op::Root].get(bits(5, 2) as usize)?,
        a: *[A::X, A::Relu, A::One].get(bits(7, 2) as usize)?,
        b: *[B::One, B::Imm, B::Y, B::A, B::Exp2].get(bits(9, 3) as usize)?,
        b_negative: flag(12),
        c: *[C::None, C::Imm, C::Y].get(bits(13, 2) as usize)?,
        c_negative: flag(15),
        round_m: flag(16),
        round_s: flag(17),
        post: [Post::None, Post::Trunc, Post::Floor, Post::Flush][bits(18, 2) as usize],
        imm_b: f32::from_bits(w[1]),
        imm_c: f32::from_bits(w[2]),
        last: bits(26, 6) as u8,
        more: flag(23),
        hold: flag(24),
        fence: flag(25),
        tell: w[14] & 0x100 != 0,
        after: w[14] & 0x200 != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field has another value, and every half of a word is another one.
    #[test]
    fn the_driver_writes_what_the_model_reads() {
        let at = |base: u16| At { base, strides: [base + 1, base + 2, base + 3, base + 4] };
        let range = Range {
            address: 0x12_3456_7890,
            rows: 0x0901,
            row_beats: 0x0a01,
            row_stride: 0x0b01 * 16,
            format: Format::Bf16,
        };
        let first = Instruction {
            kind: Kind::Sum,
            counts: [0x101, 0x102, 0x103, 0x104],
            from: From::Memory(range),
            x: at(0x201),
            y: at(0x301),
            d: at(0x401),
            r: 0x501,
            op: Op::Root,
            a: A::Relu,
            b: B::Exp2,
            c: C::Y,
            post: Post::Floor,
            imm_b: 1.25,
            imm_c: -3.5,
            last: 21,
            ..Instruction::default()
        };
        let flags: [fn(&mut Instruction) -> &mut bool; 9] = [
            |i| &mut i.y_element,
            |i| &mut i.b_negative,
            |i| &mut i.c_negative,
            |i| &mut i.round_m,
            |i| &mut i.round_s,
            |i| &mut i.more,
            |i| &mut i.hold,
            |i| &mut i.tell,
            |i| &mut i.after,
        ];
        assert_eq!(instruction(&first.encode()), Some(first));
        for flag in flags {
            let mut one = first;
            *flag(&mut one) = true;
            assert_eq!(instruction(&one.encode()), Some(one));
        }
        let second = Instruction {
            kind: Kind::MaxAbs,
            from: From::Scratch,
            to: To::Memory(Range { format: Format::Int, ..range }),
            op: Op::Div,
            a: A::One,
            b: B::A,
            c: C::Imm,
            post: Post::Flush,
            fence: true,
            ..first
        };
        assert_eq!(instruction(&second.encode()), Some(second));
        for bit in 10..16 {
            let mut words = first.encode();
            words[14] |= 1 << bit;
            assert_eq!(instruction(&words), None, "bit {bit}");
        }
    }
}
