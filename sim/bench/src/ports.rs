//! The memory ports of a Verilated master, and their turn in a cycle.

use verilated::{Model, Pin, pins};
use zynq_memory::{ALL_BYTES, Address, AxiMemory};

use crate::error::SimulationError;

/// Bytes of an address on an AXI port.
const ADDRESS_BYTES: usize = 5;
/// Most ports a master can have.
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

pins! {
    struct Pins {
        arvalid, arready, araddr, arlen, rvalid, rready, rdata, rresp, rlast,
        awvalid, awready, awaddr, awlen, wvalid, wready, wdata, wlast, bvalid, bready, bresp,
    }
}

/// The signals that a master has beside those that all have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signals {
    /// IDs of reads. All strobes of its writes are set.
    Ids,
    /// Strobes of writes. The IDs of its reads are 0.
    Strobes,
}

/// Read ports, and the write channels of the first of them.
pub struct MemoryPorts {
    pins: Pins,
    /// ARID and RID, if it has IDs.
    ids: Option<[Pin; 2]>,
    wstrb: Option<Pin>,
    ports: usize,
    port_bytes: usize,
    /// Inputs of the read channels as last set.
    read_inputs: ReadInputs,
    /// Whether the write channels were idle in the previous cycle and their input pins are already set to idle.
    write_idle: bool,
}

impl MemoryPorts {
    /// The `ports` ports of `port_bytes` bytes whose signals begin with `prefix`.
    ///
    /// # Errors
    /// If the model has not these pins.
    ///
    /// # Panics
    /// If there are more ports, or ports of another width.
    pub fn find(
        model: &Model,
        prefix: &str,
        ports: usize,
        port_bytes: usize,
        signals: Signals,
    ) -> Result<Self, SimulationError> {
        let pins = Pins::find(model, &format!("{prefix}_"))?;
        let pin = |name| model.pin(&format!("{prefix}_{name}"));
        let (ids, wstrb) = match signals {
            Signals::Ids => (Some([pin("arid")?, pin("rid")?]), None),
            Signals::Strobes => (None, Some(pin("wstrb")?)),
        };
        let widths = [pins.arvalid, pins.rdata, pins.wdata].map(|pin| model.width(pin) as usize);
        assert_eq!(
            widths,
            [ports, 8 * ports * port_bytes, 8 * port_bytes],
            "{prefix}: {ports} ports of {port_bytes} bytes"
        );
        assert!(ports <= MAX_PORTS && port_bytes <= MAX_PORT_BYTES);
        Ok(Self { pins, ids, wstrb, ports, port_bytes, write_idle: false, read_inputs: ReadInputs::default() })
    }

    /// Sets all inputs to idle.
    pub fn hold(&mut self, model: &mut Model) {
        let p = &self.pins;
        let rid = self.ids.map(|[_, rid]| rid);
        for pin in [p.arready, p.rvalid, p.rlast, p.rresp, p.awready, p.wready, p.bvalid].into_iter().chain(rid) {
            model.set(pin, 0);
        }
        self.read_inputs = ReadInputs::default();
        self.forget();
    }

    /// Sets the write channels' inputs in the next cycle, whatever they are.
    pub(crate) fn forget(&mut self) {
        self.write_idle = false;
    }

