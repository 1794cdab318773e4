//! The unit under Verilator, with the memory model on its ports, as a [`Device`].
//!
//! One call of [`VerilatedDevice::step`] is one clock cycle: it samples the unit's outputs, computes the memory's
//! answers, applies them to the unit's inputs, and clocks the edge. The unit has no combinational path from an input
//! to an output, so one evaluation per cycle is enough.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;
use tmv::config::UnitConfig;
use tmv::device::{Device, DeviceError};
use tmv::regs;
use verilated::{Model, ModelLibrary, Pin, VerilatedContext};
use zynq_memory::{ALL_BYTES, Address, AxiMemory, MemoryConfig};

use crate::error::{REGISTER_CYCLES, SimulationError};

/// Bytes of an address on the unit's AXI ports.
const ADDRESS_BYTES: usize = 5;
/// Most ports a configuration of the unit can have.
const MAX_PORTS: usize = 8;
/// Most bytes per beat a port of the unit can have.
const MAX_PORT_BYTES: usize = 16;

/// A Verilated unit with its memory.
pub struct VerilatedDevice {
    model: Model,
    pins: Pins,
    memory: AxiMemory,
    ports: usize,
    port_bytes: usize,
    /// Limit in cycles of a wait for the interrupt.
    patience: u64,
    /// Called from time to time during a wait; `true` stops the wait.
    stop: Option<fn() -> bool>,
    /// Source of the delays of a rude master of the registers.
    rude: Option<SplitMix64>,
    /// Whether the write channels were idle in the previous cycle and their input pins are already set to idle.
    write_idle: bool,
    /// Inputs of the read channels as last set.
    read_inputs: ReadInputs,
}

/// Inputs of the read channels: one bit per port, two bits per port for `rresp`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct ReadInputs {
    arready: u64,
    rvalid: u64,
    rlast: u64,
    rid: u64,
    rresp: u64,
}

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
    rst_ni, irq_o,
    s_axil_awvalid, s_axil_awready, s_axil_awaddr, s_axil_wvalid, s_axil_wready, s_axil_wdata, s_axil_wstrb,
    s_axil_bvalid, s_axil_bready, s_axil_bresp,
    s_axil_arvalid, s_axil_arready, s_axil_araddr, s_axil_rvalid, s_axil_rready, s_axil_rdata, s_axil_rresp,
    m_axi_arvalid, m_axi_arready, m_axi_araddr, m_axi_arlen, m_axi_arid,
    m_axi_rvalid, m_axi_rready, m_axi_rdata, m_axi_rresp, m_axi_rlast, m_axi_rid,
    m_axi_awvalid, m_axi_awready, m_axi_awaddr, m_axi_awlen, m_axi_wvalid, m_axi_wready, m_axi_wdata, m_axi_wlast,
    m_axi_bvalid, m_axi_bready, m_axi_bresp,
}

impl VerilatedDevice {
    /// Powers up an instance of `library` and resets it. `library` must be a model of `unit`.
    pub fn new(
        library: &ModelLibrary,
        context: &VerilatedContext,
        unit: &UnitConfig,
        memory: MemoryConfig,
    ) -> Result<Self, SimulationError> {
        Self::with_others(library, context, unit, memory, 0)
    }

    /// Like [`VerilatedDevice::new`], with a memory that has `others` more ports for other masters, after the unit's.
    pub fn with_others(
        library: &ModelLibrary,
        context: &VerilatedContext,
        unit: &UnitConfig,
        memory: MemoryConfig,
        others: usize,
    ) -> Result<Self, SimulationError> {
        let model = Model::new(library, context)?;
        let pins = Pins::find(&model)?;
        let (ports, port_bytes) = (unit.ports, unit.port_bits / 8);
        let memory = AxiMemory::new(memory, ports + others, port_bytes);
        let mut device = Self {
            model,
            pins,
            memory,
            ports,
            port_bytes,
            patience: 1 << 32,
            stop: None,
            rude: None,
            write_idle: false,
            read_inputs: ReadInputs::default(),
        };
        for pin in [device.pins.s_axil_awvalid, device.pins.s_axil_wvalid, device.pins.s_axil_arvalid] {
            device.model.set(pin, 0);
        }
        device.model.set(device.pins.s_axil_bready, 1);
        device.model.set(device.pins.s_axil_rready, 1);
        device.reset()?;
        Ok(device)
    }

