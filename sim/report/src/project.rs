//! Adding the projection to a report.

use cost::board::{Board, DdrMode, MemoryMode};
use cost::projection::{Case, Inputs, PortTime, Projection, Simulated, SimulatedLinear};
use golden::Codec;
use tmv::config::UnitConfig;

use crate::records::{OperatorRow, Report, RunRow};

impl Report {
    /// Adds the projection, if the report is complete, is not of a shard, and consists of whole layers.
    #[must_use]
    pub fn projected(mut self) -> Self {
        let inputs = self.projection_inputs.as_ref().filter(|_| self.complete && self.shard.is_none());
        self.projection = inputs.and_then(|inputs| Projection::new(&self.case(inputs)?, &self.simulated()));
        self
    }

    /// The inputs of the projection. `None` if this program does not know the board or the codec.
    fn case<'a>(&self, inputs: &'a Inputs) -> Option<Case<'a>> {
        let (u, memory) = (&self.identity.unit, &self.identity.memory);
        let board = Board::find(&u.board).ok()?;
        let unit = UnitConfig {
            ports: u.ports,
            port_bits: u.port_bits,
            vectors: u.vectors,
            groups: u.groups,
            codec: u.codec.parse::<Codec>().ok()?,
        };
        let timing = match (memory.mode, memory.flat, memory.reader_gb_per_s) {
            (MemoryMode::Ideal, ..) => Board::ideal_timing(),
            (_, true, Some(rate)) => board.ddr_timing(DdrMode::Flat(rate), unit.ports, u.clock_mhz, memory.ps_gb_per_s),
            _ => board.ddr_timing(DdrMode::Modelled, unit.ports, u.clock_mhz, memory.ps_gb_per_s),
        };
        let mut config = self.identity.model.config();
        config.vocab_size = inputs.vocab_size;
        Some(Case {
            inputs,
            config,
            board,
            unit,
            clock_mhz: u.clock_mhz,
            timing,
            reader_gb_per_s: memory.reader_gb_per_s,
            band_gb_per_s: memory.band_gb_per_s,
            overhead_us: self.totals.driver_overhead_us,
        })
    }

    fn simulated(&self) -> Simulated {
        let operator = |o: &OperatorRow| SimulatedLinear { layer: o.layer, linear: o.name, cycles: o.cycles };
        Simulated {
            tokens: self.identity.model.tokens,
            operators: self.operators.iter().map(operator).collect(),
            linear_ms_band: self.totals.linear_fpga_ms_band,
            ports: port_times(&self.runs, self.identity.unit.ports),
        }
    }
}

/// The cycles of each port by activity, summed over all runs.
fn port_times(runs: &[RunRow], ports: usize) -> Vec<PortTime> {
    let all: u64 = runs.iter().map(|r| r.busy_cycles).sum();
    let of = |port: usize| {
        let mut time = PortTime { port, ..PortTime::default() };
        for counters in runs.iter().filter_map(|r| r.ports.get(port)) {
            time.busy += u64::from(counters.busy);
            time.stall_weights += u64::from(counters.stall_data);
            time.stall_activations += u64::from(counters.stall_x);
            time.stall_results += u64::from(counters.stall_result);
        }
        let seen = time.busy + time.stall_weights + time.stall_activations + time.stall_results;
        PortTime { other: all.saturating_sub(seen), ..time }
    };
    (0..ports).map(of).collect()
}
