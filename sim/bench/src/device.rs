//! The unit under Verilator, with the memory model on its ports, as a [`Device`].
//!
//! One call of [`VerilatedDevice::step`] is one clock cycle of unit and memory.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;
use tmv::config::UnitConfig;
use tmv::device::{Device, DeviceError};
use tmv::regs;
use verilated::{Model, ModelLibrary, Pin, VerilatedContext};
use zynq_memory::{AxiMemory, MemoryConfig};

use crate::error::{REGISTER_CYCLES, SimulationError};
use crate::unit::{AxilInputs, AxilOutputs, VerilatedUnit};

/// A Verilated unit with its memory.
pub struct VerilatedDevice {
    unit: VerilatedUnit,
    memory: AxiMemory,
    /// Limit in cycles of a wait for the interrupt.
    patience: u64,
    /// Called from time to time during a wait; `true` stops the wait.
    stop: Option<fn() -> bool>,
    /// Source of the delays of a rude master of the registers.
    rude: Option<SplitMix64>,
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
        let memory = AxiMemory::new(memory, unit.ports + others, unit.port_bits / 8);
        let unit = VerilatedUnit::new(library, context, unit.ports, unit.port_bits / 8)?;
        let mut device = Self { unit, memory, patience: 1 << 32, stop: None, rude: None };
        device.reset()?;
        Ok(device)
    }

    /// Holds the reset input low for four cycles, with a memory that is reset too. The memory keeps its content.
    pub fn reset(&mut self) -> Result<(), SimulationError> {
        self.memory.reset();
        self.unit.hold();
        for _ in 0..4 {
            self.unit.clock()?;
        }
        self.unit.set_reset(true);
        self.unit.clock()
    }

    /// Holds the reset input low for `cycles` cycles, with a memory that does not notice: bursts in flight go on, as
    /// those of a Zynq do when only the programmable logic is reset. Returns whether the memory waits for write data
    /// of before the reset.
    pub fn reset_unit_alone(&mut self, cycles: u64) -> Result<bool, SimulationError> {
        self.unit.set_reset(false);
        self.memory.allow_resets();
        for _ in 0..cycles {
            self.step()?;
        }
        self.unit.set_reset(true);
        self.step()?;
        Ok(self.memory.waits_for_data())
    }

    /// Clock cycles since power-up.
    pub fn cycles(&self) -> u64 {
        self.unit.model.cycles()
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
        &mut self.unit.model
    }

    /// Simulates one clock cycle.
    pub fn step(&mut self) -> Result<(), SimulationError> {
        self.memory.tick();
        self.unit.serve(&mut self.memory, 0)?;
        self.unit.clock()
    }

    /// The unit and the memory, for a simulation with other masters.
    pub fn parts(&mut self) -> (&mut VerilatedUnit, &mut AxiMemory) {
        (&mut self.unit, &mut self.memory)
    }

    /// The level of the interrupt.
    pub fn irq(&self) -> bool {
        self.unit.irq()
    }

    /// The unit's outputs on the bus of its registers.
    pub fn axil_outputs(&self) -> AxilOutputs {
        self.unit.axil_outputs()
    }

    /// Sets the unit's inputs on the bus of its registers, for another master than this device.
    pub fn set_axil_inputs(&mut self, inputs: &AxilInputs) {
        self.unit.set_axil_inputs(inputs);
    }

    /// Whether the unit asks the memory for nothing, and the memory owes it nothing.
    pub fn memory_is_idle(&self) -> bool {
        self.unit.is_idle(&self.memory, 0)
    }

    /// Steps until `pin` is high, for at most `limit` cycles. Returns whether `pin` is high.
    fn step_until(&mut self, pin: Pin, limit: u64) -> Result<bool, SimulationError> {
        for cycle in 0..limit {
            if self.unit.model.get(pin) != 0 {
                return Ok(true);
            }
            if cycle % 4096 == 0 && self.stop.is_some_and(|stop| stop()) {
                return Err(SimulationError::Interrupted);
            }
            self.step()?;
        }
        Ok(self.unit.model.get(pin) != 0)
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
        let p = &self.unit.pins;
        let (awvalid, awready, wvalid, wready) = (p.s_axil_awvalid, p.s_axil_awready, p.s_axil_wvalid, p.s_axil_wready);
        let (bvalid, bready, bresp) = (p.s_axil_bvalid, p.s_axil_bready, p.s_axil_bresp);
        self.unit.model.set(p.s_axil_awaddr, u64::from(offset));
        self.unit.model.set(p.s_axil_wdata, u64::from(value));
        self.unit.model.set(p.s_axil_wstrb, u64::from(strobes));
        let (mut aw, mut w) = (Sender::after(address), Sender::after(data));
        for cycle in 0..REGISTER_CYCLES {
            aw.offer(&mut self.unit.model, awvalid, awready, cycle);
            w.offer(&mut self.unit.model, wvalid, wready, cycle);
            self.unit.model.set(bready, u64::from(cycle >= answer));
            let taken = cycle >= answer && self.unit.model.get(bvalid) != 0;
            let resp = self.unit.model.get(bresp) as u8;
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
        let p = &self.unit.pins;
        let (arvalid, arready, rvalid, rready) = (p.s_axil_arvalid, p.s_axil_arready, p.s_axil_rvalid, p.s_axil_rready);
        let (rdata, rresp) = (p.s_axil_rdata, p.s_axil_rresp);
        self.unit.model.set(p.s_axil_araddr, u64::from(offset));
        let mut ar = Sender::after(address);
        for cycle in 0..REGISTER_CYCLES {
            ar.offer(&mut self.unit.model, arvalid, arready, cycle);
            self.unit.model.set(rready, u64::from(cycle >= answer));
            let taken = cycle >= answer && self.unit.model.get(rvalid) != 0;
            let found = (self.unit.model.get(rdata) as u32, self.unit.model.get(rresp) as u8);
            self.step()?;
            if taken {
                return Ok(found);
            }
        }
        Err(SimulationError::NoAnswer { offset })
    }
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
        if self.step_until(self.unit.pins.irq_o, self.patience)? {
            return Ok(());
        }
        Err(DeviceError::Timeout { cycles: self.patience, status: self.read_register(regs::STATUS)? })
    }
}
