//! Exit codes, and the message with which the command fails.

use std::fmt;
use std::process::ExitCode;

use program::UNWRITTEN;
use program::console::tell;
use program::interrupt::{exit_code, interrupted};
use program::panics::INTERNAL;
use testbench::SimulationError;
use tmv::device::DeviceError;

/// Exit codes. They are part of the program's interface and must not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Every output equals the golden model's.
    Ok = 0,
    /// An output differs from the golden model.
    Mismatch = 1,
    /// The request is invalid.
    Usage = 2,
    /// An input file is missing, damaged or of another kind.
    InputFile = 3,
    /// A tool is missing, or there is no place to build a model.
    Tool = 4,
    /// The unit, its simulation or the bus protocol failed.
    Fault = 5,
    /// An internal error of this program.
    Internal = INTERNAL,
    /// An output could not be written when it was complete, for instance because the disk is full.
    Unwritten = UNWRITTEN,
    /// A signal asked to stop. The code is 128 and the number of the signal: 130 after Ctrl-C.
    Interrupted = 128,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(if exit == Exit::Interrupted { exit_code() } else { exit as u8 })
    }
}

/// The reason why the command stops early.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// The message for the user.
    pub(crate) message: String,
}

impl Failure {
    /// A failure that ends the program with `exit`.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// A failure because the request is invalid.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds the command that reproduces a fault of the device. Other failures stay as they are.
    #[must_use]
    pub(crate) fn repeat_with(mut self, command: &str) -> Self {
        if self.exit == Exit::Fault {
            self.message += &format!("\nrepeat it with: {command}");
        }
        self
    }

    /// Adds how to see a fault of the core, or why its waveform is not there. Other failures stay as they are.
    #[must_use]
    pub(crate) fn see_with_trace(mut self, is_new: bool, unwritten: Option<program::Error>) -> Self {
        if self.exit == Exit::Fault && is_new {
            self.message += "\nfor a waveform of it, add: --trace core.fst --trace-from CYCLE";
        }
        unwritten.into_iter().for_each(|error| self.message += &format!("\n{error}"));
        self
    }

    /// Adds what else there is to say.
    #[must_use]
    pub(crate) fn note(mut self, what: &str) -> Self {
        self.message += &format!("; {what}");
        self
    }

    /// The failure after Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted: nothing was written")
    }
}

/// Returns an error after Ctrl-C.
pub(crate) fn check_interrupt() -> Result<(), Failure> {
    if interrupted() { Err(Failure::interrupted()) } else { Ok(()) }
}

/// The exit of a command that compared outputs of the unit and has written its own. Tells every failure of `written`.
/// `mismatches` describes the outputs of the unit that differ; they decide the exit code, whatever could be written.
pub(crate) fn conclude(written: impl IntoIterator<Item = Result<(), Failure>>, mismatches: Option<String>) -> Exit {
    let mut exit = Exit::Ok;
    for failure in written.into_iter().filter_map(Result::err) {
        tell(format_args!("error: {}", failure.message));
        exit = if exit == Exit::Ok { failure.exit } else { exit };
    }
    mismatches.map_or(exit, |text| {
        tell(text.trim_end());
        Exit::Mismatch
    })
}

/// A failure with the exit code `exit` and the text of `error`.
fn failure(exit: Exit, error: impl fmt::Display) -> Failure {
    if exit == Exit::Interrupted { Failure::interrupted() } else { Failure::new(exit, error) }
}

impl From<bitnet::Error> for Failure {
    fn from(error: bitnet::Error) -> Self {
        failure(of_model(&error), error)
    }
}

impl From<program::Error> for Failure {
    fn from(error: program::Error) -> Self {
        Self::new(of_program(&error), error)
    }
}

impl From<soft_core::Error> for Failure {
    fn from(error: soft_core::Error) -> Self {
        failure(of_soft_core(&error), error)
    }
}

impl From<rtl::Error> for Failure {
    fn from(error: rtl::Error) -> Self {
        Self::new(Exit::InputFile, error)
    }
}

impl From<testbench::Error> for Failure {
    fn from(error: testbench::Error) -> Self {
        failure(of_testbench(&error), error)
    }
}

