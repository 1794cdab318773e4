//! The TMV unit (ternary matrix-vector unit) from the host's side.
//!
//! A [`Device`](device::Device) consists of registers, shared memory and an interrupt. One driver runs over every
//! device: the functional model, the Verilated unit and, later, a board or the bus of a soft core. This crate has no
//! I/O and needs only `alloc`.
//!
//! | module | content |
//! | --- | --- |
//! | [`device`] | the `Device` trait and its errors |
//! | [`regs`] | register offsets, fields, error codes, constants: generated from the register map |
//! | [`codec`] | the register numbers of the weight codecs |
//! | [`config`], [`info`] | the parameters a unit is built with; the parameters a unit reports |
//! | [`counters`] | the performance counters of a port |
//! | [`descriptor`] | the 64 bytes of an operator |
//! | [`driver`] | runs of operators: memory layout, doorbell, results, cycles |
//! | [`functional`] | a device without hardware |
#![cfg_attr(feature = "conformance", doc = "| [`conformance`] | what every device must do, for tests |")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "conformance"))]
extern crate std;

pub mod codec;
pub mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod counters;
pub mod descriptor;
pub mod device;
pub mod driver;
pub mod functional;
pub mod info;
pub mod regs;
