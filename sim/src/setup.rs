//! The unit, the board and the memory that a command's options ask for.

use host::config::{Linear, ModelConfig};

use crate::bench::{Bench, Injection};
use crate::board::{Board, DdrMode, MemoryMode};
use crate::cli::UnitArgs;
use crate::exit::Failure;
use crate::memory::{Timing, bandwidth};
use crate::report::{MemorySection, UnitSection};
use crate::unit::{MAX_TOKENS, UnitConfig};

/// A unit on a board.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The board.
    pub board: &'static Board,
    /// The unit.
    pub unit: UnitConfig,
    /// Which timing the memory has.
    pub memory: MemoryMode,
    /// Which DRAM the board is given.
    pub ddr: DdrMode,
    /// What the processors read meanwhile, in GB/s.
    pub ps_gb_per_s: f64,
    /// Clock of the unit.
    pub clock_mhz: f64,
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
        let vectors = args.vectors.unwrap_or(board.vectors);
        let fitting = [8, 4, 2, 1].into_iter().find(|g| *g <= board.groups && g * vectors <= MAX_TOKENS);
        let unit = UnitConfig {
            ports: args.ports.unwrap_or(board.family.ports.value),
            port_bits: board.family.port_bits,
            vectors,
            groups: args.groups.or(fitting).unwrap_or(1),
            codec: args.codec,
        };
        if unit.max_tokens() > MAX_TOKENS {
            return Err(Failure::usage(format!(
                "--groups {}: with {} vectors a pass would serve {} tokens, and takes at most {MAX_TOKENS}",
                unit.groups,
                unit.vectors,
                unit.max_tokens()
            )));
        }
        let ports = board.family.ports.value;
        if args.memory == MemoryMode::Ddr && unit.ports > ports {
            return Err(Failure::usage(format!(
                "--ports {}: the memory of {} has {ports} ports; with --memory ideal there may be up to 8",
                unit.ports, board.name
            )));
        }
        Ok(Self {
            board,
            unit,
            memory: args.memory,
            ddr: args.ddr_gb_per_s.map_or(DdrMode::Modelled, DdrMode::Flat),
            ps_gb_per_s: args.ps_gb_per_s,
            clock_mhz: args.clock_mhz.unwrap_or(board.clock_mhz.value),
            stall: args.stall,
        })
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
        let timing = self.timing();
        Bench { unit: self.unit, timing, stall: self.stall, seed, inject, trace: None }
    }

    /// Weight beats of a linear divided by ports.
    pub fn ideal_cycles(&self, config: &ModelConfig, linear: Linear, tokens: usize) -> u64 {
        self.unit.ideal_cycles(linear.out_features(config), linear.in_features(config), tokens)
    }

    /// The unit, for a report.
    pub fn unit_section(&self) -> UnitSection {
        UnitSection {
            board: self.board.name.clone(),
            part: self.board.part.clone(),
            ports: self.unit.ports,
            port_bits: self.unit.port_bits,
            vectors: self.unit.vectors,
            groups: self.unit.groups,
            codec: self.unit.codec.to_string(),
            lanes: self.unit.lanes(),
            clock_mhz: self.clock_mhz,
        }
    }

    /// Timing of the memory.
    pub fn timing(&self) -> Timing {
        match self.memory {
            MemoryMode::Ideal => Board::ideal_timing(),
            MemoryMode::Ddr => self.board.ddr_timing(self.ddr, self.unit.ports, self.clock_mhz, self.ps_gb_per_s),
        }
    }

    /// GB/s that plain readers on all ports get from the memory.
    fn reader_gb_per_s(&self) -> f64 {
        let ports: Vec<usize> = (0..self.unit.ports).collect();
        let rate = bandwidth(&self.timing(), ports.len(), self.unit.port_bits / 8, &ports);
        rate.expect("a reader keeps to the protocol") * self.clock_mhz / 1e3
    }

    /// The memory, for a report.
    pub fn memory_section(&self) -> MemorySection {
        let (board, ddr) = (self.board, self.memory == MemoryMode::Ddr);
        let modelled = ddr && self.ddr == DdrMode::Modelled;
        let ports_gb_per_s = (self.unit.ports * self.unit.port_bits / 8) as f64 * self.clock_mhz / 1e3;
        let reader = ddr.then(|| self.reader_gb_per_s());
        let [least, most] = board.band_gb_per_s.each_ref().map(|b| b.value.min(ports_gb_per_s));
        let band = reader.filter(|_| modelled).map(|reader| [least.min(reader), most.max(reader)]);
        MemorySection {
            mode: self.memory,
            latency_cycles: self.timing().latency,
            stall: self.stall,
            ps_gb_per_s: self.ps_gb_per_s,
            flat: matches!(self.ddr, DdrMode::Flat(_)),
            reader_gb_per_s: reader,
            band_gb_per_s: band,
            calibrated: board.calibrated.clone().filter(|_| modelled),
        }
    }

    /// What a projection from its cycles rests on.
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
        if self.memory == MemoryMode::Ddr && self.ddr == DdrMode::Modelled {
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
