//! A unit on a board, and the memory behind its ports.

use bitnet::config::{Linear, ModelConfig};
use tmv::config::UnitConfig;
use zynq_memory::{Timing, bandwidth};

use crate::board::{Board, DdrMode, MemoryMode};

/// A unit on a board.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The board.
    pub board: &'static Board,
    /// The unit.
    pub unit: UnitConfig,
    /// Whether the memory is ideal or a DRAM.
    pub memory: MemoryMode,
    /// The DRAM: the board's, or one with a fixed rate.
    pub ddr: DdrMode,
    /// Read traffic of the processors during the run, in GB/s.
    pub ps_gb_per_s: f64,
    /// Clock of the unit, in MHz.
    pub clock_mhz: f64,
    /// Chance in 256 of a stall on every AXI channel.
    pub stall: u8,
}

impl Setup {
    /// The first of `linears` whose inputs exceed the activation memory of the unit, and the number of inputs that
    /// fit.
    pub fn too_wide(&self, config: &ModelConfig, linears: &[Linear]) -> Option<(Linear, usize)> {
        let limit = self.unit.info().max_in_features();
        linears.iter().find(|l| l.in_features(config) > limit).map(|l| (*l, limit))
    }

    /// Cycles of a linear if each port moves a weight beat every cycle: weight beats divided by ports.
    pub fn ideal_cycles(&self, config: &ModelConfig, linear: Linear, tokens: usize) -> u64 {
        self.unit.ideal_cycles(linear.out_features(config), linear.in_features(config), tokens)
    }

    /// Timing of the memory.
    pub fn timing(&self) -> Timing {
        match self.memory {
            MemoryMode::Ideal => Board::ideal_timing(),
            MemoryMode::Ddr => self.board.ddr_timing(self.ddr, self.unit.ports, self.clock_mhz, self.ps_gb_per_s),
        }
    }

    /// GB/s that plain readers, which do nothing but read, get from the memory on all ports; `None` for the ideal
    /// memory.
    pub fn reader_gb_per_s(&self) -> Option<f64> {
        if self.memory == MemoryMode::Ideal {
            return None;
        }
        let ports: Vec<usize> = (0..self.unit.ports).collect();
        let rate = bandwidth(&self.timing(), ports.len(), self.unit.port_bits / 8, &ports);
        Some(rate.expect("a reader keeps to the protocol") * self.clock_mhz / 1e3)
    }

    /// Whether the memory is the modelled DRAM of the board, with rows, banks, bus turnarounds and refresh.
    pub fn is_modelled(&self) -> bool {
        self.memory == MemoryMode::Ddr && self.ddr == DdrMode::Modelled
    }

    /// The lowest and the highest GB/s that such a memory has been observed to deliver. The band always includes
    /// `reader`, the rate of plain readers. `None` unless the board's DRAM is modelled.
    pub fn band_gb_per_s(&self, reader: Option<f64>) -> Option<[f64; 2]> {
        let ports_gb_per_s = (self.unit.ports * self.unit.port_bits / 8) as f64 * self.clock_mhz / 1e3;
        let [least, most] = self.board.band_gb_per_s.each_ref().map(|b| b.value.min(ports_gb_per_s));
        reader.filter(|_| self.is_modelled()).map(|reader| [least.min(reader), most.max(reader)])
    }

    /// The assumptions of a projection from this setup's cycles, one per line.
    pub fn assumptions(&self) -> Vec<String> {
        let board = self.board;
        let memory = match (self.memory, self.ddr, &board.calibrated) {
            (MemoryMode::Ideal, ..) => {
                "memory ideal: every port moves a beat each cycle, which no board does; --memory ddr projects".into()
            }
            (_, DdrMode::Flat(rate), _) => {
                format!("memory: {rate} GB/s whatever comes, as asked for; no model of a board")
            }
            (.., Some(what)) => format!(
                "memory of {}: a first-order model that agrees with {what}; --memory ideal judges the RTL alone",
                board.name
            ),
            (.., None) => format!("memory of {}: a first-order model, {}", board.name, board.note),
        };
        let clock = if self.clock_mhz == board.clock_mhz.value { &board.clock_mhz.source } else { "as asked for" };
        let mut lines = vec![format!("clock {} MHz: {clock}", self.clock_mhz), memory];
        if self.is_modelled() {
            let [least, most] = &board.band_gb_per_s;
            lines.push(format!(
                "band: from {} GB/s ({}) to {} GB/s ({})",
                least.value, least.source, most.value, most.source
            ));
        }
        lines.push("share of ideal: weight beats divided by ports, over cycles".into());
        lines
    }
}
