//! Products of int8 rows in the registers of AVX-512 VNNI. There are no closures here, as in `reduce`.

use core::arch::x86_64::*;

use crate::memory::{in_next_rows, prefetch};

/// Bytes of a register.
const WIDTH: usize = 64;
/// Bytes between what is read and what the memory is asked for.
const AHEAD: usize = 1024;

/// The products of some rows with `q`. One factor of the instruction has no sign, so each code of `q` is 128 larger, and
/// 128 times the row is taken away.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn dots<const ROWS: usize>(q: &[i8], rows: [&[i8]; ROWS]) -> [i32; ROWS] {
    let columns = q.len();
    let (q, q_tail) = q.as_chunks::<WIDTH>();
    let offset = _mm512_set1_epi8(i8::MIN);
    let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
    for (i, q) in q.iter().enumerate() {
        let q = _mm512_xor_si512(bytemuck::must_cast(*q), offset);
        for (sums, row) in sums.iter_mut().zip(rows) {
            let (chunks, _) = row.as_chunks::<WIDTH>();
            prefetch(row, in_next_rows(i * WIDTH + AHEAD, columns, ROWS), WIDTH);
            let codes = bytemuck::must_cast(chunks[i]);
            sums[0] = _mm512_dpbusd_epi32(sums[0], q, codes);
            sums[1] = _mm512_dpbusd_epi32(sums[1], offset, codes);
        }
    }
    let mut out = [0i32; ROWS];
    for ((out, sums), row) in out.iter_mut().zip(sums).zip(rows) {
        *out = _mm512_reduce_add_epi32(_mm512_sub_epi32(sums[0], sums[1]));
        for (q, code) in q_tail.iter().zip(&row[row.len() - q_tail.len()..]) {
            *out = out.wrapping_add(*q as i32 * *code as i32);
        }
    }
    out
}
