//! `sim export`: writes the synthetic model as a Hugging Face folder.

use std::path::PathBuf;

use bitnet::config::{ModelConfig, WeightForm};
use bitnet::export::{export, export_bytes};
use bitnet::gates::Gates;
use bitnet::synthetic::Synthetic;
use bitnet::weights::WeightSource;
use clap::ValueEnum;
use program::console::tell;
use program::folder::NewFolder;
use program::interrupt::{end, interrupted};

use crate::failure::{Exit, Failure};
use crate::output::Progress;

/// How a checkpoint stores ternary weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormKind {
    /// bf16 master weights, made ternary when they are loaded: 4.8 GB.
    Bf16,
    /// Ternary weights of two bits each: 1.2 GB.
    Packed,
}

/// What to write, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// Folder to write; it must be new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How ternary weights are stored
    #[arg(long, value_enum, default_value = "packed")]
    pub(crate) form: FormKind,
    /// Seed of the synthetic weights
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

impl From<FormKind> for WeightForm {
    fn from(form: FormKind) -> Self {
        match form {
            FormKind::Bf16 => Self::Online,
            FormKind::Packed => Self::Offline,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    let form = args.form.into();
    let folder = NewFolder::new("--out", &args.out)?;
    let source = Synthetic::with_gates(ModelConfig::bitnet_2b_4t(), args.seed, Gates::Published);
    let bytes = export_bytes(source.config(), form);
    tell(format_args!("seed {}: {}; writing {bytes} bytes into {}", args.seed, source.describe(), args.out.display()));
    let progress = Progress::new("writing", bytes);
    let mut told = 0;
    export(&source, form, folder.scratch(), &mut |done, _| {
        if interrupted() {
            end();
        }
        progress.advance(done - told);
        told = done;
    })?;
    progress.finish();
    folder.publish()?;
    Ok(Exit::Ok)
}
