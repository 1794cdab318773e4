//! The AXI slaves on the unit's ports, and the memory behind them.
//!
//! There is a slave on every port. In each clock cycle, the slaves exchange signals with the master and check that
//! the master keeps to the protocol. The rules have the names of Arm's protocol checkers. The slaves behave like the
//! AFI (AXI FIFO interface) of an HP port: bursts have at most 16 beats, and each port has a queue of commands.

use std::collections::VecDeque;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::channel::{Address, DECERR, MAX_BURST, OKAY, ReadBeat};
use crate::config::MemoryConfig;
use crate::controller::Controller;
use crate::faults::{Faults, ReadFault, WriteFault};
use crate::protocol::{ProtocolError, Violation};

struct Burst {
    addr: u64,
    len: u8,
    id: u8,
    beat: u8,
    ready_at: u64,
}

#[derive(Default)]
struct ReadPort {
    queue: VecDeque<Burst>,
    /// Number of bursts in `queue` whose `ready_at` is known from the controller.
    served: usize,
    waiting: Option<Address>,
    beats: u64,
}

#[derive(Default)]
struct WritePort {
    waiting: Option<Address>,
    waiting_data: bool,
    queue: VecDeque<Burst>,
    /// Beats that came before their address.
    ahead: VecDeque<Beat>,
    /// Beats of the burst in progress that are not visible yet.
    unseen: Vec<Unseen>,
    responses: VecDeque<Response>,
    beats: u64,
    /// Response of the burst in progress, if one of its beats had a fault or an address outside the memory.
    fault: Option<u8>,
}

/// A beat of write data: the data, one strobe a byte, and WLAST.
struct Beat {
    data: Vec<u8>,
    strobes: u32,
    last: bool,
}

/// A response that waits for its time. The beats become visible with it.
struct Response {
    at: u64,
    resp: u8,
    unseen: Vec<Unseen>,
}

/// Data that was written and is not visible yet, and its offset in the memory.
struct Unseen {
    offset: usize,
    data: Vec<u8>,
    strobes: u32,
}

/// Strobes of a beat that is written whole.
pub const ALL_BYTES: u32 = u32::MAX;

/// Writes the bytes of `data` whose strobes are set.
fn store(memory: &mut [u8], data: &[u8], strobes: u32) {
    if strobes == ALL_BYTES {
        memory.copy_from_slice(data);
        return;
    }
    let enabled = memory.iter_mut().zip(data).enumerate().filter(|(byte, _)| strobes >> byte & 1 != 0);
    enabled.for_each(|(_, (memory, data))| *memory = *data);
}

/// The memory and its AXI slaves, one on each port.
pub struct AxiMemory {
    config: MemoryConfig,
    port_bytes: usize,
    bytes: Vec<u8>,
    reads: Vec<ReadPort>,
    writes: Vec<WritePort>,
    controller: Option<Controller>,
    rng: Xoshiro256PlusPlus,
    first: usize,
    cycle: u64,
    faulted: Option<u64>,
    /// Whether the master may be reset without the slaves.
    resets: bool,
    /// True if there are no stalls, no interleaving and no faults, and READY does not wait for VALID. Most cycles of
    /// most runs are like this and use a faster path.
    plain: bool,
}

impl AxiMemory {
    /// A memory filled with zeros, with `ports` ports that are `port_bytes` bytes wide.
    pub fn new(config: MemoryConfig, ports: usize, port_bytes: usize) -> Self {
        Self {
            bytes: vec![0; config.bytes],
            reads: (0..ports).map(|_| ReadPort::default()).collect(),
            writes: (0..ports).map(|_| WritePort::default()).collect(),
            controller: config.timing.dram.clone().map(|dram| Controller::new(dram, ports, config.seed)),
            rng: Xoshiro256PlusPlus::seed_from_u64(config.seed),
            first: 0,
            cycle: 0,
            plain: config.is_plain(),
            faulted: None,
            resets: false,
            port_bytes,
            config,
        }
    }

