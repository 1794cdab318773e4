//! Conversion between bytes and bit planes, 64 bytes at a time, in 64-bit words.

/// Turns 64 bytes into eight planes: bit `i` of plane `b` is bit `b` of byte `i`.
#[inline(always)]
pub(crate) fn planes(bytes: &[u8; 64]) -> [u64; 8] {
    let mut w = [0; 8];
    for (w, bytes) in w.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *w = transpose_bits(u64::from_le_bytes(*bytes));
    }
    transpose_bytes(w)
}

/// The inverse of [`planes`].
#[inline(always)]
pub(crate) fn bytes(planes: [u64; 8]) -> [u8; 64] {
    let mut out = [0; 64];
    for (out, w) in out.as_chunks_mut::<8>().0.iter_mut().zip(transpose_bytes(planes)) {
        *out = transpose_bits(w).to_le_bytes();
    }
    out
}

/// Transposes a 64 x 64 bit matrix whose row `i` is word `i`, by swapping off-diagonal squares of shrinking size.
pub(crate) fn transpose(w: &mut [u64; 64]) {
    let (mut step, mut mask) = (32, 0x0000_0000_ffff_ffffu64);
    while step > 0 {
        for i in (0..64).filter(|i| i & step == 0) {
            let t = (w[i] >> step ^ w[i + step]) & mask;
            w[i + step] ^= t;
            w[i] ^= t << step;
        }
        step /= 2;
        mask ^= mask << step;
    }
}

/// Builds one plane from 64 bytes that are 0 or 1. The multiplication moves bit 0 of byte `i` to bit `56 + i`. No two
/// partial products share a bit, so there are no carries.
#[inline(always)]
pub(crate) fn plane(flags: &[u8; 64]) -> u64 {
    let mut w = [0; 8];
    for (w, flags) in w.iter_mut().zip(flags.as_chunks::<8>().0) {
        *w = (u64::from_le_bytes(*flags).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8;
    }
    u64::from_le_bytes(w)
}

/// Transposes an 8 x 8 bit matrix whose row `i` is byte `i`, by swapping off-diagonal squares of growing size.
#[inline(always)]
fn transpose_bits(mut x: u64) -> u64 {
    for (shift, mask) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let t = (x ^ x >> shift) & mask;
        x ^= t ^ t << shift;
    }
    x
}

/// Transposes an 8 x 8 byte matrix whose row `i` is word `i`, by swapping off-diagonal squares of growing size.
#[inline(always)]
fn transpose_bytes(mut w: [u64; 8]) -> [u64; 8] {
    for (step, mask) in [(1, 0x00ff_00ff_00ff_00ff), (2, 0x0000_ffff_0000_ffff), (4, 0x0000_0000_ffff_ffff)] {
        for i in (0..8).filter(|i| i & step == 0) {
            let t = (w[i] >> (8 * step) ^ w[i + step]) & mask;
            w[i + step] ^= t;
            w[i] ^= t << (8 * step);
        }
    }
    w
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn planes_by_definition(x in prop::collection::vec(any::<u8>(), 64)) {
            let x: [u8; 64] = x.try_into().unwrap();
            let p = planes(&x);
            for (i, x) in x.iter().enumerate() {
                for (b, p) in p.iter().enumerate() {
                    prop_assert_eq!(p >> i & 1, (x >> b & 1) as u64);
                }
            }
            prop_assert_eq!(bytes(p), x);
            prop_assert_eq!(plane(&x.map(|x| x & 1)), p[0]);
        }
    }
}
