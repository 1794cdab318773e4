//! The weight image: how the unit finds a ternary matrix in DDR.
//!
//! Rows are grouped in blocks of [`ROW_BLOCK`], the last block filled up with zero rows. A row is
//! cut into beats, one transfer of a port each, filled up with zero weights. Within a block beat 0
//! of all rows comes first, then beat 1 of all rows, and so on, so that one set of activations
//! serves [`ROW_BLOCK`] beats in turn:
//!
//! ```text
//! byte 0            port_bytes         2 * port_bytes          ROW_BLOCK * port_bytes
//! | beat 0, row 0   | beat 0, row 1 .. | beat 0, row 7         | beat 1, row 0 ...
//! ```
//!
//! Blocks follow each other at a stride the caller chooses. Bytes between a block's end and the
//! next stride belong to someone else: neither written nor read.
//!
//! A beat of [`Codec::Weights2b`] is little endian and holds `4 * port_bytes` weights: the `nz` bits
//! in its low half, the `neg` bits in its high half, column `c` of the beat in bit `c` of either. A
//! beat of [`Codec::WeightsBase3`] holds `5 * port_bytes`: byte `b` is `sum (w[5 b + j] + 1) 3^j`
//! over `j` from 0 to 4, so 121 is five zeros, and 243 to 255 are no weights.

use alloc::string::ToString;
use alloc::vec;
use core::fmt;
use core::str::FromStr;

use crate::TernaryMatrix;
use crate::error::{Error, check_len};
use crate::parallel::{for_each_chunk, steps};
use crate::ternary::WORD;

/// Rows of one row block: outputs the unit accumulates side by side.
pub const ROW_BLOCK: usize = 8;

/// How weights are coded within a beat.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Two bits a weight, as separate `nz` and `neg` planes. Name: `2bit`.
    #[default]
    Weights2b,
    /// Five weights a byte, 1.6 bits a weight. Name: `base3`.
    WeightsBase3,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weights2b => f.pad("2bit"),
            Self::WeightsBase3 => f.pad("base3"),
        }
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "2bit" => Ok(Self::Weights2b),
            "base3" => Ok(Self::WeightsBase3),
            _ => Err(Error::UnknownCodec { got: name.to_string() }),
        }
    }
}

impl Codec {
    /// All codecs.
    pub const ALL: [Self; 2] = [Self::Weights2b, Self::WeightsBase3];

    /// Weights in one beat of `port_bytes` bytes.
    pub fn lanes_per_beat(self, port_bytes: usize) -> usize {
        match self {
            Self::Weights2b => port_bytes * 4,
            Self::WeightsBase3 => port_bytes * 5,
        }
    }

    /// Beats of one row of `cols` weights. `port_bytes` must not be zero.
    pub fn row_beats(self, cols: usize, port_bytes: usize) -> usize {
        cols.div_ceil(self.lanes_per_beat(port_bytes))
    }

    /// Bytes of one row block. Sizes saturate, so that an absurd shape is found too large, not
    /// small.
    pub fn block_bytes(self, cols: usize, port_bytes: usize) -> usize {
        self.row_beats(cols, port_bytes).saturating_mul(ROW_BLOCK * port_bytes)
    }

    /// Bytes from the start of the first block to the end of the last: the least buffer for a
    /// matrix of shape `[rows, cols]`.
    pub fn image_bytes(self, rows: usize, cols: usize, port_bytes: usize, block_stride: usize) -> usize {
        match rows.div_ceil(ROW_BLOCK) {
            0 => 0,
            n => (n - 1).saturating_mul(block_stride).saturating_add(self.block_bytes(cols, port_bytes)),
        }
    }

