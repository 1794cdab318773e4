//! The cores that the sequencer can have. Their RTL is not in this repository: packages have it.

use std::path::{Path, PathBuf};

use toolchain::Error;
use toolchain::cache::Cache;
use toolchain::package::Package;
use toolchain::progress::Progress;

/// A core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// VexRiscv Full: rv32im, five stages, caches of 4 KiB.
    VexRiscv,
    /// CV32E40P with FPU: rv32imfc, four stages, no caches.
    Cv32e40p,
}

/// VexRiscv, MIT licence.
const VEXRISCV: Package =
    Package { name: "vexriscv", requirement: include_str!("../../../rtl/system/vexriscv/requirements.txt") };

/// CV32E40P with the FPU FPnew, Solderpad licence.
const CV32E40P: Package =
    Package { name: "cv32e40p", requirement: include_str!("../../../rtl/system/cv32e40p/requirements.txt") };
/// The list of its files in the package, and the variable in it.
const CV32E40P_LIST: &str = "pythondata_cpu_cv32e40p/system_verilog/cv32e40p_fpu_manifest.flist";
const CV32E40P_ROOT: &str = "${DESIGN_RTL_DIR}";

/// The RTL of a core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verilog {
    /// Its files, in order of use.
    pub files: Vec<PathBuf>,
    /// The folders of its headers.
    pub include_dirs: Vec<PathBuf>,
    /// Its licence.
    pub license: PathBuf,
}

impl Core {
    /// The name in messages and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::VexRiscv => "vexriscv",
            Self::Cv32e40p => "cv32e40p",
        }
    }

    /// The target of Rust.
    pub fn target(self) -> &'static str {
        match self {
            Self::VexRiscv => "riscv32im-unknown-none-elf",
            Self::Cv32e40p => "riscv32imafc-unknown-none-elf",
        }
    }

    /// The files of `rtl/` that belong to the core: the seam between it and the sequencer.
    pub fn seam(self) -> &'static [&'static str] {
        match self {
            Self::VexRiscv => &["system/vexriscv/tmv_core.sv"],
            Self::Cv32e40p => &["system/cv32e40p/cv32e40p_clock_gate.sv", "system/cv32e40p/tmv_core.sv"],
        }
    }

    /// The package that has the core, with its version, as pip names it.
    pub fn package(self) -> &'static str {
        let package = match self {
            Self::VexRiscv => VEXRISCV,
            Self::Cv32e40p => CV32E40P,
        };
        package.requirement.split_whitespace().next().unwrap_or_default()
    }

    /// The RTL of the core. Downloads its package if it is not in the cache.
    ///
    /// # Errors
    /// [`Error::ToolMissing`], [`Error::Io`].
    pub fn verilog(self, cache: &Cache, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Verilog, Error> {
        let missing = |hint: String| Error::ToolMissing { tool: format!("the RTL of {}", self.name()), hint };
        match self {
            Self::VexRiscv => VEXRISCV.provide(cache, progress, vexriscv, missing),
            Self::Cv32e40p => CV32E40P.provide(cache, progress, cv32e40p, missing),
        }
    }
}

fn vexriscv(home: &Path) -> Result<Verilog, String> {
    let folder = home.join("pythondata_cpu_vexriscv/verilog");
    let (file, license) = (folder.join("VexRiscv_Full.v"), folder.join("ext/VexRiscv/LICENSE"));
    if let Some(missing) = [&file, &license].into_iter().find(|path| !path.is_file()) {
        return Err(format!("{} is missing", missing.display()));
    }
    Ok(Verilog { files: vec![file], include_dirs: Vec::new(), license })
}

fn cv32e40p(home: &Path) -> Result<Verilog, String> {
    let list = home.join(CV32E40P_LIST);
    let text = std::fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let root = list.with_file_name("rtl").display().to_string();
    // What is for simulation only stands in `bhv`, except for packages.
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let lines: Vec<String> =
        lines.filter(|line| !line.contains("/bhv")).map(|l| l.replace(CV32E40P_ROOT, &root)).collect();
    let (include_dirs, files): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.starts_with("+incdir+"));
    let include_dirs: Vec<PathBuf> = include_dirs.iter().map(|dir| dir.trim_start_matches("+incdir+").into()).collect();
    let include_dirs = include_dirs.into_iter().filter(|dir| dir.is_dir()).collect();
    let license = list.with_file_name("LICENSE");
    Ok(Verilog { files: files.into_iter().map(PathBuf::from).collect(), include_dirs, license })
}
