//! Violations of the AXI protocol by a master.

/// The master broke a rule of the AXI protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("AXI protocol violation in cycle {cycle}, port {port}: {rule}: {detail}")]
pub struct ProtocolError {
    /// Cycle of the simulation.
    pub cycle: u64,
    /// AXI port.
    pub port: usize,
    /// Name of the broken rule.
    pub rule: &'static str,
    /// The observed signals.
    pub detail: String,
}

/// A boxed [`ProtocolError`]. The box keeps results small, because the calls that return them are made several times
/// a cycle.
pub type Violation = Box<ProtocolError>;