    /// Writes the image of `matrix` to the start of `out`.
    ///
    /// `port_bytes` is 8 or 16; `block_stride` is in bytes and at least [`Codec::block_bytes`].
    ///
    /// ```
    /// use golden::{Codec, TernaryMatrix};
    /// let w = TernaryMatrix::from_rows(1, 3, &[1, 0, -1])?;
    /// let mut image = [0; 64];
    /// Codec::Weights2b.encode(&w, 8, 64, &mut image)?;
    /// assert_eq!(image[..8], [0b101, 0, 0, 0, 0b100, 0, 0, 0]);
    /// assert_eq!(Codec::Weights2b.decode(&image, 1, 3, 8, 64)?, w);
    /// # Ok::<(), golden::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PortBytes`], [`Error::BlockStride`], or [`Error::Length`] if `out` is too short.
    pub fn encode(
        self,
        matrix: &TernaryMatrix,
        port_bytes: usize,
        block_stride: usize,
        out: &mut [u8],
    ) -> Result<(), Error> {
        let (rows, cols) = (matrix.rows(), matrix.cols());
        let Some(block_bytes) = self.check(rows, cols, port_bytes, block_stride, out.len())? else {
            return Ok(());
        };
        let out = &mut out[..self.image_bytes(rows, cols, port_bytes, block_stride)];
        let zeros = vec![0; matrix.words_per_row()];
        for_each_chunk(out, block_stride, steps(&[4, rows, matrix.words_per_row()]), |block, out| {
            let out = &mut out[..block_bytes];
            let row = |r| match block * ROW_BLOCK + r {
                r if r < rows => matrix.row(r),
                _ => (&zeros[..], &zeros[..]),
            };
            let block: [(&[u64], &[u64]); ROW_BLOCK] = core::array::from_fn(row);
            match (self, port_bytes) {
                (Self::Weights2b, 16) => encode_block::<16>(&block, out, |nz, neg, k| {
                    u128::to_le_bytes(nz[k] as u128 | (neg[k] as u128) << 64)
                }),
                (Self::Weights2b, _) => encode_block::<8>(&block, out, |nz, neg, k| {
                    let half = |plane: &[u64]| plane[k / 2] >> (k % 2 * 32) & 0xffff_ffff;
                    u64::to_le_bytes(half(nz) | half(neg) << 32)
                }),
                (Self::WeightsBase3, 16) => encode_block::<16>(&block, out, base3_beat),
                (Self::WeightsBase3, _) => encode_block::<8>(&block, out, base3_beat),
            }
        });
        Ok(())
    }

    /// Reads a matrix of shape `[rows, cols]` back from an image at the start of `image`.
    ///
    /// # Errors
    /// As [`Codec::encode`]; besides [`Error::ImageCode`] and [`Error::ImagePadding`] at the first
    /// weight, in image order, that is wrong.
    pub fn decode(
        self,
        image: &[u8],
        rows: usize,
        cols: usize,
        port_bytes: usize,
        block_stride: usize,
    ) -> Result<TernaryMatrix, Error> {
        let Some(block_bytes) = self.check(rows, cols, port_bytes, block_stride, image.len())? else {
            return Ok(TernaryMatrix::zeros(rows, cols));
        };
        let words = cols.div_ceil(WORD);
        let lanes = self.lanes_per_beat(port_bytes);
        let (mut nz, mut neg) = (vec![0; rows * words], vec![0; rows * words]);
        for (block, image) in image.chunks(block_stride).take(rows.div_ceil(ROW_BLOCK)).enumerate() {
            for (i, beat) in image[..block_bytes].chunks_exact(port_bytes).enumerate() {
                let (row, col) = (block * ROW_BLOCK + i % ROW_BLOCK, i / ROW_BLOCK * lanes);
                let (beat_nz, beat_neg, illegal) = self.planes_of_beat(beat);
                // Lanes that hold weights: all, but for the end of a row and for rows past the
                // last.
                let real = match cols - col {
                    _ if row >= rows => 0,
                    n if n >= lanes => u128::MAX,
                    n => (1 << n) - 1,
                };
                let first = |bits: u128| col + bits.trailing_zeros() as usize;
                if illegal != 0 {
                    return Err(Error::ImageCode { row, col: first(illegal) });
                }
                if beat_nz & !real != 0 {
                    return Err(Error::ImagePadding { row, col: first(beat_nz & !real) });
                }
                if row < rows {
                    let row = row * words..(row + 1) * words;
                    put(&mut nz[row.clone()], col, beat_nz);
                    put(&mut neg[row], col, beat_neg);
                }
            }
        }
        Ok(TernaryMatrix::from_planes(rows, cols, nz, neg).expect("both planes hold rows * words words"))
    }

