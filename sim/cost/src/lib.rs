//! Cost and benefit of a unit, computed without simulation: boards, cycles by formula, LUTs, the time of a whole token.
//!
//! | module | contents |
//! | --- | --- |
//! | [`board`] | boards: ports, clock, device and memory, every figure with its source (`boards.toml`) |
//! | [`setup`] | a unit on a board, and the memory behind its ports |
//! | [`formula`] | a formula for cycles, checked against the RTL |
//! | [`luts`] | LUTs, estimated from units that were synthesised |
//! | [`time`] | conversion of cycles to milliseconds; the overhead of a driver call |
//! | [`baseline`], [`peers`] | CPU profiles, cores and published systems to compare a run with (`peers.toml`) |
//! | [`projection`] | from a simulated run of whole layers to the time of a token |

pub mod baseline;
pub mod board;
pub mod formula;
pub mod luts;
pub mod peers;
pub mod projection;
pub mod setup;
pub mod time;
