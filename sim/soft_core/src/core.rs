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
}

/// VexRiscv, MIT licence.
const VEXRISCV: Package =
    Package { name: "vexriscv", requirement: include_str!("../../../rtl/system/vexriscv/requirements.txt") };

impl Core {
    /// The name in messages and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::VexRiscv => "vexriscv",
        }
    }

    /// The target of Rust.
    pub fn target(self) -> &'static str {
        match self {
            Self::VexRiscv => "riscv32im-unknown-none-elf",
        }
    }

    /// The file of `rtl/` with the seam between sequencer and core.
    pub(crate) fn seam(self) -> &'static str {
        match self {
            Self::VexRiscv => "system/vexriscv/tmv_core.sv",
        }
    }

    /// The Verilog of the core. Downloads its package if it is not in the cache.
    ///
    /// # Errors
    /// [`Error::ToolMissing`], [`Error::Io`].
    pub fn verilog(self, cache: &Cache, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Vec<PathBuf>, Error> {
        let works = |home: &Path| {
            let file = home.join("pythondata_cpu_vexriscv/verilog/VexRiscv_Full.v");
            if file.is_file() { Ok(vec![file]) } else { Err(format!("{} is missing", file.display())) }
        };
        VEXRISCV.provide(cache, progress, works, |hint| Error::ToolMissing { tool: "the RTL of VexRiscv".into(), hint })
    }
}
