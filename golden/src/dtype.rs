//! Compute types and rounding to them.
//!
//! The crate carries values as `f32`. A [`Dtype`] names the type to which every operation rounds its result. PyTorch
//! computes in bfloat16 in this way: it converts the operands to fp32, which is exact, does one fp32 operation and
//! rounds once.

use half::bf16;

/// The compute type `T` of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE binary32; rounding to it is the identity.
    Fp32,
    /// bfloat16, the upper half of binary32.
    Bf16,
}

impl Dtype {
    /// `rT(x)`: the nearest value of `T`, ties to even. Overflow gives an infinity, NaN stays NaN.
    #[inline(always)]
    pub fn round(self, x: f32) -> f32 {
        match self {
            Self::Fp32 => x,
            Self::Bf16 => round_bf16(x),
        }
    }

    /// Rounds every element with [`Dtype::round`].
    pub fn round_slice(self, x: &mut [f32]) {
        if self == Self::Bf16 {
            x.iter_mut().for_each(|x| *x = round_bf16(*x));
        }
    }
}

/// Rounds by adding just under half of the last kept bit, plus one if that bit is odd, and cutting. This is integer
/// work, which vectorises; the conversion in `half` branches. A carry into the exponent gives the correct result.
/// Only NaN must be excluded.
#[inline(always)]
fn round_bf16(x: f32) -> f32 {
    let u = x.to_bits();
    let rounded = u.wrapping_add(0x7fff + (u >> 16 & 1)) & 0xffff_0000;
    if x.is_nan() { x } else { f32::from_bits(rounded) }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::bf16 {}
}

/// An element of a float tensor as stored in a checkpoint: `f32` or [`bf16`].
pub trait Element: Copy + Send + Sync + sealed::Sealed {
    /// Converts the value to fp32, exactly.
    fn to_f32(self) -> f32;
}

impl Element for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Element for bf16 {
    // The conversion in `half` quiets NaNs, which costs a compare and a select per element.
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits((self.to_bits() as u32) << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_is_that_of_half(u: u32) {
            let x = f32::from_bits(u);
            let (got, want) = (Dtype::Bf16.round(x), bf16::from_f32(x).to_f32());
            prop_assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{x:e}: {got:e}, {want:e}");
            prop_assert!(Dtype::Fp32.round(x).to_bits() == u);
        }

        #[test]
        fn bf16_upcast_is_that_of_half(u: u16) {
            let x = bf16::from_bits(u);
            prop_assert!(Element::to_f32(x).to_bits() == x.to_f32().to_bits() || x.is_nan());
        }
    }

    #[test]
    fn ties_go_to_even() {
        for (x, want) in [(0x3f80_8000, 0x3f80_0000), (0x3f81_8000, 0x3f82_0000), (0x7f7f_ffff, 0x7f80_0000)] {
            assert_eq!(Dtype::Bf16.round(f32::from_bits(x)).to_bits(), want);
        }
    }
}
