//! The switch between the registers of a system, with rude masters and slow slaves.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;

use common::{Random, below, for_seeds, pick};
use verilated::{Model, ModelLibrary, ModelSpec, VerilatedContext};

/// Slaves: ternary unit, vector unit, sequencer.
const TARGETS: usize = 3;
/// Accesses of each master and kind.
const ACCESSES: usize = 60;

fn library() -> ModelLibrary {
    let dir = rtl::dir();
    let files = ["axi/tmv_axi_pkg.sv", "system/tmv_sys_switch.sv"].map(|file| dir.join(file));
    let mut spec = ModelSpec::new("tmv_sys_switch", files);
    spec.include_dirs.push(dir.join("prim"));
    common::model(&spec)
}

/// An access: address on the master's bus, data and strobes if it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    address: u64,
    data: u64,
    strobes: u64,
}

impl Access {
    /// The last bit of the data tells the master. No two writes are the same.
    fn random(rng: &mut Random, bits: u32, number: usize, master: u64) -> Self {
        let address = below(rng, 1 << (bits - 2)) as u64 * 4;
        Self {
            address,
            data: (number as u64 * 0x9e37_79b0 % (1 << 32)) | master,
            strobes: u64::from(below(rng, 16) as u32),
        }
    }

    /// The slave, and the address there.
    fn place(&self) -> (usize, u64) {
        match self.address >> 12 {
            3 => (2, 0xfff),
            target => (target as usize, self.address & 0xfff),
        }
    }
}

/// What a slave answers to a read, and how it ends a write.
fn answer(target: usize, address: u64) -> u64 {
    ((address + 1) * 0x9e37_79b1 % 0xffff_fffb) ^ target as u64
}
fn response(data: u64) -> u64 {
    data / 256 % 4
}

/// A slave: what it holds, and in how many cycles it answers.
#[derive(Default)]
struct Slave {
    address: Option<u64>,
    word: Option<(u64, u64)>,
    write_answer: Option<(u64, u64)>,
    read_answer: Option<(u64, u64)>,
    written: Vec<(u64, u64, u64)>,
}

/// A master: what it has to do, and what was accepted of it.
struct Master {
    name: &'static str,
    writes: VecDeque<Access>,
    reads: VecDeque<Access>,
    /// Those that are accepted and have no answer.
    addresses: usize,
    words: usize,
    written: VecDeque<Access>,
    asked: VecDeque<Access>,
    /// What it offers in this cycle, and cannot take back.
    offers: [bool; 3],
}

struct Bench {
    model: Model,
}

impl Bench {
    fn get(&self, name: &str) -> u64 {
        self.model.get(self.model.pin(name).unwrap())
    }

    fn set(&mut self, name: &str, value: u64) {
        let pin = self.model.pin(name).unwrap();
        self.model.set(pin, value);
    }

    fn reset(&mut self) {
        for channel in ["aw", "w", "ar"] {
            self.set(&format!("s_axil_{channel}valid"), 0);
            self.set(&format!("c_axil_{channel}valid"), 0);
        }
        for name in ["rst_ni", "m_axil_bvalid", "m_axil_rvalid"] {
            self.set(name, 0);
        }
        self.model.cycle().unwrap();
        self.set("rst_ni", 1);
    }

    /// Sets what a slave has in an input of all slaves.
    fn set_part(&mut self, name: &str, target: usize, bits: usize, value: u64) {
        let pin = self.model.pin(name).unwrap();
        let mut bytes = self.model.get_wide(pin);
        bytes.resize(16, 0);
        let mask = ((1u128 << bits) - 1) << (bits * target);
        let all = u128::from_le_bytes(bytes.try_into().unwrap()) & !mask | u128::from(value) << (bits * target);
        let width = (self.model.width(pin) as usize).div_ceil(8);
        self.model.set_wide(pin, &all.to_le_bytes()[..width]);
    }

    fn part(&self, name: &str, target: usize, bits: usize) -> u64 {
        let mut bytes = self.model.get_wide(self.model.pin(name).unwrap());
        bytes.resize(16, 0);
        (u128::from_le_bytes(bytes.try_into().unwrap()) >> (bits * target)) as u64 & ((1 << bits) - 1)
    }
}

/// Every access arrives once, at its target, with its address and data, in the order of its master, and has the answer of its
/// target; whoever waits is served; and what is offered stays until it is taken.
#[test]
fn every_access_arrives_once() {
    let library = library();
    for_seeds(24, |seed, rng| run(&library, seed, rng));
}

