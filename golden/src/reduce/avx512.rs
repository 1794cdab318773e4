//! Sums in the registers of AVX-512. A compiler finds these operations in the portable code only now and then.
//!
//! There are no closures here: a function without these instructions that calls one could not be inlined.

use core::arch::x86_64::*;

use super::lanes::LANES;
use crate::dtype::Element;
use crate::memory::{in_next_rows, prefetch};

/// Values of a register.
const WIDTH: usize = 16;

/// The results of `dots!`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn dots<E: Element, const AHEAD: usize, const ROWS: usize>(a: &[f32], rows: [&[E]; ROWS]) -> [f32; ROWS] {
    let columns = a.len();
    let (a, a_tail) = a.as_chunks::<LANES>();
    let mut chunks: [&[[E; LANES]]; ROWS] = [&[]; ROWS];
    for (chunks, row) in chunks.iter_mut().zip(rows) {
        *chunks = &row.as_chunks().0[..a.len()];
    }
    let mut sums = [[_mm512_setzero_ps(); LANES / WIDTH]; ROWS];
    for (i, a) in a.iter().enumerate() {
        let a = registers(a);
        for (sums, row) in sums.iter_mut().zip(chunks) {
            if AHEAD > 0 {
                prefetch(row.as_flattened(), in_next_rows(i * LANES + AHEAD, columns, ROWS), LANES);
            }
            for ((sum, a), x) in sums.iter_mut().zip(a).zip(registers(&row[i])) {
                *sum = _mm512_add_ps(*sum, _mm512_mul_ps(a, x));
            }
        }
    }
    let mut out = [0.0; ROWS];
    for ((out, sums), row) in out.iter_mut().zip(sums).zip(rows) {
        let mut tail = 0.0;
        for (a, x) in a_tail.iter().zip(&row[row.len() - a_tail.len()..]) {
            tail += a * x.to_f32();
        }
        *out = fold(sums) + tail;
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn registers<E: Element>(x: &[E; LANES]) -> [__m512; LANES / WIDTH] {
    let mut floats = [0.0; LANES];
    for (float, x) in floats.iter_mut().zip(x) {
        *float = x.to_f32();
    }
    bytemuck::must_cast(floats)
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn fold([low, high]: [__m512; LANES / WIDTH]) -> f32 {
    let x = _mm512_add_ps(low, high);
    let x = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
    let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
}