    /// Physical address of the first byte.
    pub fn base(&self) -> u64 {
        self.config.base
    }

    /// The content of the memory.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The injected faults. They may be changed between runs.
    pub fn faults(&mut self) -> &mut Faults {
        self.plain = false;
        &mut self.config.faults
    }

    /// Read beats that `port` has delivered since power-up.
    pub fn read_beats(&self, port: usize) -> u64 {
        self.reads[port].beats
    }

    /// Address of the last read beat, or of the last write burst, with a fault from [`Faults`].
    pub fn faulted(&self) -> Option<u64> {
        self.faulted
    }

    /// From now on, VALID may fall before READY: the master may be reset, and the slaves are not.
    pub fn allow_resets(&mut self) {
        self.resets = true;
    }

    /// Whether the slave waits for write data. If the master is reset now, the slave takes the data of the master's
    /// next burst for it.
    pub fn waits_for_data(&self) -> bool {
        self.writes.iter().any(|write| !write.queue.is_empty() || !write.ahead.is_empty())
    }

    /// Discards all bursts, like an interconnect that is reset together with the unit. The content of the memory is
    /// kept.
    pub fn reset(&mut self) {
        for port in &mut self.reads {
            *port = ReadPort { beats: port.beats, ..ReadPort::default() };
        }
        for port in &mut self.writes {
            *port = WritePort { beats: port.beats, ..WritePort::default() };
        }
        if let Some(controller) = &mut self.controller {
            controller.reset();
        }
    }

    /// Starts a clock cycle: the DRAM serves requests, and the next port becomes the first one.
    #[inline]
    pub fn tick(&mut self) {
        self.cycle += 1;
        if let Some(controller) = &mut self.controller {
            while let Some((port, start)) = controller.serve(self.cycle) {
                let port = &mut self.reads[port];
                port.queue[port.served].ready_at = start + self.config.timing.latency;
                port.served += 1;
            }
        }
        self.first += 1;
        if self.first >= self.reads.len() {
            self.first = 0;
        }
    }

    /// The port that is served first in this cycle. The others follow in cyclic order.
    #[inline]
    pub fn first_port(&self) -> usize {
        self.first
    }

    /// Whether `port` has no burst in progress, and its master waits for nothing.
    pub fn is_idle(&self, port: usize) -> bool {
        let (read, write) = (&self.reads[port], &self.writes[port]);
        let reads = read.queue.is_empty() && read.waiting.is_none();
        reads && write.waiting.is_none() && !write.waiting_data && write.queue.is_empty() && write.responses.is_empty()
    }

    /// Copies the beat at byte `offset` of the memory to the start of `out`.
    #[inline]
    pub fn copy_beat(&self, offset: usize, out: &mut [u8]) {
        // A copy of constant length compiles to one load and one store.
        match self.port_bytes {
            16 => out[..16].copy_from_slice(&self.bytes[offset..offset + 16]),
            n => out[..n].copy_from_slice(&self.bytes[offset..offset + n]),
        }
    }

    fn stalls(&mut self) -> bool {
        self.config.stall != 0 && (self.rng.next_u32() as u8) < self.config.stall
    }

