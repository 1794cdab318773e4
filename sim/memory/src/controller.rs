//! The DRAM controller, which decides which burst is served next, and when.
//!
//! The model is of first order and serves one burst at a time:
//!
//! - The data bus is busy for as long as the transfer of the bytes takes.
//! - Each bank has one open row. It takes time to change the row.
//! - Of the requests at the heads of the ports, the one that can start first is served. If several can start first,
//!   the oldest of them is served.
//! - Writes are served before reads. It takes time to turn the bus from reads to writes, and back.
//! - A refresh stops all transfers and closes all rows.
//!
//! Times are fixed-point numbers, so that results are the same on every machine.

use std::collections::VecDeque;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::timing::Dram;

/// A point in time or a duration, in units of 2^-16 cycles.
type Ticks = u64;

/// Size of a read of the processors, in bytes.
const PS_BYTES: u64 = 64;
/// Number of write bursts that the controller holds.
const WRITE_QUEUE: usize = 16;

fn ticks(cycles: f64) -> Ticks {
    (cycles * 65536.0).round() as Ticks
}

/// A burst that waits for the DRAM.
#[derive(Clone, Copy)]
struct Request {
    bank: usize,
    row: u64,
    bytes: u64,
    arrival: Ticks,
    /// Time for which the burst occupies the bus.
    time: Ticks,
}

#[derive(Clone, Copy, Default)]
struct Bank {
    row: Option<u64>,
    /// Time from which column accesses are possible.
    ready: Ticks,
    /// Time at which the row was opened.
    activated: Ticks,
    /// True if the row was opened for a request that has not been served yet.
    promised: bool,
}

/// The waiting read requests of an AXI port, oldest first.
#[derive(Default)]
struct Port {
    requests: VecDeque<Request>,
    /// Index of the controller port to which this port belongs.
    controller_port: usize,
    /// Bytes of the read buffer that are neither filled nor reserved for a burst.
    room: u64,
}

/// The controller of a [`Dram`].
pub(crate) struct Controller {
    dram: Dram,
    ports: Vec<Port>,
    /// For each port of the controller: the ticks per byte, and the time at which the port is free again.
    controller_ports: Vec<(f64, Ticks)>,
    banks: Vec<Bank>,
    writes: VecDeque<Request>,
    writing: bool,
    bus_free: Ticks,
    next_refresh: Ticks,
    next_ps: Ticks,
    /// Number of waiting reads.
    reads: usize,
    rng: Xoshiro256PlusPlus,
    delays: Delays,
}

/// Durations of [`Dram`], in ticks.
struct Delays {
    row_cycle: Ticks,
    row_change: Ticks,
    patience: Ticks,
    read_to_write: Ticks,
    write_to_read: Ticks,
}

impl Controller {
    /// A controller for `ports` AXI ports.
    pub(crate) fn new(dram: Dram, ports: usize, seed: u64) -> Self {
        let controller_port = |port: usize| {
            dram.controller_ports.iter().position(|c| c.ports >> port & 1 != 0).unwrap_or(dram.controller_ports.len())
        };
        let port = |port| Port {
            controller_port: controller_port(port),
            room: dram.fifo_bytes as u64,
            requests: VecDeque::new(),
        };
        let times = dram.controller_ports.iter().map(|c| c.bytes_per_cycle).chain([f64::INFINITY]);
        Self {
            ports: (0..ports).map(port).collect(),
            controller_ports: times.map(|rate| (65536.0 / rate, 0)).collect(),
            banks: vec![Bank::default(); dram.banks],
            writes: VecDeque::new(),
            writing: false,
            bus_free: 0,
            next_refresh: if dram.refresh > 0.0 { ticks(dram.refresh_interval) } else { Ticks::MAX },
            next_ps: if dram.ps_bytes_per_cycle > 0.0 { 0 } else { Ticks::MAX },
            reads: 0,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            delays: Delays {
                row_cycle: ticks(dram.row_cycle),
                row_change: ticks(dram.row_change),
                patience: ticks(dram.patience),
                read_to_write: ticks(dram.read_to_write),
                write_to_read: ticks(dram.write_to_read),
            },
            dram,
        }
    }

    /// Discards all requests.
    pub(crate) fn reset(&mut self) {
        for port in &mut self.ports {
            port.requests.clear();
            port.room = self.dram.fifo_bytes as u64;
        }
        self.writes.clear();
        self.reads = 0;
    }

    /// Adds a read burst of `port` that arrives in `cycle`.
    pub(crate) fn read(&mut self, port: usize, addr: u64, bytes: usize, cycle: u64) {
        self.reads += 1;
        let request = self.request(addr, bytes as u64, cycle);
        self.ports[port].requests.push_back(request);
    }

    /// Adds a complete write burst that arrives in `cycle`.
    pub(crate) fn write(&mut self, addr: u64, bytes: usize, cycle: u64) {
        let request = self.request(addr, bytes as u64, cycle);
        self.writes.push_back(request);
    }

    /// Computes the bank, the row and the bus time once, because they are needed in every cycle in which the request
    /// waits.
    fn request(&self, addr: u64, bytes: u64, cycle: u64) -> Request {
        let row = addr / self.dram.row_bytes;
        Request {
            bank: row as usize & (self.dram.banks - 1),
            row: row / self.dram.banks as u64,
            bytes,
            arrival: cycle << 16,
            time: ticks(bytes as f64 / self.dram.bytes_per_cycle),
        }
    }

