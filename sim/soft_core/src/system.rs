//! A sequencer, units and memory, as the host sees them.

use std::ops::Range;
use std::path::Path;

use sequencer::regs;
use testbench::SimulationError;
use tmv::config::UnitConfig;
use tmv::device::{Device, DeviceError};
use vector::VectorConfig;
use verilated::{ModelLibrary, Pin, pins};
use zynq_memory::{AxiMemory, MemoryConfig};

use crate::body::{Body, Event};
use crate::error::Error;
use crate::parts::Parts;
use crate::top::Top;

/// Limit in cycles of an access to a register.
const REGISTER_CYCLES: u64 = 1024;
/// Limit in cycles for the accesses of a core that was stopped.
const STOP_CYCLES: u64 = 100_000;
/// Number of cycles between two looks at the interrupt of the user.
const LOOK: u64 = 4096;
/// Where `tmv_system` has the registers of the sequencer.
const SEQUENCER: u32 = 0x2000;

pins! {
    struct Pins {
        irq_o, pc_o,
        s_axil_awvalid, s_axil_awaddr, s_axil_wvalid, s_axil_wdata, s_axil_wstrb, s_axil_awready, s_axil_wready,
        s_axil_bvalid, s_axil_bready, s_axil_arvalid, s_axil_arready, s_axil_araddr, s_axil_rvalid, s_axil_rready,
        s_axil_rdata, s_axil_bresp, s_axil_rresp,
    }
}

/// A sequencer and units on one memory.
pub struct System {
    body: Box<dyn Body>,
    pins: Pins,
    /// Physical address of the memory.
    base: u64,
    /// Where the host finds the registers of the sequencer.
    sequencer: u32,
    stop: Option<fn() -> bool>,
    /// Called from time to time with the cycles since the last call.
    progress: Option<Box<dyn FnMut(u64)>>,
    /// Limit in cycles of a wait for the core, if it is not to be the usual one.
    patience: Option<u64>,
    /// Every cycle is simulated by itself, also one in which the core asks for nothing.
    single_cycles: bool,
}

