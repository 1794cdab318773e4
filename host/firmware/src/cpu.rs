//! What differs between cores: the data cache, and the mask of the external interrupt.

use core::arch::asm;

use sequencer::regs;

use crate::registers;

/// mip.MEIP: the external interrupt is pending.
const EXTERNAL: u32 = 1 << 11;

fn is_vexriscv() -> bool {
    let kind = registers::read(regs::PARAM) & regs::PARAM_CORE;
    kind >> regs::PARAM_CORE.trailing_zeros() == regs::CORE_VEXRISCV
}

/// Lets the external interrupt through to `mip`. No interrupt is taken: the program looks at `mip`.
pub(crate) fn unmask_interrupt() {
    if is_vexriscv() {
        // SAFETY: CSR 0xBC0 is VexRiscv's mask of external interrupts. It has no effect on memory.
        unsafe { asm!("csrw 0xBC0, {}", in(reg) 1, options(nomem, nostack)) }
    }
}

/// Waits until the external interrupt is pending.
pub(crate) fn wait_for_interrupt() {
    loop {
        let pending: u32;
        // SAFETY: reads a CSR.
        unsafe { asm!("csrr {}, mip", out(reg) pending, options(nomem, nostack)) }
        if pending & EXTERNAL != 0 {
            return;
        }
    }
}

/// Forgets everything in the data cache. The cache writes through, so nothing is lost.
pub(crate) fn invalidate_data_cache() {
    if is_vexriscv() {
        // SAFETY: VexRiscv's instruction for this. The data in memory are current.
        unsafe { asm!(".word 0x500F", options(nostack)) }
    }
}

/// Orders accesses to memory and registers. A register access waits for all writes before it; only the compiler could
/// change the order.
pub(crate) fn barrier() {
    // SAFETY: a fence has no effect but the order.
    unsafe { asm!("fence", options(nostack)) }
}
