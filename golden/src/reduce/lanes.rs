//! The number of partial sums, which is part of every result.

/// Interleaved partial sums: two AVX-512 registers, enough to hide the latency of an addition.
pub(super) const LANES: usize = 32;
