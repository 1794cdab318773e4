//! Reset, traps and panics.

use core::arch::global_asm;
use core::panic::PanicInfo;

use sequencer::job::Outcome;
use sequencer::regs;

use crate::recorder::Recorder;
use crate::{cpu, guard, registers, run};

// Reset begins at address 0. A trap writes its three CSRs into registers and completes the job; the core then stays
// there until the host resets it.
global_asm!(
    ".section .start, \"ax\"",
    ".global start",
    "start:",
    "la sp, stack_top",
    "la t0, trap",
    "csrw mtvec, t0",
    // mstatus.FS: a core with floating point may use it. Other cores ignore the bit.
    "li t0, 0x2000",
    "csrs mstatus, t0",
    "la t0, bss_start",
    "la t1, bss_end",
    "1:",
    "bgeu t0, t1, 2f",
    "sw zero, 0(t0)",
    "addi t0, t0, 4",
    "j 1b",
    "2:",
    "la t0, stack_limit",
    "li t1, {guard}",
    "sw t1, 0(t0)",
    "call {main}",
    ".balign 256",
    "trap:",
    "li t0, {registers}",
    "csrr t1, mcause",
    "sw t1, {cause}(t0)",
    "csrr t1, mepc",
    "sw t1, {pc}(t0)",
    "csrr t1, mtval",
    "sw t1, {value}(t0)",
    "li t1, {trapped}",
    "sw t1, {result}(t0)",
    "3:",
    "j 3b",
    guard = const guard::WORD as i32,
    main = sym main,
    registers = const sequencer::map::SEQUENCER as i32,
    cause = const regs::TRAP_CAUSE,
    pc = const regs::TRAP_PC,
    value = const regs::TRAP_VALUE,
    result = const regs::RESULT,
    trapped = const Outcome::Trapped as i32,
);

extern "C" fn main() -> ! {
    cpu::unmask_interrupt();
    loop {
        while registers::read(regs::STATUS) & regs::STATUS_JOB == 0 {}
        let outcome = run::run(registers::read(regs::JOB));
        guard::check_stack();
        registers::write(regs::RESULT, outcome.code());
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // The recorder of the job may be in use; the text goes into a new one.
    if let Some(memory) = run::records(registers::read(regs::JOB)) {
        Recorder::new(memory, false).text(format_args!("{info}"));
    }
    guard::stop(Outcome::Panicked)
}