    /// Runs one cycle of the read address channel of `port`. Returns ARREADY.
    ///
    /// # Errors
    /// The protocol rule that the master broke.
    #[inline]
    pub fn read_address(&mut self, port: usize, ar: Address) -> Result<bool, Violation> {
        let waiting = self.reads[port].waiting;
        if self.plain && !ar.valid && waiting.is_none() {
            return Ok(self.reads[port].queue.len() < self.config.timing.queue);
        }
        self.check_held(port, "AXI_ERRM_ARVALID_STABLE", "AXI_ERRM_AR_STABLE", waiting, ar)?;
        let room = self.reads[port].queue.len() < self.config.timing.queue;
        let starved = self.config.faults.read_address_starved(port, self.cycle);
        let ready = room && !starved && (ar.valid || !self.config.shy) && !self.stalls();
        self.reads[port].waiting = (ar.valid && !ready).then_some(ar);
        if !(ar.valid && ready) {
            return Ok(ready);
        }
        self.check_burst(port, ["AXI_ERRM_ARLEN_AXI3", "AXI_ERRM_ARADDR_BOUNDARY", "AXI_ERRM_ARADDR_ALIGN"], ar)?;
        let ready_at = match &mut self.controller {
            None => self.cycle + self.config.timing.latency,
            Some(controller) => {
                controller.read(port, ar.addr, (usize::from(ar.len) + 1) * self.port_bytes, self.cycle);
                u64::MAX
            }
        };
        self.reads[port].queue.push_back(Burst { addr: ar.addr, len: ar.len, id: ar.id, beat: 0, ready_at });
        Ok(ready)
    }

    /// Runs one cycle of the read data channel of `port`. Returns the signals of the slave. The master must keep
    /// RREADY high.
    ///
    /// # Errors
    /// The protocol rule that the master broke.
    #[inline]
    pub fn read_data(&mut self, port: usize, ready: bool) -> Result<ReadBeat, Violation> {
        if !ready {
            return Err(self.error(port, "TMV_RREADY_HIGH", "RREADY is low".into()));
        }
        if self.plain {
            return Ok(self.plain_beat(port));
        }
        let index = self.pick(port);
        let due = self.reads[port].queue.get(index).is_some_and(|burst| burst.ready_at <= self.cycle);
        if !due || self.config.faults.read_data_starved(port, self.cycle) || self.stalls() {
            return Ok(ReadBeat::default());
        }
        let count = self.reads[port].beats;
        self.reads[port].beats += 1;
        let queue = &mut self.reads[port].queue;
        let burst = &mut queue[index];
        let addr = burst.addr + u64::from(burst.beat) * self.port_bytes as u64;
        let (id, last) = (burst.id, burst.beat == burst.len);
        burst.beat += 1;
        if last {
            self.retire(port, index);
        }
        let offset = self.offset(addr);
        let mut beat = ReadBeat { valid: true, offset, resp: if offset.is_some() { OKAY } else { DECERR }, last, id };
        if let Some(fault) = self.config.faults.read(port, count) {
            self.faulted = Some(addr);
            match fault {
                ReadFault::Response(resp) => beat.resp = resp,
                ReadFault::FlipLast => beat.last = !beat.last,
            }
        }
        Ok(beat)
    }

    /// The fast path of [`AxiMemory::read_data`], without stalls, faults and interleaving.
    #[inline]
    fn plain_beat(&mut self, port: usize) -> ReadBeat {
        let reads = &mut self.reads[port];
        let Some(burst) = reads.queue.front_mut().filter(|burst| burst.ready_at <= self.cycle) else {
            return ReadBeat::default();
        };
        let addr = burst.addr + u64::from(burst.beat) * self.port_bytes as u64;
        let (id, last) = (burst.id, burst.beat == burst.len);
        burst.beat += 1;
        reads.beats += 1;
        if last {
            self.retire(port, 0);
        }
        let offset = self.offset(addr);
        ReadBeat { valid: true, offset, resp: if offset.is_some() { OKAY } else { DECERR }, last, id }
    }

    /// Removes a burst that was delivered.
    fn retire(&mut self, port: usize, index: usize) {
        let reads = &mut self.reads[port];
        if let (Some(burst), Some(controller)) = (reads.queue.remove(index), &mut self.controller) {
            reads.served -= 1;
            controller.delivered(port, (usize::from(burst.len) + 1) * self.port_bytes);
        }
    }

    /// Index of the burst of which a beat is delivered: the oldest one, or with interleaving the oldest one of a
    /// random ID.
    fn pick(&mut self, port: usize) -> usize {
        if !self.config.interleave || self.reads[port].queue.len() < 2 {
            return 0;
        }
        let id = (self.rng.next_u32() >> 16 & 1) as u8;
        self.reads[port].queue.iter().position(|burst| burst.id == id).unwrap_or(0)
    }

