//! An instruction of the vector unit.

use crate::regs::INSTR_BYTES;

/// Words of an instruction.
pub const WORDS: usize = INSTR_BYTES as usize / 4;
/// The word with bits 31:0 of the address of a range; the next one has bits 39:32 in its low byte.
pub const ADDRESS_WORD: usize = 13;

/// What a pass does with the results of its lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Every slot writes its word.
    #[default]
    Map = 0,
    /// Loop 1 adds into accumulators, which are folded in golden's order; a sum is one element.
    Sum = 1,
    /// Loop 0 adds into accumulators, which are written as words.
    Keep = 2,
    /// As `Map`; also the largest value of each iteration of loop 0.
    Max = 3,
    /// As `Max`, of magnitudes, and at least [`Instruction::imm_c`].
    MaxAbs = 4,
}

/// The form of singles in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// IEEE binary32.
    F32 = 1,
    /// The upper half of a binary32.
    Bf16 = 2,
    /// An integer: int32 when it is read, the low byte of the single when it is written.
    Int = 3,
}

/// A range of memory in rows of beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Address, aligned to a beat.
    pub address: u64,
    /// Rows.
    pub rows: u16,
    /// Beats of a row.
    pub row_beats: u16,
    /// Bytes from row to row, a multiple of 16.
    pub row_stride: u32,
    /// Form of the singles.
    pub format: Format,
}

/// Where X comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// The scratchpad.
    #[default]
    Scratch,
    /// Memory. Loop 0 takes blocks of as many words as its stride says; the other strides are within the block.
    Memory(Range),
}

/// Where words go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum To {
    /// The scratchpad.
    #[default]
    Scratch,
    /// Memory, one row.
    Memory(Range),
}

/// M = A * B, A / B, or the root of A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Op {
    /// Product.
    #[default]
    Mul = 0,
    /// Quotient.
    Div = 1,
    /// Square root of element 0 of the word.
    Root = 2,
}

/// Operand A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum A {
    /// X.
    #[default]
    X = 0,
    /// X, or zero if it is negative.
    Relu = 1,
    /// 1.
    One = 2,
}

/// Operand B.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum B {
    /// 1.
    #[default]
    One = 0,
    /// [`Instruction::imm_b`].
    Imm = 1,
    /// Y.
    Y = 2,
    /// A.
    A = 3,
    /// 2^(Y + 1), for an integer of -150 to 0.
    Exp2 = 4,
}

/// Addend C.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum C {
    /// Nothing; the accumulator of a pass that has some.
    #[default]
    None = 0,
    /// [`Instruction::imm_c`].
    Imm = 1,
    /// Y.
    Y = 2,
}

/// What happens to S = M + C.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Post {
    /// Nothing.
    #[default]
    None = 0,
    /// The fraction is cut.
    Trunc = 1,
    /// At least [`Instruction::imm_c`].
    Floor = 2,
    /// Zero if M is zero and |S| at most 2^-13.
    Flush = 3,
}

/// A place in the scratchpad, and how far each loop moves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// Number of the first word or element.
    pub base: u16,
    /// For each loop, outermost first.
    pub strides: [u16; 4],
}

impl At {
    /// Words one after the other, from `base` on, by loop 1.
    pub const fn row(base: u16) -> Self {
        Self { base, strides: [0, 1, 0, 0] }
    }

