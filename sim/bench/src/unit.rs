//! A Verilated unit: its memory ports, and the pins of its registers.
//!
//! A unit has no combinational path from an input to an output. So a clock cycle is: sample its outputs, compute the
//! memory's answers, set its inputs, and clock the edge, with one evaluation.

use verilated::{Model, ModelLibrary, VerilatedContext, pins};
use zynq_memory::AxiMemory;

use crate::error::SimulationError;
use crate::ports::{MemoryPorts, Signals};

pins! {
    pub(crate) struct Pins {
        rst_ni, irq_o, tell_o, told_i,
        s_axil_awvalid, s_axil_awready, s_axil_awaddr, s_axil_wvalid, s_axil_wready, s_axil_wdata, s_axil_wstrb,
        s_axil_bvalid, s_axil_bready, s_axil_bresp,
        s_axil_arvalid, s_axil_arready, s_axil_araddr, s_axil_rvalid, s_axil_rready, s_axil_rdata, s_axil_rresp,
    }
}

/// A Verilated unit with read ports, the write channels of its first port, and registers.
pub struct VerilatedUnit {
    pub(crate) model: Model,
    pub(crate) pins: Pins,
    ports: MemoryPorts,
}

impl VerilatedUnit {
    /// Powers up an instance of `library`, with its reset input low. It has `ports` ports of `port_bytes` bytes.
    ///
    /// # Errors
    /// If the model cannot be made, or is not one of a unit.
    pub fn new(
        library: &ModelLibrary,
        context: &VerilatedContext,
        ports: usize,
        port_bytes: usize,
    ) -> Result<Self, SimulationError> {
        let model = Model::new(library, context)?;
        let pins = Pins::find(&model, "")?;
        let ports = MemoryPorts::find(&model, "m_axi", ports, port_bytes, Signals::Ids)?;
        let mut unit = Self { model, pins, ports };
        unit.set_axil_inputs(&AxilInputs { bready: true, rready: true, ..AxilInputs::default() });
        unit.hold();
        Ok(unit)
    }

    /// Sets the reset input, and all inputs from memory to idle.
    pub fn hold(&mut self) {
        for pin in [self.pins.rst_ni, self.pins.told_i] {
            self.model.set(pin, 0);
        }
        self.ports.hold(&mut self.model);
    }

    /// Sets the reset input, active low. The memory does not notice.
    pub fn set_reset(&mut self, level: bool) {
        self.ports.forget();
        self.model.set(self.pins.rst_ni, u64::from(level));
    }

    /// The model.
    pub fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Runs the unit's memory ports for this cycle. They are the ports of the memory from `first` on.
    ///
    /// # Errors
    /// The protocol rule that the unit broke.
    #[inline]
    pub fn serve(&mut self, memory: &mut AxiMemory, first: usize) -> Result<(), SimulationError> {
        self.ports.serve(&mut self.model, memory, first)
    }

    /// Clocks the unit.
    ///
    /// # Errors
    /// If the model stops.
    #[inline]
    pub fn clock(&mut self) -> Result<(), SimulationError> {
        Ok(self.model.cycle()?)
    }

    /// The level of the interrupt.
    pub fn irq(&self) -> bool {
        self.model.get(self.pins.irq_o) != 0
    }

    /// Whether the unit tells the other one, in this cycle.
    #[inline]
    pub fn tells(&self) -> bool {
        self.model.get(self.pins.tell_o) != 0
    }

    /// Sets the input by which the other unit tells.
    #[inline]
    pub fn set_told(&mut self, level: bool) {
        self.model.set(self.pins.told_i, u64::from(level));
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

    /// Whether the unit asks the memory, whose ports from `first` on are its own, for nothing, and is owed nothing.
    pub fn is_idle(&self, memory: &AxiMemory, first: usize) -> bool {
        self.ports.is_idle(&self.model, memory, first)
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