fn run(library: &ModelLibrary, seed: u64, rng: &mut Random) {
    let mut bench = Bench { model: Model::new(library, &VerilatedContext { seed, ..Default::default() }).unwrap() };
    let mut masters = [("s", 14, 0), ("c", 13, 1)].map(|(name, bits, master)| {
        let mut all = |kind| (0..ACCESSES).map(|i| Access::random(rng, bits, 2 * i + kind, master)).collect();
        Master {
            name,
            writes: all(0),
            reads: all(1),
            addresses: 0,
            words: 0,
            written: VecDeque::new(),
            asked: VecDeque::new(),
            offers: [false; 3],
        }
    });
    let all: Vec<Vec<Access>> = masters.iter().map(|master| master.writes.iter().copied().collect()).collect();
    let mut slaves: [Slave; TARGETS] = Default::default();
    // The host takes the answers of this kind when none of the other kind is owed to it.
    let patient = pick(rng, &["", "b", "r"]);
    // How often a master begins, a slave is ready, and an answer is taken, of 256; how long an answer takes.
    let [begin, ready, take] = [(); 3].map(|()| pick(rng, &[20, 128, 256]));
    let slow = pick(rng, &[1, 3, 30]);
    bench.reset();
    // What has to be the same in the next cycle: signal, slave, bits, value.
    let mut stable: Vec<(String, usize, usize, u64)> = Vec::new();
    let mut last_served = [0; 2];
    for cycle in 0.. {
        let chance = |rng: &mut Random, of: u32| below(rng, 256) < of as usize;
        // Masters.
        for (which, master) in masters.iter_mut().enumerate() {
            let name = master.name;
            // The core has one access at a time, gives address and data together, and leaves a cycle between accesses.
            let free = which == 0
                || master.written.is_empty() && master.asked.is_empty() && master.addresses == 0 && master.words == 0;
            let can = [
                master.addresses < master.writes.len() && master.addresses < 2,
                master.words < master.writes.len() && master.words < 2,
                !master.reads.is_empty(),
            ];
            if which == 0 {
                for (offers, can) in master.offers.iter_mut().zip(can) {
                    *offers |= can && chance(rng, begin);
                }
            } else if free && cycle > last_served[1] + 1 && master.offers == [false; 3] && chance(rng, begin) {
                let write = can[0] && (!can[2] || chance(rng, 128));
                master.offers = [write, write, !write && can[2]];
            }
            let of = |index: usize| master.writes.get(index).copied();
            if let Some(access) = of(master.addresses) {
                bench.set(&format!("{name}_axil_awaddr"), access.address);
            }
            if let Some(access) = of(master.words) {
                bench.set(&format!("{name}_axil_wdata"), access.data);
                bench.set(&format!("{name}_axil_wstrb"), access.strobes);
            }
            if let Some(access) = master.reads.front() {
                bench.set(&format!("{name}_axil_araddr"), access.address);
            }
            for (channel, offer) in ["aw", "w", "ar"].iter().zip(master.offers) {
                bench.set(&format!("{name}_axil_{channel}valid"), u64::from(offer));
            }
            for (channel, others) in [("b", &master.asked), ("r", &master.written)] {
                let waits = which == 0 && channel == patient && !others.is_empty();
                let taken = !waits && chance(rng, take);
                bench.set(&format!("{name}_axil_{channel}ready"), u64::from(taken));
            }
        }
        // Slaves.
        for (target, slave) in slaves.iter_mut().enumerate() {
            let count = |answer: &mut Option<(u64, u64)>| {
                answer.as_mut().map_or((0, 0), |(left, value)| {
                    *left = left.saturating_sub(1);
                    (u64::from(*left == 0), *value)
                })
            };
            let (bvalid, bresp) = count(&mut slave.write_answer);
            let (rvalid, rdata) = count(&mut slave.read_answer);
            let open = [slave.address.is_none(), slave.word.is_none(), slave.read_answer.is_none()];
            for (channel, open) in ["aw", "w", "ar"].iter().zip(open) {
                let ready = open && chance(rng, ready);
                bench.set_part(&format!("m_axil_{channel}ready"), target, 1, u64::from(ready));
            }
            bench.set_part("m_axil_bvalid", target, 1, bvalid);
            bench.set_part("m_axil_bresp", target, 2, bresp);
            bench.set_part("m_axil_rvalid", target, 1, rvalid);
            bench.set_part("m_axil_rdata", target, 32, if rvalid == 1 { rdata } else { 0xdead });
            bench.set_part("m_axil_rresp", target, 2, rdata % 4);
        }
        bench.model.eval().unwrap();
        for (name, target, bits, value) in stable.drain(..) {
            assert_eq!(bench.part(&name, target, bits), value, "cycle {cycle}: {name} did not stay");
        }

        // What each slave takes.
        for (target, slave) in slaves.iter_mut().enumerate() {
            let moves =
                |valid: &str, ready: &str| bench.part(valid, target, 1) != 0 && bench.part(ready, target, 1) != 0;
            for (channel, what) in
                [("aw", &[("awaddr", 12)][..]), ("w", &[("wdata", 32), ("wstrb", 4)]), ("ar", &[("araddr", 12)])]
            {
                let [valid, ready] = ["valid", "ready"].map(|end| format!("m_axil_{channel}{end}"));
                if bench.part(&valid, target, 1) != 0 && !moves(&valid, &ready) {
                    stable.push((valid, target, 1, 1));
                    for (signal, bits) in what {
                        let signal = format!("m_axil_{signal}");
                        let value = bench.part(&signal, target, *bits);
                        stable.push((signal, target, *bits, value));
                    }
                }
            }
            if moves("m_axil_bvalid", "m_axil_bready") {
                slave.write_answer = None;
                (slave.address, slave.word) = (None, None);
            }
            if moves("m_axil_rvalid", "m_axil_rready") {
                slave.read_answer = None;
            }
            if moves("m_axil_awvalid", "m_axil_awready") {
                slave.address = Some(bench.part("m_axil_awaddr", target, 12));
            }
            if moves("m_axil_wvalid", "m_axil_wready") {
                slave.word = Some((bench.part("m_axil_wdata", target, 32), bench.part("m_axil_wstrb", target, 4)));
            }
            if let (Some(address), Some((data, strobes)), None) = (slave.address, slave.word, slave.write_answer) {
                slave.written.push((address, data, strobes));
                slave.write_answer = Some((1 + below(rng, slow) as u64, response(data)));
            }
            if moves("m_axil_arvalid", "m_axil_arready") {
                let address = bench.part("m_axil_araddr", target, 12);
                slave.read_answer = Some((1 + below(rng, slow) as u64, answer(target, address)));
            }
        }
        // What each master has done.
        for (which, master) in masters.iter_mut().enumerate() {
            let at = |signal: &str| format!("{}_axil_{signal}", master.name);
            let moves = |channel: &str| {
                bench.get(&at(&format!("{channel}valid"))) != 0 && bench.get(&at(&format!("{channel}ready"))) != 0
            };
            for (channel, values) in [("b", &[("bresp", 2)][..]), ("r", &[("rdata", 32), ("rresp", 2)])] {
                if which == 0 && bench.get(&at(&format!("{channel}valid"))) != 0 && !moves(channel) {
                    stable.push((at(&format!("{channel}valid")), 0, 1, 1));
                    stable.extend(values.iter().map(|(value, bits)| (at(value), 0, *bits, bench.get(&at(value)))));
                }
            }
            if moves("b") {
                let access = master.written.pop_front().expect("an answer to a write that was made");
                assert_eq!(
                    bench.get(&at("bresp")),
                    response(access.data),
                    "cycle {cycle}: {} {access:x?}",
                    master.name
                );
                last_served[which] = cycle;
            }
            if moves("r") {
                let access = master.asked.pop_front().expect("an answer to a read that was made");
                let (target, address) = access.place();
                let value = answer(target, address);
                let found = (bench.get(&at("rdata")), bench.get(&at("rresp")));
                assert_eq!(found, (value, value % 4), "cycle {cycle}: {} {access:x?}", master.name);
                last_served[which] = cycle;
            }
            if moves("ar") {
                master.offers[2] = false;
                master.asked.push_back(master.reads.pop_front().unwrap());
            }
            if moves("aw") {
                (master.offers[0], master.addresses) = (false, master.addresses + 1);
            }
            if moves("w") {
                (master.offers[1], master.words) = (false, master.words + 1);
            }
            while master.addresses > 0 && master.words > 0 {
                (master.addresses, master.words) = (master.addresses - 1, master.words - 1);
                master.written.push_back(master.writes.pop_front().unwrap());
            }
            let done = master.writes.is_empty() && master.reads.is_empty() && master.written.is_empty();
            if done && master.asked.is_empty() {
                last_served[which] = cycle;
            }
            assert!(cycle - last_served[which] < 4_000, "cycle {cycle}: {} waits for ever", master.name);
        }
        bench.model.cycle().unwrap();
        let ended = |master: &Master| {
            master.writes.is_empty() && master.reads.is_empty() && master.written.is_empty() && master.asked.is_empty()
        };
        if masters.iter().all(ended) {
            break;
        }
    }
    // Each slave has the writes of each master, in order.
    for (target, slave) in slaves.iter().enumerate() {
        for (which, accesses) in all.iter().enumerate() {
            let here = accesses.iter().filter(|access| access.place().0 == target);
            let wanted: Vec<_> = here.map(|access| (access.place().1, access.data, access.strobes)).collect();
            let found = slave.written.iter().filter(|(_, data, _)| data % 2 == which as u64);
            assert_eq!(found.copied().collect::<Vec<_>>(), wanted, "target {target}, master {which}");
        }
    }
}

