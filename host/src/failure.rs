//! The reason for an early end of the command, and its exit code.

use std::fmt;

/// An exit code and a message.
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    /// A failure caused by the request: exit code 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }
}

impl From<bitnet::Error> for Failure {
    fn from(error: bitnet::Error) -> Self {
        let code = match error.kind() {
            bitnet::ErrorKind::InputFile => 3,
            bitnet::ErrorKind::Usage => 2,
            bitnet::ErrorKind::Backend => 5,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<cpu_profile::Error> for Failure {
    fn from(error: cpu_profile::Error) -> Self {
        match error {
            cpu_profile::Error::Model(error) => error.into(),
            error => Self { code: 3, message: error.to_string() },
        }
    }
}

impl From<program::Error> for Failure {
    fn from(error: program::Error) -> Self {
        let code = match error {
            program::Error::Write { .. } => program::UNWRITTEN,
            _ => 2,
        };
        Self { code, message: error.to_string() }
    }
}
