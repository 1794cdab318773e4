//! Sequencer, units and memory, stepped together.
//!
//! Sequencer, ternary unit and vector unit are Verilated models of their own. None has a combinational path from an input
//! to an output, so a cycle of the system is: sample the outputs of all, compute the memory's answers, set the inputs of
//! all, clock all. A unit that has nothing to do is not clocked: it would do nothing but count cycles.

use sequencer::regs;
use testbench::SimulationError;
use testbench::device::VerilatedDevice;
use testbench::unit::{AxilInputs, AxilOutputs, VerilatedUnit};
use tmv::config::UnitConfig;
use vector::VectorConfig;
use verilated::{Model, ModelLibrary, Pin, VerilatedContext};
use zynq_memory::{Address, AxiMemory, MemoryConfig};

use crate::error::Error;

/// Bytes of the widest beat of the memory port.
const MAX_PORT_BYTES: usize = 16;
/// Cycles without traffic after which the unit is no longer clocked. Its ports hold up to 4,096 beats of weights, which
/// it uses once for each group of vectors when the memory has nothing more to deliver.
const REST: u32 = 16_384;
/// The same for the vector unit, which says whether it is busy: what a register access takes.
const VECTOR_REST: u32 = 64;
/// Limit in cycles of an access to a register of the sequencer.
const REGISTER_CYCLES: u64 = 1024;
/// Limit in cycles for the accesses of a core that was stopped.
const STOP_CYCLES: u64 = 100_000;
/// Number of cycles between two looks at the interrupt of the user.
const LOOK: u64 = 4096;

macro_rules! pins {
    ($($name:ident),* $(,)?) => {
        struct Pins { $($name: Pin),* }

        impl Pins {
            fn find(model: &Model) -> Result<Self, verilated::Error> {
                Ok(Self { $($name: model.pin(stringify!($name))?),* })
            }
        }
    };
}

pins! {
    rst_ni, irq_o, pc_o, unit_irq_i, vector_irq_i,
    s_axil_awvalid, s_axil_awaddr, s_axil_wvalid, s_axil_wdata, s_axil_wstrb, s_axil_awready, s_axil_wready,
    s_axil_bvalid, s_axil_bready, s_axil_arvalid, s_axil_arready, s_axil_araddr, s_axil_rvalid, s_axil_rready,
    s_axil_rdata,
    m_axil_awvalid, m_axil_awready, m_axil_awaddr, m_axil_wvalid, m_axil_wready, m_axil_wdata, m_axil_wstrb,
    m_axil_bvalid, m_axil_bresp,
    m_axil_arvalid, m_axil_arready, m_axil_araddr, m_axil_rvalid, m_axil_rdata, m_axil_rresp,
    m_axi_arvalid, m_axi_arready, m_axi_araddr, m_axi_arlen,
    m_axi_rvalid, m_axi_rready, m_axi_rdata, m_axi_rresp, m_axi_rlast,
    m_axi_awvalid, m_axi_awready, m_axi_awaddr, m_axi_awlen,
    m_axi_wvalid, m_axi_wready, m_axi_wdata, m_axi_wstrb, m_axi_wlast,
    m_axi_bvalid, m_axi_bready, m_axi_bresp,
}

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

/// The registers that the core's access goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Ternary,
    Vector,
    /// A vector unit that is not there.
    Nobody,
}

/// A vector unit.
struct Vector {
    unit: VerilatedUnit,
    /// Its port of the memory.
    port: usize,
    /// Its inputs on the bus of its registers, as last set.
    axil: AxilInputs,
    /// Cycles since it last had something to do.
    rest: u32,
    /// Cycles in which it was clocked.
    cycles: u64,
    /// What its input says by which the ternary unit tells.
    told: bool,
    busy: Pin,
    waits: Pin,
    done: Pin,
}

