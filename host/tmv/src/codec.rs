//! The numbers that stand for the weight codecs in registers and parameters.

use golden::Codec;

use crate::regs;

/// The number of a codec in the field PARAM0.CODEC and in the parameter `Codec` of `tmv_unit`.
pub fn number(codec: Codec) -> u32 {
    match codec {
        Codec::Weights2b => regs::CODEC_WEIGHTS_2B,
        Codec::WeightsBase3 => regs::CODEC_WEIGHTS_BASE3,
    }
}

/// The codec with the given number; `None` if there is no such codec.
pub fn from_number(number: u32) -> Option<Codec> {
    Codec::ALL.into_iter().find(|codec| self::number(*codec) == number)
}