    /// Whether the write channels of `port` are idle. AWREADY is then high and BVALID low until AWVALID is high, and
    /// WREADY has no meaning until WVALID is high.
    #[inline]
    pub fn write_idle(&self, port: usize) -> bool {
        let w = &self.writes[port];
        self.plain && w.waiting.is_none() && !w.waiting_data && w.queue.is_empty() && w.responses.is_empty()
    }

    /// Runs one cycle of the write address channel of `port`. Returns AWREADY.
    ///
    /// # Errors
    /// The protocol rule that the master broke.
    pub fn write_address(&mut self, port: usize, aw: Address) -> Result<bool, Violation> {
        self.check_held(port, "AXI_ERRM_AWVALID_STABLE", "AXI_ERRM_AW_STABLE", self.writes[port].waiting, aw)?;
        let starved = self.config.faults.write_starved(port, self.cycle);
        let room = self.writes[port].queue.len() < self.config.timing.queue && (aw.valid || !self.config.shy);
        let ready = room && !starved && !self.stalls();
        self.writes[port].waiting = (aw.valid && !ready).then_some(aw);
        if aw.valid && ready {
            self.check_burst(port, ["AXI_ERRM_AWLEN_AXI3", "AXI_ERRM_AWADDR_BOUNDARY", "AXI_ERRM_AWADDR_ALIGN"], aw)?;
            self.writes[port].queue.push_back(Burst { addr: aw.addr, len: aw.len, id: aw.id, beat: 0, ready_at: 0 });
            while let (false, Some(beat)) = (self.writes[port].queue.is_empty(), self.writes[port].ahead.pop_front()) {
                self.take(port, &beat.data, beat.strobes, beat.last)?;
            }
        }
        Ok(ready)
    }

    /// Runs one cycle of the write data channel of `port`. `strobes` has a bit for each byte; [`ALL_BYTES`] sets all.
    /// Returns WREADY. Data is accepted after its address, or before it if the configuration says so. While WVALID is
    /// low, WREADY may be high.
    ///
    /// # Errors
    /// The protocol rule that the master broke.
    pub fn write_data(
        &mut self,
        port: usize,
        valid: bool,
        data: &[u8],
        strobes: u32,
        last: bool,
    ) -> Result<bool, Violation> {
        if self.writes[port].waiting_data && !valid && !self.resets {
            return Err(self.error(port, "AXI_ERRM_WVALID_STABLE", "WVALID fell before WREADY".into()));
        }
        let early = self.config.data_first && self.writes[port].ahead.len() < MAX_BURST;
        let room = if valid { !self.writes[port].queue.is_empty() || early } else { !self.config.shy };
        let ready = room
            && !self.config.faults.write_starved(port, self.cycle)
            && !self.stalls()
            && self.controller.as_ref().is_none_or(Controller::takes_writes);
        self.writes[port].waiting_data = valid && !ready;
        if valid && ready {
            match self.writes[port].queue.is_empty() {
                true => self.writes[port].ahead.push_back(Beat { data: data.to_vec(), strobes, last }),
                false => self.take(port, data, strobes, last)?,
            }
        }
        Ok(ready)
    }

