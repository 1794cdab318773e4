//! The weight image: the layout of a ternary matrix in DDR, as the unit reads it.
//!
//! Rows are grouped in row blocks of [`ROW_BLOCK`] rows. Zero rows fill up the last block. Each row is cut into
//! beats; a beat is one transfer of a memory port. Zero weights fill up the last beat of a row. A block holds first
//! beat 0 of all rows, then beat 1 of all rows, and so on. One set of activations therefore serves [`ROW_BLOCK`]
//! consecutive beats:
//!
//! ```text
//! byte 0            port_bytes         2 * port_bytes          ROW_BLOCK * port_bytes
//! | beat 0, row 0   | beat 0, row 1 .. | beat 0, row 7         | beat 1, row 0 ...
//! ```
//!
//! Blocks follow each other at a stride that the caller chooses. The bytes between the end of a block and the start
//! of the next block do not belong to the image: they are neither written nor read.
//!
//! In an image of single rows ([`Layout::Rows`]) a row's beats follow each other, and rows take the place of blocks. The
//! unit can then read some rows and leave out others. Zero rows fill up the last block here too. In an image of single
//! columns ([`Layout::Columns`]) columns take the place of rows: it is the image of the transposed matrix in single rows.
//!
//! A beat of [`Codec::Weights2b`] is little endian and holds `4 * port_bytes` weights: the `nz` bits in its low half
//! and the `neg` bits in its high half. Column `c` of the beat is bit `c` of either half.
//!
//! A beat of [`Codec::WeightsBase3`] holds `5 * port_bytes` weights. Byte `b` is `sum (w[5 b + j] + 1) 3^j` over `j`
//! from 0 to 4. So 121 stands for five zeros, and the values 243 to 255 are invalid.

use alloc::string::ToString;
use alloc::vec;
use core::fmt;
use core::str::FromStr;

use crate::TernaryMatrix;
use crate::error::{Error, check_len};
use crate::parallel::{for_each_chunk, steps};
use crate::ternary::WORD;

/// Rows in one row block. The unit accumulates these outputs at the same time.
pub const ROW_BLOCK: usize = 8;

/// The order of beats in an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Blocks of [`ROW_BLOCK`] rows, interleaved beat by beat.
    #[default]
    Blocks,
    /// Row after row.
    Rows,
    /// Column after column: the transposed matrix, row after row.
    Columns,
}

impl Layout {
    /// Rows or columns that lie interleaved: the rows of a block, or a single row or column.
    pub fn together(self) -> usize {
        if self == Self::Blocks { ROW_BLOCK } else { 1 }
    }

    /// Pieces of the image of a matrix: row blocks, rows or columns. Zero rows or columns fill up the last [`ROW_BLOCK`].
    pub fn pieces(self, rows: usize, cols: usize) -> usize {
        let lines = if self == Self::Columns { cols } else { rows };
        lines.next_multiple_of(ROW_BLOCK) / self.together()
    }
}