/// A sequencer and units on one memory.
pub struct System {
    core: Model,
    pins: Pins,
    unit: VerilatedDevice,
    /// The core's port of the memory.
    port: usize,
    port_bytes: usize,
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
    /// Whether the core's inputs from the memory are all idle.
    memory_idle: bool,
    stop: Option<fn() -> bool>,
    /// Called from time to time with the cycles since the last call.
    progress: Option<Box<dyn FnMut(u64)>>,
    /// Limit in cycles of a wait for the core, if it is not to be the usual one.
    patience: Option<u64>,
}

impl System {
    /// Powers up the models and resets them. The memory has a port more than the unit, which is the core's, and another
    /// one for a vector unit.
    ///
    /// # Errors
    /// If a model fails.
    pub fn new(
        core: &ModelLibrary,
        unit: &ModelLibrary,
        config: &UnitConfig,
        vector: Option<(&ModelLibrary, &VectorConfig)>,
        memory: MemoryConfig,
        seed: u64,
    ) -> Result<Self, Error> {
        let context = VerilatedContext { seed, ..VerilatedContext::default() };
        let core = Model::new(core, &context)?;
        let others = 1 + vector.map_or(0, |(_, config)| config.ports);
        let unit = VerilatedDevice::with_others(unit, &context, config, memory, others)?;
        let vector = vector.map(|(library, config)| Vector::new(library, &context, config, others)).transpose()?;
        let mut system = Self {
            pins: Pins::find(&core)?,
            core,
            unit,
            port: config.ports,
            port_bytes: config.port_bits / 8,
            rest: 0,
            unit_cycles: 0,
            axil: AxilInputs::default(),
            vector: vector.map(|vector| Vector { port: config.ports + 1, ..vector }),
            target: Target::Ternary,
            owed: false,
            writing: false,
            offered: false,
            told: false,
            events: Vec::new(),
            memory_idle: false,
            stop: None,
            progress: None,
            patience: None,
        };
        system.reset()?;
        Ok(system)
    }

    /// Sets a function that is called from time to time. The simulation stops with an error when it returns `true`.
    pub fn set_stop(&mut self, stop: fn() -> bool) {
        self.stop = Some(stop);
    }

    /// Sets a function that is called from time to time during a wait, with the cycles since the last call.
    pub fn set_progress(&mut self, progress: impl FnMut(u64) + 'static) {
        self.progress = Some(Box::new(progress));
    }

    /// Limits every wait for the core to `cycles` clock cycles.
    pub fn set_patience(&mut self, cycles: u64) {
        self.patience = Some(cycles);
    }

    fn reset(&mut self) -> Result<(), Error> {
        let p = &self.pins;
        for pin in [
            p.rst_ni,
            p.s_axil_awvalid,
            p.s_axil_wvalid,
            p.s_axil_arvalid,
            p.m_axil_bvalid,
            p.m_axil_rvalid,
            p.m_axi_rvalid,
            p.m_axi_bvalid,
            p.unit_irq_i,
            p.vector_irq_i,
        ] {
            self.core.set(pin, 0);
        }
        for pin in [p.s_axil_bready, p.s_axil_rready] {
            self.core.set(pin, 1);
        }
        self.core.set(p.s_axil_wstrb, 0xf);
        for _ in 0..4 {
            self.core.cycle()?;
        }
        self.core.set(self.pins.rst_ni, 1);
        self.core.cycle()?;
        self.unit.set_axil_inputs(&self.axil);
        Ok(())
    }

    /// Cycles of the system since power-up.
    pub fn cycles(&self) -> u64 {
        self.core.cycles()
    }

    /// Cycles in which the unit was clocked.
    pub fn unit_cycles(&self) -> u64 {
        self.unit_cycles
    }

    /// Cycles in which the vector unit was clocked.
    pub fn vector_cycles(&self) -> u64 {
        self.vector.as_ref().map_or(0, |vector| vector.cycles)
    }

    /// What happened since the last call, with its cycle.
    pub fn take_events(&mut self) -> Vec<(u64, Event)> {
        std::mem::take(&mut self.events)
    }