impl System {
    /// Powers up and resets a model of a sequencer, one of a ternary unit and, if there is one, of a vector unit. They are
    /// stepped together; a unit that has nothing to do costs nothing.
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
        Self::of(Parts::new(core, unit, config, vector, memory, seed)?, 0)
    }

    /// Powers up and resets a model of `tmv_system`, with the ternary unit `config` and the vector unit `vector`.
    ///
    /// # Errors
    /// If the model fails.
    pub fn top(
        top: &ModelLibrary,
        config: &UnitConfig,
        vector: &VectorConfig,
        memory: MemoryConfig,
        seed: u64,
    ) -> Result<Self, Error> {
        Self::of(Top::new(top, config, vector, memory, seed)?, SEQUENCER)
    }

    fn of(mut body: impl Body + 'static, sequencer: u32) -> Result<Self, Error> {
        let host = body.host();
        let pins = Pins::find(host, "").map_err(SimulationError::from)?;
        for pin in [pins.s_axil_awvalid, pins.s_axil_wvalid, pins.s_axil_arvalid] {
            host.set(pin, 0);
        }
        for pin in [pins.s_axil_bready, pins.s_axil_rready] {
            host.set(pin, 1);
        }
        host.set(pins.s_axil_wstrb, 0xf);
        body.reset()?;
        let base = body.memory().base();
        Ok(Self {
            body: Box::new(body),
            pins,
            base,
            sequencer,
            stop: None,
            progress: None,
            patience: None,
            single_cycles: false,
        })
    }

    /// Sets a function that is called from time to time. The simulation stops with an error when it returns `true`.
    pub fn set_stop(&mut self, stop: fn() -> bool) {
        self.stop = Some(stop);
    }

    /// Sets a function that is called from time to time during a wait, with the cycles since the last call.
    pub fn set_progress(&mut self, progress: impl FnMut(u64) + 'static) {
        self.progress = Some(Box::new(progress));
    }

    /// Records a waveform of the model with the core, of the cycles in `window`.
    ///
    /// # Errors
    /// If the model was built without waveforms, or the file cannot be opened.
    pub fn open_trace(&mut self, file: &Path, window: Range<u64>) -> Result<(), Error> {
        Ok(self.body.host().open_trace(file, window).map_err(SimulationError::from)?)
    }

    /// Ends the waveform.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn close_trace(&mut self) -> std::io::Result<()> {
        self.body.host().close_trace()
    }

    /// Limits every wait for the core to `cycles` clock cycles.
    pub fn set_patience(&mut self, cycles: u64) {
        self.patience = Some(cycles);
    }

    /// Simulates every cycle by itself from now on. That changes nothing but the speed.
    pub fn set_single_cycles(&mut self) {
        self.single_cycles = true;
    }

    /// Cycles of the system since power-up.
    pub fn cycles(&self) -> u64 {
        self.body.cycles()
    }

    /// Cycles in which the unit was clocked.
    pub fn unit_cycles(&self) -> u64 {
        self.body.unit_cycles()
    }

    /// What happened since the last call, with its cycle.
    pub fn take_events(&mut self) -> Vec<(u64, Event)> {
        self.body.take_events()
    }

    /// The memory.
    pub fn memory(&mut self) -> &mut AxiMemory {
        self.body.memory()
    }

    /// Gives the ternary unit to the host, which drives its registers.
    pub fn with_unit<T>(&mut self, use_it: impl FnOnce(&mut dyn Device) -> T) -> T {
        let out = match self.body.unit() {
            Some(unit) => use_it(unit),
            None => return use_it(&mut Ternary(self)),
        };
        self.body.unit_is_done();
        out
    }

    /// Address of an instruction that the core is at.
    pub fn pc(&mut self) -> u32 {
        let pin = self.pins.pc_o;
        self.body.host().get(pin) as u32
    }

    /// Simulates one clock cycle.
    ///
    /// # Errors
    /// If a model fails, or if a master breaks the protocol.
    pub fn step(&mut self) -> Result<(), SimulationError> {
        self.body.step()
    }

    /// Writes a register of the sequencer, as the host.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn write(&mut self, offset: u32, value: u32) -> Result<(), Error> {
        Ok(self.write_at(self.sequencer + offset, value)?)
    }

    /// Reads a register of the sequencer, as the host.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn read(&mut self, offset: u32) -> Result<u32, Error> {
        Ok(self.read_at(self.sequencer + offset)?)
    }

    /// Writes a register at an address of the host's bus.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn write_at(&mut self, address: u32, value: u32) -> Result<(), SimulationError> {
        let p = &self.pins;
        let host = self.body.host();
        host.set(p.s_axil_awaddr, u64::from(address));
        host.set(p.s_axil_wdata, u64::from(value));
        let (mut aw, mut w) = (false, false);
        for _ in 0..REGISTER_CYCLES {
            let host = self.body.host();
            host.set(p.s_axil_awvalid, u64::from(!aw));
            host.set(p.s_axil_wvalid, u64::from(!w));
            aw |= host.get(p.s_axil_awready) != 0;
            w |= host.get(p.s_axil_wready) != 0;
            let (done, response) = (host.get(p.s_axil_bvalid) != 0, host.get(p.s_axil_bresp));
            self.body.step()?;
            if done {
                // The slaves refuse nothing on the bus.
                assert_eq!(response, 0, "BRESP at {address:#x}");
                return Ok(());
            }
        }
        Err(SimulationError::NoAnswer { offset: address })
    }

    /// Reads a register at an address of the host's bus.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn read_at(&mut self, address: u32) -> Result<u32, SimulationError> {
        let p = &self.pins;
        self.body.host().set(p.s_axil_araddr, u64::from(address));
        let mut ar = false;
        for _ in 0..REGISTER_CYCLES {
            let host = self.body.host();
            host.set(p.s_axil_arvalid, u64::from(!ar));
            ar |= host.get(p.s_axil_arready) != 0;
            let (done, value) = (host.get(p.s_axil_rvalid) != 0, host.get(p.s_axil_rdata) as u32);
            let response = host.get(p.s_axil_rresp);
            self.body.step()?;
            if done {
                assert_eq!(response, 0, "RRESP at {address:#x}");
                return Ok(value);
            }
        }
        Err(SimulationError::NoAnswer { offset: address })
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

    /// Steps until the sequencer raises its interrupt, for at most `limit` cycles, or [`System::set_patience`] of them.
    /// Returns whether it did.
    ///
    /// # Errors
    /// If a model fails, or if the user asked to stop.
    pub fn wait(&mut self, limit: u64) -> Result<bool, Error> {
        Ok(self.wait_for(self.pins.irq_o, self.patience.unwrap_or(limit))?)
    }

    /// Steps until `pin` is high, for at most `limit` cycles. Returns whether it is.
    fn wait_for(&mut self, pin: Pin, limit: u64) -> Result<bool, SimulationError> {
        // Of the host's pins, `coast` watches this one only. A wait for another pin goes cycle by cycle.
        let coasts = pin == self.pins.irq_o && !self.single_cycles;
        let mut cycle = 0;
        while cycle < limit {
            if self.body.host().get(pin) != 0 {
                return Ok(true);
            }
            if cycle % LOOK == 0 {
                if self.stop.is_some_and(|stop| stop()) {
                    return Err(SimulationError::Interrupted);
                }
                if let Some(progress) = &mut self.progress {
                    progress(LOOK);
                }
            }
            let most = (limit - cycle).min(LOOK - cycle % LOOK);
            let cycles = if coasts { self.body.coast(most)? } else { 0 };
            if cycles == 0 {
                self.step()?;
            }
            cycle += cycles.max(1);
        }
        Ok(false)
    }
}

/// The ternary unit of `tmv_system`, which the host reaches on its bus.
struct Ternary<'a>(&'a mut System);

impl Device for Ternary<'_> {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        Ok(self.0.read_at(offset)?)
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        Ok(self.0.write_at(offset, value)?)
    }

    fn memory_base(&self) -> u64 {
        self.0.base
    }

    fn memory(&mut self) -> &mut [u8] {
        self.0.memory().bytes()
    }

    fn wait_interrupt(&mut self) -> Result<(), DeviceError> {
        let irq = self.0.body.host().pin("ternary_irq_o").map_err(SimulationError::from)?;
        let cycles = self.0.patience.unwrap_or(u64::from(u32::MAX));
        if self.0.wait_for(irq, cycles)? {
            return Ok(());
        }
        Err(DeviceError::Timeout { cycles, status: self.read_register(tmv::regs::STATUS)? })
    }
}
