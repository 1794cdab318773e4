//! Kernels for x86-64, one for each set of instructions: the same code with other registers and another product.
//!
//! Many tokens: a chunk is read once for each class, from the class that its mask leaves multiplied by 64. Between two
//! classes the sums are divided by 4, which is exact, so one mask is all that a code costs. One token: memory is the
//! limit, so each line is read once, and several groups are read at the same time, because one stream of addresses alone
//! does not get all that the memory gives.
//!
//! Inner loops have no closures: they could not be inlined into a function with other instructions than their own.

use core::arch::x86_64::*;

use multiversion::multiversion;
use multiversion::target::match_target;
use prefetch_index::prefetch_index;

use crate::memory::in_next_rows;

use super::lines::{CHUNK, CLASSES, Kernel, Line, ROWS, Sums, chunks};

/// The kernels of this file that this machine can run, from the slowest to the fastest.
pub(super) fn kernels() -> impl Iterator<Item = Kernel> {
    [avx2::kernel(), avx_vnni::kernel(), avx512_vnni::kernel()].into_iter().flatten()
}

/// Lines between the one that is needed and the one that the memory is asked for.
const AHEAD: usize = 8;

/// A kernel. `groups` of them are read at a time for one token; the sums of `tokens` tokens, two registers each, are held
/// in registers.
macro_rules! kernel {
    (
        $kernel:ident, $name:literal, $target:literal, $features:literal, $register:ident, $dot:ident,
        ($zero:ident, $bytes:ident, $words:ident, $and:ident, $add:ident, $left:ident, $right:ident),
        groups: $groups:literal, tokens: $($tokens:literal)*
    ) => {
        mod $kernel {
            use super::*;

            /// Rows of a register.
            const WIDTH: usize = size_of::<$register>() / size_of::<i32>();
            /// Registers of a line.
            const REGISTERS: usize = ROWS / WIDTH;

            #[multiversion(targets($target))]
            pub(super) fn kernel() -> Option<Kernel> {
                match_target! {
                    $target => Some(Kernel { name: $name, group, token }),
                    _ => None,
                }
            }

            #[target_feature(enable = $features)]
            fn group(lines: &[Line], words: &[u32], sums: &mut [Sums]) {
                const MOST: usize = [$($tokens),*].len();
                let tokens = sums.len();
                for first in (0..tokens).step_by(MOST) {
                    let sums = &mut sums[first..tokens.min(first + MOST)];
                    for register in (0..REGISTERS).step_by(2) {
                        match sums.len() {
                            $($tokens => part::<$tokens>(lines, words, tokens, first, register, sums),)*
                            _ => unreachable!("a part has at most {MOST} tokens"),
                        }
                    }
                }
            }

            /// Two registers of each line, and some of the tokens of a tile, from `first` on.
            #[inline]
            #[target_feature(enable = $features)]
            fn part<const TOKENS: usize>(
                lines: &[Line],
                words: &[u32],
                tokens: usize,
                first: usize,
                register: usize,
                sums: &mut [Sums],
            ) {
                for (lines, words) in chunks(lines, words, tokens) {
                    let mut acc = [[$zero(); 2]; TOKENS];
                    for (class, words) in words.chunks_exact(lines.len() * tokens).enumerate().rev() {
                        let mask = $bytes((3u8 << (2 * class)) as i8);
                        for acc in acc.as_flattened_mut() {
                            *acc = $right::<2>(*acc);
                        }
                        for (line, words) in lines.iter().zip(words.chunks_exact(tokens)) {
                            let line = registers(line);
                            let codes = [$and(line[register], mask), $and(line[register + 1], mask)];
                            for (acc, x) in acc.iter_mut().zip(&words[first..first + TOKENS]) {
                                let x = $words(*x as i32);
                                acc[0] = $dot(acc[0], codes[0], x);
                                acc[1] = $dot(acc[1], codes[1], x);
                            }
                        }
                    }
                    for (sums, acc) in sums.iter_mut().zip(acc) {
                        add(sums, register, acc);
                    }
                }
            }

            #[target_feature(enable = $features)]
            fn token(lines: &[Line], words: &[u32], sums: &mut [Sums]) {
                let group = lines.len() / sums.len();
                let (whole, rest) = sums.as_chunks_mut();
                let (whole_lines, rest_lines) = lines.split_at(whole.len() * $groups * group);
                for (lines, sums) in whole_lines.chunks_exact($groups * group).zip(whole) {
                    groups::<$groups>(lines, words, sums);
                }
                for (lines, sums) in rest_lines.chunks_exact(group).zip(rest) {
                    groups::<1>(lines, words, core::array::from_mut(sums));
                }
            }

            /// Some groups and one token.
            #[inline]
            #[target_feature(enable = $features)]
            fn groups<const N: usize>(lines: &[Line], words: &[u32], sums: &mut [Sums; N]) {
                let group = lines.len() / N;
                let masks = [$bytes(3), $bytes(3 << 2)];
                // The sums of the classes 0 and 2, and those of the classes 1 and 3, which their mask leaves multiplied by 4.
                let mut acc = [[[$zero(); REGISTERS]; 2]; N];
                for (start, words) in (0..group).step_by(CHUNK).zip(words.chunks(CHUNK * CLASSES)) {
                    let count = words.len() / CLASSES;
                    let (low, high) = words.split_at(2 * count);
                    let ((x0, x1), (x2, x3)) = (low.split_at(count), high.split_at(count));
                    for i in 0..count {
                        let x = [[x0[i], x2[i]], [x1[i], x3[i]]];
                        let next = in_next_rows(start + i + AHEAD, group, N);
                        for (n, acc) in acc.iter_mut().enumerate() {
                            let lines = &lines[n * group..];
                            for half in 0..2 {
                                prefetch_index(lines.as_flattened(), 2 * next + half);
                            }
                            for (r, codes) in registers(&lines[start + i]).into_iter().enumerate() {
                                for (acc, (mask, x)) in acc.iter_mut().zip(masks.iter().zip(x)) {
                                    acc[r] = $dot(acc[r], $and(codes, *mask), $words(x[0] as i32));
                                    acc[r] = $dot(acc[r], $and($left::<4>(codes), *mask), $words(x[1] as i32));
                                }
                            }
                        }
                    }
                }
                for (sums, [once, four_times]) in sums.iter_mut().zip(acc) {
                    for register in (0..REGISTERS).step_by(2) {
                        let four = [$right::<2>(four_times[register]), $right::<2>(four_times[register + 1])];
                        add(sums, register, [$add(once[register], four[0]), $add(once[register + 1], four[1])]);
                    }
                }
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn registers(line: &Line) -> [$register; REGISTERS] {
                bytemuck::must_cast([line[0].0, line[1].0])
            }

            /// Adds two registers to the sums of their rows.
            #[inline]
            #[target_feature(enable = $features)]
            fn add(sums: &mut Sums, register: usize, acc: [$register; 2]) {
                let acc: [i32; 2 * WIDTH] = bytemuck::must_cast(acc);
                for (sum, acc) in sums[register * WIDTH..].iter_mut().zip(acc) {
                    *sum = sum.wrapping_add(acc);
                }
            }
        }
    };
}

kernel!(
    avx512_vnni, "AVX-512 VNNI", "x86_64+avx512f+avx512bw+avx512vl+avx512vnni+popcnt",
    "avx512f,avx512bw,avx512vl,avx512vnni", __m512i, _mm512_dpbusd_epi32,
    (
        _mm512_setzero_si512, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_and_si512, _mm512_add_epi32,
        _mm512_srli_epi32, _mm512_srai_epi32
    ),
    groups: 4, tokens: 1 2 3 4 5 6 7 8 9 10 11 12
);
kernel!(
    avx_vnni, "AVX-VNNI", "x86_64+avx2+avxvnni+popcnt", "avx2,avxvnni", __m256i, _mm256_dpbusd_avx_epi32,
    (
        _mm256_setzero_si256, _mm256_set1_epi8, _mm256_set1_epi32, _mm256_and_si256, _mm256_add_epi32,
        _mm256_srli_epi32, _mm256_srai_epi32
    ),
    groups: 1, tokens: 1 2 3 4 5
);
kernel!(
    avx2, "AVX2", "x86_64+avx2+popcnt", "avx2", __m256i, dot_avx2,
    (
        _mm256_setzero_si256, _mm256_set1_epi8, _mm256_set1_epi32, _mm256_and_si256, _mm256_add_epi32,
        _mm256_srli_epi32, _mm256_srai_epi32
    ),
    groups: 1, tokens: 1 2 3 4
);

/// The products of four codes and activations, added to each lane, without VNNI. The sum of two products fits 16 bits:
/// a code, multiplied by what its mask leaves it multiplied by, is at most 128.
#[inline]
#[target_feature(enable = "avx2")]
fn dot_avx2(acc: __m256i, codes: __m256i, x: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(codes, x);
    _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}
