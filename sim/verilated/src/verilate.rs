//! Builds a model with Verilator: from RTL to a linked library.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use toolchain::cache::{self, Cache, hash};
use toolchain::compiler::{Compiler, compile};
use toolchain::io;
use toolchain::process::{log, output};
use toolchain::progress::Progress;
use toolchain::verilator::Verilator;

use crate::error::Error;
use crate::files::files_below;
use crate::recipe::{Recipe, key};
use crate::shim;
use crate::spec::{ModelSpec, Trace};

/// Verilator options of every model, chosen for speed: loops are unrolled, functions are inlined, the output is not
/// split.
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

/// Verilator options of a model with coverage. Signals of up to 4096 bits are counted: this includes the widest ports
/// of the unit, but none of its memories. The macro enables the cover points in the RTL.
const COVERAGE: [&str; 6] =
    ["--coverage-line", "--coverage-toggle", "--coverage-user", "--coverage-max-width", "4096", "-DTMV_COVERAGE=1"];

/// Macros that must have the same values in the runtime and in the model.
const DEFINES: [&str; 7] = [
    "-DVERILATOR=1",
    "-DVM_SC=0",
    "-DVM_TIMING=0",
    "-DVL_TIME_CONTEXT",
    "-DVL_USER_FINISH",
    "-DVL_USER_STOP",
    "-DVL_USER_FATAL",
];

/// The options for Verilator. All paths are absolute.
fn arguments(spec: &ModelSpec) -> Vec<String> {
    let absolute = |path: &PathBuf| path.display().to_string();
    let mut arguments: Vec<String> = VERILATE.map(String::from).to_vec();
    arguments.extend(["--prefix", shim::PREFIX, "--top-module", &spec.top].map(String::from));
    arguments.push(if spec.assertions { "--assert" } else { "--no-assert" }.into());
    match spec.trace {
        Trace::Off => {}
        Trace::Fst => arguments.push("--trace-fst".into()),
        Trace::Vcd => arguments.push("--trace".into()),
    }
    if spec.coverage {
        arguments.extend(COVERAGE.map(String::from));
    }
    arguments.extend(spec.params.iter().map(|(name, value)| format!("-G{name}={value}")));
    arguments.extend(spec.defines.iter().map(|(name, value)| format!("-D{name}={value}")));
    arguments.extend(spec.include_dirs.iter().map(|dir| format!("-I{}", absolute(dir))));
    arguments.extend(spec.flags.iter().cloned());
    arguments.extend(spec.files.iter().chain(&spec.checkers).map(absolute));
    arguments
}

/// The level at which the code of a cycle is compiled. Verilator has optimised it: at level 1 a model of a unit is built in two
/// thirds of the time that level 3 takes, and is as fast.
fn level(spec: &ModelSpec) -> &'static str {
    if spec.long_runs { "-O2" } else { "-O1" }
}

/// The macros that select parts of the shim.
fn shim_defines(spec: &ModelSpec) -> [String; 5] {
    let on = |name: &str, on: bool| format!("-D{name}={}", u8::from(on));
    [
        on("VM_COVERAGE", spec.coverage),
        on("VM_TRACE", spec.trace != Trace::Off),
        on("VM_TRACE_FST", spec.trace == Trace::Fst),
        on("VM_TRACE_VCD", spec.trace == Trace::Vcd),
        on("VM_TRACE_SAIF", false),
    ]
}

/// A model that Verilator makes.
pub(crate) struct Build<'a> {
    pub(crate) spec: &'a ModelSpec,
    pub(crate) cache: &'a Cache,
    pub(crate) compiler: Compiler,
    pub(crate) verilator: Verilator,
}

impl Recipe for Build<'_> {
    fn key(&self) -> Result<(String, BTreeSet<PathBuf>), Error> {
        let parts = vec![
            arguments(self.spec).join("\n").into_bytes(),
            level(self.spec).as_bytes().to_vec(),
            shim_defines(self.spec).join(" ").into_bytes(),
            self.tools().into_bytes(),
            // The sources of this build are part of the key, because another version of them makes another library.
            include_bytes!("verilate.rs").to_vec(),
            include_bytes!("shim.rs").to_vec(),
            include_bytes!("../../toolchain/src/compiler.rs").to_vec(),
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
        // One translation unit holds the code that runs each cycle, so that the compiler sees all of it. Another one
        // holds the rest.
        write("fast.cpp", unit(&classes, &["VM_CLASSES_FAST", "VM_SUPPORT_FAST"]))?;
        write("slow.cpp", unit(&classes, &["VM_CLASSES_SLOW", "VM_SUPPORT_SLOW"]))?;

        let runtime = self.runtime(&listed(&classes, &["VM_GLOBAL_FAST", "VM_GLOBAL_SLOW"]), progress)?;
        progress(Progress::Compiling(label));
        let units = [("fast", level(self.spec)), ("slow", "-O0"), ("shim", "-O2")];
        let defines = shim_defines(self.spec);
        self.compile_all(units.map(|(name, level)| {
            let mut command = self.compile_command(&work, level);
            command.args(&defines);
            if name == "fast" {
                command.args(self.compiler.model);
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
        cache::seal(&library)?;
        Ok(entry)
    }
}

impl Build<'_> {
    /// The hash of everything that the runtime objects depend on.
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
        command.args(arguments(self.spec)).args(["--Mdir", "."]).current_dir(work);
        let output = output(&mut command).map_err(io(self.verilator.program()))?;
        let rejected = |log| Error::Verilation { top: self.spec.top.clone(), log };
        if !output.status.success() {
            return Err(rejected(log(&output)));
        }
        // If Verilator read a file that was not hashed, a later change of this file would not be noticed.
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

    /// The objects of Verilator's runtime and of the hooks, compiled once for each toolchain.
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

    /// Compiles (command, source, object) triples, with as many parallel jobs as there are cores.
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

/// Whether a path is Verilator's own program, which it lists among the files that it read.
fn is_program(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"verilator_bin"))
}

/// The names that a class list of Verilator assigns to `variables`.
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

/// A translation unit that includes the classes that `classes` assigns to `variables`.
fn unit(classes: &str, variables: &[&str]) -> String {
    listed(classes, variables).iter().map(|name| format!("#include \"{name}.cpp\"\n")).collect()
}

/// The text of every C++ source in `dir`.
fn generated(dir: &Path) -> Result<Vec<String>, Error> {
    let files = files_below(dir, &["cpp"])?;
    files.iter().map(|path| Ok(fs::read_to_string(path).map_err(io(path))?)).collect()
}
