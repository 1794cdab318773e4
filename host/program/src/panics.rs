//! A panic is an internal error of the program: it gives one line for people and its own exit code.

use crate::console::tell;

/// The exit code of an internal error.
pub const INTERNAL: u8 = 70;

/// Makes a panic print one line and exit with [`INTERNAL`], instead of printing a backtrace.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let what = text.unwrap_or("no message").replace('\n', " ");
        let place = info.location().map_or(String::new(), |l| format!(" ({}:{})", l.file(), l.line()));
        tell(format_args!("internal error: {what}{place}; please report it with the command you ran"));
        std::process::exit(INTERNAL.into());
    }));
}
