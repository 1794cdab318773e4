//! The options of `sim generate`.

use std::path::PathBuf;

use clap::ValueEnum;
use program::options::positive;

use crate::args::model::ModelArgs;
use crate::args::unit::UnitArgs;

/// Where the ternary products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceKind {
    /// On the CPU alone: an inference program.
    Golden,
    /// By the unit, every output compared with the CPU's.
    Rtl,
}

/// How the output head is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeadKind {
    /// As the reference does it.
    Float,
    /// int8 rows and activations: half the bytes of bf16, not the reference's bits.
    Int8,
}

/// What to generate, and with what.
#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    /// The model
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Text of the prompt, for checkpoints with a tokenizer.json
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_ids", requires = "model", help_heading = "What")]
    pub(crate) prompt: Option<String>,
    /// Put the prompt into the checkpoint's chat template, as the user's message
    #[arg(long, requires = "prompt", help_heading = "What")]
    pub(crate) chat: bool,
    /// Tokens to generate
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = positive(), help_heading = "What")]
    pub(crate) tokens: usize,
    /// Go on behind tokens that end a text
    #[arg(long, help_heading = "What")]
    pub(crate) ignore_eos: bool,
    /// Sample with this temperature [default: the most likely token]
    #[arg(long, value_name = "X", help_heading = "Sampling")]
    pub(crate) temperature: Option<f64>,
    /// Sample among the K most likely tokens
    #[arg(long, value_name = "K", requires = "temperature", help_heading = "Sampling")]
    pub(crate) top_k: Option<usize>,
    /// Sample among the most likely tokens that make up this probability
    #[arg(long, value_name = "P", requires = "temperature", help_heading = "Sampling")]
    pub(crate) top_p: Option<f64>,
    /// Where ternary products are computed
    #[arg(long, value_enum, default_value = "rtl", help_heading = "Unit")]
    pub(crate) device: DeviceKind,
    /// Arithmetic of the output head
    #[arg(long, value_enum, default_value = "float", help_heading = "Unit")]
    pub(crate) head: HeadKind,
    /// The unit
    #[command(flatten)]
    pub(crate) unit: UnitArgs,
    /// Write the report as JSON; `-` is standard output, in place of the text
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) json: Option<PathBuf>,
}
