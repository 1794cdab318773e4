//! The TMV unit under Verilator with a memory model of the Zynq around it, and the command that checks it.
//!
//! | module | what |
//! | --- | --- |
//! | [`mod@unit`], [`device`], [`memory`] | the Verilated unit as a [`host::device::Device`], with memory on its ports |
//! | [`bench`](mod@bench), [`verify`] | one run on one unit; a stream of runs on many, compared with golden |
//! | [`board`], [`projection`], [`report`] | from cycles to a projection that names its sources |
//! | `html`, `html_plots` | the report as a page |
//! | [`mismatch`] | what differs, in words, and how to see it again |
//! | [`cli`], [`setup`], [`source`] | options; the unit and the model they ask for |
//! | [`layer_run`], [`generate`] | a layer or all of them; tokens |
//! | [`sweep`], [`analytic`], [`luts`] | many units on paper: speed by a formula, size from synthesised ones |
//! | [`mod@handoff`] | a folder for somebody who has Vivado |
//! | [`shard`], [`journal`], [`merge`] | parts of a run, on other machines or after a kill |
//! | [`dump`], [`output`], [`exit`], [`clock`] | files, terminal, exit codes, time |

pub mod analytic;
pub mod bench;
pub mod board;
pub mod cli;
pub mod clock;
pub mod device;
pub mod dump;
pub mod exit;
pub mod generate;
pub mod handoff;
mod html;
mod html_plots;
pub mod journal;
pub mod layer_run;
pub mod luts;
pub mod memory;
pub mod merge;
pub mod mismatch;
pub mod output;
pub mod projection;
pub mod report;
pub mod setup;
pub mod shard;
pub mod source;
pub mod sweep;
mod sweep_plot;
pub mod unit;
pub mod verify;
