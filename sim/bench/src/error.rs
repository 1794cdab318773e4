//! Errors of simulation and comparison.

use tmv::device::DeviceError;
use zynq_memory::Violation;

/// Maximum number of cycles that a register access may take.
pub(crate) const REGISTER_CYCLES: u64 = 1024;

/// A reason why a simulation stopped, other than an error that the unit reported itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// A Verilated assertion failed, or the model itself failed.
    #[error(transparent)]
    Model(#[from] verilated::Error),
    /// The unit broke the AXI protocol.
    #[error(transparent)]
    Protocol(#[from] Violation),
    /// A register access got no answer.
    #[error("register access at offset {offset:#05x} got no answer within {REGISTER_CYCLES} cycles")]
    NoAnswer {
        /// Offset in bytes.
        offset: u32,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl From<SimulationError> for DeviceError {
    fn from(error: SimulationError) -> Self {
        Self::Fault(Box::new(error))
    }
}

/// The reason why a run could not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A fault of the unit, its simulation or the bus protocol, or an operator that the unit cannot hold.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The model could not be built or loaded.
    #[error(transparent)]
    Model(#[from] verilated::Error),
    /// A file of the RTL is missing.
    #[error(transparent)]
    Rtl(#[from] rtl::Error),
    /// The forward pass on golden's arithmetic failed.
    #[error(transparent)]
    Forward(#[from] bitnet::Error),
    /// A waveform could not be written.
    #[error(transparent)]
    Output(#[from] program::Error),
    /// The requested fault cannot be injected.
    #[error("--inject weight-bit: no weight of {run} can change a result: each product with an activation is 0")]
    NothingToInject {
        /// The run.
        run: String,
    },
    /// An injected fault had no effect.
    #[error("injected {what}, but no check noticed it")]
    Unnoticed {
        /// Description of the fault.
        what: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The caller's function that is called after each verified run returned an error to stop the verification.
    #[error("{0}")]
    Stopped(Box<dyn std::error::Error + Send + Sync>),
    /// Another error, with the place where it happened.
    #[error("{place}: {source}")]
    At {
        /// Layer and operators, or the injected fault.
        place: String,
        /// The underlying error.
        source: Box<Error>,
    },
}

impl From<SimulationError> for Error {
    fn from(error: SimulationError) -> Self {
        match error {
            SimulationError::Interrupted => Self::Interrupted,
            SimulationError::Model(error) => Self::Model(error),
            error => Self::Device(error.into()),
        }
    }
}

impl Error {
    /// Adds the place where the error happened. [`Error::Interrupted`] stays as it is.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Self {
        match self {
            Self::Interrupted => Self::Interrupted,
            source => Self::At { place: place.into(), source: Box::new(source) },
        }
    }
}
