//! The soft core beside the unit: its layers equal golden's, bit for bit, and its faults have names.
#![allow(clippy::unwrap_used)]

mod core_bench;

use bitnet::layer::KvCache;
use core_bench::{Case, patch, small};
use golden::Dtype;
use sequencer::{map, regs};
use soft_core::Error;
use zynq_memory::{ReadFault, SLVERR, WriteFault};

/// `nop` of RISC-V.
const NOP: u32 = 0x0000_0013;
/// A jump to itself.
const STAY: u32 = 0x0000_006F;
/// VexRiscv's instruction that invalidates its data cache.
const INVALIDATE: u32 = 0x0000_500F;

#[test]
fn a_layer_equals_golden() {
    for (tokens, past, dtype) in
        [(1, 0, Dtype::Fp32), (1, 5, Dtype::Fp32), (3, 0, Dtype::Fp32), (3, 5, Dtype::Bf16), (1, 7, Dtype::Bf16)]
    {
        let case = Case::new(small(), tokens, past, dtype);
        let mut system = case.system();
        let output = case.run(&mut system).unwrap();
        case.check(&output, &format!("{tokens} tokens after {past}, {dtype:?}"));
        let steps: Vec<_> = output.steps.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, decoder::Step::ALL);
        let in_steps: u64 = output.steps.iter().map(|(_, cycles)| cycles).sum();
        assert!(in_steps < output.cycles && output.unit_cycles < output.cycles / 2, "the unit rests");
    }
}

#[test]
fn a_stalling_memory_changes_no_bit() {
    let mut case = Case::new(small(), 2, 3, Dtype::Fp32);
    case.memory.stall = 100;
    case.memory.late_writes = true;
    case.memory.shy = true;
    let mut system = case.system();
    let output = case.run(&mut system).unwrap();
    case.check(&output, "with stalls");
}

#[test]
fn a_narrow_port_changes_no_bit() {
    let mut case = Case::new(small(), 1, 3, Dtype::Fp32);
    case.unit.port_bits = 64;
    let mut system = case.system();
    let output = case.run(&mut system).unwrap();
    case.check(&output, "with 64 bits");
}

/// The weights may be anywhere in the first 4 GiB: the window moves there.
#[test]
fn the_window_moves() {
    let mut case = Case::new(small(), 1, 0, Dtype::Fp32);
    case.memory.base = 0x3_6000_0000;
    let mut system = case.system();
    let output = case.run(&mut system).unwrap();
    case.check(&output, "far away");
}

/// A second job finds other data where the first one read. Without invalidation, the core computes with old data.
#[test]
fn the_data_cache_is_invalidated() {
    let first = Case::new(small(), 1, 3, Dtype::Fp32);
    let second = Case::new(small(), 1, 2, Dtype::Fp32);
    let mut system = first.system();
    first.check(&first.run(&mut system).unwrap(), "first");
    second.check(&second.run(&mut system).unwrap(), "second");

    let mut stale = Case::new(small(), 1, 3, Dtype::Fp32);
    let words = stale.firmware.image.chunks_exact_mut(4).filter(|word| **word == INVALIDATE.to_le_bytes());
    let patched = words.map(|word| word.copy_from_slice(&NOP.to_le_bytes())).count();
    assert!(patched >= 2, "{patched} places invalidate the cache");
    let mut system = stale.system();
    let mut differs = |case: &Case| match soft_core::layer::run(&mut system, &stale.firmware, &case.input(), true) {
        Ok(output) => case.mismatches(&output) > 0,
        Err(_) => true,
    };
    assert!(differs(&stale) || differs(&second), "no result depends on the invalidation");
}

/// Runs a job on firmware that `change` has changed. Returns its error.
fn fails(change: impl FnOnce(&mut Case)) -> Error {
    let mut case = Case::new(small(), 1, 2, Dtype::Fp32);
    change(&mut case);
    let mut system = case.system();
    system.set_patience(40_000_000);
    case.run(&mut system).unwrap_err()
}

#[test]
fn a_trap_has_a_name() {
    let error = fails(|case| patch(case, "firmware::run::layer", &[0]));
    let text = error.to_string();
    assert!(matches!(error, Error::Trapped { .. }), "{text}");
    assert!(text.contains("illegal instruction") && text.contains("firmware::run::layer"), "{text}");
}

#[test]
fn a_core_without_an_answer() {
    let mut case = Case::new(small(), 1, 2, Dtype::Fp32);
    patch(&mut case, "firmware::run::layer", &[STAY]);
    let mut system = case.system();
    system.set_patience(100_000);
    let text = case.run(&mut system).unwrap_err().to_string();
    assert!(text.contains("100") && text.contains("firmware::run::layer + 0x0"), "{text}");
}