    /// Holds the reset input low for four cycles, with a memory that is reset too. The memory keeps its content.
    pub fn reset(&mut self) -> Result<(), SimulationError> {
        self.write_idle = false;
        self.memory.reset();
        let p = &self.pins;
        self.model.set(p.rst_ni, 0);
        self.read_inputs = ReadInputs::default();
        for pin in [
            p.m_axi_arready,
            p.m_axi_rvalid,
            p.m_axi_rlast,
            p.m_axi_rid,
            p.m_axi_rresp,
            p.m_axi_awready,
            p.m_axi_wready,
            p.m_axi_bvalid,
        ] {
            self.model.set(pin, 0);
        }
        for _ in 0..4 {
            self.model.cycle()?;
        }
        self.model.set(self.pins.rst_ni, 1);
        self.model.cycle()?;
        Ok(())
    }

    /// Holds the reset input low for `cycles` cycles, with a memory that does not notice: bursts in flight go on, as
    /// those of a Zynq do when only the programmable logic is reset. Returns whether the memory waits for write data
    /// of before the reset.
    pub fn reset_unit_alone(&mut self, cycles: u64) -> Result<bool, SimulationError> {
        self.write_idle = false;
        self.model.set(self.pins.rst_ni, 0);
        self.memory.allow_resets();
        for _ in 0..cycles {
            self.step()?;
        }
        self.model.set(self.pins.rst_ni, 1);
        self.step()?;
        Ok(self.memory.waits_for_data())
    }

    /// Clock cycles since power-up.
    pub fn cycles(&self) -> u64 {
        self.model.cycles()
    }

    /// Limits every wait for an interrupt to `cycles` clock cycles.
    pub fn set_patience(&mut self, cycles: u64) {
        self.patience = cycles;
    }

    /// Sets a function that is called from time to time during a wait. The wait stops with an error when it returns
    /// `true`.
    pub fn set_stop(&mut self, stop: fn() -> bool) {
        self.stop = Some(stop);
    }

    /// The memory model.
    pub fn axi_memory(&mut self) -> &mut AxiMemory {
        &mut self.memory
    }

    /// The Verilated model.
    pub fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Simulates one clock cycle.
    pub fn step(&mut self) -> Result<(), SimulationError> {
        let Self { model, pins, memory, ports, port_bytes, write_idle, read_inputs, .. } = self;
        memory.tick();

        let (arvalid, rready) = (model.get(pins.m_axi_arvalid), model.get(pins.m_axi_rready));
        let (lens, ids) = match arvalid {
            0 => (0, 0),
            _ => (model.get(pins.m_axi_arlen), model.get(pins.m_axi_arid)),
        };
        let mut inputs = ReadInputs::default();
        let mut data = [0; MAX_PORTS * MAX_PORT_BYTES];
        // The memory's turn may be that of another master.
        let mut port = if memory.first_port() < *ports { memory.first_port() } else { 0 };
        for _ in 0..*ports {
            let mut ar = Address::default();
            if arvalid >> port & 1 != 0 {
                let addr = address(model, pins.m_axi_araddr, port);
                ar = Address { valid: true, addr, len: (lens >> (8 * port)) as u8, id: (ids >> port & 1) as u8 };
            }
            inputs.arready |= u64::from(memory.read_address(port, ar)?) << port;
            let beat = memory.read_data(port, rready >> port & 1 != 0)?;
            if beat.valid {
                inputs.rvalid |= 1 << port;
                inputs.rlast |= u64::from(beat.last) << port;
                inputs.rid |= u64::from(beat.id) << port;
                inputs.rresp |= u64::from(beat.resp) << (2 * port);
                if let Some(offset) = beat.offset {
                    memory.copy_beat(offset, &mut data[port * *port_bytes..]);
                }
            }
            port = if port + 1 == *ports { 0 } else { port + 1 };
        }
        // RID and RLAST have no meaning between beats. They keep their values, which saves writes to the pins.
        inputs.rid |= read_inputs.rid & !inputs.rvalid;
        inputs.rlast |= read_inputs.rlast & !inputs.rvalid;
        if inputs.rvalid != 0 {
            model.set_bytes(pins.m_axi_rdata, 0, &data[..*ports * *port_bytes]);
        }
        // The inputs are the same in most cycles, so they are set only when they change.
        if inputs != *read_inputs {
            for (pin, value) in [
                (pins.m_axi_arready, inputs.arready),
                (pins.m_axi_rvalid, inputs.rvalid),
                (pins.m_axi_rlast, inputs.rlast),
                (pins.m_axi_rid, inputs.rid),
                (pins.m_axi_rresp, inputs.rresp),
            ] {
                model.set(pin, value);
            }
            *read_inputs = inputs;
        }

        let awvalid = model.get(pins.m_axi_awvalid) != 0;
        let wvalid = model.get(pins.m_axi_wvalid) != 0;
        let idle = !awvalid && !wvalid && memory.write_idle(0);
        if !(idle && *write_idle) {
            let mut aw = Address::default();
            if awvalid {
                let addr = address(model, pins.m_axi_awaddr, 0);
                aw = Address { valid: true, addr, len: model.get(pins.m_axi_awlen) as u8, id: 0 };
            }
            let awready = memory.write_address(0, aw)?;
            let mut data = [0; 16];
            if wvalid {
                model.get_bytes(pins.m_axi_wdata, 0, &mut data[..*port_bytes]);
            }
            let wlast = wvalid && model.get(pins.m_axi_wlast) != 0;
            let wready = memory.write_data(0, wvalid, &data[..*port_bytes], ALL_BYTES, wlast)?;
            let response = memory.write_response(0, model.get(pins.m_axi_bready) != 0)?;
            model.set(pins.m_axi_awready, u64::from(awready));
            model.set(pins.m_axi_wready, u64::from(wready));
            model.set(pins.m_axi_bvalid, u64::from(response.is_some()));
            if let Some(resp) = response {
                model.set(pins.m_axi_bresp, u64::from(resp));
            }
        }
        *write_idle = idle;
        model.cycle()?;
        Ok(())
    }

