//! The arithmetic of programs, without hardware: what a vector unit computes, slot by slot.
//!
//! The model also finds what a program may not do. A unit reports all of these faults except [`Fault::Overlap`] and
//! [`Fault::Unfenced`]: what it computes then depends on its pipeline and on the memory. Of several faults, a unit may report
//! another one first.

use alloc::vec;
use alloc::vec::Vec;

use golden::Dtype;

use crate::config::{PARTIALS, VectorConfig};
use crate::instruction::{A, At, B, C, Format, From, Instruction, Kind, Op, Post, Range, To};

/// The reason why a program stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A field of the instruction is out of range, or contradicts another one.
    Illegal,
    /// The pass reaches beyond the scratchpad, the accumulators or its block, or stores more or fewer words than its range has.
    Beyond,
    /// A maximum is not finite.
    NotFinite,
    /// The pass reads a word that it wrote, or writes a word and an element of it.
    Overlap,
    /// The pass reads from memory what an instruction before it stores, without a fence between them.
    Unfenced,
    /// What a pass reads is not in memory, from this address on.
    Read(u64),
    /// What a pass writes is not in memory, from this address on.
    Write(u64),
}

/// Memory that programs see.
#[derive(Debug)]
pub struct Memory<'a> {
    /// Address of the first byte.
    pub base: u64,
    /// The bytes.
    pub bytes: &'a mut [u8],
}

impl Memory<'_> {
    /// The bytes `[address, address + len)`.
    ///
    /// # Errors
    /// The address of the first one that is not there.
    pub fn slice(&mut self, address: u64, len: usize) -> Result<&mut [u8], u64> {
        let size = self.bytes.len() as u64;
        let start = address.wrapping_sub(self.base);
        if start > size || len as u64 > size - start {
            return Err(if start < size { self.base + size } else { address });
        }
        Ok(&mut self.bytes[start as usize..start as usize + len])
    }
}

/// The state of a vector unit between instructions.
#[derive(Clone, Debug)]
pub struct Machine {
    config: VectorConfig,
    /// The scratchpad, element by element.
    pub scratch: Vec<f32>,
    accs: Vec<f32>,
    /// What the pass in progress wrote of each word.
    written: Vec<Written>,
    /// Addresses that were stored to since the last fence.
    stored: Vec<core::ops::Range<u64>>,
}

/// What a pass wrote of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    Elements,
    Word,
}

/// The one NaN of the unit's arithmetic.
fn canonical(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(0x7fc0_0000) } else { x }
}

/// 2^(y + 1) for an integer of -150 to 0; what the unit computes for others has no meaning.
fn exp2_plus_1(y: f32) -> f32 {
    let exponent = y.to_bits() >> 23 & 0xff;
    let magnitude =
        if exponent < 127 { 0 } else { (0x80 | y.to_bits() >> 16 & 0x7f) >> (134u32.wrapping_sub(exponent) & 7) };
    f32::from_bits(if magnitude < 128 { (128 - magnitude) << 23 } else { 0x40_0000 >> ((magnitude - 128) & 31) })
}

fn key(x: f32) -> u32 {
    let bits = x.to_bits();
    if bits >> 31 != 0 { !bits } else { bits | 1 << 31 }
}

impl Machine {
    /// A unit after reset. The content of the scratchpad is not defined; here it is zero.
    pub fn new(config: VectorConfig) -> Self {
        Self {
            config,
            scratch: vec![0.0; config.words * config.lanes],
            accs: vec![0.0; config.accs * config.lanes],
            written: vec![Written::Nothing; config.words],
            stored: Vec::new(),
        }
    }

    /// A program begins: what others stored is in memory.
    pub fn begin(&mut self) {
        self.stored.clear();
    }

    /// Runs a program.
    ///
    /// # Errors
    /// The number of an instruction, and what is wrong with it.
    pub fn run(&mut self, program: &[Instruction], mut memory: Memory<'_>) -> Result<(), (usize, Fault)> {
        self.begin();
        program.iter().enumerate().try_for_each(|(i, instr)| self.step(instr, &mut memory).map_err(|fault| (i, fault)))
    }

    /// Runs one instruction.
    ///
    /// # Errors
    /// What is wrong with it. Then the content of scratchpad and accumulators has no meaning.
    pub fn step(&mut self, instr: &Instruction, memory: &mut Memory<'_>) -> Result<(), Fault> {
        if !is_legal(instr, &self.config) {
            return Err(Fault::Illegal);
        }
        self.written.fill(Written::Nothing);
        // Telling waits as a fence does.
        if instr.fence || instr.tell {
            self.stored.clear();
        }
        let stream = match instr.from {
            From::Memory(range) => {
                self.check_fence(range)?;
                Some(load(range, memory, self.config.port_bytes())?)
            }
            From::Scratch => None,
        };
        let mut pass = Pass { machine: self, instr, stream: stream.as_deref(), out: Vec::new(), row: None, rows: 0 };
        pass.run()?;
        let out = pass.out;
        match instr.to {
            To::Memory(range) => {
                let bytes = u64::from(range.row_beats) * self.config.port_bytes() as u64;
                self.stored.push(range.address..range.address + bytes);
                store(range, &out, memory, self.config.port_bytes())
            }
            To::Scratch => Ok(()),
        }
    }