    /// The planes of a beat, `nz` and `neg`, and the lanes whose code is no weight.
    fn planes_of_beat(self, beat: &[u8]) -> (u128, u128, u128) {
        match self {
            Self::Weights2b => {
                let (nz, neg) = beat.split_at(beat.len() / 2);
                let (nz, neg) = (little_endian(nz), little_endian(neg));
                (nz, neg, neg & !nz)
            }
            Self::WeightsBase3 => {
                let (mut nz, mut neg, mut illegal) = (0, 0, 0);
                for (i, byte) in beat.iter().enumerate() {
                    let mut value = *byte;
                    for lane in 5 * i..5 * i + 5 {
                        nz |= u128::from(value % 3 != 1) << lane;
                        neg |= u128::from(value % 3 == 0) << lane;
                        value /= 3;
                    }
                    illegal |= u128::from(value != 0) << (5 * i);
                }
                (nz, neg, illegal)
            }
        }
    }

    /// Bytes of a block if geometry and buffer fit each other, `None` if the image is empty.
    fn check(
        self,
        rows: usize,
        cols: usize,
        port_bytes: usize,
        block_stride: usize,
        len: usize,
    ) -> Result<Option<usize>, Error> {
        if !matches!(port_bytes, 8 | 16) {
            return Err(Error::PortBytes { got: port_bytes });
        }
        let block_bytes = self.block_bytes(cols, port_bytes);
        if block_stride < block_bytes {
            return Err(Error::BlockStride { expected: block_bytes, got: block_stride });
        }
        let expected = self.image_bytes(rows, cols, port_bytes, block_stride);
        if len < expected {
            check_len("weight image, bytes", expected, len)?;
        }
        Ok((expected > 0).then_some(block_bytes))
    }
}

/// Interleaves the beats of eight rows; `beat(nz, neg, k)` is beat `k` of a row.
#[inline(always)]
fn encode_block<const PORT: usize>(
    rows: &[(&[u64], &[u64]); ROW_BLOCK],
    out: &mut [u8],
    beat: impl Fn(&[u64], &[u64], usize) -> [u8; PORT],
) {
    for (k, beats) in out.as_chunks_mut::<PORT>().0.chunks_exact_mut(ROW_BLOCK).enumerate() {
        for (out, (nz, neg)) in beats.iter_mut().zip(rows) {
            *out = beat(nz, neg, k);
        }
    }
}

/// Beat `k` of a row in [`Codec::WeightsBase3`]. Eight bytes hold 40 weights.
#[inline(always)]
fn base3_beat<const PORT: usize>(nz: &[u64], neg: &[u64], k: usize) -> [u8; PORT] {
    let mut beat = [0; PORT];
    for (i, bytes) in beat.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let col = (k * (PORT / 8) + i) * 40;
        let (nz, neg) = (bits_from(nz, col), bits_from(neg, col));
        for (j, byte) in bytes.iter_mut().enumerate() {
            let five = |plane: u64| (plane >> (5 * j) & 31) as usize;
            *byte = BASE3[five(neg) << 5 | five(nz)];
        }
    }
    beat
}

/// Five weights as a byte, by their `neg` and `nz` bits.
const BASE3: [u8; 1024] = {
    let (mut table, mut i) = ([0; 1024], 0);
    while i < 1024 {
        let (mut j, mut power) = (0, 1);
        while j < 5 {
            let (nz, neg) = (i >> j & 1, i >> (5 + j) & 1);
            // The digit is weight + 1; neg comes with nz only.
            table[i] += (1 + nz - 2 * (nz & neg)) as u8 * power;
            (j, power) = (j + 1, if j < 4 { power * 3 } else { 0 });
        }
        i += 1;
    }
    table
};

/// At least 64 bits of a plane, from bit `bit` on; zeros past its end.
#[inline(always)]
fn bits_from(plane: &[u64], bit: usize) -> u64 {
    let word = |i: usize| plane.get(i).copied().unwrap_or(0) as u128;
    ((word(bit / WORD + 1) << WORD | word(bit / WORD)) >> (bit % WORD)) as u64
}

/// Sets the bits of a plane from bit `bit` on; those past its end are zero.
fn put(plane: &mut [u64], bit: usize, mut bits: u128) {
    let (first, shift) = (bit / WORD, bit % WORD);
    let mut carry = 0;
    for word in plane[first..].iter_mut().take(3) {
        *word |= (bits << shift) as u64 | carry;
        carry = if shift == 0 { 0 } else { bits as u64 >> (WORD - shift) };
        bits >>= WORD;
    }
}

fn little_endian(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | *byte as u128)
}
