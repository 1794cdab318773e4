//! The soft core beside the TMV unit, from both sides: the host that gives it jobs, and the firmware that runs them.
//!
//! The core runs a decoder layer with the sequence of [`decoder`]. It finds the layer's operands in shared memory, as a
//! [`Job`](job::Job) tells, and leaves records of what it did: how long each step took, and every tensor.
//!
//! | module | content |
//! | --- | --- |
//! | [`regs`] | register offsets, fields, constants: generated from the register map |
//! | [`map`] | what the core finds at which address |
//! | [`job`] | a layer to run, as words in shared memory |
//! | [`record`] | the records that a job leaves |
//! | [`products`] | the products of a layer on any device |
//! | [`head`] | the output head on both units |
//! | [`whole`] | a layer on the ternary unit and the vector unit |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod head;
pub mod job;
pub mod map;
pub mod products;
pub mod record;
pub mod regs;
pub mod whole;