    /// The level of the interrupt.
    pub fn irq(&self) -> bool {
        self.model.get(self.pins.irq_o) != 0
    }

    /// The unit's outputs on the bus of its registers.
    pub fn axil_outputs(&self) -> AxilOutputs {
        let (model, p) = (&self.model, &self.pins);
        let high = |pin| model.get(pin) != 0;
        AxilOutputs {
            awready: high(p.s_axil_awready),
            wready: high(p.s_axil_wready),
            bvalid: high(p.s_axil_bvalid),
            bresp: model.get(p.s_axil_bresp) as u8,
            arready: high(p.s_axil_arready),
            rvalid: high(p.s_axil_rvalid),
            rdata: model.get(p.s_axil_rdata) as u32,
            rresp: model.get(p.s_axil_rresp) as u8,
        }
    }

    /// Sets the unit's inputs on the bus of its registers, for another master than this device.
    pub fn set_axil_inputs(&mut self, inputs: &AxilInputs) {
        let (model, p) = (&mut self.model, &self.pins);
        for (pin, value) in [
            (p.s_axil_awvalid, u64::from(inputs.awvalid)),
            (p.s_axil_awaddr, u64::from(inputs.awaddr)),
            (p.s_axil_wvalid, u64::from(inputs.wvalid)),
            (p.s_axil_wdata, u64::from(inputs.wdata)),
            (p.s_axil_wstrb, u64::from(inputs.wstrb)),
            (p.s_axil_bready, u64::from(inputs.bready)),
            (p.s_axil_arvalid, u64::from(inputs.arvalid)),
            (p.s_axil_araddr, u64::from(inputs.araddr)),
            (p.s_axil_rready, u64::from(inputs.rready)),
        ] {
            model.set(pin, value);
        }
    }

    /// Whether the unit asks the memory for nothing, and the memory owes it nothing.
    pub fn memory_is_idle(&self) -> bool {
        let (model, p) = (&self.model, &self.pins);
        let asks = [p.m_axi_arvalid, p.m_axi_awvalid, p.m_axi_wvalid].into_iter().any(|pin| model.get(pin) != 0);
        !asks && (0..self.ports).all(|port| self.memory.is_idle(port))
    }

    /// Steps until `pin` is high, for at most `limit` cycles. Returns whether `pin` is high.
    fn step_until(&mut self, pin: Pin, limit: u64) -> Result<bool, SimulationError> {
        for cycle in 0..limit {
            if self.model.get(pin) != 0 {
                return Ok(true);
            }
            if cycle % 4096 == 0 && self.stop.is_some_and(|stop| stop()) {
                return Err(SimulationError::Interrupted);
            }
            self.step()?;
        }
        Ok(self.model.get(pin) != 0)
    }

    /// Makes the master of the registers rude: from now on, it gives address and data in any order, and takes answers
    /// late. Without this, it gives the address first and takes an answer at once.
    pub fn set_rude(&mut self, seed: u64) {
        self.rude = Some(SplitMix64::seed_from_u64(seed));
    }

    /// Cycles that the rude master waits before something, mostly few; `polite` of the other master.
    fn delay(&mut self, polite: u64) -> u64 {
        let Some(random) = &mut self.rude else { return polite };
        let longest = if random.next_u64() % 16 == 0 { 200 } else { 5 };
        random.next_u64() % longest
    }

