//! The arithmetic of programs, without hardware: what a vector unit computes, slot by slot.
//!
//! The model also finds what a program may not do: reach beyond the scratchpad, read a word that the same pass wrote,
//! write a word and a maximum in it, or give its stream another length than its loops. A unit tells the first and the last of these; what it makes of the
//! second depends on its pipeline.

use alloc::vec;
use alloc::vec::Vec;

use golden::Dtype;

use crate::config::{PARTIALS, VectorConfig};
use crate::instruction::{A, At, B, C, Format, From, Instruction, Kind, Op, Post, Range, To};

/// The reason why a program stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A field is out of range, or the instruction reaches beyond the scratchpad, the accumulators or its range.
    BadInstruction,
    /// A maximum is not finite.
    NotFinite,
    /// The pass reads a word that it wrote, or writes a word and an element of it.
    Overlap,
    /// The range is not in memory.
    Memory,
}

/// Memory that programs see.
#[derive(Debug)]
pub struct Memory<'a> {
    /// Address of the first byte.
    pub base: u64,
    /// The bytes.
    pub bytes: &'a mut [u8],
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
        }
    }

    /// Runs a program.
    ///
    /// # Errors
    /// The number of an instruction, and what is wrong with it.
    pub fn run(&mut self, program: &[Instruction], mut memory: Memory<'_>) -> Result<(), (usize, Fault)> {
        program.iter().enumerate().try_for_each(|(i, instr)| self.step(instr, &mut memory).map_err(|fault| (i, fault)))
    }

    fn step(&mut self, instr: &Instruction, memory: &mut Memory<'_>) -> Result<(), Fault> {
        if instr.counts.contains(&0) {
            return Err(Fault::BadInstruction);
        }
        self.written.fill(Written::Nothing);
        let stream = match instr.from {
            From::Memory(range) => Some(self.load(range, memory)?),
            From::Scratch => None,
        };
        let mut pass = Pass { machine: self, instr, stream: stream.as_deref(), out: Vec::new(), row: None, rows: 0 };
        pass.run()?;
        let out = pass.out;
        match instr.to {
            To::Memory(range) => store(range, &out, memory, self.config.port_bytes()),
            To::Scratch => Ok(()),
        }
    }

    /// The singles of a range.
    fn load(&self, range: Range, memory: &Memory<'_>) -> Result<Vec<f32>, Fault> {
        let mut singles = Vec::new();
        let bytes = usize::from(range.row_beats) * self.config.port_bytes();
        for row in 0..u64::from(range.rows) {
            let at = (range.address + row * u64::from(range.row_stride)).wrapping_sub(memory.base) as usize;
            let end = at.checked_add(bytes).ok_or(Fault::Memory)?;
            let row = memory.bytes.get(at..end).ok_or(Fault::Memory)?;
            match range.format {
                Format::F32 => singles.extend(row.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
                Format::Bf16 => singles.extend(
                    row.as_chunks::<2>().0.iter().map(|b| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16)),
                ),
                Format::Int => singles.extend(row.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b) as f32)),
            }
        }
        if singles.len().is_multiple_of(self.config.lanes) { Ok(singles) } else { Err(Fault::BadInstruction) }
    }
}

fn store(range: Range, out: &[f32], memory: &mut Memory<'_>, port_bytes: usize) -> Result<(), Fault> {
    let bytes: Vec<u8> = match range.format {
        Format::F32 => out.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Format::Bf16 => out.iter().flat_map(|x| ((x.to_bits() >> 16) as u16).to_le_bytes()).collect(),
        Format::Int => out.iter().map(|x| x.to_bits() as u8).collect(),
    };
    if bytes.len() != usize::from(range.row_beats) * port_bytes {
        return Err(Fault::BadInstruction);
    }
    let at = range.address.wrapping_sub(memory.base) as usize;
    let end = at.checked_add(bytes.len()).ok_or(Fault::Memory)?;
    memory.bytes.get_mut(at..end).ok_or(Fault::Memory)?.copy_from_slice(&bytes);
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
    /// The maximum of the row in progress.
    row: Option<u32>,
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
                let max = f32::from_bits(if key >> 31 != 0 { key & !(1 << 31) } else { !key });
                self.element(usize::from(self.instr.r) + usize::from(self.rows), max)?;
                self.rows += 1;
                if max.is_nan() || max == f32::INFINITY {
                    return Err(Fault::NotFinite);
                }
            }
        }
        match self.stream {
            Some(stream) if begin * self.machine.config.lanes != stream.len() => Err(Fault::BadInstruction),
            _ => Ok(()),
        }
    }

    fn address(at: At, i: [u16; 4]) -> usize {
        let add = |sum: u16, (i, stride): (u16, u16)| sum.wrapping_add(i.wrapping_mul(stride));
        usize::from(i.into_iter().zip(at.strides).fold(at.base, add))
    }

    fn word(&self, word: usize) -> Result<Vec<f32>, Fault> {
        let lanes = self.machine.config.lanes;
        if *self.machine.written.get(word).ok_or(Fault::BadInstruction)? != Written::Nothing {
            return Err(Fault::Overlap);
        }
        Ok(self.machine.scratch[word * lanes..(word + 1) * lanes].to_vec())
    }

    fn element(&mut self, element: usize, value: f32) -> Result<(), Fault> {
        *self.machine.scratch.get_mut(element).ok_or(Fault::BadInstruction)? = value;
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
                let within = At { strides: [0, instr.x.strides[1], instr.x.strides[2], instr.x.strides[3]], ..instr.x };
                let word = begin + Self::address(within, i);
                stream.get(word * lanes..(word + 1) * lanes).ok_or(Fault::BadInstruction)?.to_vec()
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
            return Err(Fault::BadInstruction);
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
            let mut best = self.row.unwrap_or(match instr.kind {
                Kind::MaxAbs => instr.imm_c.to_bits() & 0x7fff_ffff | 1 << 31,
                _ => key(f32::NEG_INFINITY),
            });
            for x in &word[..count] {
                let bits = x.to_bits();
                if x.is_nan() {
                    return Err(Fault::NotFinite);
                }
                best = best.max(if instr.kind == Kind::MaxAbs { bits | 1 << 31 } else { key(*x) });
            }
            self.row = Some(best);
        }
        if instr.to != To::Scratch {
            self.out.extend_from_slice(word);
            return Ok(());
        }
        let i = if instr.kind == Kind::Keep { [0, i[1], i[2], i[3]] } else { i };
        let (at, lanes) = (Self::address(instr.d, i), self.machine.config.lanes);
        if at >= self.machine.config.words {
            return Err(Fault::BadInstruction);
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
