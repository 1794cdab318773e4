//! The options of `sim sweep`.

use std::path::PathBuf;

use golden::Codec;
use program::options::{positive, threads};

use crate::args::numbers::{clock, groups, one_to_eight, width};
use crate::args::unit::MemoryArg;

/// Which units to compare.
#[derive(Debug, clap::Args)]
pub(crate) struct SweepArgs {
    /// Boards, separated by commas; `help` lists the boards
    #[arg(
        long = "board",
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "kv260",
        help_heading = "Units"
    )]
    pub(crate) boards: Vec<String>,
    /// Numbers of AXI read ports
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = one_to_eight(), default_value = "1,2,4", help_heading = "Units")]
    pub(crate) ports: Vec<usize>,
    /// Bits of a port, 64 or 128 [default: the board's]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = width, help_heading = "Units")]
    pub(crate) width: Vec<usize>,
    /// Numbers of activation vectors
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = one_to_eight(), default_value = "1,2,4,8", help_heading = "Units")]
    pub(crate) vectors: Vec<usize>,
    /// Numbers of groups of vectors
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = groups, default_value = "1,2", help_heading = "Units")]
    pub(crate) groups: Vec<usize>,
    /// Weight codecs
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = str::parse::<Codec>, default_value = "2bit,base3", help_heading = "Units")]
    pub(crate) codec: Vec<Codec>,
    /// Clocks of the unit in MHz [default: the board's]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clock, help_heading = "Units")]
    pub(crate) clock_mhz: Vec<f64>,
    /// Timing of the memory: ideal or ddr
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        default_value = "ddr",
        hide_possible_values = true,
        help_heading = "Units"
    )]
    pub(crate) memory: MemoryArg,
    /// Number of prompt tokens for the prefill figures
    #[arg(long, value_name = "T", value_parser = positive(), default_value_t = 64, help_heading = "Run")]
    pub(crate) prefill_tokens: usize,
    /// Number of units to simulate; units on the Pareto front come first
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Run")]
    pub(crate) sample: usize,
    /// Seed of synthetic weights and power-up values
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Run")]
    pub(crate) seed: u64,
    /// Number of simulation threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = threads(), help_heading = "Run")]
    pub(crate) jobs: Option<usize>,
    /// Write the points as CSV
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) csv: Option<PathBuf>,
    /// Draw decode speed over LUTs as an SVG file
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) svg: Option<PathBuf>,
    /// Write the tables as JSON; `-` prints them on standard output instead of the text
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) json: Option<PathBuf>,
}
