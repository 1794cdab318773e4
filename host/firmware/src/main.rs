//! The program of the soft core beside the TMV unit. It waits for jobs, runs each as a decoder layer, with the unit for
//! the ternary products and golden for all else, and leaves records.
//!
//! | module | content |
//! | --- | --- |
//! | `cpu` | what differs between cores: caches, interrupt |
//! | `registers` | the registers of sequencer and unit |
//! | `unit` | the unit as a `Device` |
//! | `heap` | memory of a job, which is freed when the job ends |
//! | `recorder` | the records of a job |
//! | `run` | a job from begin to end |
//! | `guard` | the guard of the stack; the end of a job that cannot go on |
//! | `start` | reset, traps, panics |
//!
//! On a host this is a program that does nothing, so that the workspace builds as a whole.
#![cfg_attr(target_arch = "riscv32", no_std, no_main)]

#[cfg(target_arch = "riscv32")]
extern crate alloc;

#[cfg(target_arch = "riscv32")]
mod cpu;
#[cfg(target_arch = "riscv32")]
mod guard;
#[cfg(target_arch = "riscv32")]
mod heap;
#[cfg(target_arch = "riscv32")]
mod recorder;
#[cfg(target_arch = "riscv32")]
mod registers;
#[cfg(target_arch = "riscv32")]
mod run;
#[cfg(target_arch = "riscv32")]
mod start;
#[cfg(target_arch = "riscv32")]
mod unit;

#[cfg(not(target_arch = "riscv32"))]
fn main() {}
