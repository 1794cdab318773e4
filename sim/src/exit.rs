//! How the command ends: exit codes, and what people are told.

use std::fmt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host::device::DeviceError;
use host::program::{INTERNAL, report_panics};

use crate::device::SimulationError;

/// Exit codes. They are a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every output is that of the golden model.
    Ok = 0,
    /// An output differs from the golden model.
    Mismatch = 1,
    /// The request makes no sense.
    Usage = 2,
    /// An input file is missing, damaged or of another kind.
    InputFile = 3,
    /// A tool is missing, or there is no place to build a model.
    Tool = 4,
    /// The unit, its simulation or the bus protocol failed.
    Fault = 5,
    /// A fault of this program.
    Internal = INTERNAL,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the command stops early.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What people are told.
    pub message: String,
}

impl Failure {
    /// A failure that ends the program with `exit`.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// The request makes no sense.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Says first where it happened.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        if self.exit != Exit::Interrupted {
            self.message = format!("{place}: {}", self.message);
        }
        self
    }

    /// Adds the command that shows a fault again.
    #[must_use]
    pub fn repeat_with(mut self, command: &str) -> Self {
        if self.exit == Exit::Fault {
            self.message += &format!("\nrepeat it with: {command}");
        }
        self
    }

    fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted: nothing was written")
    }
}

impl From<host::Error> for Failure {
    fn from(error: host::Error) -> Self {
        use host::ErrorKind::{Backend, InputFile, Usage};
        match error.kind() {
            InputFile => Self::new(Exit::InputFile, error),
            Usage => Self::usage(error),
            Backend if interrupted() => Self::interrupted(),
            _ => Self::new(Exit::Fault, error),
        }
    }
}

impl From<verilated::Error> for Failure {
    fn from(error: verilated::Error) -> Self {
        use verilated::Error::{CacheUnwritable, Compile, Io, Load, NoSuchSimulator, ToolMissing};
        // Ctrl-C reaches the compiler too, and whatever it says then is not the reason.
        if interrupted() {
            return Self::interrupted();
        }
        let exit = match error {
            ToolMissing { .. } | CacheUnwritable { .. } | Compile { .. } | Load { .. } => Exit::Tool,
            Io { .. } => Exit::InputFile,
            NoSuchSimulator { .. } => Exit::Usage,
            _ => Exit::Fault,
        };
        Self::new(exit, error)
    }
}

impl From<SimulationError> for Failure {
    fn from(error: SimulationError) -> Self {
        match error {
            SimulationError::Interrupted => Self::interrupted(),
            SimulationError::Model(error) => error.into(),
            error => Self::new(Exit::Fault, error),
        }
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Unsupported { .. } => Self::usage(error),
            DeviceError::Fault(fault) => match fault.downcast::<SimulationError>() {
                Ok(fault) => (*fault).into(),
                Err(fault) => Self::new(Exit::Fault, fault),
            },
            error => Self::new(Exit::Fault, error),
        }
    }
}

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);
/// How long the program may take to stop by itself.
const GRACE: Duration = Duration::from_secs(3);

/// Whether Ctrl-C was pressed.
pub fn interrupted() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Err after Ctrl-C.
///
/// # Errors
/// [`Exit::Interrupted`].
pub fn check_interrupt() -> Result<(), Failure> {
    if interrupted() { Err(Failure::interrupted()) } else { Ok(()) }
}

/// Makes Ctrl-C stop the work in an orderly way, and a panic end with one line instead of a backtrace.
pub fn install_handlers() {
    report_panics();
    // Without a handler Ctrl-C still ends the program, only less politely.
    let _ = ctrlc::set_handler(|| {
        STOP.store(true, Ordering::Relaxed);
        // Work that does not look at the flag, such as a compiler, gets a moment to end.
        std::thread::sleep(GRACE);
        eprintln!("interrupted");
        std::process::exit(Exit::Interrupted as i32);
    });
}
