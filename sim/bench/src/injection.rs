//! Deliberate faults in the first run. They prove that the comparison detects faults.

use std::fmt;

use golden::TernaryMatrix;
use serde::{Deserialize, Serialize};
use tmv::config::UnitConfig;
use tmv::descriptor::DESCRIPTOR_BYTES;
use zynq_memory::{AxiMemory, ReadFault, SLVERR, WriteFault};

use crate::error::Error;
use crate::run::Run;

/// A deliberate fault in the first run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Injection {
    /// Flips the sign of one weight in the unit's memory. Expected: a mismatch, exit code 1.
    WeightBit,
    /// Flips one bit of a result on its way to memory. Expected: a mismatch, exit code 1.
    ResultBit,
    /// Answers a read beat with SLVERR. Expected: the unit reports the error, exit code 5.
    Slverr,
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WeightBit => "weight-bit",
            Self::ResultBit => "result-bit",
            Self::Slverr => "slverr",
        })
    }
}

impl Injection {
    /// Sets up the fault in `memory`, if it is a fault of the memory. Returns a description of the fault.
    pub(crate) fn spoil(self, memory: &mut AxiMemory, unit: &UnitConfig) -> Option<String> {
        match self {
            Self::WeightBit => None,
            Self::ResultBit => {
                // The first beat ever written starts a row block, so its low word belongs to a row that exists.
                memory.faults().write = Some((0, WriteFault::FlipBit(3)));
                Some("bit 3 of the first result beat, as it was written to memory".into())
            }
            Self::Slverr => {
                // The first beat after the descriptor, on the port that fetches the descriptor.
                let beat = (DESCRIPTOR_BYTES / (unit.port_bits / 8)) as u64;
                memory.faults().read = Some((0, beat, ReadFault::Response(SLVERR)));
                Some(format!("SLVERR on read beat {beat} of port 0"))
            }
        }
    }
}

/// A copy of `matrix` in which the sign of one weight is flipped, and a description of that weight. The weight is one
/// that meets an activation other than 0.
pub(crate) fn flip_sign(matrix: &TernaryMatrix, run: &Run) -> Result<(TernaryMatrix, String), Error> {
    let cols = matrix.cols();
    let counts = |c: usize| run.x_q.iter().skip(c).step_by(cols).any(|x| *x != 0);
    let columns: Vec<usize> = (0..cols).filter(|c| counts(*c)).collect();
    let sites = (0..matrix.rows()).flat_map(|r| columns.iter().map(move |c| (r, *c)));
    let site = sites.into_iter().find(|(r, c)| matrix.get(*r, *c) != 0);
    let (r, c) = site.ok_or_else(|| Error::NothingToInject { run: run.describe() })?;
    let mut flipped = matrix.clone();
    flipped.set(r, c, -matrix.get(r, c));
    Ok((flipped, format!("the sign of weight [{r}, {c}] of {} in the unit's memory", run.operators[0])))
}
