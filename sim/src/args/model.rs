//! The model that a command runs.

use std::path::PathBuf;

use bitnet::gates::Gates;
use program::options::ComputeType;

use super::numbers::gate_share;

/// The model.
#[derive(Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// Folder of a Hugging Face checkpoint [default: synthetic weights with the dimensions of BitNet b1.58-2B-4T]
    #[arg(long, value_name = "DIR", help_heading = "What")]
    pub(crate) model: Option<PathBuf>,
    /// Share of the gates above zero in synthetic weights, 0 to 1, or `published` as measured on the published model
    /// [default: published]
    #[arg(long, value_name = "X", value_parser = gate_share, conflicts_with = "model", hide_short_help = true, help_heading = "What")]
    pub(crate) gate_share: Option<Gates>,
    /// Token ids of the prompt, separated by commas [default: BOS, then ids in steps of 997]
    #[arg(long, value_name = "IDS", value_delimiter = ',', help_heading = "What")]
    pub(crate) prompt_ids: Option<Vec<u32>>,
    /// Compute type of norms, attention and activation
    #[arg(long, value_enum, default_value = "fp32", help_heading = "What")]
    pub(crate) dtype: ComputeType,
    /// Seed of synthetic weights, power-up values, stalls and sampling
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "What")]
    pub(crate) seed: u64,
}
