//! The options of `sim generate`.

use std::path::PathBuf;

use clap::ValueEnum;
use program::options::positive;

use crate::args::model::ModelArgs;
use crate::args::numbers::{lanes, margin};
use crate::args::unit::{SkipArgs, UnitArgs};
use crate::head::MARGIN;

/// Where the ternary products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceKind {
    /// On the CPU alone, without simulation.
    Golden,
    /// On the CPU and on the simulated unit; every output of the unit is compared.
    Rtl,
}

/// How the output head is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeadKind {
    /// Floating point, as in the reference.
    Float,
    /// int8 rows and activations: half the bytes of bf16; results are not bit-identical to the reference.
    Int8,
    /// int8 rows find the rows that can have the largest logit, and these are computed in floating point: the same tokens
    /// as `float`, for half the bytes. Without `--temperature` only.
    Screened,
    /// On the CPU in floating point, and on simulated units too, driven by a soft core: a ternary copy of the head ranks its
    /// rows, and the largest logits are computed exactly. Every token is compared.
    Units,
}

/// What to generate, and with what.
#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    /// The model
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Text of the prompt, for checkpoints with a tokenizer.json
    #[arg(
        long,
        value_name = "TEXT",
        allow_hyphen_values = true,
        conflicts_with = "prompt_ids",
        requires = "model",
        help_heading = "What"
    )]
    pub(crate) prompt: Option<String>,
    /// Put the prompt into the checkpoint's chat template, as the user's message
    // An option that conflicts with a required one cancels the requirement, so that the conflict is named too.
    #[arg(long, requires = "prompt", conflicts_with = "prompt_ids", help_heading = "What")]
    pub(crate) chat: bool,
    /// Number of tokens to generate
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = positive(), help_heading = "What")]
    pub(crate) tokens: usize,
    /// Continue after a token that ends a text
    #[arg(long, help_heading = "What")]
    pub(crate) ignore_eos: bool,
    /// Sample with this temperature [default: always take the most likely token]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) temperature: Option<f64>,
    /// Sample only from the K most likely tokens
    #[arg(long, value_name = "K", requires = "temperature", help_heading = "Sampling")]
    pub(crate) top_k: Option<usize>,
    /// Sample only from the most likely tokens whose probabilities add up to P
    #[arg(long, value_name = "P", requires = "temperature", allow_negative_numbers = true, help_heading = "Sampling")]
    pub(crate) top_p: Option<f64>,
    /// What the unit skips
    #[command(flatten)]
    pub(crate) skip: SkipArgs,
    /// Where the ternary products are computed
    #[arg(long, value_enum, default_value = "rtl", help_heading = "Unit")]
    pub(crate) device: DeviceKind,
    /// Arithmetic of the output head
    #[arg(long, value_enum, default_value = "float", help_heading = "Unit")]
    pub(crate) head: HeadKind,
    /// Standard deviations between the estimate of a logit and its upper estimate, with `--head units`: more of them cost
    /// time, fewer may miss the largest logit
    #[arg(long, value_name = "X", default_value_t = MARGIN, value_parser = margin, help_heading = "Unit")]
    pub(crate) head_margin: f32,
    /// Lanes of the vector unit, with `--head units`: 8, 16 or 32 [default: 8 with ports of 64 bits, otherwise 32]
    #[arg(long, value_name = "N", value_parser = lanes, help_heading = "Unit")]
    pub(crate) lanes: Option<usize>,
    /// The unit
    #[command(flatten)]
    pub(crate) unit: UnitArgs,
    /// Write the report as JSON; `-` prints it on standard output instead of the text
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) json: Option<PathBuf>,
}
