//! What a [`System`](crate::system::System) is made of, and what it tells of a run.

use testbench::SimulationError;
use tmv::device::Device;
use verilated::Model;
use zynq_memory::AxiMemory;

/// Something that happened in a simulation, for measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The core rang the doorbell of the ternary unit.
    TernaryDoorbell,
    /// The core rang the doorbell of the vector unit.
    VectorDoorbell,
    /// The vector unit completed an instruction.
    Instruction,
    /// The vector unit told the ternary unit.
    VectorTells,
    /// The ternary unit told the vector unit.
    TernaryTells,
}

/// What is simulated: the pins of the host are those of one model.
pub(crate) trait Body {
    /// Resets the models after power-up. The inputs from the host are idle.
    fn reset(&mut self) -> Result<(), SimulationError>;
    /// The model with the pins of the host.
    fn host(&mut self) -> &mut Model;
    /// Cycles since power-up, and those in which the ternary unit was clocked.
    fn cycles(&self) -> u64;
    fn unit_cycles(&self) -> u64;
    /// What happened since the last call, with its cycle.
    fn take_events(&mut self) -> Vec<(u64, Event)>;
    fn memory(&mut self) -> &mut AxiMemory;
    /// The ternary unit, if the host has a way to it beside its own pins; then no time passes for the others meanwhile.
    fn unit(&mut self) -> Option<&mut dyn Device>;
    /// Says that the host is done with the unit.
    fn unit_is_done(&mut self) {}
    /// Simulates one clock cycle.
    fn step(&mut self) -> Result<(), SimulationError>;
    /// Simulates up to `most` cycles in one go, if the units rest and the core asks for nothing. Stops after a cycle in which the
    /// core asks for something or raises its interrupt to the host. Returns the number of cycles; 0 if the next one needs `step`.
    fn coast(&mut self, _most: u64) -> Result<u64, SimulationError> {
        Ok(0)
    }
}
