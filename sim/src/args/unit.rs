//! The unit, the board and the memory that a command simulates.

use bitnet::config::{Linear, ModelConfig};
use bitnet::skip::Skips;
use clap::ValueEnum;
use cost::board::{Board, DdrMode, MemoryMode};
use cost::setup::Setup;
use golden::Codec;
use program::options::threads;
use testbench::bench::Bench;
use testbench::injection::Injection;
use testbench::recorder::possible_skips;
use tmv::config::{MAX_TOKENS, UnitConfig};
use tmv::regs::{MAX_COLUMN_ROWS, MAX_COLUMNS};

use super::numbers::{clock, dram, groups, load, one_to_eight};
use crate::failure::Failure;

/// Timing of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemoryArg {
    /// Every beat is ready after a fixed latency, so only the RTL limits the speed.
    Ideal,
    /// A model of the board's DRAM, for projections.
    Ddr,
}

impl From<MemoryArg> for MemoryMode {
    fn from(memory: MemoryArg) -> Self {
        match memory {
            MemoryArg::Ideal => Self::Ideal,
            MemoryArg::Ddr => Self::Ddr,
        }
    }
}

/// A choice that has a default of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SwitchArg {
    /// Yes.
    On,
    /// No.
    Off,
}

/// What the unit skips.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct SkipArgs {
    /// In passes of one token, skip weights that meet a zero: rows of up_proj whose gate is not above zero, and columns of
    /// down_proj whose activation is zero. `off` reads all [default: on with one token, as far as the unit has room]
    #[arg(
        long,
        value_enum,
        value_name = "on|off",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "on",
        hide_possible_values = true,
        help_heading = "Unit"
    )]
    skip_zeros: Option<SwitchArg>,
}

impl SkipArgs {
    /// Whether the user demands it.
    pub(crate) fn demanded(self) -> bool {
        self.skip_zeros == Some(SwitchArg::On)
    }

    /// What the unit skips of a model: all that it can, unless the user wants it off. The user may demand it, and then has to
    /// get it; nobody does if it is off `by_default`.
    pub(crate) fn skips(self, by_default: bool, config: &ModelConfig) -> Result<Skips, Failure> {
        let possible = possible_skips(config);
        if self.demanded() && possible != Skips::ALL {
            let ModelConfig { hidden_size, intermediate_size, .. } = config;
            return Err(Failure::usage(format!(
                "--skip-zeros: the unit has no room for a model of hidden_size {hidden_size} and intermediate_size \
                 {intermediate_size}: at most {MAX_COLUMN_ROWS} and {MAX_COLUMNS}"
            )));
        }
        let wanted = self.skip_zeros.map_or(by_default, |_| self.demanded());
        Ok(if wanted { possible } else { Skips::default() })
    }
}

/// A fault that is injected into the first run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InjectArg {
    /// Flip the sign of one weight in the unit's memory: a mismatch, exit code 1.
    WeightBit,
    /// Flip one bit of a result on its way to memory: a mismatch, exit code 1.
    ResultBit,
    /// Answer a read beat with SLVERR: the unit must report it, exit code 5.
    Slverr,
}

impl From<InjectArg> for Injection {
    fn from(inject: InjectArg) -> Self {
        match inject {
            InjectArg::WeightBit => Self::WeightBit,
            InjectArg::ResultBit => Self::ResultBit,
            InjectArg::Slverr => Self::Slverr,
        }
    }
}

/// The unit and the memory behind it.
#[derive(Debug, clap::Args)]
pub(crate) struct UnitArgs {
    /// Board that determines ports, clock and memory; `help` lists the boards
    #[arg(long, value_name = "NAME", default_value = "kv260", help_heading = "Unit")]
    pub(crate) board: String,
    /// Timing of the memory: `ideal` (only the RTL limits the speed) or `ddr` (the board's DRAM)
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        default_value = "ddr",
        hide_possible_values = true,
        help_heading = "Unit"
    )]
    pub(crate) memory: MemoryArg,
    /// Clock of the unit in MHz, 10 to 1000 [default: the board's]
    #[arg(long, value_name = "MHZ", value_parser = clock, help_heading = "Unit")]
    pub(crate) clock_mhz: Option<f64>,
    /// Use a DRAM that delivers this many GB/s instead of the board's DRAM
    #[arg(long, value_name = "GB", value_parser = dram, hide_short_help = true, help_heading = "Unit")]
    pub(crate) ddr_gb_per_s: Option<f64>,
    /// Rate at which the processors read the DRAM at the same time, in GB/s
    #[arg(long, value_name = "GB", default_value_t = 0.0, value_parser = load, hide_short_help = true, help_heading = "Unit")]
    pub(crate) ps_gb_per_s: f64,
    /// AXI read ports, 1 to 8 [default: the board's]
    #[arg(long, value_name = "P", value_parser = one_to_eight(), help_heading = "Unit")]
    pub(crate) ports: Option<usize>,
    /// Activation vectors that the unit multiplies at the same time, 1 to 8 [default: the board's]
    #[arg(long, value_name = "V", value_parser = one_to_eight(), help_heading = "Unit")]
    pub(crate) vectors: Option<usize>,
    /// Groups of vectors that share one pass over the weights, one after the other: 1, 2, 4 or 8; at most 8 tokens in
    /// all [default: the board's, or as many as fit]
    #[arg(long, value_name = "G", value_parser = groups, help_heading = "Unit")]
    pub(crate) groups: Option<usize>,
    /// Weight codec: 2bit, or base3 (1.6 bits a weight)
    #[arg(long, value_parser = str::parse::<Codec>, default_value = "base3", help_heading = "Unit")]
    pub(crate) codec: Codec,
    /// Probability that an AXI channel pauses for a cycle: N of 256
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true, help_heading = "Unit")]
    pub(crate) stall: u8,
    /// Number of simulation threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads(), help_heading = "Run")]
    pub(crate) jobs: Option<usize>,
    /// Inject a fault into the first run, to show that the checks notice it
    #[arg(long, value_enum, value_name = "FAULT", help_heading = "Run")]
    pub(crate) inject: Option<InjectArg>,
}