    /// Checks that no row of a range was stored to since the last fence.
    fn check_fence(&self, range: Range) -> Result<(), Fault> {
        let bytes = u64::from(range.row_beats) * self.config.port_bytes() as u64;
        let mut rows = (0..u64::from(range.rows)).map(|row| range.address + row * u64::from(range.row_stride));
        let stored = |row: u64| self.stored.iter().any(|stored| row < stored.end && stored.start < row + bytes);
        if !self.stored.is_empty() && rows.any(stored) { Err(Fault::Unfenced) } else { Ok(()) }
    }
}

/// Whether every field of an instruction is in range for a unit, and none contradicts another one.
pub fn is_legal(instr: &Instruction, config: &VectorConfig) -> bool {
    let [n0, n1, n2, n3] = instr.counts;
    let chain = matches!(instr.kind, Kind::Sum | Kind::Keep);
    let maximum = matches!(instr.kind, Kind::Max | Kind::MaxAbs);
    let is_beat = |range: Range| range.row_beats > 0 && range.address.is_multiple_of(config.port_bytes() as u64);
    let kind = match instr.kind {
        Kind::Map => true,
        // Partial sums of a fold come in words one after the other.
        Kind::Sum => config.sets() == 1 || usize::from(n3) == config.sets(),
        Kind::Keep => true,
        Kind::Max | Kind::MaxAbs => n2 == 1 && n3 == 1 && instr.op == Op::Mul,
    };
    // The addend of a chain is its accumulator.
    let addend = if chain {
        instr.c == C::None && instr.op == Op::Mul && instr.post == Post::None
    } else {
        !instr.more && !instr.hold
    };
    // Y is read once, and late if it is the addend.
    let y = instr.c != C::Y || (!matches!(instr.b, B::Y | B::Exp2) && instr.op == Op::Mul);
    let from = match instr.from {
        From::Scratch => true,
        From::Memory(range) => {
            let block = usize::from(instr.x.strides[0]);
            let bits = if range.format == Format::Bf16 { 16 } else { 32 };
            // It has the words of the blocks, no more and no less.
            let words = u64::from(n0) * block as u64 * (config.lanes * bits / config.port_bits) as u64;
            let beats = u64::from(range.rows) * u64::from(range.row_beats);
            instr.a != A::One
                && instr.to == To::Scratch
                && range.rows > 0
                && is_beat(range)
                && (1..=config.stream_words).contains(&block)
                && instr.x.base == 0
                && beats == words
        }
    };
    let to = match instr.to {
        To::Scratch => true,
        To::Memory(range) => instr.kind == Kind::Map && range.rows == 1 && is_beat(range),
    };
    !instr.counts.contains(&0)
        && kind
        && addend
        && (instr.c != C::None || !instr.c_negative)
        && y
        && (instr.op != Op::Root || [n0, n1, n2, n3] == [1; 4])
        && (instr.last == 0 || (maximum && usize::from(instr.last) <= config.lanes))
        && from
        && to
}

/// The singles of a range.
fn load(range: Range, memory: &mut Memory<'_>, port_bytes: usize) -> Result<Vec<f32>, Fault> {
    let mut singles = Vec::new();
    for row in 0..u64::from(range.rows) {
        let address = range.address + row * u64::from(range.row_stride);
        let row = memory.slice(address, usize::from(range.row_beats) * port_bytes).map_err(Fault::Read)?;
        match range.format {
            Format::F32 => singles.extend(row.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
            Format::Bf16 => singles
                .extend(row.as_chunks::<2>().0.iter().map(|b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16))),
            Format::Int => singles.extend(row.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b) as f32)),
        }
    }
    Ok(singles)
}

fn store(range: Range, out: &[f32], memory: &mut Memory<'_>, port_bytes: usize) -> Result<(), Fault> {
    let bytes: Vec<u8> = match range.format {
        Format::F32 => out.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Format::Bf16 => out.iter().flat_map(|x| ((x.to_bits() >> 16) as u16).to_le_bytes()).collect(),
        Format::Int => out.iter().map(|x| x.to_bits() as u8).collect(),
    };
    if bytes.len() != usize::from(range.row_beats) * port_bytes {
        return Err(Fault::Beyond);
    }
    memory.slice(range.address, bytes.len()).map_err(Fault::Write)?.copy_from_slice(&bytes);
    Ok(())
}

