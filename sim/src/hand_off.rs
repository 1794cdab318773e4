//! `sim handoff`: writes the folder from which Vivado builds the ternary unit, or a whole system.

use std::path::{Path, PathBuf};

use cost::board::Board;
use golden::Codec;
use handoff::folder::board;
use handoff::{Folder, SystemParts};
use program::console::tell;
use program::folder::NewFolder;
use soft_core::core::Core;
use soft_core::firmware::Firmware;
use soft_core::model::top_files;
use toolchain::cache::Cache;
use vector::VectorConfig;

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
    /// Clock of the design in MHz [default: 215 on UltraScale+, else the board's]
    #[arg(long, value_name = "MHZ", value_parser = clock)]
    pub(crate) clock_mhz: Option<f64>,
    /// A whole system: ternary unit, vector unit, and the RISC-V core that drives both. Fetches the core's Verilog and
    /// builds its firmware
    #[arg(long)]
    pub(crate) system: bool,
}

/// Runs the command.
pub(crate) fn run(args: &HandoffArgs) -> Result<Exit, Failure> {
    let out = || args.out.as_deref().ok_or_else(|| Failure::usage("--out DIR is missing: name a folder to write"));
    // A board that is not known, or a folder that cannot be written, is told before anything is fetched.
    let board = board(&args.board)?;
    let target = NewFolder::new("--out", out()?)?;
    let system = args.system.then(|| system_parts(board)).transpose()?;
    let folder = Folder::new(&args.board, args.codec, args.clock_mhz, system.as_ref())?;
    folder.write(target)?;
    let (files, board) = (folder.files.len(), &board.name);
    let what = if args.system { "tmv_system" } else { "the unit" };
    tell(format_args!(
        "{}: wrote {files} files to build {what} for {board}. They were not run in Vivado; see README.md there",
        out()?.display()
    ));
    Ok(Exit::Ok)
}

/// What a system on a board has beside the ternary unit.
fn system_parts(board: &Board) -> Result<SystemParts, Failure> {
    let core = Core::VexRiscv;
    let cache = Cache::open(None).map_err(soft_core::Error::from)?;
    let verilog = core.verilog(&cache, &mut |step| tell(step)).map_err(soft_core::Error::from)?;
    let firmware = Firmware::build(core, &mut |step| tell(step))?;
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| Failure::new(Exit::Tool, format!("{}: {error}", path.display())))
    };
    let [file] = &verilog.files[..] else {
        return Err(Failure::new(Exit::Internal, format!("the core has {} files", verilog.files.len())));
    };
    let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(SystemParts {
        rtl: top_files(core)?,
        core: (name, read(file)?),
        core_license: read(&verilog.license)?,
        core_package: core.package().into(),
        firmware: firmware.image,
        vector: VectorConfig::for_ports_of(board.family.port_bits),
    })
}
