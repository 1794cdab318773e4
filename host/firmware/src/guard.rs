//! The guard of the stack, and the end of a job that cannot go on.

use sequencer::job::Outcome;
use sequencer::regs;

use crate::registers;

/// The word at the end of the stack's memory. A stack that overflows changes it.
pub(crate) const WORD: u32 = 0x5AFE_57AC;

unsafe extern "C" {
    static stack_limit: u32;
}

/// Ends the job if the stack has overflowed.
pub(crate) fn check_stack() {
    // SAFETY: the linker gives the address; the word was written at reset.
    if unsafe { (&raw const stack_limit).read_volatile() } != WORD {
        stop(Outcome::StackOverflow);
    }
}

/// Completes the job with `outcome`. The core then stays here until the host resets it.
pub(crate) fn stop(outcome: Outcome) -> ! {
    registers::write(regs::RESULT, outcome.code());
    loop {
        core::hint::spin_loop();
    }
}