    /// Runs the ports for this cycle. They are the ports of the memory from `first` on.
    ///
    /// # Errors
    /// The protocol rule that the master broke.
    #[inline]
    pub fn serve(&mut self, model: &mut Model, memory: &mut AxiMemory, first: usize) -> Result<(), SimulationError> {
        let Self { pins: p, ids, wstrb, write_idle, read_inputs, ports, port_bytes } = self;
        let (ports, port_bytes) = (*ports, *port_bytes);
        let (arvalid, rready) = (model.get(p.arvalid), model.get(p.rready));
        let (lens, arids) = match arvalid {
            0 => (0, 0),
            _ => (model.get(p.arlen), ids.map_or(0, |[arid, _]| model.get(arid))),
        };
        let mut inputs = ReadInputs::default();
        let mut data = [0; MAX_PORTS * MAX_PORT_BYTES];
        // The memory's turn may be that of another master.
        let turn = memory.first_port().wrapping_sub(first);
        let mut port = if turn < ports { turn } else { 0 };
        for _ in 0..ports {
            let mut ar = Address::default();
            if arvalid >> port & 1 != 0 {
                let addr = address(model, p.araddr, port);
                ar = Address { valid: true, addr, len: (lens >> (8 * port)) as u8, id: (arids >> port & 1) as u8 };
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
        // RID and RLAST have no meaning between beats. They keep their values, which saves writes to the pins.
        inputs.rid |= read_inputs.rid & !inputs.rvalid;
        inputs.rlast |= read_inputs.rlast & !inputs.rvalid;
        if inputs.rvalid != 0 {
            model.set_bytes(p.rdata, 0, &data[..ports * port_bytes]);
        }
        // The inputs are the same in most cycles, so they are set only when they change.
        if inputs != *read_inputs {
            for (pin, value) in [
                (p.arready, inputs.arready),
                (p.rvalid, inputs.rvalid),
                (p.rlast, inputs.rlast),
                (p.rresp, inputs.rresp),
            ] {
                model.set(pin, value);
            }
            if let Some([_, rid]) = *ids {
                model.set(rid, inputs.rid);
            }
            *read_inputs = inputs;
        }

        let awvalid = model.get(p.awvalid) != 0;
        let wvalid = model.get(p.wvalid) != 0;
        let idle = !awvalid && !wvalid && memory.write_idle(first);
        if !(idle && *write_idle) {
            let mut aw = Address::default();
            if awvalid {
                let addr = address(model, p.awaddr, 0);
                aw = Address { valid: true, addr, len: model.get(p.awlen) as u8, id: 0 };
            }
            let awready = memory.write_address(first, aw)?;
            let mut data = [0; MAX_PORT_BYTES];
            let mut strobes = ALL_BYTES;
            if wvalid {
                model.get_bytes(p.wdata, 0, &mut data[..port_bytes]);
                strobes = wstrb.map_or(ALL_BYTES, |pin| model.get(pin) as u32);
            }
            let wlast = wvalid && model.get(p.wlast) != 0;
            let wready = memory.write_data(first, wvalid, &data[..port_bytes], strobes, wlast)?;
            let response = memory.write_response(first, model.get(p.bready) != 0)?;
            model.set(p.awready, u64::from(awready));
            model.set(p.wready, u64::from(wready));
            model.set(p.bvalid, u64::from(response.is_some()));
            if let Some(resp) = response {
                model.set(p.bresp, u64::from(resp));
            }
        }
        *write_idle = idle;
        Ok(())
    }

    /// Like [`MemoryPorts::serve`], for a master that is mostly idle: while nothing is asked and nothing is owed, the memory is
    /// not asked either.
    ///
    /// # Errors
    /// The protocol rule that the master broke.
    #[inline]
    pub fn serve_if_busy(
        &mut self,
        model: &mut Model,
        memory: &mut AxiMemory,
        first: usize,
    ) -> Result<(), SimulationError> {
        if self.is_at_rest(model, memory, first) {
            return Ok(());
        }
        self.serve(model, memory, first)
    }

    /// The outputs by which the master asks for something.
    pub fn requests(&self) -> [Pin; 3] {
        [self.pins.arvalid, self.pins.awvalid, self.pins.wvalid]
    }

    /// Whether [`MemoryPorts::serve_if_busy`] would do nothing.
    #[inline]
    pub fn is_at_rest(&self, model: &Model, memory: &AxiMemory, first: usize) -> bool {
        self.read_inputs.rvalid == 0 && self.write_idle && self.is_idle(model, memory, first)
    }

    /// Whether the master asks the memory, whose ports from `first` on are its own, for nothing, and is owed nothing.
    #[inline]
    pub fn is_idle(&self, model: &Model, memory: &AxiMemory, first: usize) -> bool {
        let asks = self.requests().into_iter().any(|pin| model.get(pin) != 0);
        !asks && (0..self.ports).all(|port| memory.is_idle(first + port))
    }
}

/// Reads element `port` of a packed array of addresses.
fn address(model: &Model, pin: Pin, port: usize) -> u64 {
    let mut bytes = [0; 8];
    model.get_bytes(pin, port * ADDRESS_BYTES, &mut bytes[..ADDRESS_BYTES]);
    u64::from_le_bytes(bytes)
}