/// An instruction at work.
struct Pass<'a> {
    machine: &'a mut Machine,
    instr: &'a Instruction,
    /// The singles of its stream.
    stream: Option<&'a [f32]>,
    /// Words for memory.
    out: Vec<f32>,
    /// The maximum of the row in progress; none of a row with a NaN.
    row: Option<Option<u32>>,
    /// Maxima written.
    rows: u16,
}

impl Pass<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        let [n0, n1, n2, n3] = self.instr.counts;
        let sets = if self.instr.kind == Kind::Sum { self.machine.config.sets() as u16 } else { 1 };
        let mut begin = 0usize;
        for i0 in 0..n0 {
            for i1 in 0..n1 {
                for i2 in 0..n2 {
                    for i3 in 0..n3 {
                        let i = [i0, i1, i2, i3];
                        let inner = match self.instr.kind {
                            Kind::Sum => usize::from(i2) * usize::from(n3) + usize::from(i3),
                            _ => {
                                (usize::from(i1) * usize::from(n2) + usize::from(i2)) * usize::from(n3)
                                    + usize::from(i3)
                            }
                        };
                        self.slot(i, inner, begin)?;
                    }
                    if self.instr.kind == Kind::Sum && i1 + 1 == n1 && !self.instr.hold {
                        for i3 in (0..n3).step_by(usize::from(sets)) {
                            self.fold([i0, 0, i2, i3 / sets], usize::from(i2) * usize::from(n3) + usize::from(i3))?;
                        }
                    }
                }
            }
            begin += usize::from(self.instr.x.strides[0]);
            if let Some(key) = self.row.take() {
                let key = key.ok_or(Fault::NotFinite)?;
                let max = f32::from_bits(if key >> 31 != 0 { key & !(1 << 31) } else { !key });
                if max.is_nan() || max == f32::INFINITY {
                    return Err(Fault::NotFinite);
                }
                self.element(usize::from(self.instr.r) + usize::from(self.rows), max)?;
                self.rows += 1;
            }
        }
        Ok(())
    }

    fn address(at: At, i: [u16; 4]) -> usize {
        let add = |sum: u16, (i, stride): (u16, u16)| sum.wrapping_add(i.wrapping_mul(stride));
        usize::from(i.into_iter().zip(at.strides).fold(at.base, add))
    }

    fn word(&self, word: usize) -> Result<Vec<f32>, Fault> {
        let lanes = self.machine.config.lanes;
        if *self.machine.written.get(word).ok_or(Fault::Beyond)? != Written::Nothing {
            return Err(Fault::Overlap);
        }
        Ok(self.machine.scratch[word * lanes..(word + 1) * lanes].to_vec())
    }

    fn element(&mut self, element: usize, value: f32) -> Result<(), Fault> {
        *self.machine.scratch.get_mut(element).ok_or(Fault::Beyond)? = value;
        self.write(element / self.machine.config.lanes, Written::Elements)
    }

    fn write(&mut self, word: usize, what: Written) -> Result<(), Fault> {
        let before = core::mem::replace(&mut self.machine.written[word], what);
        if before == Written::Nothing || before == what { Ok(()) } else { Err(Fault::Overlap) }
    }

    /// One slot. `acc` is its accumulator, `begin` the first word of its block.
    fn slot(&mut self, i: [u16; 4], acc: usize, begin: usize) -> Result<(), Fault> {
        let instr = self.instr;
        let lanes = self.machine.config.lanes;
        let [n0, n1, ..] = instr.counts;
        let x = match (self.stream, instr.a) {
            (Some(stream), _) => {
                let [block, outer, middle, inner] = instr.x.strides;
                let within = Self::address(At { strides: [0, outer, middle, inner], ..instr.x }, i);
                if within >= usize::from(block) {
                    return Err(Fault::Beyond);
                }
                let word = begin + within;
                stream[word * lanes..(word + 1) * lanes].to_vec()
            }
            (None, A::One) => vec![1.0; lanes],
            (None, _) => self.word(Self::address(instr.x, i))?,
        };
        let uses_y = matches!(instr.b, B::Y | B::Exp2) || instr.c == C::Y;
        let y = match (uses_y, Self::address(instr.y, i)) {
            (false, _) => vec![0.0; lanes],
            (true, at) if instr.y_element => vec![self.word(at / lanes)?[at % lanes]; lanes],
            (true, at) => self.word(at)?,
        };
        let chain = matches!(instr.kind, Kind::Sum | Kind::Keep);
        if chain && acc >= self.machine.config.accs {
            return Err(Fault::Beyond);
        }
        let (link, links) = if instr.kind == Kind::Sum { (i[1], n1) } else { (i[0], n0) };
        let emit = chain && link + 1 == links && !instr.hold;
        let mut word = Vec::with_capacity(lanes);
        for lane in 0..lanes {
            let sum = acc * lanes + lane;
            let accumulator = match (chain, link == 0 && !instr.more) {
                (true, true) => Some(0.0),
                (true, false) => Some(self.machine.accs[sum]),
                (false, _) => None,
            };
            let root = if instr.op == Op::Root { x[0] } else { x[lane] };
            let (s, result) = lane_result(instr, root, y[lane], accumulator);
            if chain {
                self.machine.accs[sum] = s;
            }
            word.push(result);
        }
        match instr.kind {
            Kind::Sum => Ok(()),
            Kind::Keep if !emit => Ok(()),
            _ => self.put(i, &word),
        }
    }

    /// Puts a word away, and looks for the maximum in it.
    fn put(&mut self, i: [u16; 4], word: &[f32]) -> Result<(), Fault> {
        let instr = self.instr;
        if matches!(instr.kind, Kind::Max | Kind::MaxAbs) {
            let whole = instr.last == 0 || i[1] + 1 != instr.counts[1];
            let count = if whole { word.len() } else { usize::from(instr.last) };
            let begin = match instr.kind {
                Kind::MaxAbs => instr.imm_c.to_bits() & 0x7fff_ffff | 1 << 31,
                _ => key(f32::NEG_INFINITY),
            };
            let of = |x: &f32| if instr.kind == Kind::MaxAbs { x.to_bits() | 1 << 31 } else { key(*x) };
            let best = word[..count].iter().try_fold(begin, |best, x| (!x.is_nan()).then(|| best.max(of(x))));
            self.row = Some(match (self.row, best) {
                (None, best) => best,
                (Some(row), best) => row.zip(best).map(|(row, best)| row.max(best)),
            });
        }
        if let To::Memory(range) = instr.to {
            self.out.extend_from_slice(word);
            let bits = match range.format {
                Format::F32 => 32,
                Format::Bf16 => 16,
                Format::Int => 8,
            };
            let room = usize::from(range.row_beats) * self.machine.config.port_bits;
            return if self.out.len() * bits <= room { Ok(()) } else { Err(Fault::Beyond) };
        }
        let i = if instr.kind == Kind::Keep { [0, i[1], i[2], i[3]] } else { i };
        let (at, lanes) = (Self::address(instr.d, i), self.machine.config.lanes);
        if at >= self.machine.config.words {
            return Err(Fault::Beyond);
        }
        self.machine.scratch[at * lanes..(at + 1) * lanes].copy_from_slice(word);
        self.write(at, Written::Word)
    }

    /// Folds the partial sums that begin at accumulator `acc`, in golden's order.
    fn fold(&mut self, i: [u16; 4], acc: usize) -> Result<(), Fault> {
        let lanes = self.machine.config.lanes;
        let mut sums: Vec<f32> = self.machine.accs[acc * lanes..acc * lanes + PARTIALS].to_vec();
        while sums.len() > 1 {
            let (low, high) = sums.split_at(sums.len() / 2);
            sums = low.iter().zip(high).map(|(a, b)| canonical(a + b)).collect();
        }
        let sum = if self.instr.round_s { Dtype::Bf16.round(sums[0]) } else { sums[0] };
        let at = Self::address(self.instr.d, i);
        self.element(at, sum)
    }
}

