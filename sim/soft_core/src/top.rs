//! `tmv_system`, the top of a board's design, as one Verilated model.

use testbench::SimulationError;
use testbench::ports::{MemoryPorts, Signals};
use tmv::config::UnitConfig;
use tmv::device::Device;
use vector::VectorConfig;
use verilated::{Model, ModelLibrary, Pin, VerilatedContext};
use zynq_memory::{AxiMemory, MemoryConfig};

use crate::body::{Body, Event};

/// What each bit of `events_o` says.
const EVENTS: [Event; 5] =
    [Event::TernaryDoorbell, Event::VectorDoorbell, Event::Instruction, Event::VectorTells, Event::TernaryTells];

/// A model of `tmv_system` with its memory.
pub(crate) struct Top {
    model: Model,
    /// The masters of the memory, in the order in which they have their turns in a cycle, each with the number of its first
    /// port: as in [`Parts`](crate::parts::Parts).
    masters: [(MemoryPorts, usize); 3],
    memory: AxiMemory,
    events_o: Pin,
    /// What happened, with its cycle.
    events: Vec<(u64, Event)>,
}

impl Top {
    /// Powers up the model.
    pub(crate) fn new(
        library: &ModelLibrary,
        unit: &UnitConfig,
        vector: &VectorConfig,
        memory: MemoryConfig,
        seed: u64,
    ) -> Result<Self, SimulationError> {
        let model = Model::new(library, &VerilatedContext { seed, ..VerilatedContext::default() })?;
        let bytes = unit.port_bits / 8;
        let ports = |name, count, signals| MemoryPorts::find(&model, name, count, bytes, signals);
        let masters = [
            (ports("m_axi_ternary", unit.ports, Signals::Ids)?, 0),
            (ports("m_axi_vector", vector.ports, Signals::Ids)?, unit.ports + 1),
            (ports("m_axi_core", 1, Signals::Strobes)?, unit.ports),
        ];
        let memory = AxiMemory::new(memory, unit.ports + 1 + vector.ports, bytes);
        let events_o = model.pin("events_o")?;
        Ok(Self { model, masters, memory, events_o, events: Vec::new() })
    }
}

impl Body for Top {
    fn reset(&mut self) -> Result<(), SimulationError> {
        let rst_ni = self.model.pin("rst_ni")?;
        self.model.set(rst_ni, 0);
        for (ports, _) in &mut self.masters {
            ports.hold(&mut self.model);
        }
        for _ in 0..4 {
            self.model.cycle()?;
        }
        self.model.set(rst_ni, 1);
        Ok(self.model.cycle()?)
    }

    fn host(&mut self) -> &mut Model {
        &mut self.model
    }

    fn cycles(&self) -> u64 {
        self.model.cycles()
    }

    fn unit_cycles(&self) -> u64 {
        self.model.cycles()
    }

    fn take_events(&mut self) -> Vec<(u64, Event)> {
        std::mem::take(&mut self.events)
    }

    fn memory(&mut self) -> &mut AxiMemory {
        &mut self.memory
    }

    /// The host reaches it on its own bus.
    fn unit(&mut self) -> Option<&mut dyn Device> {
        None
    }

    fn step(&mut self) -> Result<(), SimulationError> {
        let now = self.model.get(self.events_o);
        for (bit, event) in EVENTS.into_iter().enumerate() {
            if now >> bit & 1 != 0 {
                self.events.push((self.model.cycles(), event));
            }
        }
        self.memory.tick();
        for (ports, first) in &mut self.masters {
            ports.serve_if_busy(&mut self.model, &mut self.memory, *first)?;
        }
        Ok(self.model.cycle()?)
    }
}
