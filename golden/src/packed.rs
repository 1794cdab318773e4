//! The 2-bit form in which Hugging Face checkpoints store ternary matrices.
//!
//! A matrix of shape `[4R, cols]` becomes bytes of shape `[R, cols]`, row-major. Byte `(r, c)` holds column `c` of
//! the rows `r`, `r + R`, `r + 2R` and `r + 3R`, from the low bit pair to the high one. The code of a weight is
//! weight + 1; code 3 is invalid. Packing runs along the output axis. Columns are neither padded nor permuted.
//! Source: `pack_weights` and `unpack_weights` of `transformers`.

use alloc::vec;
use alloc::vec::Vec;

use crate::TernaryMatrix;
use crate::bits;
use crate::error::{Error, check_len};
use crate::ternary::WORD;

/// Unpacks bytes of shape `[rows / 4, cols]` into a matrix of shape `[rows, cols]`.
///
/// ```
/// let w = golden::packed::unpack(&[0xa1, 0x90], 8, 1)?;
/// assert_eq!(w.to_i8(), [0, -1, -1, -1, 1, 0, 1, 1]);
/// # Ok::<(), golden::Error>(())
/// ```
///
/// # Errors
/// [`Error::PackedRows`] if `rows` is not divisible by 4, [`Error::Length`] if the number of bytes does not fit the
/// shape, [`Error::PackedCode`] for a code 3.
pub fn unpack(packed: &[u8], rows: usize, cols: usize) -> Result<TernaryMatrix, Error> {
    if !rows.is_multiple_of(4) {
        return Err(Error::PackedRows { rows });
    }
    let quarter = rows / 4;
    check_len("packed weights, bytes", quarter.saturating_mul(cols), packed.len())?;
    let words = cols.div_ceil(WORD);
    let (mut nz, mut neg) = (vec![0; rows * words], vec![0; rows * words]);
    for (r, row) in packed.chunks(cols.max(1)).enumerate() {
        for (k, bytes) in row.chunks(WORD).enumerate() {
            // Columns past the end get code 1, a zero weight.
            let mut block = [0x55; WORD];
            block[..bytes.len()].copy_from_slice(bytes);
            let planes = bits::planes(&block);
            for (q, code) in planes.as_chunks::<2>().0.iter().enumerate() {
                let [low, high] = code;
                if low & high != 0 {
                    let col = k * WORD + (low & high).trailing_zeros() as usize;
                    return Err(Error::PackedCode { row: q * quarter + r, col });
                }
                let word = (q * quarter + r) * words + k;
                nz[word] = !low;
                neg[word] = !low & !high;
            }
        }
    }
    Ok(TernaryMatrix::from_planes(rows, cols, nz, neg).expect("both planes hold rows * words words"))
}

/// Packs a matrix of shape `[rows, cols]` into bytes of shape `[rows / 4, cols]`.
///
/// # Errors
/// [`Error::PackedRows`] if the number of rows is not divisible by 4.
pub fn pack(matrix: &TernaryMatrix) -> Result<Vec<u8>, Error> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    if !rows.is_multiple_of(4) {
        return Err(Error::PackedRows { rows });
    }
    let quarter = rows / 4;
    let mut out = vec![0; quarter * cols];
    for (r, row) in out.chunks_mut(cols.max(1)).enumerate() {
        for (k, out) in row.chunks_mut(WORD).enumerate() {
            let mut planes = [0; 8];
            for (q, code) in planes.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                let (nz, neg) = matrix.row(q * quarter + r);
                *code = [!nz[k], nz[k] & !neg[k]];
            }
            out.copy_from_slice(&bits::bytes(planes)[..out.len()]);
        }
    }
    Ok(out)
}