    /// Takes a beat of the oldest burst.
    fn take(&mut self, port: usize, data: &[u8], strobes: u32, last: bool) -> Result<(), Violation> {
        let count = self.writes[port].beats;
        self.writes[port].beats += 1;
        let burst = &mut self.writes[port].queue[0];
        let (start, addr) = (burst.addr, burst.addr + u64::from(burst.beat) * self.port_bytes as u64);
        let expected = burst.beat == burst.len;
        burst.beat += 1;
        if last != expected {
            let detail = format!("WLAST is {last} on beat {count}, expected {expected}");
            return Err(self.error(port, "AXI_ERRM_WLAST", detail));
        }
        let fault = self.config.faults.write(port, count);
        if fault.is_some() {
            self.faulted = Some(start);
        }
        match (fault, self.offset(addr)) {
            (Some(WriteFault::Response(resp)), _) => self.writes[port].fault = Some(resp),
            (_, None) => self.writes[port].fault = Some(DECERR),
            (flip, Some(offset)) => {
                let mut data = data.to_vec();
                if let Some(WriteFault::FlipBit(bit)) = flip {
                    data[usize::from(bit / 8) % self.port_bytes] ^= 1 << (bit % 8);
                }
                match self.config.late_writes {
                    true => self.writes[port].unseen.push(Unseen { offset, data, strobes }),
                    false => store(&mut self.bytes[offset..offset + data.len()], &data, strobes),
                }
            }
        }
        if last {
            if let (Some(burst), Some(controller)) = (self.writes[port].queue.pop_front(), &mut self.controller) {
                controller.write(burst.addr, (usize::from(burst.len) + 1) * self.port_bytes, self.cycle);
            }
            let write = &mut self.writes[port];
            write.responses.push_back(Response {
                at: self.cycle + self.config.timing.latency,
                resp: write.fault.take().unwrap_or(OKAY),
                unseen: std::mem::take(&mut write.unseen),
            });
        }
        Ok(())
    }

    /// Runs one cycle of the write response channel of `port`. Returns the response, if one is due. The master must keep
    /// BREADY high.
    ///
    /// # Errors
    /// The protocol rule that the master broke.
    pub fn write_response(&mut self, port: usize, ready: bool) -> Result<Option<u8>, Violation> {
        if !ready {
            return Err(self.error(port, "TMV_BREADY_HIGH", "BREADY is low".into()));
        }
        let due = self.writes[port].responses.front().is_some_and(|response| response.at <= self.cycle);
        if !due || self.config.faults.write_starved(port, self.cycle) || self.stalls() {
            return Ok(None);
        }
        let Some(response) = self.writes[port].responses.pop_front() else { return Ok(None) };
        for Unseen { offset, data, strobes } in response.unseen {
            store(&mut self.bytes[offset..offset + data.len()], &data, strobes);
        }
        Ok(Some(response.resp))
    }

    fn offset(&self, addr: u64) -> Option<usize> {
        let offset = usize::try_from(addr.checked_sub(self.config.base)?).ok()?;
        (offset + self.port_bytes <= self.bytes.len()).then_some(offset)
    }

    /// Checks that VALID and the payload do not change while the master waits for READY.
    fn check_held(
        &self,
        port: usize,
        valid_rule: &'static str,
        payload_rule: &'static str,
        waiting: Option<Address>,
        now: Address,
    ) -> Result<(), Violation> {
        match waiting.filter(|_| !self.resets) {
            Some(_) if !now.valid => Err(self.error(port, valid_rule, "VALID fell before READY".into())),
            Some(before) if before != now => {
                Err(self.error(port, payload_rule, format!("{before:x?} became {now:x?} before READY")))
            }
            _ => Ok(()),
        }
    }

