//! Sums over the operators of a run.

use std::collections::BTreeSet;

use bitnet::config::Linear;
use cost::time::{DRIVER_OVERHEAD_BAND_US, layer_ms, milliseconds};

use crate::records::{Identity, OperatorRow, Totals};
use crate::sections::ProfileSection;

impl Totals {
    /// Computes the sums over `rows`, which needed `driver_calls` driver calls of `overhead_us` microseconds each.
    pub fn of(
        rows: &[OperatorRow],
        driver_calls: usize,
        profile: &ProfileSection,
        identity: &Identity,
        overhead_us: f64,
    ) -> Self {
        let (unit, memory) = (&identity.unit, &identity.memory);
        let cycles = rows.iter().map(|o| o.cycles).sum();
        let linear_fpga_ms = milliseconds(cycles, unit.clock_mhz);
        let moved = |o: &OperatorRow| {
            let all = unit.passes(o.tokens) as f64;
            let rows = o.rows_read.map_or(all, |rows| rows as f64 / o.out_features as f64);
            // Rows and columns are never skipped at the same time.
            o.weight_bytes as f64
                * o.columns_read.map_or(rows, |columns| rows.min(columns as f64 / o.in_features as f64))
        };
        let weight_gb_per_s = rows.iter().map(moved).sum::<f64>() / linear_fpga_ms / 1e6;
        // No operator is faster than its weight beats allow, nor than the memory allows.
        let bound_ms = |gb_per_s: f64| -> f64 {
            rows.iter().map(|o| milliseconds(o.ideal_cycles, unit.clock_mhz).max(moved(o) / gb_per_s / 1e6)).sum()
        };
        let from = |gb_per_s: f64| memory.reader_gb_per_s.map(|reader| bound_ms(gb_per_s) / bound_ms(reader));
        let band = memory.band_gb_per_s.filter(|_| cycles > 0).map(|[least, most]| [most, least].map(from));
        let linear_cpu_ms: Option<f64> = rows.iter().map(|o| o.cpu_ms).sum();
        let layers = rows.iter().map(|o| o.layer).collect::<BTreeSet<_>>().len();
        // Times of a layer need all linears of the layer.
        let whole = rows.len() == layers * Linear::ALL.len();
        let host_nonlinear_ms = profile.nonlinear_ms_a_layer.filter(|_| whole).map(|ms| ms * layers as f64);
        let layer = |us: f64| host_nonlinear_ms.map(|ms| layer_ms(linear_fpga_ms, ms, driver_calls, us));
        Self {
            outputs: rows.iter().map(|o| o.outputs).sum(),
            mismatches: rows.iter().map(|o| o.mismatches).sum(),
            cycles,
            ideal_cycles: rows.iter().map(|o| o.ideal_cycles).sum(),
            stall_cycles: rows.iter().map(|o| o.stall_cycles).sum(),
            weight_bytes: rows.iter().map(|o| o.weight_bytes).sum(),
            linear_fpga_ms,
            linear_fpga_ms_band: band.and_then(|[a, b]| Some([a? * linear_fpga_ms, b? * linear_fpga_ms])),
            weight_gb_per_s,
            reader_share: memory.reader_gb_per_s.map(|reader| weight_gb_per_s / reader),
            linear_cpu_ms,
            linear_speedup: linear_cpu_ms.map(|cpu| cpu / linear_fpga_ms),
            layer_ms_with_host_nonlinear: layer(overhead_us),
            layer_ms_with_largest_overhead: layer(DRIVER_OVERHEAD_BAND_US[1]),
            host_nonlinear_ms,
            layer_cpu_ms: linear_cpu_ms.zip(host_nonlinear_ms).map(|(a, b)| a + b),
            driver_calls,
            driver_overhead_us: overhead_us,
        }
    }
}
