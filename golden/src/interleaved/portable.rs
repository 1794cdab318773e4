//! The definition of the kernels.

use core::slice;

use super::lines::{Line, Sums, chunks};

/// The definition of [`Kernel::token`].
pub(super) fn token(lines: &[Line], words: &[u32], sums: &mut [Sums]) {
    for (lines, sums) in lines.chunks_exact(lines.len() / sums.len()).zip(sums) {
        group(lines, words, slice::from_mut(sums));
    }
}

/// The definition of [`Kernel::group`].
pub(super) fn group(lines: &[Line], words: &[u32], sums: &mut [Sums]) {
    let tokens = sums.len();
    for (lines, words) in chunks(lines, words, tokens) {
        for (class, words) in words.chunks_exact(lines.len() * tokens).enumerate() {
            for (line, words) in lines.iter().zip(words.chunks_exact(tokens)) {
                for (sums, word) in sums.iter_mut().zip(words) {
                    for (sum, lane) in sums.iter_mut().zip(line.iter().flat_map(|half| half.0)) {
                        for (codes, x) in lane.to_le_bytes().into_iter().zip(word.to_le_bytes()) {
                            *sum = sum.wrapping_add((codes >> (2 * class) & 3) as i32 * x as i8 as i32);
                        }
                    }
                }
            }
        }
    }
}
