//! The exponential function, many values at a time.

/// Halves of ln 2, its inverse, and the coefficients of `libm::expf`.
const LN2_HI: f32 = f32::from_bits(0x3f31_7200);
const LN2_LO: f32 = f32::from_bits(0x35bf_be8e);
const INV_LN2: f32 = f32::from_bits(0x3fb8_aa3b);
const P1: f32 = f32::from_bits(0x3e2a_aa8f);
const P2: f32 = f32::from_bits(0xbb35_5215);

simd! {
    /// Replaces each element of `x`, which must be NaN or at most zero, by the bits that `libm::expf` returns.
    pub(crate) fn exp(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = exp_of(*x));
    }
}

/// The operations of `libm::expf`, with a choice in place of each branch, so that they vectorise.
#[inline(always)]
fn exp_of(x: f32) -> f32 {
    let magnitude = x.to_bits() & 0x7fff_ffff;
    // x = k ln 2 + r; k is 0 up to 0.5 ln 2, and -1 up to 1.5 ln 2.
    let k = match magnitude {
        0x3f85_1593.. => (INV_LN2 * x - 0.5) as i32,
        0x3eb1_7219.. => -1,
        _ => 0,
    };
    let (hi, lo) = (x - k as f32 * LN2_HI, k as f32 * LN2_LO);
    let r = hi - lo;
    let rr = r * r;
    let c = r - rr * (P1 + rr * P2);
    let y = 1.0 + (r * c / (2.0 - c) - lo + hi);
    // The first product is exact; the second one rounds if the result is subnormal.
    let power = |k: i32| f32::from_bits((k.wrapping_add(127) as u32) << 23);
    let scaled = y * power(k >> 1) * power(k - (k >> 1));
    match magnitude {
        0x7f80_0001.. => x,
        // Below -103.97, where the result is less than half of the smallest subnormal.
        0x42cf_f1b5.. => 0.0,
        // Up to 2^-14.
        ..=0x3900_0000 => 1.0 + x,
        _ => scaled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bits: impl Iterator<Item = u32>) {
        let x: Vec<f32> = bits.map(f32::from_bits).collect();
        let mut got = x.clone();
        exp(&mut got);
        for (got, x) in got.iter().zip(x) {
            assert_eq!(got.to_bits(), libm::expf(x).to_bits(), "exp({x:e})");
        }
    }

    /// Values of all magnitudes, and all values around each change of the method.
    #[test]
    fn bits_of_libm() {
        check((0x8000_0000..=0xffff_ffff).step_by(4099));
        check([0, 0x7fc0_0000, 0x7f80_0001].into_iter());
        for border in [0x0, 0x3900_0000, 0x3eb1_7218, 0x3f85_1592, 0x42ae_ac50, 0x42cf_f1b5, 0x7f80_0000] {
            check((border - border.min(2000)..border + 2000).map(|magnitude| magnitude | 0x8000_0000));
        }
    }

    #[test]
    #[ignore = "all values: half a minute"]
    fn bits_of_libm_everywhere() {
        for first in (0x8000_0000..=0xffff_ffffu32).step_by(1 << 24) {
            check(first..=first + ((1 << 24) - 1));
        }
    }
}
