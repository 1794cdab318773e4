//! The conformance suite: rules for every vector unit, whether functional model, Verilated unit or board. Each rule is one
//! function.
//!
//! `conformance_suite!` generates one test per rule from an expression that creates a fresh device with
//! [`BYTES`](bench::BYTES) of memory. The rules for registers and rings are those of the ternary unit,
//! [`tmv::conformance`], where they are the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, clippy::missing_errors_doc)]

/// Generates one test for every rule.
#[macro_export]
macro_rules! conformance_suite {
    ($fresh:expr) => {
        $crate::conformance_suite!(
            $fresh, identity, reset_values, read_write_registers, read_only_registers, reserved_register_bits,
            unknown_offsets, first_refused_access, no_interrupt, counters, rings, interrupts, misaligned_rings,
            ring_of_a_stopped_unit, bad_doorbells, abort_is_a_soft_reset, bad_behind_good, reserved_descriptor_bits,
            bad_descriptors, addresses_outside, bad_instructions, fields_out_of_range, blocks_of_a_stream,
            ends_of_the_scratchpad, maxima_that_are_not_finite, flushes_at_the_limit, sums_in_order, chains_that_go_on, fences,
            reset_of_a_waiting_unit, random_programs, random_instructions,
        );
    };
    ($fresh:expr, $($rule:ident),* $(,)?) => {
        $(
            #[test]
            fn $rule() {
                $crate::conformance::$rule($fresh);
            }
        )*
    };
}

pub mod bench;
mod instructions;
pub mod random;
mod rules;

pub use instructions::*;
pub use rules::*;
pub use tmv::conformance::{first_refused_access, no_interrupt, read_write_registers};
