//! Conversion of cycles to milliseconds, and the overhead of a driver call.

/// The smallest and the largest overhead of a driver call reported for published systems, in microseconds.
pub const DRIVER_OVERHEAD_BAND_US: [f64; 2] = [15.0, 375.0];

/// Milliseconds of `cycles` at `clock_mhz`.
pub fn milliseconds(cycles: u64, clock_mhz: f64) -> f64 {
    cycles as f64 / (clock_mhz * 1e3)
}

/// Milliseconds of a layer: its linears on the unit, `calls` driver calls of `overhead_us` microseconds each, and the
/// other operators on the profiled CPU.
pub fn layer_ms(linear_ms: f64, nonlinear_ms: f64, calls: usize, overhead_us: f64) -> f64 {
    linear_ms + nonlinear_ms + calls as f64 * overhead_us / 1e3
}

/// Divides `whole` in proportion to `weights` into integers that add up to `whole`. If all weights are 0, all shares
/// are 0.
pub fn share_out(whole: u64, weights: &[u64]) -> Vec<u64> {
    let total = u128::from(weights.iter().sum::<u64>().max(1));
    let (mut seen, mut given) = (0u128, 0);
    let shares = weights.iter().map(|w| {
        seen += u128::from(*w);
        let upto = (u128::from(whole) * seen / total) as u64;
        let share = upto - given;
        given = upto;
        share
    });
    shares.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        assert_eq!(share_out(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(share_out(7, &[0, 5]), [0, 7]);
        assert_eq!(share_out(u64::MAX, &[u64::MAX >> 2, u64::MAX >> 2]).iter().sum::<u64>(), u64::MAX);
    }
}
