//! A Verilated unit: its pins, the turn of its memory ports in a cycle, and the pins of its registers.
//!
//! A unit has no combinational path from an input to an output. So a clock cycle is: sample its outputs, compute the
//! memory's answers, set its inputs, and clock the edge, with one evaluation.

use verilated::{Model, ModelLibrary, Pin, VerilatedContext};
use zynq_memory::{ALL_BYTES, Address, AxiMemory};

use crate::error::SimulationError;

/// Bytes of an address on a unit's AXI ports.
const ADDRESS_BYTES: usize = 5;
/// Most ports a unit can have.
const MAX_PORTS: usize = 8;
/// Most bytes per beat a port can have.
const MAX_PORT_BYTES: usize = 16;

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
        pub(crate) struct Pins { $(pub(crate) $name: Pin),* }

        impl Pins {
            fn find(model: &Model) -> Result<Self, verilated::Error> {
                Ok(Self { $($name: model.pin(stringify!($name))?),* })
            }
        }
    };
}

pins! {
    rst_ni, irq_o, tell_o, told_i,
    s_axil_awvalid, s_axil_awready, s_axil_awaddr, s_axil_wvalid, s_axil_wready, s_axil_wdata, s_axil_wstrb,
    s_axil_bvalid, s_axil_bready, s_axil_bresp,
    s_axil_arvalid, s_axil_arready, s_axil_araddr, s_axil_rvalid, s_axil_rready, s_axil_rdata, s_axil_rresp,
    m_axi_arvalid, m_axi_arready, m_axi_araddr, m_axi_arlen, m_axi_arid,
    m_axi_rvalid, m_axi_rready, m_axi_rdata, m_axi_rresp, m_axi_rlast, m_axi_rid,
    m_axi_awvalid, m_axi_awready, m_axi_awaddr, m_axi_awlen, m_axi_wvalid, m_axi_wready, m_axi_wdata, m_axi_wlast,
    m_axi_bvalid, m_axi_bready, m_axi_bresp,
}

/// A Verilated unit with read ports, the write channels of its first port, and registers.
pub struct VerilatedUnit {
    pub(crate) model: Model,
    pub(crate) pins: Pins,
    ports: usize,
    port_bytes: usize,
    /// Whether the write channels were idle in the previous cycle and their input pins are already set to idle.
    write_idle: bool,
    /// Inputs of the read channels as last set.
    read_inputs: ReadInputs,
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
        let pins = Pins::find(&model)?;
        let mut unit = Self { model, pins, ports, port_bytes, write_idle: false, read_inputs: ReadInputs::default() };
        unit.set_axil_inputs(&AxilInputs { bready: true, rready: true, ..AxilInputs::default() });
        unit.hold();
        Ok(unit)
    }

    /// Sets the reset input, and all inputs from memory to idle.
    pub fn hold(&mut self) {
        let p = &self.pins;
        self.write_idle = false;
        self.read_inputs = ReadInputs::default();
        for pin in [
            p.rst_ni,
            p.told_i,
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
    }

    /// Sets the reset input, active low. The memory does not notice.
    pub fn set_reset(&mut self, level: bool) {
        self.write_idle = false;
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
        let Self { model, pins: p, write_idle, read_inputs, .. } = self;
        let (ports, port_bytes) = (self.ports, self.port_bytes);
        let (arvalid, rready) = (model.get(p.m_axi_arvalid), model.get(p.m_axi_rready));
        let (lens, ids) = match arvalid {
            0 => (0, 0),
            _ => (model.get(p.m_axi_arlen), model.get(p.m_axi_arid)),
        };
        let mut inputs = ReadInputs::default();
        let mut data = [0; MAX_PORTS * MAX_PORT_BYTES];
        // The memory's turn may be that of another master.
        let turn = memory.first_port().wrapping_sub(first);
        let mut port = if turn < ports { turn } else { 0 };
        for _ in 0..ports {
            let mut ar = Address::default();
            if arvalid >> port & 1 != 0 {
                let addr = address(model, p.m_axi_araddr, port);
                ar = Address { valid: true, addr, len: (lens >> (8 * port)) as u8, id: (ids >> port & 1) as u8 };
            }
            inputs.arready |= u64::from(memory.read_address(first + port, ar)?) << port;
            let beat = memory.read_data(first + port, rready >> port & 1 != 0)?;
            if beat.valid {
                inputs.rvalid |= 1 << port;
                inputs.rlast |= u64::from(beat.last) << port;
                inputs.rid |= u64::from(beat.id) << port;
                inputs.rresp |= u64::from(beat.resp) << (2 * port);
                if let Some(offset) = beat.offset {
                    memory.copy_beat(offset, &mut data[port * port_bytes..]);
                }
            }
            port = if port + 1 == ports { 0 } else { port + 1 };
        }
        // RID and RLAST have no meaning between beats. They keep their values, which saves writes to the p.
        inputs.rid |= read_inputs.rid & !inputs.rvalid;
        inputs.rlast |= read_inputs.rlast & !inputs.rvalid;
        if inputs.rvalid != 0 {
            model.set_bytes(p.m_axi_rdata, 0, &data[..ports * port_bytes]);
        }
        // The inputs are the same in most cycles, so they are set only when they change.
        if inputs != *read_inputs {
            for (pin, value) in [
                (p.m_axi_arready, inputs.arready),
                (p.m_axi_rvalid, inputs.rvalid),
                (p.m_axi_rlast, inputs.rlast),
                (p.m_axi_rid, inputs.rid),
                (p.m_axi_rresp, inputs.rresp),
            ] {
                model.set(pin, value);
            }
            *read_inputs = inputs;
        }

        let awvalid = model.get(p.m_axi_awvalid) != 0;
        let wvalid = model.get(p.m_axi_wvalid) != 0;
        let idle = !awvalid && !wvalid && memory.write_idle(first);
        if !(idle && *write_idle) {
            let mut aw = Address::default();
            if awvalid {
                let addr = address(model, p.m_axi_awaddr, 0);
                aw = Address { valid: true, addr, len: model.get(p.m_axi_awlen) as u8, id: 0 };
            }
            let awready = memory.write_address(first, aw)?;
            let mut data = [0; 16];
            if wvalid {
                model.get_bytes(p.m_axi_wdata, 0, &mut data[..port_bytes]);
            }
            let wlast = wvalid && model.get(p.m_axi_wlast) != 0;
            let wready = memory.write_data(first, wvalid, &data[..port_bytes], ALL_BYTES, wlast)?;
            let response = memory.write_response(first, model.get(p.m_axi_bready) != 0)?;
            model.set(p.m_axi_awready, u64::from(awready));
            model.set(p.m_axi_wready, u64::from(wready));
            model.set(p.m_axi_bvalid, u64::from(response.is_some()));
            if let Some(resp) = response {
                model.set(p.m_axi_bresp, u64::from(resp));
            }
        }
        *write_idle = idle;
        Ok(())
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
        let (model, p) = (&self.model, &self.pins);
        let asks = [p.m_axi_arvalid, p.m_axi_awvalid, p.m_axi_wvalid].into_iter().any(|pin| model.get(pin) != 0);
        !asks && (0..self.ports).all(|port| memory.is_idle(first + port))
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

/// Reads element `port` of a packed array of addresses.
fn address(model: &Model, pin: Pin, port: usize) -> u64 {
    let mut bytes = [0; 8];
    model.get_bytes(pin, port * ADDRESS_BYTES, &mut bytes[..ADDRESS_BYTES]);
    u64::from_le_bytes(bytes)
}
