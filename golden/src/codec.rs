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
//! next stride belong to someone else: neither written nor read. A beat of [`Codec::Weights2b`] is
//! little endian and holds `4 * port_bytes` weights: the `nz` bits in its low half, the `neg` bits
//! in its high half, column `c` of the beat in bit `c` of either.

use alloc::string::ToString;
use alloc::vec;
use core::fmt;
use core::str::FromStr;

use crate::TernaryMatrix;
use crate::error::{Error, check_len};
use crate::parallel::for_each_chunk;
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
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weights2b => f.pad("2bit"),
        }
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "2bit" => Ok(Self::Weights2b),
            _ => Err(Error::UnknownCodec { got: name.to_string() }),
        }
    }
}

impl Codec {
    /// Weights in one beat of `port_bytes` bytes.
    pub fn lanes_per_beat(self, port_bytes: usize) -> usize {
        match self {
            Self::Weights2b => port_bytes * 4,
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
        for_each_chunk(out, block_stride, rows * cols / 16, |block, out| {
            let out = &mut out[..block_bytes];
            let row = |r| match block * ROW_BLOCK + r {
                r if r < rows => matrix.row(r),
                _ => (&zeros[..], &zeros[..]),
            };
            let block: [(&[u64], &[u64]); ROW_BLOCK] = core::array::from_fn(row);
            match port_bytes {
                16 => encode_block::<16>(&block, out, |nz, neg, k| {
                    u128::to_le_bytes(nz[k] as u128 | (neg[k] as u128) << 64)
                }),
                _ => encode_block::<8>(&block, out, |nz, neg, k| {
                    let half = |plane: &[u64]| plane[k / 2] >> (k % 2 * 32) & 0xffff_ffff;
                    u64::to_le_bytes(half(nz) | half(neg) << 32)
                }),
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
                let (beat_nz, beat_neg) = beat.split_at(port_bytes / 2);
                let (beat_nz, beat_neg) = (little_endian(beat_nz), little_endian(beat_neg));
                // Lanes that hold weights: all, but for the end of a row and for rows past the
                // last.
                let real = match cols - col {
                    _ if row >= rows => 0,
                    n if n >= lanes => u64::MAX,
                    n => (1 << n) - 1,
                };
                let first = |bits: u64| col + bits.trailing_zeros() as usize;
                if beat_neg & !beat_nz != 0 {
                    return Err(Error::ImageCode { row, col: first(beat_neg & !beat_nz) });
                }
                if beat_nz & !real != 0 {
                    return Err(Error::ImagePadding { row, col: first(beat_nz & !real) });
                }
                if row < rows {
                    let word = row * words + col / WORD;
                    nz[word] |= beat_nz << (col % WORD);
                    neg[word] |= beat_neg << (col % WORD);
                }
            }
        }
        Ok(TernaryMatrix::from_planes(rows, cols, nz, neg).expect("both planes hold rows * words words"))
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

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | *byte as u64)
}
