//! The ternary products of a layer on a unit, whatever the device: a model, a simulation, a board, or the unit beside a
//! soft core.

use alloc::vec::Vec;

use decoder::{Linear, Products};
use tmv::device::{Device, DeviceError};
use tmv::driver::{Driver, Weights};

/// Products on a unit whose memory holds the weights of a layer.
pub struct UnitProducts<D> {
    driver: Driver<D>,
    weights: [Weights; 7],
    busy: Vec<u64>,
}

impl<D: Device> UnitProducts<D> {
    /// Products with `weights`, in the order of [`Linear::ALL`].
    pub fn new(driver: Driver<D>, weights: [Weights; 7]) -> Self {
        Self { driver, weights, busy: Vec::new() }
    }

    /// Cycles in which the unit was busy, for each request so far.
    pub fn busy(&self) -> &[u64] {
        &self.busy
    }
}

impl<D: Device> Products for UnitProducts<D> {
    type Error = DeviceError;

    fn products(&mut self, linears: &[Linear], x_q: &[i8], tokens: usize) -> Result<Vec<Vec<i32>>, DeviceError> {
        let operators: Vec<Weights> = linears.iter().map(|linear| self.weights[linear.index()]).collect();
        let result = self.driver.run(&operators, x_q, tokens)?;
        self.busy.push(result.cycles);
        Ok(result.operators.into_iter().map(|operator| operator.accumulators).collect())
    }
}
