//! Sequencer and units as Verilated models of their own, stepped together with the memory.
//!
//! None has a combinational path from an input to an output, so a cycle of the system is: sample the outputs of all, compute
//! the memory's answers, set the inputs of all, clock all. A unit that has nothing to do is not clocked: it would do nothing
//! but count cycles. What leads from one to the other here, `tmv_system` has in RTL.

use testbench::SimulationError;
use testbench::device::VerilatedDevice;
use testbench::ports::{MemoryPorts, Signals};
use testbench::unit::{AxilInputs, AxilOutputs, VerilatedUnit};
use tmv::config::UnitConfig;
use tmv::device::Device;
use vector::VectorConfig;
use verilated::{Model, ModelLibrary, Pin, VerilatedContext, Watch, pins};
use zynq_memory::{AxiMemory, MemoryConfig};

use crate::body::{Body, Event};

/// Cycles without traffic after which the unit is no longer clocked. Its ports hold up to 4,096 beats of weights, which
/// it uses once for each group of vectors when the memory has nothing more to deliver.
const REST: u32 = 16_384;
/// The same for the vector unit, which says whether it is busy: what a register access takes.
const VECTOR_REST: u32 = 64;

pins! {
    struct Pins {
        rst_ni, unit_irq_i, vector_irq_i, irq_o,
        m_axil_awvalid, m_axil_awready, m_axil_awaddr, m_axil_wvalid, m_axil_wready, m_axil_wdata, m_axil_wstrb,
        m_axil_bvalid, m_axil_bresp,
        m_axil_arvalid, m_axil_arready, m_axil_araddr, m_axil_rvalid, m_axil_rdata, m_axil_rresp,
    }
}

impl Pins {
    /// The outputs by which the core asks for a register of a unit.
    fn register_requests(&self) -> [Pin; 3] {
        [self.m_axil_awvalid, self.m_axil_wvalid, self.m_axil_arvalid]
    }
}

/// The registers that the core's access goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Ternary,
    Vector,
    /// A vector unit that is not there.
    Nobody,
}

/// What the core sees of the units: answers of registers, and the interrupts of both.
type CoreInputs = (AxilOutputs, [bool; 2]);

/// A vector unit.
struct Vector {
    unit: VerilatedUnit,
    /// The first of its ports of the memory.
    port: usize,
    /// Its inputs on the bus of its registers, as last set.
    axil: AxilInputs,
    /// Cycles since it last had something to do.
    rest: u32,
    /// What its input says by which the ternary unit tells.
    told: bool,
    busy: Pin,
    waits: Pin,
    done: Pin,
}

/// A sequencer and units on one memory.
pub(crate) struct Parts {
    core: Model,
    pins: Pins,
    /// The core asks for something, or its interrupt to the host is high.
    asks: Watch,
    unit: VerilatedDevice,
    /// The core's port of the memory, and its number.
    core_port: MemoryPorts,
    port: usize,
    /// Cycles since the unit last had something to do.
    rest: u32,
    /// Cycles in which the unit was clocked.
    unit_cycles: u64,
    /// The unit's inputs on the bus of its registers, as last set.
    axil: AxilInputs,
    vector: Option<Vector>,
    /// Where the core's last access to registers went.
    target: Target,
    /// An access to nobody is to be answered.
    owed: bool,
    /// Whether the core's last access was a write, and whether it offered it in the cycle before.
    writing: bool,
    offered: bool,
    /// What the unit's input says by which the vector unit tells.
    told: bool,
    /// What happened, with its cycle.
    events: Vec<(u64, Event)>,
}

impl Parts {
    /// Powers up the models. Behind the unit's ports the memory has the core's, and then those of a
    /// vector unit.
    pub(crate) fn new(
        core: &ModelLibrary,
        unit: &ModelLibrary,
        config: &UnitConfig,
        vector: Option<(&ModelLibrary, &VectorConfig)>,
        memory: MemoryConfig,
        seed: u64,
    ) -> Result<Self, SimulationError> {
        let context = VerilatedContext { seed, ..VerilatedContext::default() };
        let core = Model::new(core, &context)?;
        let others = 1 + vector.map_or(0, |(_, config)| config.ports);
        let unit = VerilatedDevice::with_others(unit, &context, config, memory, others)?;
        let vector =
            vector.map(|(library, vector)| Vector::new(library, &context, vector, config.ports + 1)).transpose()?;
        let pins = Pins::find(&core, "")?;
        let core_port = MemoryPorts::find(&core, "m_axi", 1, config.port_bits / 8, Signals::Strobes)?;
        let asks = [&pins.register_requests()[..], &core_port.requests(), &[pins.irq_o]].concat();
        Ok(Self {
            pins,
            asks: core.watch(&asks),
            core_port,
            core,
            unit,
            port: config.ports,
            rest: 0,
            unit_cycles: 0,
            axil: AxilInputs::default(),
            vector,
            target: Target::Ternary,
            owed: false,
            writing: false,
            offered: false,
            told: false,
            events: Vec::new(),
        })
    }

