//! The TMV unit under Verilator with a memory model of the Zynq around it, and the command that checks it.
//!
//! | module | what |
//! | --- | --- |
//! | [`mod@unit`], [`device`], [`memory`] | the Verilated unit as a [`host::device::Device`], with memory on its ports |
//! | [`bench`](mod@bench), [`verify`] | one run on one unit; a stream of runs on many, compared with golden |
//! | [`board`], [`projection`], [`report`] | from cycles to a projection that names its sources |
//! | [`cli`], [`layer_run`] | the command |
//! | [`dump`], [`output`], [`exit`], [`clock`] | files, terminal, exit codes, time |

pub mod bench;
pub mod board;
pub mod cli;
pub mod clock;
pub mod device;
pub mod dump;
pub mod exit;
pub mod layer_run;
pub mod memory;
pub mod output;
pub mod projection;
pub mod report;
pub mod unit;
pub mod verify;
