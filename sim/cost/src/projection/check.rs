//! A check of the projection's arithmetic with a published system.

use bitnet::config::ModelConfig;
use tmv::config::UnitConfig;
use zynq_memory::bandwidth;

use super::records::PeerCheck;
use crate::board::{Board, DdrMode};
use crate::formula::linear_cycles;
use crate::peers::PEERS;
use crate::time::milliseconds;

/// Computes the time of a token for the published system of `peers.toml`. `None` if its board or codec is unknown.
pub(crate) fn check() -> Option<PeerCheck> {
    let c = &PEERS.check;
    let board = Board::find(&c.board).ok()?;
    let port_bits = board.family.port_bits;
    let unit = UnitConfig { ports: c.ports, port_bits, vectors: 1, groups: 1, codec: c.codec.parse().ok()? };
    let timing = board.ddr_timing(DdrMode::Modelled, c.ports, c.clock_mhz, 0.0);
    let ports: Vec<usize> = (0..c.ports).collect();
    let rate = bandwidth(&timing, c.ports, port_bits / 8, &ports).ok()? * c.clock_mhz / 1e3;
    let config = ModelConfig::bitnet_2b_4t();
    let cycles: f64 = linear_cycles(&unit, &config, 1, &timing, c.clock_mhz, Some(rate)).iter().sum();
    let bitlinear_ms = milliseconds(cycles.round() as u64 * config.num_hidden_layers as u64, c.clock_mhz);
    let runs_ms = c.runs as f64 * c.run_us / 1e3;
    let parts_ms: f64 = c.parts.iter().map(|p| p.ms).sum();
    let token_ms = bitlinear_ms + runs_ms + parts_ms;
    Some(PeerCheck {
        name: c.name.clone(),
        bitlinear_ms,
        published_bitlinear_ms: c.bitlinear_ms,
        runs: c.runs,
        run_us: c.run_us,
        runs_ms,
        parts: c.parts.clone(),
        parts_ms,
        token_ms,
        published_token_ms: c.token_ms,
        off_percent: 100.0 * (token_ms / c.token_ms - 1.0),
        tolerance_percent: c.tolerance_percent,
        source: c.source.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_system_comes_out_as_published() {
        let check = check().expect("its board and codec are known");
        assert!(check.off_percent.abs() <= check.tolerance_percent, "{:+.1}%: {check:#?}", check.off_percent);
        // The linears are only part of a token. Without the other parts the result would be far below the published
        // time.
        assert!(check.bitlinear_ms < 0.6 * check.published_token_ms);
    }
}
