//! Ctrl-C: the program can finish in an orderly way, and is ended after a short time if it does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::console::tell;

/// The exit code of a program that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// Set when Ctrl-C was pressed.
static STOP: AtomicBool = AtomicBool::new(false);
/// Time that the program has to stop by itself.
const GRACE: Duration = Duration::from_secs(3);

/// Returns whether Ctrl-C was pressed.
pub fn interrupted() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Installs a handler for Ctrl-C. The handler sets the flag that [`interrupted`] reads, and ends the program if it
/// does not stop by itself in time.
pub fn catch_interrupts() {
    // Without a handler, Ctrl-C still ends the program, but immediately.
    let _ = ctrlc::set_handler(|| {
        STOP.store(true, Ordering::Relaxed);
        // Work that does not check the flag, such as a compiler run, gets some time to finish.
        std::thread::sleep(GRACE);
        tell("interrupted");
        std::process::exit(INTERRUPTED.into());
    });
}
