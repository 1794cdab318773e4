//! The options of the command for one layer or all layers.

use std::path::PathBuf;

use bitnet::config::{Linear, parse_linear};
use clap::ValueEnum;
use program::options::positive;
use report::shard::Shard;
use soft_core::core::Core;

use crate::args::model::ModelArgs;
use crate::args::numbers::{clock, lanes, overhead};
use crate::args::unit::{SkipArgs, UnitArgs};

/// Where the operators between the BitLinears run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NonlinearArg {
    /// On the CPU of this machine.
    Host,
    /// On a simulated soft core.
    SoftCore,
    /// On a simulated vector unit, which a simulated soft core drives.
    Vector,
}

/// A soft core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CoreArg {
    /// VexRiscv.
    Vexriscv,
    /// CV32E40P with its FPU.
    Cv32e40p,
}

impl From<CoreArg> for Core {
    fn from(core: CoreArg) -> Self {
        match core {
            CoreArg::Vexriscv => Self::VexRiscv,
            CoreArg::Cv32e40p => Self::Cv32e40p,
        }
    }
}

impl LayerArgs {
    /// Tokens in the cache before the run.
    pub(crate) fn context(&self) -> usize {
        let synthetic = self.model.model.is_none();
        self.context.unwrap_or(match self.nonlinear {
            NonlinearArg::SoftCore if synthetic => 16,
            NonlinearArg::Vector if synthetic => 256,
            _ => 0,
        })
    }
}

/// What to run, on which unit, and what to write.
#[derive(Debug, clap::Args)]
pub(crate) struct LayerArgs {
    /// Decoder layer to run
    #[arg(long, value_name = "N", help_heading = "What")]
    pub(crate) layer: Option<usize>,
    /// Run one forward pass of the whole model: embedding, all layers, final norm, output head
    #[arg(long, conflicts_with = "layer", help_heading = "What")]
    pub(crate) all_layers: bool,
    /// Verify only this operator, such as q_proj or mlp.gate_proj; may be repeated
    #[arg(long = "op", value_name = "NAME", value_parser = parse_linear, help_heading = "What")]
    pub(crate) operators: Vec<Linear>,
    /// Number of tokens in the forward pass [default: the number of --prompt-ids, or 3 as in the CPU profile]
    #[arg(long, value_name = "T", value_parser = positive(), help_heading = "What")]
    pub(crate) tokens: Option<usize>,
    /// What the unit skips
    #[command(flatten)]
    pub(crate) skip: SkipArgs,
    /// Where the operators between the BitLinears run: `host` (this CPU), `soft-core` (a RISC-V core, simulated
    /// beside the unit cycle by cycle; minutes), or `vector` (a vector unit that the core drives; seconds)
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        default_value = "host",
        hide_possible_values = true,
        help_heading = "What"
    )]
    pub(crate) nonlinear: NonlinearArg,
    /// Tokens in the cache of keys and values before the run, the first ones of the prompt if there is one [default: for
    /// synthetic weights 16 on the soft core and 256 on the vector unit, otherwise 0]
    #[arg(long, value_name = "N", help_heading = "What")]
    pub(crate) context: Option<usize>,
    /// Lanes of the vector unit: 8, 16 or 32 [default: 8 with ports of 64 bits, otherwise 32]
    #[arg(long, value_name = "N", value_parser = lanes, help_heading = "What")]
    pub(crate) lanes: Option<usize>,
    /// Simulate core and both units as one model, `tmv_system`, the top of a board's design. By default they are models
    /// of their own that are stepped together, which is faster. Results are the same; cycles differ by 0.3 % or less
    #[arg(long, help_heading = "What")]
    pub(crate) one_top: bool,
    /// The soft core: `vexriscv` (rv32im with caches), or `cv32e40p` (rv32imfc with an FPU, no caches)
    #[arg(
        long,
        value_enum,
        value_name = "NAME",
        default_value = "vexriscv",
        hide_possible_values = true,
        help_heading = "What"
    )]
    pub(crate) core: CoreArg,
    /// Clock of the soft core in MHz, for its times, 10 to 1000
    #[arg(long, value_name = "MHZ", default_value_t = 100.0, value_parser = clock, help_heading = "What")]
    pub(crate) core_mhz: f64,
    /// The model
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The unit
    #[command(flatten)]
    pub(crate) unit: UnitArgs,

    /// Verify only part I of N parts of the runs; `sim merge` joins the reports
    #[arg(long, value_name = "I/N", help_heading = "Run")]
    pub(crate) shard: Option<Shard>,
    /// Record verified runs in this file; if it exists already, continue after the runs in it
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub(crate) journal: Option<PathBuf>,
    /// Only print the plan; build and write nothing
    #[arg(long, help_heading = "Run")]
    pub(crate) dry_run: bool,

    /// CPU profile to compare with [default: PyTorch on a Ryzen 7 9700X]; may be repeated; the table shows the first
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) cpu_profile: Vec<PathBuf>,
    /// Assumed overhead of a driver call in microseconds
    #[arg(long, value_name = "US", default_value_t = 15.0, value_parser = overhead, help_heading = "Report")]
    pub(crate) driver_overhead_us: f64,
    /// Write the report as JSON; `-` prints it on standard output instead of the table
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as an HTML page that works without network and scripts
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) html: Option<PathBuf>,
    /// Also write the pictures of the page as SVG files into this folder
    #[arg(long, value_name = "DIR", requires = "html", help_heading = "Report")]
    pub(crate) svg: Option<PathBuf>,
    /// Write every tensor of the layers: inputs, int8 codes, scales, accumulators, outputs
    #[arg(long, value_name = "FILE.safetensors", help_heading = "Report")]
    pub(crate) dump: Option<PathBuf>,
    /// Record a waveform of the first run, with --nonlinear that of the core (FST, or VCD if the name ends in .vcd)
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) trace: Option<PathBuf>,
    /// First cycle of the waveform, counted from power-up as in messages [default: that in which the run begins]
    #[arg(long, value_name = "CYCLE", requires = "trace", help_heading = "Report")]
    pub(crate) trace_from: Option<u64>,
    /// Length of the waveform in cycles
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..), requires = "trace", help_heading = "Report")]
    pub(crate) trace_cycles: u64,
}