    /// The memory.
    pub fn memory(&mut self) -> &mut AxiMemory {
        self.unit.axi_memory()
    }

    /// Gives the unit to the host, which drives its registers in place of the core. Only the unit is clocked meanwhile.
    pub fn with_unit<T>(&mut self, use_it: impl FnOnce(&mut VerilatedDevice) -> T) -> T {
        let out = use_it(&mut self.unit);
        self.unit.set_axil_inputs(&self.axil);
        self.rest = 0;
        out
    }

    /// Address of an instruction that the core is at.
    pub fn pc(&self) -> u32 {
        self.core.get(self.pins.pc_o) as u32
    }

    /// Simulates one clock cycle.
    ///
    /// # Errors
    /// If a model fails, or if a master breaks the protocol.
    pub fn step(&mut self) -> Result<(), SimulationError> {
        let request = self.core_outputs();
        let active = request.awvalid || request.wvalid || request.arvalid;
        match active {
            true => self.route(&request),
            false => self.offered = false,
        }
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
        self.unit.axi_memory().tick();
        let mut awake = active || self.owed;
        if self.rest < REST || to_unit != self.axil {
            awake = true;
            self.step_unit(to_unit)?;
        }
        if let Some((vector, inputs)) = self.vector.as_mut().zip(to_vector)
            && (vector.rest < VECTOR_REST || inputs != vector.axil)
        {
            awake = true;
            vector.step(self.unit.axi_memory(), inputs)?;
            if vector.unit.model().get(vector.done) != 0 {
                self.events.push((self.core.cycles() + 1, Event::Instruction));
            }
        }
        self.serve_core()?;
        if awake {
            self.set_core_inputs(from);
        }
        self.owed = active && self.target == Target::Nobody;
        self.core.cycle()?;
        Ok(())
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
    fn answers(&self) -> (AxilOutputs, [bool; 2]) {
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

    /// Runs the core's port of the memory for this cycle.
    fn serve_core(&mut self) -> Result<(), SimulationError> {
        let Self { core, pins: p, unit, port, port_bytes, memory_idle, .. } = self;
        let memory = unit.axi_memory();
        let (arvalid, awvalid, wvalid) =
            (core.get(p.m_axi_arvalid) != 0, core.get(p.m_axi_awvalid) != 0, core.get(p.m_axi_wvalid) != 0);
        let idle = !arvalid && !awvalid && !wvalid && memory.is_idle(*port);
        if idle && *memory_idle {
            return Ok(());
        }
        let address = |valid: bool, addr: Pin, len: Pin| match valid {
            true => Address { valid, addr: core.get(addr), len: core.get(len) as u8, id: 0 },
            false => Address::default(),
        };
        let (ar, aw) =
            (address(arvalid, p.m_axi_araddr, p.m_axi_arlen), address(awvalid, p.m_axi_awaddr, p.m_axi_awlen));
        let arready = memory.read_address(*port, ar)?;
        let beat = memory.read_data(*port, core.get(p.m_axi_rready) != 0)?;
        let mut data = [0; MAX_PORT_BYTES];
        if let Some(offset) = beat.offset.filter(|_| beat.valid) {
            memory.copy_beat(offset, &mut data);
        }
        let awready = memory.write_address(*port, aw)?;
        let mut written = [0; MAX_PORT_BYTES];
        let mut strobes = 0;
        if wvalid {
            core.get_bytes(p.m_axi_wdata, 0, &mut written[..*port_bytes]);
            strobes = core.get(p.m_axi_wstrb) as u32;
        }
        let last = wvalid && core.get(p.m_axi_wlast) != 0;
        let wready = memory.write_data(*port, wvalid, &written[..*port_bytes], strobes, last)?;
        let response = memory.write_response(*port, core.get(p.m_axi_bready) != 0)?;
        if beat.valid {
            core.set_bytes(p.m_axi_rdata, 0, &data[..*port_bytes]);
            core.set(p.m_axi_rresp, u64::from(beat.resp));
            core.set(p.m_axi_rlast, u64::from(beat.last));
        }
        for (pin, value) in [
            (p.m_axi_arready, arready),
            (p.m_axi_rvalid, beat.valid),
            (p.m_axi_awready, awready),
            (p.m_axi_wready, wready),
            (p.m_axi_bvalid, response.is_some()),
        ] {
            core.set(pin, u64::from(value));
        }
        if let Some(response) = response {
            core.set(p.m_axi_bresp, u64::from(response));
        }
        *memory_idle = idle && !beat.valid && response.is_none();
        Ok(())
    }

    /// Sets the core's inputs from the units.
    fn set_core_inputs(&mut self, (from, irqs): (AxilOutputs, [bool; 2])) {
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

    /// Writes a register of the sequencer, as the host.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn write(&mut self, offset: u32, value: u32) -> Result<(), Error> {
        self.core.set(self.pins.s_axil_awaddr, u64::from(offset));
        self.core.set(self.pins.s_axil_wdata, u64::from(value));
        let (mut aw, mut w) = (false, false);
        for _ in 0..REGISTER_CYCLES {
            let p = &self.pins;
            self.core.set(p.s_axil_awvalid, u64::from(!aw));
            self.core.set(p.s_axil_wvalid, u64::from(!w));
            aw |= self.core.get(p.s_axil_awready) != 0;
            w |= self.core.get(p.s_axil_wready) != 0;
            let done = self.core.get(p.s_axil_bvalid) != 0;
            self.step()?;
            if done {
                return Ok(());
            }
        }
        Err(SimulationError::NoAnswer { offset }.into())
    }

    /// Reads a register of the sequencer, as the host.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn read(&mut self, offset: u32) -> Result<u32, Error> {
        self.core.set(self.pins.s_axil_araddr, u64::from(offset));
        let mut ar = false;
        for _ in 0..REGISTER_CYCLES {
            let p = &self.pins;
            self.core.set(p.s_axil_arvalid, u64::from(!ar));
            ar |= self.core.get(p.s_axil_arready) != 0;
            let (done, value) = (self.core.get(p.s_axil_rvalid) != 0, self.core.get(p.s_axil_rdata) as u32);
            self.step()?;
            if done {
                return Ok(value);
            }
        }
        Err(SimulationError::NoAnswer { offset }.into())
    }

    /// Waits until all accesses of a core in reset are complete.
    ///
    /// # Errors
    /// If the memory does not complete them.
    pub fn until_stopped(&mut self) -> Result<(), Error> {
        let start = self.cycles();
        while self.read(regs::STATUS)? & regs::STATUS_RUNNING != 0 {
            let cycles = self.cycles() - start;
            if cycles > STOP_CYCLES {
                return Err(Error::NotStopped { cycles });
            }
        }
        Ok(())
    }

    /// Steps until the sequencer raises its interrupt, for at most `limit` cycles, or [`System::set_patience`] of them. Returns whether it did.
    ///
    /// # Errors
    /// If a model fails, or if the user asked to stop.
    pub fn wait(&mut self, limit: u64) -> Result<bool, Error> {
        for cycle in 0..self.patience.unwrap_or(limit) {
            if self.core.get(self.pins.irq_o) != 0 {
                return Ok(true);
            }
            if cycle % LOOK == 0 {
                if self.stop.is_some_and(|stop| stop()) {
                    return Err(Error::Interrupted);
                }
                if let Some(progress) = &mut self.progress {
                    progress(LOOK);
                }
            }
            self.step()?;
        }
        Ok(false)
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
        Ok(Self { unit, port, axil, rest: 0, cycles: 0, told: false, busy, waits, done })
    }

    fn step(&mut self, memory: &mut AxiMemory, inputs: AxilInputs) -> Result<(), SimulationError> {
        if inputs != self.axil {
            self.unit.set_axil_inputs(&inputs);
            self.axil = inputs;
            self.rest = 0;
        }
        self.cycles += 1;
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