    /// Leads the wires by which the units tell each other. A unit that is told has something to do.
    fn tell(&mut self) {
        let Some(vector) = &mut self.vector else { return };
        let (unit, _) = self.unit.parts();
        let tells = [vector.unit.tells(), unit.tells()];
        for (tells, event) in tells.into_iter().zip([Event::VectorTells, Event::TernaryTells]) {
            if tells {
                self.events.push((self.core.cycles(), event));
            }
        }
        if self.told != tells[0] {
            unit.set_told(tells[0]);
            (self.told, self.rest) = (tells[0], 0);
        }
        if vector.told != tells[1] {
            vector.unit.set_told(tells[1]);
            (vector.told, vector.rest) = (tells[1], 0);
        }
    }

    /// Finds out where an access of the core goes, and notes doorbells.
    fn route(&mut self, request: &AxilInputs) {
        let writes = request.awvalid || request.wvalid;
        let address = if writes { request.awaddr } else { request.araddr };
        self.target = match (address & 0x1000 != 0, &self.vector) {
            (false, _) => Target::Ternary,
            (true, Some(_)) => Target::Vector,
            (true, None) => Target::Nobody,
        };
        if writes && !self.offered && u32::from(address & 0xfff) == tmv::regs::RING_TAIL {
            let event = if self.target == Target::Vector { Event::VectorDoorbell } else { Event::TernaryDoorbell };
            self.events.push((self.core.cycles(), event));
        }
        (self.writing, self.offered) = (writes, writes);
    }

    /// What the registers answer to the core, and the interrupts of both units, before the clock edge.
    fn answers(&self) -> CoreInputs {
        let ready = AxilOutputs { awready: true, wready: true, arready: true, ..AxilOutputs::default() };
        let outputs = match (self.target, &self.vector) {
            (Target::Vector, Some(vector)) => vector.unit.axil_outputs(),
            (Target::Ternary, _) => self.unit.axil_outputs(),
            // DECERR, for a write as for a read: the core takes the one it waits for.
            _ if self.owed => AxilOutputs { bvalid: self.writing, rvalid: !self.writing, bresp: 3, rresp: 3, ..ready },
            _ => ready,
        };
        (outputs, [self.unit.irq(), self.vector.as_ref().is_some_and(|vector| vector.unit.irq())])
    }

    /// The core's requests to registers of units.
    fn core_outputs(&self) -> AxilInputs {
        let (core, p) = (&self.core, &self.pins);
        let (awvalid, wvalid, arvalid) =
            (core.get(p.m_axil_awvalid) != 0, core.get(p.m_axil_wvalid) != 0, core.get(p.m_axil_arvalid) != 0);
        let mut out = AxilInputs { awvalid, wvalid, arvalid, bready: true, rready: true, ..AxilInputs::default() };
        if awvalid || wvalid || arvalid {
            out.awaddr = core.get(p.m_axil_awaddr) as u16;
            out.wdata = core.get(p.m_axil_wdata) as u32;
            out.wstrb = core.get(p.m_axil_wstrb) as u8;
            out.araddr = core.get(p.m_axil_araddr) as u16;
        }
        out
    }

    /// Whether neither unit is clocked and nobody is owed an answer: then the core sees what it saw in the cycle before.
    fn is_at_rest(&self) -> bool {
        let vector = self.vector.as_ref();
        self.rest >= REST && !self.owed && vector.is_none_or(|vector| vector.rest >= VECTOR_REST)
    }

    /// Clocks the unit.
    fn step_unit(&mut self, inputs: AxilInputs) -> Result<(), SimulationError> {
        if inputs != self.axil {
            self.unit.set_axil_inputs(&inputs);
            self.axil = inputs;
            self.rest = 0;
        }
        self.unit_cycles += 1;
        let (unit, memory) = self.unit.parts();
        unit.serve(memory, 0)?;
        unit.clock()?;
        let busy = inputs.awvalid || inputs.wvalid || inputs.arvalid || !self.unit.memory_is_idle();
        self.rest = if busy { 0 } else { self.rest + 1 };
        Ok(())
    }

    /// Clocks the units that have something to do, for the core's request. Returns what the core sees of them.
    fn step_units(&mut self, request: AxilInputs, active: bool) -> Result<CoreInputs, SimulationError> {
        let idle = |last: AxilInputs| AxilInputs { awvalid: false, wvalid: false, arvalid: false, ..last };
        let to = |target: Target, last: AxilInputs| {
            let local = AxilInputs { awaddr: request.awaddr & 0xfff, araddr: request.araddr & 0xfff, ..request };
            if active && target == self.target {
                local
            } else {
                AxilInputs { bready: true, rready: true, ..idle(last) }
            }
        };
        let to_unit = to(Target::Ternary, self.axil);
        let to_vector = self.vector.as_ref().map(|vector| to(Target::Vector, vector.axil));
        let from = self.answers();
        self.tell();
        if self.rest < REST || to_unit != self.axil {
            self.step_unit(to_unit)?;
        }
        if let Some((vector, inputs)) = self.vector.as_mut().zip(to_vector)
            && (vector.rest < VECTOR_REST || inputs != vector.axil)
        {
            vector.step(self.unit.axi_memory(), inputs)?;
            if vector.unit.model().get(vector.done) != 0 {
                self.events.push((self.core.cycles() + 1, Event::Instruction));
            }
        }
        Ok(from)
    }