#[test]
fn a_stack_that_overflows() {
    let error = fails(|case| {
        // The first two instructions set the stack pointer; now to a place near the limit.
        let place = case.firmware.find("stack_limit").unwrap() + 512;
        let (upper, lower) = (place.wrapping_add(0x800) >> 12, place & 0xfff);
        let words = [upper << 12 | 0x137, lower << 20 | 0x10113];
        case.firmware.image[..8].copy_from_slice(&words.map(u32::to_le_bytes).concat());
    });
    assert!(error.to_string().contains("the stack grew into other memory"), "{error}");
}

#[test]
fn errors_of_the_memory_have_names() {
    let port = 4;
    let error = fails(|case| case.memory.faults.read = Some((port, 40, ReadFault::Response(SLVERR))));
    assert!(matches!(error, Error::Bus { address, .. } if address >= map::WINDOW), "{error}");
    let error = fails(|case| case.memory.faults.read = Some((port, 40, ReadFault::FlipLast)));
    assert!(matches!(error, Error::Bus { .. }), "{error}");
    let error = fails(|case| {
        case.memory.faults.write_port = port;
        case.memory.faults.write = Some((20, WriteFault::Response(SLVERR)));
    });
    assert!(matches!(error, Error::Memory { .. }), "{error}");
}

/// The core's driver sees an error of the unit, and its text reaches the user.
#[test]
fn an_error_of_the_unit_has_its_name() {
    let error = fails(|case| case.memory.faults.read = Some((1, 3, ReadFault::Response(SLVERR))));
    let text = error.to_string();
    assert!(text.contains("q_proj") && text.contains("READ_SLVERR") && text.contains("port 1"), "{text}");
}

#[test]
fn values_that_are_not_finite_have_a_name() {
    let mut case = Case::new(small(), 1, 0, Dtype::Fp32);
    case.hidden[[0, 3]] = f32::NAN;
    let mut system = case.system();
    let text = case.run(&mut system).unwrap_err().to_string();
    assert!(text.contains("self_attn.q_proj") && text.contains("not finite"), "{text}");
}

#[test]
fn registers_refuse_by_name() {
    let case = Case::new(small(), 1, 0, Dtype::Fp32);
    let mut system = case.system();
    let bad = |system: &mut soft_core::system::System| {
        let events = system.read(regs::IRQ_STATUS).unwrap();
        system.write(regs::IRQ_STATUS, events).unwrap();
        events & regs::IRQ_STATUS_BAD_ACCESS != 0
    };
    assert!(!bad(&mut system));
    // The core runs: its window and its memory belong to it.
    for (offset, value) in [
        (regs::ID, 0),
        (regs::STATUS, 0),
        (regs::CONTROL, 2),
        (regs::WINDOW, 1),
        (regs::RAM_ADDR, 2),
        (regs::RAM_DATA, 0),
        (regs::RESULT, 0),
        (regs::TRAP_PC, 0),
        (0x100, 0),
    ] {
        system.write(offset, value).unwrap();
        assert!(bad(&mut system), "{offset:#x}");
    }
    assert_eq!(system.read(0x100).unwrap(), 0);
    assert!(bad(&mut system), "a read of no register");
    // The image is intact, so the core still works. After a reset, so does another job.
    let output = case.run(&mut system).unwrap();
    case.check(&output, "after refusals");
    soft_core::layer::boot(&mut system, &case.firmware).unwrap();
    case.check(&case.run(&mut system).unwrap(), "after a reset");
}

/// A reset in the middle of a job: the core begins anew, and nothing of the old job disturbs it.
#[test]
fn a_reset_in_the_middle() {
    let case = Case::new(small(), 1, 1, Dtype::Fp32);
    for cycles in [1_000, 33_333, 77_777, 150_001] {
        let mut system = case.system();
        system.set_patience(cycles);
        assert!(matches!(case.run(&mut system), Err(Error::NoAnswer { .. })));
        system.set_patience(40_000_000);
        soft_core::layer::boot(&mut system, &case.firmware).unwrap();
        case.check(&case.run(&mut system).unwrap(), &format!("reset after {cycles} cycles"));
    }
}

#[test]
fn a_cache_of_keys_keeps_its_old_rows() {
    let case = Case::new(small(), 2, 4, Dtype::Fp32);
    let fresh = KvCache::new();
    assert_ne!(case.before.tokens(), fresh.tokens());
    let mut system = case.system();
    let output = case.run(&mut system).unwrap();
    case.check(&output, "with a cache");
}