    /// The same in every iteration.
    pub const fn fixed(base: u16) -> Self {
        Self { base, strides: [0; 4] }
    }
}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instruction {
    /// What becomes of the results.
    pub kind: Kind,
    /// Iterations of each loop, outermost first; at least 1.
    pub counts: [u16; 4],
    /// Where X comes from.
    pub from: From,
    /// The words of X.
    pub x: At,
    /// The words of Y, or its elements.
    pub y: At,
    /// Y is an element, the same for all lanes.
    pub y_element: bool,
    /// Where words go.
    pub to: To,
    /// The words of the result; of sums, the elements.
    pub d: At,
    /// The element of the first maximum. The others follow it.
    pub r: u16,
    /// M.
    pub op: Op,
    /// A.
    pub a: A,
    /// B.
    pub b: B,
    /// B is negated.
    pub b_negative: bool,
    /// C.
    pub c: C,
    /// C is negated.
    pub c_negative: bool,
    /// M is rounded to bfloat16.
    pub round_m: bool,
    /// S, or a sum, is rounded to bfloat16.
    pub round_s: bool,
    /// What happens to S.
    pub post: Post,
    /// Constant of B.
    pub imm_b: f32,
    /// Constant of C, of [`Post::Floor`] and of [`Kind::MaxAbs`].
    pub imm_c: f32,
    /// Values that count in the last word of each row of a maximum; 0 for all.
    pub last: u8,
    /// Accumulators go on from the pass before.
    pub more: bool,
    /// Accumulators stay for a pass that goes on.
    pub hold: bool,
    /// The instruction waits until the words that instructions before it store are in memory.
    pub fence: bool,
    /// The instruction waits as with [`Instruction::fence`], and then the other unit is told, before all else.
    pub tell: bool,
    /// The instruction waits until the other unit tells. Each telling ends one wait, also if it came before.
    pub after: bool,
}

impl Default for Instruction {
    fn default() -> Self {
        Self {
            kind: Kind::Map,
            counts: [1; 4],
            from: From::Scratch,
            x: At::default(),
            y: At::default(),
            y_element: false,
            to: To::Scratch,
            d: At::default(),
            r: 0,
            op: Op::Mul,
            a: A::X,
            b: B::One,
            b_negative: false,
            c: C::None,
            c_negative: false,
            round_m: false,
            round_s: false,
            post: Post::None,
            imm_b: 0.0,
            imm_c: 0.0,
            last: 0,
            more: false,
            hold: false,
            fence: false,
            tell: false,
            after: false,
        }
    }
}

impl Instruction {
    /// The instruction in memory.
    pub fn encode(&self) -> [u32; WORDS] {
        let pair = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        let flag = |value: bool, bit: u32| u32::from(value) << bit;
        let (from, to) = (
            match self.from {
                From::Scratch => 0,
                From::Memory(range) => range.format as u32,
            },
            match self.to {
                To::Scratch => 0,
                To::Memory(range) => range.format as u32,
            },
        );
        let control = self.kind as u32
            | from << 3
            | (self.op as u32) << 5
            | (self.a as u32) << 7
            | (self.b as u32) << 9
            | flag(self.b_negative, 12)
            | (self.c as u32) << 13
            | flag(self.c_negative, 15)
            | flag(self.round_m, 16)
            | flag(self.round_s, 17)
            | (self.post as u32) << 18
            | flag(self.y_element, 20)
            | to << 21
            | flag(self.more, 23)
            | flag(self.hold, 24)
            | flag(self.fence, 25)
            | u32::from(self.last) << 26;
        let range = match (self.from, self.to) {
            (From::Memory(range), _) | (_, To::Memory(range)) => Some(range),
            _ => None,
        };
        let (address, rows, row_beats, row_stride) =
            range.map_or((0, 0, 0, 0), |r| (r.address, r.rows, r.row_beats, (r.row_stride / 16) as u16));
        let (n, x, y, d) = (self.counts, self.x, self.y, self.d);
        [
            control,
            self.imm_b.to_bits(),
            self.imm_c.to_bits(),
            pair(n[0], n[1]),
            pair(n[2], n[3]),
            pair(x.base, x.strides[0]),
            pair(x.strides[1], x.strides[2]),
            pair(x.strides[3], rows),
            pair(y.base, y.strides[0]),
            pair(y.strides[1], y.strides[2]),
            pair(y.strides[3], d.base),
            pair(d.strides[0], d.strides[1]),
            pair(d.strides[2], d.strides[3]),
            address as u32,
            (address >> 32) as u32 & 0xff | flag(self.tell, 8) | flag(self.after, 9) | u32::from(self.r) << 16,
            pair(row_stride, row_beats),
        ]
    }
}
