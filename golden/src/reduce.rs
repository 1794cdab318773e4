//! Float sums in a fixed order.
//!
//! A sum consists of [`LANES`] interleaved partial sums, which are folded in halves. The elements left over at the
//! end are summed in sequence and added last. This order is part of the result: a back end must use it to get the
//! same bits. It vectorises although the compiler may not reassociate, and its error is far below the error of one
//! long sequential sum.

use core::array;

use crate::dtype::Element;
use lanes::LANES;

#[cfg(all(feature = "parallel", target_arch = "x86_64"))]
pub(crate) mod avx512;
mod lanes;

/// `sum_i a[i] * b[i]` in fp32. Every product is rounded and then added.
#[inline(always)]
pub(crate) fn dot<E: Element>(a: &[f32], b: &[E]) -> f32 {
    let mut sums = [0.0; LANES];
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i].to_f32();
        }
    }
    let tail = a_tail.iter().zip(b_tail).fold(0.0, |sum, (a, b)| sum + a * b.to_f32());
    fold(sums) + tail
}

/// [`dot`] of `a` with several rows, `dots!(a, rows, ahead)`, in a function of `simd!`. The rows are read from memory at
/// the same time, because one stream of addresses alone does not get all that a memory gives. The memory is asked for
/// elements that are `ahead` of those that are needed, if `ahead` is not 0.
#[cfg(all(feature = "parallel", target_arch = "x86_64"))]
macro_rules! dots {
    ($a:expr, $rows:expr, $ahead:expr) => {
        multiversion::target::match_target! {
            "x86_64+avx512f+avx512bw+avx512vl+avx512vpopcntdq+popcnt" => {
                $crate::reduce::avx512::dots::<_, { $ahead }, _>($a, $rows)
            },
            _ => {
                let _ = $ahead;
                $rows.map(|row| $crate::reduce::dot($a, row))
            },
        }
    };
}
#[cfg(not(all(feature = "parallel", target_arch = "x86_64")))]
macro_rules! dots {
    ($a:expr, $rows:expr, $ahead:expr) => {{
        let _ = $ahead;
        $rows.map(|row| $crate::reduce::dot($a, row))
    }};
}
pub(crate) use dots;

/// `sum_i x[i]` in fp32.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (x, tail) = x.as_chunks::<LANES>();
    for x in x {
        for i in 0..LANES {
            sums[i] += x[i];
        }
    }
    fold(sums) + tail.iter().fold(0.0, |sum, x| sum + x)
}

/// Halves the number of sums until one is left. The steps are written out, because each of them is then one vector
/// addition.
#[inline(always)]
fn fold(sums: [f32; LANES]) -> f32 {
    // Compilers look for vectors from the end of a sum, find pairs here, and would also add up in pairs before.
    #[cfg(feature = "parallel")]
    let sums = core::hint::black_box(sums);
    let sums: [f32; 16] = array::from_fn(|i| sums[i] + sums[i + 16]);
    let sums: [f32; 8] = array::from_fn(|i| sums[i] + sums[i + 8]);
    let sums: [f32; 4] = array::from_fn(|i| sums[i] + sums[i + 4]);
    #[cfg(feature = "parallel")]
    let sums = core::hint::black_box(sums);
    (sums[0] + sums[2]) + (sums[1] + sums[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers add up exactly, in any order.
    #[test]
    fn every_element_counts_once() {
        for len in 0..5 * LANES {
            let a: Vec<f32> = (0..len).map(|i| (i * i % 61) as f32 - 20.0).collect();
            let b: Vec<f32> = (0..len).map(|i| (i * 7 % 13) as f32 - 5.0).collect();
            assert_eq!(sum(&a), a.iter().sum::<f32>(), "{len} elements");
            assert_eq!(dot(&a, &b), a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>(), "{len} elements");
        }
    }
}
