//! The conformance suite: rules for every [`Device`], whether functional model, Verilated unit or board. Each rule is
//! one function.
//!
//! `conformance_suite!` generates one test per rule from an expression that creates a fresh device. [`Bench`]
//! accesses only the unit's registers and memory, so it can also do things that the driver never does.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

/// Generates one test for every rule.
#[macro_export]
macro_rules! conformance_suite {
    ($fresh:expr) => {
        $crate::conformance_suite!(
            $fresh, identity, reset_values, read_write_registers, read_only_registers, reserved_register_bits,
            unknown_offsets, first_refused_access, run_and_record, chained_operators, ring_wraps, queueing_more,
            interrupts, no_interrupt, quiet_chains, keep_x_across_runs, unusual_shapes, bad_descriptors, row_lengths,
            reserved_descriptor_bits,
            bad_addresses, addresses_partly_outside, misaligned_ring, ring_of_a_stopped_unit, bad_doorbells,
            doorbells_of_a_full_ring, bad_weights, padding_has_no_effect, error_stops_the_ring, bad_behind_good,
            head_after_an_error, abort_is_a_soft_reset, reset_forgets_activations, single_rows, skipped_rows,
            few_rows_left, records_in_turn, skipped_rows_are_not_read, bad_rows, bad_selections, reset_forgets_records,
            columns_by_share, few_columns_left, extreme_columns, columns_of_held_activations, columns_behind_others,
            skipped_columns_are_not_read, bad_weights_of_columns, bad_columns, reset_amid_columns,
            late_activations, late_held_activations, late_columns, bad_late_doorbells, late_and_bad, reset_of_a_waiting_unit, kept_activations_do_not_wait,
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

mod bench;
mod columns;
mod late;
mod registers;
mod ring;
mod rows;
mod rules;

pub use bench::{Bench, Operator};
pub use columns::*;
pub use late::*;
pub use registers::{Map, first_refused_access, no_interrupt, read_write_registers};
pub use ring::{ALL_SOURCES, FRONT_END, Random, Ring, WRITER, below, pick, refuses, rng, take_refused};
pub use rows::*;
pub use rules::*;