    /// Checks the length, the 4 KiB boundary and the alignment of a burst. `rules` are the names of these rules, in
    /// this order.
    fn check_burst(&self, port: usize, rules: [&'static str; 3], a: Address) -> Result<(), Violation> {
        let beats = usize::from(a.len) + 1;
        let end = a.addr + (beats * self.port_bytes) as u64 - 1;
        let detail = || format!("{beats} beats from {:#x}", a.addr);
        if beats > MAX_BURST {
            return Err(self.error(port, rules[0], detail()));
        }
        if a.addr >> 12 != end >> 12 {
            return Err(self.error(port, rules[1], detail()));
        }
        if !a.addr.is_multiple_of(self.port_bytes as u64) {
            return Err(self.error(port, rules[2], detail()));
        }
        Ok(())
    }

    fn error(&self, port: usize, rule: &'static str, detail: String) -> Violation {
        Box::new(ProtocolError { cycle: self.cycle, port, rule, detail })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::channel::SLVERR;
    use crate::timing::Timing;

    fn memory() -> AxiMemory {
        let config = MemoryConfig::plain(0x1000_0000, 1 << 16, Timing::ideal(3));
        AxiMemory::new(config, 2, 16)
    }

    fn read(addr: u64, len: u8) -> Address {
        Address { valid: true, addr, len, id: 0 }
    }

    /// The rule that a master breaks if it presents `addresses` in consecutive cycles.
    fn broken(addresses: &[Address], starve: bool) -> Option<&'static str> {
        let mut memory = memory();
        if starve {
            memory.faults().starve_read_address = Some((0, 0));
        }
        addresses.iter().find_map(|ar| {
            memory.tick();
            memory.read_address(0, *ar).err().map(|error| error.rule)
        })
    }

    #[test]
    fn protocol_rules_are_alive() {
        let good = read(0x1000_0f00, 15);
        assert_eq!(broken(&[good], false), None);
        assert_eq!(broken(&[read(0x1000_0000, 16)], false), Some("AXI_ERRM_ARLEN_AXI3"));
        assert_eq!(broken(&[read(0x1000_0f10, 15)], false), Some("AXI_ERRM_ARADDR_BOUNDARY"));
        assert_eq!(broken(&[read(0x1000_0f08, 1)], false), Some("AXI_ERRM_ARADDR_ALIGN"));
        assert_eq!(broken(&[good, Address::default()], true), Some("AXI_ERRM_ARVALID_STABLE"));
        assert_eq!(broken(&[good, read(0x1000_0e00, 15)], true), Some("AXI_ERRM_AR_STABLE"));
        assert_eq!(memory().read_data(0, false).unwrap_err().rule, "TMV_RREADY_HIGH");
        assert_eq!(memory().write_response(0, false).unwrap_err().rule, "TMV_BREADY_HIGH");
    }

    #[test]
    fn write_last_is_checked() {
        let mut memory = memory();
        memory.tick();
        assert_eq!(memory.write_address(0, read(0x1000_0000, 1)), Ok(true));
        assert_eq!(memory.write_data(0, true, &[7; 16], ALL_BYTES, true).unwrap_err().rule, "AXI_ERRM_WLAST");
    }

    #[test]
    fn a_burst_comes_back_in_order_after_the_latency() {
        let mut memory = memory();
        memory.tick();
        assert_eq!(memory.read_address(1, read(0x1000_0100, 1)), Ok(true));
        let mut seen = Vec::new();
        for cycle in 1..8 {
            memory.tick();
            let beat = memory.read_data(1, true).unwrap();
            if beat.valid {
                seen.push((cycle, beat.offset, beat.last));
            }
        }
        assert_eq!(seen, [(3, Some(0x100), false), (4, Some(0x110), true)]);
    }

    #[test]
    fn outside_is_a_decode_error() {
        let mut memory = memory();
        memory.tick();
        assert_eq!(memory.read_address(0, read(0x0fff_f000, 0)), Ok(true));
        let beat = (0..5).find_map(|_| {
            memory.tick();
            Some(memory.read_data(0, true).unwrap()).filter(|beat| beat.valid)
        });
        assert_eq!(beat.map(|beat| beat.resp), Some(DECERR));
    }

    #[test]
    fn a_write_fault_spoils_its_whole_burst() {
        let mut memory = memory();
        memory.faults().write = Some((0, WriteFault::Response(SLVERR)));
        memory.tick();
        assert_eq!(memory.write_address(0, read(0x1000_0040, 1)), Ok(true));
        assert_eq!(memory.write_data(0, true, &[7; 16], ALL_BYTES, false), Ok(true));
        assert_eq!(memory.write_data(0, true, &[8; 16], ALL_BYTES, true), Ok(true));
        let response = (0..8).find_map(|_| {
            memory.tick();
            memory.write_response(0, true).unwrap()
        });
        assert_eq!((response, memory.faulted()), (Some(SLVERR), Some(0x1000_0040)));
        assert_eq!(memory.bytes()[0x40..0x60], [[0; 16], [8; 16]].concat());
    }

    #[test]
    fn strobes_select_bytes_on_any_port() {
        let mut memory = memory();
        memory.bytes()[0x40..0x50].fill(1);
        memory.tick();
        assert_eq!(memory.write_address(1, read(0x1000_0040, 0)), Ok(true));
        assert_eq!(memory.write_data(1, true, &[7; 16], 0x00f2, true), Ok(true));
        assert_eq!(memory.bytes()[0x40..0x50], [1, 7, 1, 1, 7, 7, 7, 7, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert!(memory.write_idle(0) && !memory.write_idle(1), "only the response of port 1 is due");
    }

    #[test]
    fn late_writes_come_with_their_response() {
        let config = MemoryConfig { late_writes: true, ..memory().config };
        let mut memory = AxiMemory::new(config, 2, 16);
        memory.tick();
        assert_eq!(memory.write_address(0, read(0x1000_0040, 0)), Ok(true));
        assert_eq!(memory.write_data(0, true, &[7; 16], ALL_BYTES, true), Ok(true));
        for cycle in 0..4 {
            assert_eq!(memory.bytes()[0x40], 0, "cycle {cycle}");
            let expected = if cycle == 3 { Some(OKAY) } else { None };
            assert_eq!(memory.write_response(0, true), Ok(expected), "cycle {cycle}");
            memory.tick();
        }
        assert_eq!(memory.bytes()[0x40..0x50], [7; 16]);
    }

    #[test]
    fn data_may_come_before_its_address() {
        let config = MemoryConfig { data_first: true, ..memory().config };
        let mut memory = AxiMemory::new(config, 2, 16);
        memory.tick();
        assert_eq!(memory.write_data(0, true, &[7; 16], ALL_BYTES, false), Ok(true));
        assert_eq!(memory.write_data(0, true, &[8; 16], ALL_BYTES, true), Ok(true));
        assert_eq!(memory.write_address(0, read(0x1000_0040, 1)), Ok(true));
        assert_eq!(memory.bytes()[0x40..0x60], [[7; 16], [8; 16]].concat());
        // Without the switch, the slave lets data wait.
        let mut memory = self::memory();
        memory.tick();
        assert_eq!(memory.write_data(0, true, &[7; 16], ALL_BYTES, false), Ok(false));
    }

    #[test]
    fn bursts_outlive_a_reset_of_the_master() {
        let mut memory = memory();
        memory.tick();
        assert_eq!(memory.read_address(1, read(0x1000_0100, 1)), Ok(true));
        assert!(!memory.waits_for_data(), "no write burst is open");
        let beats = (0..8).filter(|_| {
            memory.tick();
            memory.read_data(1, true).unwrap().valid
        });
        assert_eq!(beats.count(), 2);
        assert_eq!(memory.write_address(0, read(0x1000_0040, 1)), Ok(true));
        assert!(memory.waits_for_data(), "the slave waits for two beats");
        // The master falls silent in the middle of a handshake.
        memory.allow_resets();
        memory.faults().starve_read_address = Some((0, 0));
        assert_eq!(memory.read_address(0, read(0x1000_0100, 1)), Ok(false));
        assert_eq!(memory.read_address(0, Address::default()), Ok(false));
    }

    #[test]
    fn a_reset_forgets_bursts_and_keeps_bytes() {
        let mut memory = memory();
        memory.bytes()[0] = 9;
        memory.tick();
        assert_eq!(memory.read_address(0, read(0x1000_0000, 3)), Ok(true));
        memory.reset();
        for _ in 0..20 {
            memory.tick();
            assert!(!memory.read_data(0, true).unwrap().valid);
        }
        assert_eq!(memory.bytes()[0], 9);
    }
}