impl From<report::Error> for Failure {
    fn from(error: report::Error) -> Self {
        use report::Error::{MissingShards, NothingToDraw, Refused, Unusable, Unwritten};
        let exit = match error {
            Refused { .. } | MissingShards { .. } => Exit::InputFile,
            Unusable { .. } | NothingToDraw => Exit::Usage,
            Unwritten { .. } => Exit::Unwritten,
            _ => Exit::Internal,
        };
        Self::new(exit, error)
    }
}

impl From<handoff::Error> for Failure {
    fn from(error: handoff::Error) -> Self {
        use handoff::Error::{Interrupted, Output, UnknownBoard};
        let exit = match &error {
            UnknownBoard { .. } => Exit::Usage,
            Output(error) => of_program(error),
            Interrupted => Exit::Interrupted,
            _ => Exit::InputFile,
        };
        Self::new(exit, error)
    }
}

fn of_program(error: &program::Error) -> Exit {
    match error {
        program::Error::Write { .. } => Exit::Unwritten,
        _ => Exit::Usage,
    }
}

fn of_model(error: &bitnet::Error) -> Exit {
    use bitnet::ErrorKind::{Backend, InputFile, Usage};
    match error.kind() {
        _ if matches!(error, bitnet::Error::Write { .. }) => Exit::Unwritten,
        InputFile => Exit::InputFile,
        Usage => Exit::Usage,
        Backend if interrupted() => Exit::Interrupted,
        Backend => Exit::Fault,
    }
}

fn of_testbench(error: &testbench::Error) -> Exit {
    use testbench::Error::{At, Device, Interrupted, Model, NothingToInject, Output, Rtl, Unnoticed};
    match error {
        Device(error) => of_device(error),
        Model(error) => of_verilated(error),
        Rtl(_) => Exit::InputFile,
        Output(error) => of_program(error),
        NothingToInject { .. } => Exit::Usage,
        Unnoticed { .. } => Exit::Internal,
        Interrupted => Exit::Interrupted,
        At { source, .. } => of_testbench(source),
        _ => Exit::Fault,
    }
}

fn of_soft_core(error: &soft_core::Error) -> Exit {
    use soft_core::Error::{Device, Model, Rtl, Simulation, TooLarge, Toolchain, Unfit};
    match error {
        Simulation(SimulationError::Interrupted) => Exit::Interrupted,
        Model(error) | Simulation(SimulationError::Model(error)) => of_verilated(error),
        Toolchain(error) => of_toolchain(error),
        Device(error) => of_device(error),
        Rtl(_) => Exit::InputFile,
        TooLarge { .. } | Unfit(_) => Exit::Usage,
        _ => Exit::Fault,
    }
}

fn of_device(error: &DeviceError) -> Exit {
    match error {
        DeviceError::Unsupported { .. } => Exit::Usage,
        DeviceError::Fault(fault) => match fault.downcast_ref() {
            Some(SimulationError::Interrupted) => Exit::Interrupted,
            Some(SimulationError::Model(error)) => of_verilated(error),
            _ => Exit::Fault,
        },
        _ => Exit::Fault,
    }
}

fn of_verilated(error: &verilated::Error) -> Exit {
    use verilated::Error::{Load, NoSuchSimulator, Toolchain};
    // Ctrl-C also stops the compiler. Its error is then not the reason for the failure.
    if interrupted() {
        return Exit::Interrupted;
    }
    match error {
        Toolchain(error) => of_toolchain(error),
        Load { .. } => Exit::Tool,
        NoSuchSimulator { .. } => Exit::Usage,
        _ => Exit::Fault,
    }
}

fn of_toolchain(error: &toolchain::Error) -> Exit {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    use toolchain::Error::{CacheNoExec, CacheUnwritable, Compile, Io, ToolMissing};
    if interrupted() {
        return Exit::Interrupted;
    }
    match error {
        ToolMissing { .. } | CacheNoExec { .. } | CacheUnwritable { .. } | Compile { .. } => Exit::Tool,
        // Only the cache is written here.
        Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded) => Exit::Tool,
        Io { .. } => Exit::InputFile,
        _ => Exit::Fault,
    }
}
