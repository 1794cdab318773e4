//! Cores and published systems that a projection is compared with: `peers.toml`.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::board::Sourced;

/// Cores and published systems: the content of `peers.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    pub(crate) core: Vec<Core>,
    pub(crate) offline: Offline,
    pub(crate) check: CheckEntry,
    pub(crate) published: Vec<Published>,
}

/// The content of `peers.toml`.
pub static PEERS: LazyLock<Peers> =
    LazyLock::new(|| toml::from_str(include_str!("../peers.toml")).expect("peers.toml is tested"));

/// A processor core, modelled by two rates. The rates are a model, not a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Core {
    /// Name and clock of the core.
    pub name: String,
    /// Device families that contain the core or have room for it, named as Yosys names them.
    pub families: Vec<String>,
    /// Billions of operations per second.
    pub gops: Sourced<f64>,
    /// Rate of reading from the DRAM, in GB/s.
    pub gb_per_s: Sourced<f64>,
    /// Published milliseconds of a whole token on this core alone.
    pub published_token_ms: Option<Sourced<f64>>,
}

/// Times on one machine with weights made ternary at every call (online) and only once (offline).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offline {
    pub(crate) online_ms: f64,
    pub(crate) offline_ms: f64,
    pub(crate) source: String,
}

/// A published system, with the published parts of its time per token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckEntry {
    pub(crate) name: String,
    pub(crate) board: String,
    pub(crate) ports: usize,
    pub(crate) codec: String,
    pub(crate) clock_mhz: f64,
    pub(crate) runs: usize,
    pub(crate) run_us: f64,
    pub(crate) bitlinear_ms: f64,
    pub(crate) token_ms: f64,
    pub(crate) tolerance_percent: f64,
    pub(crate) source: String,
    pub(crate) parts: Vec<Part>,
}

/// A named part of a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The operator or other work that takes this time.
    pub name: String,
    /// Milliseconds.
    pub ms: f64,
}

/// A published system that decodes the same model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Name of the system.
    pub name: String,
    /// Device that the system ran on.
    pub device: String,
    /// `cpu` or `fpga`.
    pub kind: String,
    /// Decode speed of the whole model.
    pub tokens_per_s: f64,
    /// Prefill speed, if published.
    pub prefill_tokens_per_s: Option<f64>,
    /// Energy, if published.
    pub joules_per_token: Option<f64>,
    /// Source of these figures.
    pub source: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_source() {
        let peers = &*PEERS;
        for core in &peers.core {
            assert!(!core.gops.source.is_empty() && !core.gb_per_s.source.is_empty(), "{}", core.name);
            assert!(core.gops.value > 0.0 && core.gb_per_s.value > 0.0, "{}", core.name);
        }
        assert!(peers.published.iter().all(|p| !p.source.is_empty() && p.tokens_per_s > 0.0));
    }
}