    /// Performs an AXI4-Lite write with byte strobes. Returns the response code.
    pub fn axil_write(&mut self, offset: u32, value: u32, strobes: u8) -> Result<u8, SimulationError> {
        let (address, data, answer) = (self.delay(0), self.delay(1), self.delay(0));
        let p = &self.pins;
        let (awvalid, awready, wvalid, wready) = (p.s_axil_awvalid, p.s_axil_awready, p.s_axil_wvalid, p.s_axil_wready);
        let (bvalid, bready, bresp) = (p.s_axil_bvalid, p.s_axil_bready, p.s_axil_bresp);
        self.model.set(p.s_axil_awaddr, u64::from(offset));
        self.model.set(p.s_axil_wdata, u64::from(value));
        self.model.set(p.s_axil_wstrb, u64::from(strobes));
        let (mut aw, mut w) = (Sender::after(address), Sender::after(data));
        for cycle in 0..REGISTER_CYCLES {
            aw.offer(&mut self.model, awvalid, awready, cycle);
            w.offer(&mut self.model, wvalid, wready, cycle);
            self.model.set(bready, u64::from(cycle >= answer));
            let taken = cycle >= answer && self.model.get(bvalid) != 0;
            let resp = self.model.get(bresp) as u8;
            self.step()?;
            if taken {
                return Ok(resp);
            }
        }
        Err(SimulationError::NoAnswer { offset })
    }

    /// Performs an AXI4-Lite read. Returns the value and the response code.
    pub fn axil_read(&mut self, offset: u32) -> Result<(u32, u8), SimulationError> {
        let (address, answer) = (self.delay(0), self.delay(0));
        let p = &self.pins;
        let (arvalid, arready, rvalid, rready) = (p.s_axil_arvalid, p.s_axil_arready, p.s_axil_rvalid, p.s_axil_rready);
        let (rdata, rresp) = (p.s_axil_rdata, p.s_axil_rresp);
        self.model.set(p.s_axil_araddr, u64::from(offset));
        let mut ar = Sender::after(address);
        for cycle in 0..REGISTER_CYCLES {
            ar.offer(&mut self.model, arvalid, arready, cycle);
            self.model.set(rready, u64::from(cycle >= answer));
            let taken = cycle >= answer && self.model.get(rvalid) != 0;
            let found = (self.model.get(rdata) as u32, self.model.get(rresp) as u8);
            self.step()?;
            if taken {
                return Ok(found);
            }
        }
        Err(SimulationError::NoAnswer { offset })
    }
}

/// Outputs of a slave of AXI4-Lite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the signals")]
pub struct AxilOutputs {
    pub awready: bool,
    pub wready: bool,
    pub bvalid: bool,
    pub bresp: u8,
    pub arready: bool,
    pub rvalid: bool,
    pub rdata: u32,
    pub rresp: u8,
}

/// Inputs of a slave of AXI4-Lite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the signals")]
pub struct AxilInputs {
    pub awvalid: bool,
    pub awaddr: u16,
    pub wvalid: bool,
    pub wdata: u32,
    pub wstrb: u8,
    pub bready: bool,
    pub arvalid: bool,
    pub araddr: u16,
    pub rready: bool,
}

/// The master of a channel that makes one transfer: it waits, holds VALID high until READY, and is done.
struct Sender {
    from: u64,
    done: bool,
}

impl Sender {
    fn after(from: u64) -> Self {
        Self { from, done: false }
    }

    /// Sets VALID for this cycle.
    fn offer(&mut self, model: &mut Model, valid: Pin, ready: Pin, cycle: u64) {
        let now = !self.done && cycle >= self.from;
        model.set(valid, u64::from(now));
        self.done |= now && model.get(ready) != 0;
    }
}

/// Reads element `port` of a packed array of addresses.
fn address(model: &Model, pin: Pin, port: usize) -> u64 {
    let mut bytes = [0; 8];
    model.get_bytes(pin, port * ADDRESS_BYTES, &mut bytes[..ADDRESS_BYTES]);
    u64::from_le_bytes(bytes)
}

impl Device for VerilatedDevice {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        match self.axil_read(offset)? {
            (value, 0) => Ok(value),
            _ => Err(DeviceError::register(offset, "read")),
        }
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        match self.axil_write(offset, value, 0xf)? {
            0 => Ok(()),
            _ => Err(DeviceError::register(offset, "write")),
        }
    }

    fn memory_base(&self) -> u64 {
        self.memory.base()
    }

    fn memory(&mut self) -> &mut [u8] {
        self.memory.bytes()
    }

    fn wait_interrupt(&mut self) -> Result<(), DeviceError> {
        if self.step_until(self.pins.irq_o, self.patience)? {
            return Ok(());
        }
        Err(DeviceError::Timeout { cycles: self.patience, status: self.read_register(regs::STATUS)? })
    }
}