/// The coding of weights within a beat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Two bits per weight, as separate `nz` and `neg` planes. Name: `2bit`.
    #[default]
    Weights2b,
    /// Five weights per byte, 1.6 bits per weight. Name: `base3`.
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

    /// Beats of one column of `rows` weights in an image of columns. Other images have no columns: 0.
    pub fn column_beats(self, layout: Layout, rows: usize, port_bytes: usize) -> usize {
        if layout == Layout::Columns { self.row_beats(rows, port_bytes) } else { 0 }
    }

    /// Bytes of one row block. Sizes saturate, so that an absurd shape gives a size that is too large, never one that
    /// is too small.
    pub fn block_bytes(self, cols: usize, port_bytes: usize) -> usize {
        self.piece_bytes(Layout::Blocks, ROW_BLOCK, cols, port_bytes)
    }

    /// Bytes of a piece of the image of a `[rows, cols]` matrix: of a block, of a single row or of a single column.
    pub fn piece_bytes(self, layout: Layout, rows: usize, cols: usize, port_bytes: usize) -> usize {
        let length = if layout == Layout::Columns { rows } else { cols };
        self.row_beats(length, port_bytes).saturating_mul(layout.together() * port_bytes)
    }

    /// Bytes from the start of the first block to the end of the last block. A buffer for a matrix of shape
    /// `[rows, cols]` needs at least this size.
    pub fn image_bytes(self, rows: usize, cols: usize, port_bytes: usize, block_stride: usize) -> usize {
        self.image_bytes_in(Layout::Blocks, rows, cols, port_bytes, block_stride)
    }

    /// Like [`Codec::image_bytes`], for any layout. `stride` is that of its pieces.
    pub fn image_bytes_in(self, layout: Layout, rows: usize, cols: usize, port_bytes: usize, stride: usize) -> usize {
        match layout.pieces(rows, cols) {
            0 => 0,
            n => (n - 1).saturating_mul(stride).saturating_add(self.piece_bytes(layout, rows, cols, port_bytes)),
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
    /// [`Error::PortBytes`] if `port_bytes` is not 8 or 16, [`Error::BlockStride`] if row blocks would overlap,
    /// [`Error::Length`] if `out` is too short.
    pub fn encode(
        self,
        matrix: &TernaryMatrix,
        port_bytes: usize,
        block_stride: usize,
        out: &mut [u8],
    ) -> Result<(), Error> {
        self.encode_in(Layout::Blocks, matrix, port_bytes, block_stride, out)
    }

    /// Like [`Codec::encode`], for any layout. `stride` is that of its pieces.
    ///
    /// # Errors
    /// Those of [`Codec::encode`].
    pub fn encode_in(
        self,
        layout: Layout,
        matrix: &TernaryMatrix,
        port_bytes: usize,
        stride: usize,
        out: &mut [u8],
    ) -> Result<(), Error> {
        if layout == Layout::Columns {
            return self.encode_in(Layout::Rows, &matrix.transposed(), port_bytes, stride, out);
        }
        let (rows, cols) = (matrix.rows(), matrix.cols());
        let Some(piece_bytes) = self.check(layout, rows, cols, port_bytes, stride, out.len())? else {
            return Ok(());
        };
        let out = &mut out[..self.image_bytes_in(layout, rows, cols, port_bytes, stride)];
        let zeros = vec![0; matrix.words_per_row()];
        for_each_chunk(out, stride, steps(&[4, rows, matrix.words_per_row()]), |piece, out| {
            let out = &mut out[..piece_bytes];
            let row = |r| match piece * layout.together() + r {
                r if r < rows => matrix.row(r),
                _ => (&zeros[..], &zeros[..]),
            };
            let block: [(&[u64], &[u64]); ROW_BLOCK] = core::array::from_fn(row);
            let block = &block[..layout.together()];
            match (self, port_bytes) {
                (Self::Weights2b, 16) => encode_piece::<16>(block, out, |nz, neg, k| {
                    u128::to_le_bytes(nz[k] as u128 | (neg[k] as u128) << 64)
                }),
                (Self::Weights2b, _) => encode_piece::<8>(block, out, |nz, neg, k| {
                    let half = |plane: &[u64]| plane[k / 2] >> (k % 2 * 32) & 0xffff_ffff;
                    u64::to_le_bytes(half(nz) | half(neg) << 32)
                }),
                (Self::WeightsBase3, 16) => encode_piece::<16>(block, out, base3_beat),
                (Self::WeightsBase3, _) => encode_piece::<8>(block, out, base3_beat),
            }
        });
        Ok(())
    }

    /// Decodes a matrix of shape `[rows, cols]` from an image at the start of `image`.
    ///
    /// # Errors
    /// [`Error::PortBytes`] if `port_bytes` is not 8 or 16, [`Error::BlockStride`] if row blocks would overlap,
    /// [`Error::Length`] if `image` is too short. [`Error::ImageCode`] or [`Error::ImagePadding`] for the first wrong
    /// weight in image order.
    pub fn decode(
        self,
        image: &[u8],
        rows: usize,
        cols: usize,
        port_bytes: usize,
        block_stride: usize,
    ) -> Result<TernaryMatrix, Error> {
        self.decode_in(Layout::Blocks, image, rows, cols, port_bytes, block_stride)
    }

    /// Like [`Codec::decode`], for any layout. `stride` is that of its pieces.
    ///
    /// # Errors
    /// Those of [`Codec::decode`].
    pub fn decode_in(
        self,
        layout: Layout,
        image: &[u8],
        rows: usize,
        cols: usize,
        port_bytes: usize,
        stride: usize,
    ) -> Result<TernaryMatrix, Error> {
        if layout == Layout::Columns {
            return match self.decode_in(Layout::Rows, image, cols, rows, port_bytes, stride) {
                Ok(transposed) => Ok(transposed.transposed()),
                Err(Error::ImageCode { row, col }) => Err(Error::ImageCode { row: col, col: row }),
                Err(Error::ImagePadding { row, col }) => Err(Error::ImagePadding { row: col, col: row }),
                Err(error) => Err(error),
            };
        }
        let Some(piece_bytes) = self.check(layout, rows, cols, port_bytes, stride, image.len())? else {
            return Ok(TernaryMatrix::zeros(rows, cols));
        };
        let words = cols.div_ceil(WORD);
        let lanes = self.lanes_per_beat(port_bytes);
        let (mut nz, mut neg) = (vec![0; rows * words], vec![0; rows * words]);
        let (together, pieces) = (layout.together(), layout.pieces(rows, cols));
        for (piece, image) in image.chunks(stride).take(pieces).enumerate() {
            for (i, beat) in image[..piece_bytes].chunks_exact(port_bytes).enumerate() {
                let (row, col) = (piece * together + i % together, i / together * lanes);
                let (beat_nz, beat_neg, illegal) = self.planes_of_beat(beat);
                // Lanes that hold weights. Lanes past the end of a row are padding, and so are all lanes of rows past
                // the last.
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

    /// The planes `nz` and `neg` of a beat, and the lanes with an invalid code.
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

    /// Checks the geometry and the buffer length. Returns the bytes of a block or a single row, or `None` if the image is
    /// empty.
    fn check(
        self,
        layout: Layout,
        rows: usize,
        cols: usize,
        port_bytes: usize,
        stride: usize,
        len: usize,
    ) -> Result<Option<usize>, Error> {
        if !matches!(port_bytes, 8 | 16) {
            return Err(Error::PortBytes { got: port_bytes });
        }
        let piece_bytes = self.piece_bytes(layout, rows, cols, port_bytes);
        if stride < piece_bytes {
            return Err(Error::BlockStride { expected: piece_bytes, got: stride });
        }
        let expected = self.image_bytes_in(layout, rows, cols, port_bytes, stride);
        if len < expected {
            check_len("weight image, bytes", expected, len)?;
        }
        Ok((expected > 0).then_some(piece_bytes))
    }
}

/// Interleaves the beats of some rows. `beat(nz, neg, k)` returns beat `k` of a row.
#[inline(always)]
fn encode_piece<const PORT: usize>(
    rows: &[(&[u64], &[u64])],
    out: &mut [u8],
    beat: impl Fn(&[u64], &[u64], usize) -> [u8; PORT],
) {
    for (k, beats) in out.as_chunks_mut::<PORT>().0.chunks_exact_mut(rows.len()).enumerate() {
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

/// The byte of five weights. The index holds their `nz` bits in its low half and their `neg` bits in its high half.
const BASE3: [u8; 1024] = {
    let (mut table, mut i) = ([0; 1024], 0);
    while i < 1024 {
        let (mut j, mut power) = (0, 1);
        while j < 5 {
            let (nz, neg) = (i >> j & 1, i >> (5 + j) & 1);
            // The digit is weight + 1. A `neg` bit counts only where the `nz` bit is set.
            table[i] += (1 + nz - 2 * (nz & neg)) as u8 * power;
            (j, power) = (j + 1, if j < 4 { power * 3 } else { 0 });
        }
        i += 1;
    }
    table
};

/// The 64 bits of a plane from bit `bit` on. Bits past the end of the plane are zero.
#[inline(always)]
fn bits_from(plane: &[u64], bit: usize) -> u64 {
    let word = |i: usize| plane.get(i).copied().unwrap_or(0) as u128;
    ((word(bit / WORD + 1) << WORD | word(bit / WORD)) >> (bit % WORD)) as u64
}

/// Sets the bits of a plane from bit `bit` on. `bits` are zero past the end of the plane, because padding was
/// checked.
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
