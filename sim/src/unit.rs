//! The unit's configuration, and the model built for it.

use std::path::{Path, PathBuf};

use host::device::{UnitInfo, codec_number};
use host::weight_cache::hex;
use sha2::{Digest, Sha256};
use verilated::{ModelLibrary, ModelSpec, Trace};

use crate::exit::{Exit, Failure};
use crate::output::Progress;

/// Parameters of `tmv_unit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitConfig {
    /// AXI read ports, 1 to 8.
    pub ports: usize,
    /// Bits of a beat, 64 or 128.
    pub port_bits: usize,
    /// Activation vectors, 1 to 8.
    pub vectors: usize,
    /// Groups of them that a pass over the weights serves in turn, a power of two.
    pub groups: usize,
    /// Weight codec.
    pub codec: golden::Codec,
}

/// Most tokens of a pass, `MaxTokens` of `tmv_pkg`: what its descriptor and collector hold.
pub const MAX_TOKENS: usize = 8;
/// Words of an activation bank: the default of `tmv_unit`.
const BANK_WORDS: usize = 256;

impl UnitConfig {
    /// What a unit with this configuration says of itself.
    pub fn info(&self) -> UnitInfo {
        UnitInfo {
            ports: self.ports,
            port_bytes: self.port_bits / 8,
            vectors: self.vectors,
            groups: self.groups,
            codec: self.codec,
            bank_words: BANK_WORDS,
        }
    }

    /// Weights a cycle, all ports.
    pub fn lanes(&self) -> usize {
        self.ports * self.info().lanes()
    }

    /// Most tokens of a pass over the weights.
    pub fn max_tokens(&self) -> usize {
        self.info().max_tokens()
    }

    /// Beats of the weights of a `[rows, cols]` matrix, once for every `vectors` tokens, divided by the ports: the least
    /// cycles.
    pub fn ideal_cycles(&self, rows: usize, cols: usize, tokens: usize) -> u64 {
        let beats = rows * self.codec.row_beats(cols, self.port_bits / 8);
        (beats.div_ceil(self.ports) * tokens.div_ceil(self.vectors)) as u64
    }

    /// The model of this unit: the files of `rtl/ternary/tmv_files.f` and the bound checkers of `rtl/tb`.
    pub fn spec(&self, trace: Trace) -> ModelSpec {
        let mut spec = spec("tmv_unit", trace)
            .param("Ports", self.ports)
            .param("PortBits", self.port_bits)
            .param("Vectors", self.vectors)
            .param("Groups", self.groups)
            .param("Codec", codec_number(self.codec));
        // What shares the code of the ports, and keeps statements in the order that needs no copies: docs/adr/0018.
        spec.files.insert(0, rtl_dir().join("lint/verilator_model.vlt"));
        spec.flags.extend(["--fno-dfg", "--fno-split", "--fno-table"].map(String::from));
        spec.shared.push(("tmv_dot".into(), "gen_port[0].u_port.u_engine.gen_vector[0].u_dot".into()));
        spec.label = format!(
            "tmv_unit {} x {} bits, {} vectors x {}, {}",
            self.ports, self.port_bits, self.vectors, self.groups, self.codec
        );
        spec
    }

    /// Builds the model, or takes it from the cache.
    ///
    /// # Errors
    /// No toolchain, or RTL that cannot be built.
    pub fn build(&self, trace: Trace, progress: &Progress) -> Result<ModelLibrary, Failure> {
        Ok(verilated::build(&self.spec(trace), &mut |step| progress.say(step))?)
    }
}

/// The folder of the RTL: `$TMV_RTL_DIR`, else the one this program was built beside.
pub fn rtl_dir() -> PathBuf {
    let given = std::env::var_os("TMV_RTL_DIR").filter(|path| !path.is_empty());
    given.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../rtl"), PathBuf::from)
}

/// SHA-256 over the file list of the unit and its files, in order.
///
/// # Errors
/// An input file that is not there.
pub fn rtl_sha256() -> Result<String, Failure> {
    let rtl = rtl_dir();
    let read = |name: &str| {
        let path = rtl.join(name);
        std::fs::read(&path).map_err(|e| {
            let why = format!("{}: {e}; is the RTL of the unit there? TMV_RTL_DIR names its folder", path.display());
            Failure::new(Exit::InputFile, why)
        })
    };
    let list = read("ternary/tmv_files.f")?;
    let text = String::from_utf8_lossy(&list);
    let files = text.lines().filter(|line| line.ends_with(".sv"));
    let mut hash = Sha256::new();
    for content in [Ok(list.clone())].into_iter().chain(files.map(read)) {
        hash.update(content?);
    }
    Ok(hex(hash))
}

/// A model with module `top` of the unit as its top, checkers bound.
pub fn spec(top: &str, trace: Trace) -> ModelSpec {
    let rtl = rtl_dir();
    let list = |file| std::fs::read_to_string(rtl.join(file)).unwrap_or_default();
    let sources = |file| -> Vec<PathBuf> {
        list(file).lines().filter(|line| line.ends_with(".sv")).map(|line| rtl.join(line)).collect()
    };
    let waivers = rtl.join("lint/verilator_waiver.vlt");
    let mut spec = ModelSpec::new(top, std::iter::once(waivers).chain(sources("ternary/tmv_files.f")));
    spec.checkers = sources("tb/tmv_tb_files.f");
    spec.include_dirs.push(rtl.join("prim"));
    spec.trace = trace;
    spec
}
