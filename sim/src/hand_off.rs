//! `sim handoff`: writes the folder from which Vivado builds the unit.

use std::path::PathBuf;

use golden::Codec;
use handoff::Folder;
use program::console::tell;
use program::folder::NewFolder;

use crate::args::numbers::clock;
use crate::failure::{Exit, Failure};

/// The board and the folder to write.
#[derive(Debug, clap::Args)]
pub(crate) struct HandoffArgs {
    /// Board to build for; `help` lists the boards
    #[arg(long, value_name = "NAME", default_value = "kv260")]
    pub(crate) board: String,
    /// Folder to write; it must be new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Weight codec: 2bit, or base3 (1.6 bits a weight)
    #[arg(long, value_parser = str::parse::<Codec>, default_value = "base3")]
    pub(crate) codec: Codec,
    /// Clock of the unit in MHz [default: 215 on UltraScale+, else the board's]
    #[arg(long, value_name = "MHZ", value_parser = clock)]
    pub(crate) clock_mhz: Option<f64>,
}

/// Runs the command.
pub(crate) fn run(args: &HandoffArgs) -> Result<Exit, Failure> {
    let folder = Folder::new(&args.board, args.codec, args.clock_mhz)?;
    let out = args.out.as_deref().ok_or_else(|| Failure::usage("--out DIR is missing: name a folder to write"))?;
    folder.write(NewFolder::new("--out", out)?)?;
    let (files, board) = (folder.files.len(), &folder.board.name);
    tell(format_args!(
        "{}: wrote {files} files to build the unit for {board}. They were not run in Vivado; see README.md there",
        out.display()
    ));
    Ok(Exit::Ok)
}
