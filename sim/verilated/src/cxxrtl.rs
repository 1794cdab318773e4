//! Builds a model with CXXRTL, the simulator of Yosys. The C interface of the model is the same, but the tools share
//! nothing with Verilator. These models are much slower.
//!
//! Differences from a model by Verilator:
//!
//! - There are no waveforms, no coverage and no log.
//! - Only assertions that are written as `assert` when `FORMAL` is defined are checked, and the one that fails is not
//!   named.
//! - Files for Verilator alone are not read.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use toolchain::cache::{self, Cache};
use toolchain::compiler::{Compiler, compile};
use toolchain::io;
use toolchain::process::{log, output, python};
use toolchain::progress::Progress;
use toolchain::yosys::{REQUIREMENTS, Yosys};

use crate::error::Error;
use crate::recipe::{Recipe, key};
use crate::shim::FACE;
use crate::spec::ModelSpec;

const SHIM: &str = include_str!("cpp/cxxrtl.cpp");
/// The level of optimisation. The model is one very large function, for which a higher level takes the compiler
/// minutes.
const LEVEL: &str = "-O1";

pub(crate) struct Build<'a> {
    pub(crate) spec: &'a ModelSpec,
    pub(crate) cache: &'a Cache,
    pub(crate) compiler: Compiler,
}

impl Recipe for Build<'_> {
    fn key(&self) -> Result<(String, BTreeSet<PathBuf>), Error> {
        let script = script(self.spec);
        let parts = ["cxxrtl", &script, FACE, SHIM, REQUIREMENTS, LEVEL, &self.compiler.identity];
        let parts = parts.map(|part| part.as_bytes().to_vec()).to_vec();
        key(parts, self.spec.files.iter().cloned(), &self.spec.include_dirs)
    }

    fn make(
        &self,
        inputs: &BTreeSet<PathBuf>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<tempfile::TempDir, Error> {
        let entry = self.cache.scratch("models")?;
        let work = entry.path().join("work");
        fs::create_dir(&work).map_err(io(&work))?;
        for input in inputs.iter().chain(&self.spec.files) {
            fs::copy(input, work.join(name(input))).map_err(io(input))?;
        }
        let write = |name: &str, text: &str| fs::write(work.join(name), text).map_err(io(work.join(name)));
        write("run.ys", &script(self.spec))?;
        write("face.h", FACE)?;
        write("shim.cpp", SHIM)?;

        let yosys = Yosys::provision(self.cache, progress)?;
        progress(Progress::Translating(&self.spec.label));
        let mut command = python(&yosys.program);
        command.args(["-q", "run.ys"]).env("YOWASP_CACHE_DIR", &yosys.compiled).current_dir(&work);
        let output = output(&mut command).map_err(io(&yosys.program))?;
        if !output.status.success() {
            return Err(Error::Translation { top: self.spec.top.clone(), log: log(&output) });
        }
        let model = work.join("model.cc");
        let text = fs::read_to_string(&model).map_err(io(model))?;
        let (top, ports) = ports(&text).ok_or_else(|| Error::Translation {
            top: self.spec.top.clone(),
            log: "no top module with ports in what it wrote".into(),
        })?;
        write("ports.inc", &ports)?;

        progress(Progress::Compiling(&self.spec.label));
        let library = entry.path().join(cache::LIBRARY);
        let mut command = self.compiler.command();
        command.args([LEVEL, "-shared", &format!("-DTMV_TOP={top}"), "-I"]).arg(&yosys.runtime).arg("-I").arg(&work);
        command.arg(work.join("shim.cpp")).arg("-o").arg(&library);
        compile(&mut command, &library)?;
        fs::remove_dir_all(&work).map_err(io(&work))?;
        cache::seal(&library)?;
        Ok(entry)
    }
}

/// The commands for Yosys. All sources are in its working directory.
fn script(spec: &ModelSpec) -> String {
    let top = &spec.top;
    // Yosys does not accept more than one thread. By default, slang defines SYNTHESIS, which removes the assertions.
    let mut read = "read_slang --threads 1 --keep-hierarchy --no-synthesis-define -D FORMAL -I .".to_owned();
    for (name, value) in &spec.defines {
        let _ = write!(read, " -D {name}={value}");
    }
    for file in spec.files.iter().filter(|file| !is_waiver(file)) {
        let _ = write!(read, " {}", name(file));
    }
    let _ = write!(read, " --top {top}");
    for (name, value) in &spec.params {
        let _ = write!(read, " -G {name}={value}");
    }
    let mut script = format!("{read}\n");
    for (module, path) in &spec.shared {
        // slang makes a separate module of every instance. All of them are replaced by the module of one instance, so
        // that its code is generated only once.
        let _ = writeln!(script, "chtype -set {module}${top}.{path} t:{module}$*");
        let _ = writeln!(script, "setattr -mod -set keep_hierarchy 1 {module}${top}.{path}");
    }
    let _ = write!(script, "hierarchy -top {top}\nflatten\nproc\nopt_clean\nwrite_cxxrtl -g1 model.cc\n");
    script
}

fn is_waiver(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "vlt")
}

/// The name that a file has in the working directory.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The class of the top module in the generated source, and the text of `ports.inc`: one
/// `TMV_PORT(name, field, direction)` per port.
fn ports(source: &str) -> Option<(&str, String)> {
    let top = source.rsplit_once("new cxxrtl_design::")?.1.split_once(')')?.0;
    let class = source.split_once(&format!("struct {top} : public module {{"))?.1.split_once("\n};")?.0;
    let mut list = String::new();
    for line in class.lines() {
        // An output that is a register is a wire.
        let port = line.trim().strip_prefix("/*");
        let Some((direction, rest)) =
            port.and_then(|line| line.split_once("*/ value<").or_else(|| line.split_once("*/ wire<")))
        else {
            continue;
        };
        let direction = ["input", "output", "inout"].iter().position(|word| *word == direction)?;
        let field = rest.split_once("> ")?.1.strip_suffix(';')?;
        let name = field.strip_prefix("p_")?.replace("__", "_");
        let _ = writeln!(list, "TMV_PORT(\"{name}\", {field}, {direction})");
    }
    (!list.is_empty()).then_some((top, list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_the_top() {
        let source = "struct p_inner : public module {\n\t/*input*/ value<3> p_in;\n};\n\
            struct p_top__m : public module {\n\t/*input*/ value<1> p_clk__i;\n\t/*output*/ value<70> p_q__o;\n\
            \t/*output*/ wire<1> p_r__o;\n};\n\
            unique_ptr<cxxrtl_design::p_top__m>(new cxxrtl_design::p_top__m) };\n";
        let list = "TMV_PORT(\"clk_i\", p_clk__i, 0)\nTMV_PORT(\"q_o\", p_q__o, 1)\nTMV_PORT(\"r_o\", p_r__o, 1)\n";
        assert_eq!(ports(source), Some(("p_top__m", list.into())));
        assert_eq!(ports("struct p_top : public module {\n};\nnew cxxrtl_design::p_top)"), None);
    }
}
