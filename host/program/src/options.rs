//! Options that several commands take.

use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use golden::Dtype;

/// Compute type of the operators outside the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ComputeType {
    /// IEEE single precision.
    Fp32,
    /// bfloat16.
    Bf16,
}

impl ComputeType {
    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
        }
    }
}

impl From<ComputeType> for Dtype {
    fn from(dtype: ComputeType) -> Self {
        match dtype {
            ComputeType::Fp32 => Self::Fp32,
            ComputeType::Bf16 => Self::Bf16,
        }
    }
}

/// Parser for an option that counts something, from 1 to 65,536.
pub fn positive() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=65_536)
}

/// Parser for a number of threads, from 1 to 1,024. More than a machine has make nothing faster, and a system refuses to
/// start very many.
pub fn threads() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1024)
}
