//! The unit, the board and the memory that a command's options ask for.

use host::config::{Linear, ModelConfig};

use crate::bench::{Bench, Injection};
use crate::board::{Board, MemoryMode};
use crate::cli::UnitArgs;
use crate::exit::Failure;
use crate::report::{LimitSection, MemorySection, UnitSection};
use crate::unit::UnitConfig;

/// A unit on a board.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The board.
    pub board: &'static Board,
    /// The unit.
    pub unit: UnitConfig,
    /// Timing of the memory.
    pub memory: MemoryMode,
    /// Chance in 256 of a stall on every AXI channel.
    pub stall: u8,
}

impl Setup {
    /// What `args` ask for.
    ///
    /// # Errors
    /// A usage error: no such board, or more ports than its memory has.
    pub fn new(args: &UnitArgs) -> Result<Self, Failure> {
        let board = Board::find(&args.board).map_err(|e| Failure::usage(format!("--board: {e}")))?;
        let unit = UnitConfig {
            ports: args.ports.unwrap_or(board.ports.value),
            port_bits: board.port_bits,
            vectors: args.vectors.unwrap_or(board.vectors),
            codec: args.codec,
        };
        if args.memory == MemoryMode::Ddr && unit.ports > board.max_ports {
            return Err(Failure::usage(format!(
                "--ports {}: the memory of {} has {} ports; with --memory ideal there may be up to 8",
                unit.ports, board.name, board.max_ports
            )));
        }
        Ok(Self { board, unit, memory: args.memory, stall: args.stall })
    }

    /// The unit can hold the activations of `linears`.
    ///
    /// # Errors
    /// A usage error that names the operator.
    pub fn check(&self, config: &ModelConfig, linears: &[Linear]) -> Result<(), Failure> {
        let limit = self.unit.info().max_in_features();
        let Some(l) = linears.iter().find(|l| l.in_features(config) > limit) else { return Ok(()) };
        let found = l.in_features(config);
        let bits = self.unit.port_bits;
        Err(Failure::usage(format!("{l} has {found} inputs; the unit with {bits}-bit ports takes at most {limit}")))
    }

    /// The bench for it.
    pub fn bench(&self, seed: u64, inject: Option<Injection>) -> Bench {
        let timing = self.board.timing(self.memory, self.unit.ports);
        Bench { unit: self.unit, timing, stall: self.stall, seed, inject, trace: None }
    }

    /// Weight beats of a linear divided by ports.
    pub fn ideal_cycles(&self, config: &ModelConfig, linear: Linear, tokens: usize) -> u64 {
        self.unit.ideal_cycles(linear.out_features(config), linear.in_features(config), tokens)
    }

    /// The unit, for a report.
    pub fn unit_section(&self) -> UnitSection {
        UnitSection {
            board: self.board.name.into(),
            part: self.board.part.into(),
            ports: self.unit.ports,
            port_bits: self.unit.port_bits,
            vectors: self.unit.vectors,
            codec: self.unit.codec.to_string(),
            lanes: self.unit.lanes(),
            clock_mhz: self.board.clock_mhz.value,
        }
    }

    /// The memory, for a report.
    pub fn memory_section(&self) -> MemorySection {
        let timing = self.board.timing(self.memory, self.unit.ports);
        let limits = timing.limits.iter().map(|l| LimitSection {
            name: l.name.into(),
            ports: (0..self.unit.ports).filter(|p| l.ports >> p & 1 != 0).collect(),
            bytes_per_cycle: l.bytes_per_cycle,
        });
        MemorySection {
            mode: self.memory,
            latency_cycles: timing.latency,
            turnaround_cycles: timing.turnaround,
            stall: self.stall,
            calibrated: false,
            limits: limits.collect(),
        }
    }

    /// What a projection from its cycles rests on.
    pub fn assumptions(&self) -> Vec<String> {
        let board = self.board;
        let memory = match self.memory {
            MemoryMode::Ideal => {
                "memory ideal: every port moves a beat each cycle, which no board does; --memory ddr projects".into()
            }
            MemoryMode::Ddr => format!(
                "memory of {}: first-order shares of bandwidth and one latency, not calibrated; `boards` lists the \
                 sources; --memory ideal judges the RTL alone",
                board.name
            ),
        };
        let clock = format!("clock {} MHz: {}", board.clock_mhz.value, board.clock_mhz.source);
        vec![clock, memory, "share of ideal: weight beats divided by ports, over cycles".into()]
    }
}