    /// Whether there is room for a write burst.
    pub(crate) fn takes_writes(&self) -> bool {
        self.writes.len() < WRITE_QUEUE
    }

    /// Releases `bytes` of the read buffer of `port`, after the delivery of a burst.
    pub(crate) fn delivered(&mut self, port: usize, bytes: usize) {
        self.ports[port].room += bytes as u64;
    }

    /// Serves requests up to `cycle`. Returns the next read burst that is served: its port and the cycle in which its
    /// data begins. To be called until it returns `None`.
    #[inline]
    pub(crate) fn serve(&mut self, cycle: u64) -> Option<(usize, u64)> {
        let now = cycle << 16;
        if now >= self.next_refresh {
            self.refresh();
        }
        while now >= self.next_ps {
            self.ps_read();
        }
        while self.bus_free <= now && (self.reads != 0 || !self.writes.is_empty()) {
            match self.serve_one(now) {
                Some((Some(port), start)) => return Some((port, start >> 16)),
                Some((None, _)) => {}
                None => break,
            }
        }
        None
    }

    fn refresh(&mut self) {
        self.bus_free = self.bus_free.max(self.next_refresh) + ticks(self.dram.refresh);
        self.next_refresh += ticks(self.dram.refresh_interval);
        for bank in &mut self.banks {
            *bank = Bank { ready: self.bus_free, activated: bank.activated, ..Bank::default() };
        }
    }

    /// Serves a read of the processors, which have priority. It occupies the bus, and closes the row of a bank.
    fn ps_read(&mut self) {
        let bank = (self.rng.next_u32() >> 16) as usize & (self.banks.len() - 1);
        let start = self.bus_free.max(self.next_ps).max(self.banks[bank].ready);
        self.bus_free = self.bus_free.max(self.next_ps) + ticks(PS_BYTES as f64 / self.dram.bytes_per_cycle);
        if self.banks.len() > 1 {
            self.banks[bank] = Bank { ready: start, activated: start, ..Bank::default() };
        }
        self.next_ps += ticks(PS_BYTES as f64 / self.dram.ps_bytes_per_cycle);
    }

    /// Serves one burst that can start by `now`. Returns its port, or `None` in place of a port for a write, and its
    /// start.
    #[inline(never)]
    fn serve_one(&mut self, now: Ticks) -> Option<(Option<usize>, Ticks)> {
        if let Some(request) = self.writes.front().copied() {
            self.open_row(request, request.arrival.max(self.bus_free));
            if !self.writing {
                self.writing = true;
                self.bus_free = self.bus_free.max(request.arrival) + self.delays.read_to_write;
            }
            let start = self.start(request, 0);
            self.banks[request.bank].promised = false;
            self.writes.pop_front();
            self.bus_free = start + request.time;
            return Some((None, start));
        }
        let (mut best, mut best_key) = (None, (Ticks::MAX, Ticks::MAX));
        self.open_rows(now);
        for (port, p) in self.ports.iter().enumerate() {
            let Some(request) = p.requests.front().filter(|r| r.bytes <= p.room) else { continue };
            if self.banks[request.bank].row != Some(request.row) {
                continue;
            }
            let start = self.start(*request, self.controller_ports[p.controller_port].1);
            if (start, request.arrival) < best_key {
                (best, best_key) = (Some(port), (start, request.arrival));
            }
        }
        let (port, mut start) = (best?, best_key.0);
        if self.writing {
            self.writing = false;
            self.bus_free += self.delays.write_to_read;
            start = start.max(self.bus_free);
        }
        if start > now {
            return None;
        }
        let request = self.ports[port].requests.pop_front()?;
        self.reads -= 1;
        self.ports[port].room -= request.bytes;
        self.banks[request.bank].promised = false;
        self.bus_free = start + request.time;
        let (byte, free) = &mut self.controller_ports[self.ports[port].controller_port];
        *free = start + (request.bytes as f64 * *byte) as Ticks;
        Some((Some(port), start))
    }

    /// Opens the rows for the reads at the heads of the ports. A row that other heads still use stays open, until a
    /// request has waited longer than `patience`.
    fn open_rows(&mut self, now: Ticks) {
        for port in 0..self.ports.len() {
            let p = &self.ports[port];
            let Some(request) = p.requests.front().copied().filter(|r| r.bytes <= p.room) else { continue };
            let bank = self.banks[request.bank];
            if bank.row == Some(request.row) {
                continue;
            }
            let in_use = |p: &Port| {
                let head = p.requests.front().filter(|r| r.bytes <= p.room);
                head.is_some_and(|r| r.bank == request.bank && bank.row == Some(r.row))
            };
            let patient = now < request.arrival + self.delays.patience || bank.promised;
            if patient && self.ports.iter().any(in_use) {
                continue;
            }
            self.open_row(request, request.arrival.max(bank.ready));
        }
    }

    fn open_row(&mut self, request: Request, from: Ticks) {
        let Delays { row_cycle, row_change, .. } = self.delays;
        let bank = &mut self.banks[request.bank];
        if bank.row != Some(request.row) {
            let activated = from.max(bank.activated + row_cycle - row_change);
            *bank = Bank { row: Some(request.row), ready: activated + row_change, activated, promised: true };
        }
    }

    /// The earliest start of a request whose row is open or being opened.
    fn start(&self, request: Request, port_free: Ticks) -> Ticks {
        self.bus_free.max(request.arrival).max(self.banks[request.bank].ready).max(port_free)
    }
}