impl UnitArgs {
    /// The requested fault, if any.
    pub(crate) fn injection(&self) -> Option<Injection> {
        self.inject.map(Into::into)
    }

    /// The setup that the options select.
    pub(crate) fn setup(&self) -> Result<Setup, Failure> {
        let board = board(&self.board)?;
        let vectors = self.vectors.unwrap_or(board.vectors);
        let fitting = [8, 4, 2, 1].into_iter().find(|g| *g <= board.groups && g * vectors <= MAX_TOKENS);
        let unit = UnitConfig {
            ports: self.ports.unwrap_or(board.family.ports.value),
            port_bits: board.family.port_bits,
            vectors,
            groups: self.groups.or(fitting).unwrap_or(1),
            codec: self.codec,
        };
        if unit.max_tokens() > MAX_TOKENS {
            return Err(Failure::usage(format!(
                "--groups {}: with {} vectors a pass would serve {} tokens, but at most {MAX_TOKENS} are possible",
                unit.groups,
                unit.vectors,
                unit.max_tokens()
            )));
        }
        let ports = board.family.ports.value;
        if self.memory == MemoryArg::Ddr && unit.ports > ports {
            return Err(Failure::usage(format!(
                "--ports {}: the memory of {} has {ports} ports; --memory ideal allows up to 8",
                unit.ports, board.name
            )));
        }
        let setup = Setup {
            board,
            unit,
            memory: self.memory.into(),
            ddr: self.ddr_gb_per_s.map_or(DdrMode::Modelled, DdrMode::Flat),
            ps_gb_per_s: self.ps_gb_per_s,
            clock_mhz: self.clock_mhz.unwrap_or(board.clock_mhz.value),
            stall: self.stall,
        };
        check_load(&setup)?;
        Ok(setup)
    }
}

/// The board called `name`.
pub(crate) fn board(name: &str) -> Result<&'static Board, Failure> {
    Board::find(name).map_err(|e| Failure::usage(format!("--board: {e}")))
}

/// Largest share of a DRAM's rate that the processors may read. Their reads are at random places, and each opens a row:
/// with a larger share, nothing is left for the unit.
const LARGEST_LOAD: f64 = 0.7;

/// Checks that the processors leave something of the memory to the unit.
fn check_load(setup: &Setup) -> Result<(), Failure> {
    let Some(dram) = setup.timing().dram else { return Ok(()) };
    let most = LARGEST_LOAD * dram.bytes_per_cycle * setup.clock_mhz / 1e3;
    // A hair more, for the rounding of the product.
    if setup.ps_gb_per_s <= most * (1.0 + 1e-9) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "--ps-gb-per-s {}: this memory takes at most {most:.2} beside the unit, which is {:.0} % of its rate; the reads \
         of the processors are at random places, and more of them would leave nothing to the unit",
        setup.ps_gb_per_s,
        100.0 * LARGEST_LOAD
    )))
}

/// Checks that the unit can hold the activations of `linears`.
pub(crate) fn check_width(setup: &Setup, config: &ModelConfig, linears: &[Linear]) -> Result<(), Failure> {
    let Some((linear, limit)) = setup.too_wide(config, linears) else { return Ok(()) };
    let (found, bits) = (linear.in_features(config), setup.unit.port_bits);
    Err(Failure::usage(format!("{linear} has {found} inputs; the unit with {bits}-bit ports supports at most {limit}")))
}

/// The bench for `setup`, without a waveform.
pub(crate) fn bench(setup: &Setup, seed: u64, inject: Option<Injection>) -> Bench {
    Bench { unit: setup.unit, timing: setup.timing(), stall: setup.stall, seed, inject, trace: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_skips_what_it_has_room_for() {
        let of = |choice, by_default, hidden, intermediate| {
            let mut config = ModelConfig::bitnet_2b_4t();
            (config.hidden_size, config.intermediate_size) = (hidden, intermediate);
            SkipArgs { skip_zeros: choice }.skips(by_default, &config)
        };
        let rows = Skips { rows: true, columns: false };
        for (hidden, intermediate, possible) in
            [(2560, 6912, Skips::ALL), (4000, 8192, Skips::ALL), (4096, 8192, rows), (2560, 8256, Skips::default())]
        {
            let found = |choice, by_default| of(choice, by_default, hidden, intermediate).ok();
            assert_eq!(found(None, true), Some(possible));
            assert_eq!(found(None, false), Some(Skips::default()));
            assert_eq!(found(Some(SwitchArg::Off), true), Some(Skips::default()));
            assert_eq!(found(Some(SwitchArg::On), false), Some(possible).filter(|skips| *skips == Skips::ALL));
        }
        let refused = of(Some(SwitchArg::On), true, 4096, 8192).expect_err("sums of 4,096 rows have no room");
        assert!(refused.message.contains("hidden_size 4096") && refused.message.contains("at most 4000"));
    }
}
