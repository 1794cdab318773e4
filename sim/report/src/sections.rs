//! The settings of a run: program, model, unit, memory, CPU profile.

use bitnet::config::ModelConfig;
use cost::board::{DdrMode, MemoryMode};
use cost::setup::Setup;
use serde::{Deserialize, Serialize};

/// The program and the RTL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSection {
    /// Version of this program.
    pub program: String,
    /// SHA-256 over the RTL's file list and the files in it.
    pub rtl_sha256: String,
}

impl BuildSection {
    /// The section for this program. `rtl_sha256` is empty if the run does not use the RTL.
    pub fn new(rtl_sha256: String) -> Self {
        Self { program: env!("CARGO_PKG_VERSION").into(), rtl_sha256 }
    }
}

/// The weights and the forward pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSection {
    /// `synthetic` or `checkpoint`.
    pub source: String,
    /// The checkpoint folder, or the name of the model whose dimensions the synthetic weights have.
    pub name: String,
    /// A description in one line.
    pub description: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width between gate/up and down.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// The layer that was run; `None` for all layers.
    pub layer: Option<usize>,
    /// Tokens of the forward pass, without those of the context.
    pub tokens: usize,
    /// Tokens in the cache of keys and values before the forward pass. Those of a prompt come first in it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub context: usize,
    /// The prompt, if there is one.
    pub prompt_ids: Option<Vec<u32>>,
    /// Compute type of the host.
    pub dtype: String,
}

/// The unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitSection {
    /// Name of the board.
    pub board: String,
    /// Device on the board.
    pub part: String,
    /// AXI read ports.
    pub ports: usize,
    /// Width of a port in bits.
    pub port_bits: usize,
    /// Activation vectors.
    pub vectors: usize,
    /// Groups of activation vectors that one pass over the weights serves in turn.
    pub groups: usize,
    /// Weight codec.
    pub codec: String,
    /// Weights that all ports together process per cycle.
    pub lanes: usize,
    /// Clock of the unit.
    pub clock_mhz: f64,
}

/// The memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemorySection {
    /// Ideal memory or DRAM.
    pub mode: MemoryMode,
    /// Read latency in cycles of the unit.
    pub latency_cycles: u64,
    /// Chance in 256 of a stall on every AXI channel.
    pub stall: u8,
    /// Read traffic of the processors during the run.
    pub ps_gb_per_s: f64,
    /// Whether the DRAM delivers a fixed rate for any access pattern, instead of being the DRAM of the board.
    pub flat: bool,
    /// Rate that plain readers, which do nothing but read, get on the same ports; `None` for the ideal memory.
    pub reader_gb_per_s: Option<f64>,
    /// `reader_gb_per_s` with the lowest and with the highest rate that such a memory has been observed to deliver.
    pub band_gb_per_s: Option<[f64; 2]>,
    /// The measurement that the memory model agrees with, if any.
    pub calibrated: Option<String>,
}

/// The CPU that the unit is compared with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProfileSection {
    /// Machine, software, model and date of the profile.
    pub provenance: String,
    /// The reason why the profile's times are left out; `None` if they are used.
    pub not_comparable: Option<String>,
    /// Milliseconds of all operators of a layer that stay on the host.
    pub nonlinear_ms_a_layer: Option<f64>,
}

impl UnitSection {
    /// The unit of `setup`.
    pub fn of(setup: &Setup) -> Self {
        Self {
            board: setup.board.name.clone(),
            part: setup.board.part.clone(),
            ports: setup.unit.ports,
            port_bits: setup.unit.port_bits,
            vectors: setup.unit.vectors,
            groups: setup.unit.groups,
            codec: setup.unit.codec.to_string(),
            lanes: setup.unit.lanes(),
            clock_mhz: setup.clock_mhz,
        }
    }

    /// Passes over the weights that so many tokens take.
    pub fn passes(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.vectors * self.groups)
    }

    /// The unit as one line of text.
    pub fn describe(&self) -> String {
        let Self { board, ports, port_bits, vectors, groups, codec, lanes, clock_mhz, .. } = self;
        format!(
            "{board}: {ports} ports of {port_bits} bits, {vectors} vectors x {groups}, codec {codec}, {lanes} weights a cycle, \
             {clock_mhz} MHz"
        )
    }
}

impl MemorySection {
    /// The memory of `setup`.
    pub fn of(setup: &Setup) -> Self {
        let reader_gb_per_s = setup.reader_gb_per_s();
        Self {
            mode: setup.memory,
            latency_cycles: setup.timing().latency,
            stall: setup.stall,
            ps_gb_per_s: setup.ps_gb_per_s,
            flat: matches!(setup.ddr, DdrMode::Flat(_)),
            reader_gb_per_s,
            band_gb_per_s: setup.band_gb_per_s(reader_gb_per_s),
            calibrated: setup.board.calibrated.clone().filter(|_| setup.is_modelled()),
        }
    }

    /// The memory as one line of text.
    pub fn describe(&self) -> String {
        let mut text = format!("ideal, latency {} cycles", self.latency_cycles);
        if let Some(rate) = self.reader_gb_per_s {
            text = format!("ddr, {rate:.2} GB/s to plain readers, latency {} cycles", self.latency_cycles);
        }
        if self.ps_gb_per_s > 0.0 {
            text += &format!(", {} GB/s to the processors", self.ps_gb_per_s);
        }
        if self.stall != 0 {
            text += &format!(", stalls {}/256", self.stall);
        }
        text
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl ModelSection {
    /// The configuration of the model that was run.
    pub fn config(&self) -> ModelConfig {
        let mut config = ModelConfig::bitnet_2b_4t();
        config.hidden_size = self.hidden_size;
        config.intermediate_size = self.intermediate_size;
        config.num_hidden_layers = self.num_hidden_layers;
        config.num_attention_heads = self.num_attention_heads;
        config.num_key_value_heads = self.num_key_value_heads;
        config
    }
}