/// S before and after rounding and what follows it.
fn lane_result(instr: &Instruction, x: f32, y: f32, accumulator: Option<f32>) -> (f32, f32) {
    let a = match instr.a {
        A::X => x,
        A::Relu => {
            if x < 0.0 {
                0.0
            } else {
                x
            }
        }
        A::One => 1.0,
    };
    let b = match instr.b {
        B::One => 1.0,
        B::Imm => instr.imm_b,
        B::Y => y,
        B::A => a,
        B::Exp2 => exp2_plus_1(y),
    };
    let b = if instr.b_negative { -b } else { b };
    let m = canonical(match instr.op {
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Root => libm::sqrtf(a),
    });
    let m = if instr.round_m { Dtype::Bf16.round(m) } else { m };
    let c = match instr.c {
        C::None => -0.0,
        C::Imm => instr.imm_c,
        C::Y => y,
    };
    let c = if instr.c_negative { -c } else { c };
    let s = canonical(m + accumulator.unwrap_or(c));
    let rounded = if instr.round_s && instr.kind != Kind::Sum { Dtype::Bf16.round(s) } else { s };
    let result = match instr.post {
        Post::None => rounded,
        Post::Trunc => libm::truncf(rounded),
        Post::Floor if key(rounded) < key(instr.imm_c) => instr.imm_c,
        Post::Floor => rounded,
        Post::Flush if m == 0.0 && rounded.abs() <= f32::from_bits(0x3900_0000) => 0.0,
        Post::Flush => rounded,
    };
    (s, result)
}
