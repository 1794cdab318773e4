//! BitNet host.