/// Without an access of the host, what the core offers is at its target in the same cycle.
#[test]
fn the_core_does_not_wait() {
    let library = library();
    let mut bench = Bench { model: Model::new(&library, &VerilatedContext::default()).unwrap() };
    bench.reset();
    for target in [1, 0, 1] {
        bench.set("c_axil_araddr", (0x1000 * target) | 0x4c);
        bench.set("c_axil_arvalid", 1);
        bench.set("m_axil_arready", 1 << target);
        bench.model.eval().unwrap();
        assert_eq!((bench.get("m_axil_arvalid"), bench.get("c_axil_arready")), (1 << target, 1));
        bench.model.cycle().unwrap();
        bench.set("c_axil_arvalid", 0);
        bench.set("m_axil_rvalid", 1 << target);
        bench.set("c_axil_rready", 1);
        bench.model.eval().unwrap();
        assert_eq!((bench.get("c_axil_rvalid"), bench.get("m_axil_rready")), (1, 1 << target));
        bench.model.cycle().unwrap();
        bench.set("m_axil_rvalid", 0);
        bench.model.cycle().unwrap();
    }
}

/// A read of the host goes between its writes, however many wait, and a write between its reads.
#[test]
fn reads_and_writes_of_the_host_take_turns() {
    let library = library();
    let mut bench = Bench { model: Model::new(&library, &VerilatedContext::default()).unwrap() };
    bench.reset();
    for name in ["s_axil_awvalid", "s_axil_wvalid", "s_axil_arvalid", "s_axil_bready", "s_axil_rready"] {
        bench.set(name, 1);
    }
    bench.set("s_axil_awaddr", 0);
    bench.set("s_axil_araddr", 0);
    for channel in ["aw", "w", "ar"] {
        bench.set(&format!("m_axil_{channel}ready"), 1);
    }
    let mut kinds = Vec::new();
    for _ in 0..100 {
        let offers = |bench: &Bench, channel: &str| bench.get(&format!("m_axil_{channel}valid")) & 1;
        bench.model.eval().unwrap();
        let (write, read) = (offers(&bench, "w"), offers(&bench, "ar"));
        kinds.extend([(write, 'w'), (read, 'r')].into_iter().filter(|(now, _)| *now == 1).map(|(_, kind)| kind));
        bench.model.cycle().unwrap();
        bench.set("m_axil_bvalid", write);
        bench.set("m_axil_rvalid", read);
    }
    assert!(kinds.len() > 20 && kinds.windows(2).all(|pair| pair[0] != pair[1]), "{kinds:?}");
}

/// A unit that never answers the core keeps the host from that unit. Once the host asks it, its bus stands.
#[test]
fn a_silent_unit_blocks_no_other_until_it_is_asked() {
    let library = library();
    for silent in [0, 1] {
        let mut bench = Bench { model: Model::new(&library, &VerilatedContext::default()).unwrap() };
        bench.reset();
        bench.set("c_axil_araddr", silent << 12);
        bench.set("c_axil_arvalid", 1);
        bench.set("s_axil_rready", 1);
        for (target, answers) in [(1 - silent, true), (2, true), (silent, false), (2, false)] {
            bench.set("m_axil_arready", 7 & !(1 << silent));
            bench.set("s_axil_araddr", target << 12);
            bench.set("s_axil_arvalid", 1);
            let mut answered = false;
            for _ in 0..20 {
                bench.model.eval().unwrap();
                let asked = bench.get("m_axil_arvalid") & !(1 << silent);
                answered |= bench.get("s_axil_rvalid") == 1;
                bench.model.cycle().unwrap();
                bench.set("s_axil_arvalid", 0);
                bench.set("m_axil_rvalid", asked);
            }
            assert_eq!(answered, answers, "unit {silent} is silent, the host asks {target}");
        }
    }
}