    /// Sets the core's inputs from the units.
    fn set_core_inputs(&mut self, (from, irqs): CoreInputs) {
        let (core, p) = (&mut self.core, &self.pins);
        for (pin, value) in [
            (p.unit_irq_i, u64::from(irqs[0])),
            (p.vector_irq_i, u64::from(irqs[1])),
            (p.m_axil_awready, u64::from(from.awready)),
            (p.m_axil_wready, u64::from(from.wready)),
            (p.m_axil_bvalid, u64::from(from.bvalid)),
            (p.m_axil_bresp, u64::from(from.bresp)),
            (p.m_axil_arready, u64::from(from.arready)),
            (p.m_axil_rvalid, u64::from(from.rvalid)),
            (p.m_axil_rdata, u64::from(from.rdata)),
            (p.m_axil_rresp, u64::from(from.rresp)),
        ] {
            core.set(pin, value);
        }
    }
}

impl Body for Parts {
    fn reset(&mut self) -> Result<(), SimulationError> {
        let p = &self.pins;
        for pin in [p.rst_ni, p.m_axil_bvalid, p.m_axil_rvalid, p.unit_irq_i, p.vector_irq_i] {
            self.core.set(pin, 0);
        }
        self.core_port.hold(&mut self.core);
        for _ in 0..4 {
            self.core.cycle()?;
        }
        self.core.set(self.pins.rst_ni, 1);
        self.core.cycle()?;
        self.unit.set_axil_inputs(&self.axil);
        Ok(())
    }

    fn host(&mut self) -> &mut Model {
        &mut self.core
    }

    fn cycles(&self) -> u64 {
        self.core.cycles()
    }

    fn unit_cycles(&self) -> u64 {
        self.unit_cycles
    }

    fn take_events(&mut self) -> Vec<(u64, Event)> {
        std::mem::take(&mut self.events)
    }

    fn memory(&mut self) -> &mut AxiMemory {
        self.unit.axi_memory()
    }

    /// The host drives the unit's registers in place of the core. Only the unit is clocked meanwhile.
    fn unit(&mut self) -> Option<&mut dyn Device> {
        Some(&mut self.unit)
    }

    fn unit_is_done(&mut self) {
        self.unit.set_axil_inputs(&self.axil);
        self.rest = 0;
    }

    fn step(&mut self) -> Result<(), SimulationError> {
        let request = self.core_outputs();
        let active = request.awvalid || request.wvalid || request.arvalid;
        match active {
            true => self.route(&request),
            false => self.offered = false,
        }
        self.unit.axi_memory().tick();
        let seen = (active || !self.is_at_rest()).then(|| self.step_units(request, active)).transpose()?;
        self.core_port.serve_if_busy(&mut self.core, self.unit.axi_memory(), self.port)?;
        if let Some(seen) = seen {
            self.set_core_inputs(seen);
        }
        self.owed = active && self.target == Target::Nobody;
        self.core.cycle()?;
        Ok(())
    }

    fn coast(&mut self, most: u64) -> Result<u64, SimulationError> {
        let (core, memory) = (&self.core, self.unit.axi_memory());
        let active = self.pins.register_requests().into_iter().any(|pin| core.get(pin) != 0);
        if active || !self.core_port.is_at_rest(core, memory, self.port) || !self.is_at_rest() {
            return Ok(0);
        }
        let cycles = self.core.run(most, &self.asks)?;
        for _ in 0..cycles {
            self.unit.axi_memory().tick();
        }
        self.offered = false;
        Ok(cycles)
    }
}

impl Vector {
    fn new(
        library: &ModelLibrary,
        context: &VerilatedContext,
        config: &VectorConfig,
        port: usize,
    ) -> Result<Self, SimulationError> {
        let mut unit = VerilatedUnit::new(library, context, config.ports, config.port_bytes())?;
        let [busy, waits, done] = ["busy_o", "waits_o", "instr_done_o"].map(|name| unit.model().pin(name));
        let (busy, waits, done) = (busy?, waits?, done?);
        for _ in 0..4 {
            unit.clock()?;
        }
        unit.set_reset(true);
        unit.clock()?;
        let axil = AxilInputs { bready: true, rready: true, ..AxilInputs::default() };
        Ok(Self { unit, port, axil, rest: 0, told: false, busy, waits, done })
    }

    fn step(&mut self, memory: &mut AxiMemory, inputs: AxilInputs) -> Result<(), SimulationError> {
        if inputs != self.axil {
            self.unit.set_axil_inputs(&inputs);
            self.axil = inputs;
            self.rest = 0;
        }
        self.unit.serve(memory, self.port)?;
        self.unit.clock()?;
        let access = inputs.awvalid || inputs.wvalid || inputs.arvalid;
        let model = self.unit.model();
        let works = model.get(self.busy) != 0 && model.get(self.waits) == 0;
        let busy = access || works || !self.unit.is_idle(memory, self.port);
        self.rest = if busy { 0 } else { self.rest + 1 };
        Ok(())
    }
}
