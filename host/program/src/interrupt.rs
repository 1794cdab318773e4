//! Signals that ask the program to stop: Ctrl-C (SIGINT), SIGTERM, and SIGHUP of a closed terminal. The program can
//! finish in an orderly way, and is ended after a short time if it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::console::tell;
use crate::{machine, temporary};

/// The signal that asked the program to stop, or zero.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// Time that the program has to stop by itself.
const GRACE: Duration = Duration::from_secs(3);

/// Returns whether a signal asked the program to stop.
pub fn interrupted() -> bool {
    SIGNAL.load(Ordering::Relaxed) != 0
}

/// The exit code of a program that a signal ended: 128 and the number of the signal, as shells have it. 130 after
/// Ctrl-C.
pub fn exit_code() -> u8 {
    match SIGNAL.load(Ordering::Relaxed) {
        0 => 128 + SIGINT as u8,
        signal => 128 + signal as u8,
    }
}

/// Installs a handler for the signals that ask the program to stop. It sets the flag that [`interrupted`] reads, and
/// calls `stop`, which ends the child processes. The program is ended if it does not stop by itself in time, or if
/// another signal comes. Signals that the caller of the program ignores, as `nohup` does, stay ignored.
///
/// A file that grows beyond the limit of the user (`ulimit -f`) becomes an error of the write. Without a handler, the
/// signal that announces it ends the program.
pub fn catch_signals(stop: impl Fn() + Send + 'static) {
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !machine::ignores(*signal));
    // Without a handler, a signal still ends the program, but immediately.
    let Ok(mut signals) = Signals::new(wanted) else { return };
    thread::spawn(move || {
        for signal in signals.forever() {
            if SIGNAL.swap(signal, Ordering::Relaxed) != 0 {
                end();
            }
            stop();
            thread::spawn(|| {
                // Work that does not check the flag gets some time to finish.
                thread::sleep(GRACE);
                end();
            });
        }
    });
}

/// Ends the program after a signal, wherever it is. Nothing half-written is left.
pub fn end() -> ! {
    temporary::remove();
    tell("interrupted");
    std::process::exit(exit_code().into());
}
