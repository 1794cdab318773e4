//! The modules between the sequencer's core and its buses. Each is tested alone with random masters, because a core with caches
//! makes few kinds of requests.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;

use common::{Random, below, for_seeds, pick};
use rand_core::Rng;
use sequencer::regs;
use testbench::model::spec_of;
use verilated::{Direction, Model, Trace, VerilatedContext};

/// Words of a line.
const LINE: usize = 8;
/// Where the core sees the window and the registers.
const WINDOW: u32 = 0x4000_0000;
const UNIT: u32 = 0xf000_0000;
const REGS: u32 = 0xf001_0000;

/// A module of the sequencer as its own top.
struct Bench {
    model: Model,
}

impl Bench {
    fn new(top: &str, parameters: &[(&str, usize)], seed: u64) -> Self {
        let packages = ["axi/tmv_axi_pkg.sv", "system/tmv_sys_reg_pkg.sv", "system/tmv_sys_pkg.sv"];
        let files = packages.map(String::from).into_iter().chain([format!("system/{top}.sv")]);
        let spec = spec_of(top, &["sequencer"], files.collect(), Trace::Off);
        let spec = parameters.iter().fold(spec, |spec, (name, value)| spec.param(*name, *value));
        let model = Model::new(&common::model(&spec), &VerilatedContext { seed, ..Default::default() }).unwrap();
        let mut bench = Self { model };
        let inputs: Vec<String> =
            bench.model.ports().iter().filter(|p| p.direction == Direction::Input).map(|p| p.name.clone()).collect();
        for name in inputs.iter().filter(|name| *name != "clk_i") {
            let pin = bench.model.pin(name).unwrap();
            let bytes = (bench.model.width(pin) as usize).div_ceil(8);
            bench.model.set_wide(pin, &vec![0; bytes]);
        }
        (0..3).for_each(|_| bench.model.cycle().unwrap());
        bench.set("rst_ni", 1);
        bench
    }

    fn get(&self, name: &str) -> u64 {
        self.model.get(self.model.pin(name).unwrap())
    }

    fn set(&mut self, name: &str, value: u64) {
        let pin = self.model.pin(name).unwrap();
        self.model.set(pin, value);
    }

    fn rsp(&self, name: &str) -> Rsp {
        let bits = self.get(name);
        let bit = |at: u32| bits >> at & 1 != 0;
        Rsp { ready: bit(34), valid: bit(33), error: bit(32), data: bits as u32 }
    }

    fn set_rsp(&mut self, name: &str, rsp: Rsp) {
        let bit = |value: bool, at: u32| u64::from(value) << at;
        self.set(name, bit(rsp.ready, 34) | bit(rsp.valid, 33) | bit(rsp.error, 32) | u64::from(rsp.data));
    }
}

/// A response on the bus of the core, as `tmv_sys_pkg` defines it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rsp {
    ready: bool,
    valid: bool,
    error: bool,
    data: u32,
}

/// A request on the bus of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Req {
    write: bool,
    address: u32,
    words: usize,
    strobes: u32,
    data: u32,
}

impl Req {
    fn bits(&self) -> u64 {
        let len = self.words as u64 - 1;
        u64::from(self.write) << 39 | u64::from(self.address) << 7 | len << 4 | u64::from(self.strobes)
    }

    /// A request to `address`. One read in `lines` reads the whole line of the address; with 0, none does.
    fn random(rng: &mut Random, address: u32, lines: usize) -> Self {
        let write = rng.next_u32() & 1 == 0;
        let line = !write && lines > 0 && below(rng, lines) == 0;
        let any = below(rng, 16) as u32;
        let strobes = pick(rng, &[0xf, 0xf, 1, 2, 4, 8, 3, 0xc, any]);
        Self {
            write,
            address: if line { address & !31 } else { address & !3 },
            words: if line { LINE } else { 1 },
            strobes: if write { strobes } else { 0 },
            data: rng.next_u32(),
        }
    }
}

/// Writes the bytes of `word` that `strobes` say.
fn merge(old: u32, word: u32, strobes: u32) -> u32 {
    let mask = (0..4).filter(|byte| strobes >> byte & 1 != 0).fold(0, |mask, byte| mask | 0xff << (8 * byte));
    old & !mask | word & mask
}

/// True in `share` of 256 cases.
fn chance(rng: &mut Random, share: usize) -> bool {
    below(rng, 256) < share
}

/// A write on its way through the window: what is left to be taken, and in how many cycles it is answered.
#[derive(Debug)]
struct InFlight {
    req: Req,
    address: bool,
    data: bool,
    wait: usize,
}

/// A burst that was asked for: its first word, its beats with their responses and the marks of the last one, and in how many cycles
/// the next one comes.
type Burst = (usize, VecDeque<(u64, bool)>, usize);

/// The window to memory. A read sees all writes before it. Words come in order, and each has the error of its beat. An answer that
/// belongs to no burst is reported and changes nothing.
#[test]
fn window() {
    for port_bits in [64, 128] {
        for_seeds(12, |seed, rng| run_window(port_bits, seed, rng));
    }
}

fn run_window(port_bits: usize, seed: u64, rng: &mut Random) {
    const WORDS: usize = 64;
    let mut bench = Bench::new("tmv_core_window", &[("PortBits", port_bits)], seed);
    let beat_words = port_bits / 32;
    let window = u64::from(rng.next_u32() & 0x3ff);
    bench.set("window_i", window);
    // Some words anywhere in the window of 1 GiB.
    let base = WINDOW + (rng.next_u32() & 0x3fff_ffff & !(4 * WORDS as u32 - 1));
    let mut held = [false; 3];
    let mut memory: Vec<u32> = (0..WORDS).map(|_| rng.next_u32()).collect();
    let [begin, ready, answer, wrong] = [&[60, 256][..], &[40, 256], &[30, 256], &[0, 60]].map(|of| pick(rng, of));
    let mut req: Option<Req> = None;
    // What the core is owed: words with their errors, or none for a write.
    let mut owed: VecDeque<Vec<(u32, bool)>> = VecDeque::new();
    let mut writes: VecDeque<InFlight> = VecDeque::new();
    let mut read: Option<Burst> = None;
    let mut reading: Option<Req> = None;
    let (mut done, mut strays) = (0, 0);
    for cycle in 0.. {
        assert!(cycle < 60_000, "seed {seed}: {done} requests, then nothing");
        if done > 400 && writes.is_empty() && owed.is_empty() {
            break;
        }
        if req.is_none() && done <= 400 && chance(rng, begin) {
            let address = base + 4 * below(rng, WORDS) as u32;
            req = Some(Req::random(rng, address, 3));
        }
        bench.set("req_i", req.map_or(0, |req| req.bits() | 1 << 40));
        bench.set("wdata_i", req.map_or(0, |req| req.data.into()));
        let taken = ["arready", "awready", "wready"].map(|name| {
            let taken = chance(rng, ready);
            bench.set(&format!("m_axi_{name}"), taken.into());
            taken
        });
        // The memory answers a beat, and a write that has left.
        let beat = match &read {
            Some((_, beats, 0)) => beats.front().copied(),
            _ => None,
        };
        let stray_beat = read.is_none() && chance(rng, wrong);
        bench.set("m_axi_rvalid", (beat.is_some() || stray_beat).into());
        if let (Some((resp, last)), Some((first, beats, _))) = (beat, &read) {
            let at = first + (reading.unwrap().words.div_ceil(beat_words) - beats.len()) * beat_words;
            let bytes: Vec<u8> = memory[at..at + beat_words].iter().flat_map(|word| word.to_le_bytes()).collect();
            let pin = bench.model.pin("m_axi_rdata").unwrap();
            bench.model.set_wide(pin, &bytes);
            bench.set("m_axi_rresp", resp);
            bench.set("m_axi_rlast", last.into());
        }
        let gone = writes.front().is_some_and(|write| write.address && write.data && write.wait == 0);
        let unsent = writes.iter().filter(|write| !(write.address && write.data)).count();
        let stray_answer = unsent == writes.len() && chance(rng, wrong);
        bench.set("m_axi_bvalid", (gone || stray_answer).into());
        let resp = if chance(rng, wrong) { pick(rng, &[1, 2, 3]) } else { 0 };
        bench.set("m_axi_bresp", resp);
        bench.model.eval().unwrap();

        let rsp = bench.rsp("rsp_o");
        let what = format!("seed {seed}, cycle {cycle}");
        assert_eq!(bench.get("quiet_o") == 1, writes.is_empty(), "{what}: quiet");
        let fault = stray_beat || stray_answer || gone && resp != 0;
        assert_eq!(bench.get("fault_o") == 1, fault, "{what}: fault");
        strays += usize::from(stray_beat || stray_answer);
        if rsp.valid {
            let first = owed.front_mut().unwrap_or_else(|| panic!("{what}: an answer to nothing"));
            if first.is_empty() {
                assert!(!rsp.error, "{what}: an error of a write");
            } else {
                let (word, error) = first.remove(0);
                assert_eq!((rsp.data, rsp.error), (word, error), "{what}: {first:?}");
            }
            if first.is_empty() {
                owed.pop_front();
            }
        }
        // What the window sends. What is not taken stays.
        for (channel, (was_held, is_taken)) in ["ar", "aw", "w"].iter().zip(held.iter_mut().zip(taken)) {
            let offered = bench.get(&format!("m_axi_{channel}valid")) == 1;
            assert!(offered || !*was_held, "{what}: {channel} was taken back");
            *was_held = offered && !is_taken;
        }
        if bench.get("m_axi_arvalid") == 1 {
            let wanted = reading.unwrap_or_else(|| panic!("{what}: a burst for nothing"));
            assert!(writes.is_empty() && read.is_none(), "{what}: a read beside others");
            let at = wanted.address & !(port_bits as u32 / 8 - 1);
            let beats = wanted.words.div_ceil(beat_words);
            let address = window << 30 | u64::from(at & 0x3fff_ffff);
            assert_eq!((bench.get("m_axi_araddr"), bench.get("m_axi_arlen")), (address, beats as u64 - 1), "{what}");
            if taken[0] {
                let first = (at - base) as usize / 4;
                let marks: VecDeque<(u64, bool)> = (0..beats)
                    .map(|beat| {
                        let resp = if chance(rng, wrong) { pick(rng, &[1, 2, 3]) } else { 0 };
                        (resp, (beat + 1 == beats) != chance(rng, wrong / 2))
                    })
                    .collect();
                let from = (wanted.address - base) as usize / 4;
                let words = (from..from + wanted.words).map(|at| {
                    let beat = (at - first) / beat_words;
                    (memory[at], marks[beat].0 != 0 || marks[beat].1 != (beat + 1 == beats))
                });
                owed.push_back(words.collect());
                read = Some((first, marks, below(rng, 20)));
            }
        } else if beat.is_none()
            && let Some((_, _, wait)) = &mut read
            && *wait > 0
        {
            *wait -= 1;
        }
        if let Some(write) = writes.iter().find(|write| !write.address)
            && bench.get("m_axi_awvalid") == 1
        {
            let address = window << 30 | u64::from(write.req.address & 0x3fff_ffff & !(port_bits as u32 / 8 - 1));
            assert_eq!((bench.get("m_axi_awaddr"), bench.get("m_axi_awlen")), (address, 0), "{what}");
        }
        if let Some(write) = writes.iter().find(|write| !write.data)
            && bench.get("m_axi_wvalid") == 1
        {
            let lane = write.req.address as usize / 4 % beat_words;
            let pin = bench.model.pin("m_axi_wdata").unwrap();
            let data = bench.model.get_wide(pin);
            assert_eq!(bench.get("m_axi_wstrb"), u64::from(write.req.strobes) << (4 * lane), "{what}");
            assert_eq!(data[4 * lane..4 * lane + 4], write.req.data.to_le_bytes(), "{what}");
            assert_eq!(bench.get("m_axi_wlast"), 1, "{what}");
        }
        for (channel, is_taken) in [("aw", taken[1]), ("w", taken[2])] {
            if bench.get(&format!("m_axi_{channel}valid")) == 0 || !is_taken {
                continue;
            }
            let open = |write: &&mut InFlight| if channel == "aw" { !write.address } else { !write.data };
            let write = writes.iter_mut().find(open).unwrap_or_else(|| panic!("{what}: a write of nothing"));
            if channel == "aw" { write.address = true } else { write.data = true }
        }
        if gone {
            let Req { address, data, strobes, .. } = writes.pop_front().unwrap().req;
            let at = (address - base) as usize / 4;
            memory[at] = merge(memory[at], data, strobes);
        } else if let Some(write) = writes.front_mut() {
            write.wait = write.wait.saturating_sub(usize::from(write.address && write.data));
        }
        if beat.is_some() {
            let (_, beats, wait) = read.as_mut().unwrap();
            beats.pop_front();
            *wait = if chance(rng, answer) { 0 } else { below(rng, 4) };
            if beats.is_empty() {
                read = None;
            }
        }
        // A read is over with its last word for the core.
        if reading.is_some() && read.is_none() && owed.is_empty() && rsp.valid {
            reading = None;
        }
        if let Some(now) = req.filter(|_| rsp.ready) {
            done += 1;
            if now.write {
                assert!(writes.len() < 8, "{what}: more writes than there may be");
                owed.push_back(Vec::new());
                writes.push_back(InFlight { req: now, address: false, data: false, wait: below(rng, 30) });
            } else {
                reading = Some(now);
            }
            req = None;
        }
        bench.model.cycle().unwrap();
    }
    assert!(strays > 0 || wrong == 0);
}

/// A target of the core: its access, the words it owes, and when the next one comes.
#[derive(Default)]
struct Target {
    left: usize,
    wait: usize,
}

/// The demultiplexer. Each access arrives once, at the target of its address. An access to registers waits until all writes are in
/// memory. Answers come back in order. An access to no target is an error, and its address is kept.
#[test]
fn demux() {
    for_seeds(20, |seed, rng| {
        const RAM_WORDS: usize = 1024;
        let mut bench = Bench::new("tmv_core_demux", &[("RamWords", RAM_WORDS)], seed);
        let names = ["ram", "window", "unit", "regs"];
        let mut targets: [Target; 4] = Default::default();
        let [begin, ready, quick, quiet] = [&[60, 256][..], &[60, 256], &[60, 256], &[40, 256]].map(|of| pick(rng, of));
        let mut req: Option<Req> = None;
        // The access in progress: its target, its words that are due, its address.
        let mut open: Option<(usize, usize, u32)> = None;
        let mut done = 0;
        for cycle in 0.. {
            let what = format!("seed {seed}, cycle {cycle}");
            assert!(cycle < 60_000, "{what}: {done} accesses, then nothing");
            if done == 500 && open.is_none() {
                break;
            }
            if req.is_none() && done < 500 && chance(rng, begin) {
                let offset = rng.next_u32();
                let none = [4 * RAM_WORDS as u32, 0x8000_0000, UNIT + 0x2000, REGS + 0x1000, REGS - 4, u32::MAX];
                let none = pick(rng, &none);
                let places = [
                    (offset % (4 * RAM_WORDS as u32), 3),
                    (WINDOW | offset >> 2, 3),
                    (UNIT + offset % 0x2000, 0),
                    (REGS + offset % 0x1000, 0),
                    (none, 0),
                ];
                let (base, lines) = pick(rng, &places);
                let any = Req::random(rng, base, lines);
                // An access of a byte has its address.
                let byte = if any.words == 1 { below(rng, 4) as u32 } else { 0 };
                req = Some(Req { address: any.address | byte, ..any });
            }
            bench.set("req_i", req.map_or(0, |req| req.bits() | 1 << 40));
            let is_quiet = chance(rng, quiet);
            bench.set("quiet_i", is_quiet.into());
            let answers: Vec<Rsp> = targets
                .iter_mut()
                .map(|target| {
                    target.wait = target.wait.saturating_sub(1);
                    let valid = target.left > 0 && target.wait == 0;
                    let free = target.left == 0 || (valid && target.left == 1);
                    Rsp { ready: free && chance(rng, ready), valid, error: chance(rng, 20), data: rng.next_u32() }
                })
                .collect();
            for (name, answer) in names.iter().zip(&answers) {
                bench.set_rsp(&format!("{name}_rsp_i"), *answer);
            }
            bench.model.eval().unwrap();

            let rsp = bench.rsp("rsp_o");
            assert_eq!(bench.get("idle_o") == 1, open.is_none(), "{what}: idle");
            assert_eq!(bench.get("fault_o") == 1, rsp.valid && rsp.error, "{what}: fault");
            let mut is_last = false;
            match &mut open {
                Some((target, words, address)) => {
                    let wanted = answers.get(*target).map_or((true, true, 0), |a| (a.valid, a.error, a.data));
                    assert_eq!(rsp.valid, wanted.0, "{what}");
                    if rsp.valid {
                        assert_eq!((rsp.error, rsp.data), (wanted.1, wanted.2), "{what}");
                        assert_eq!(bench.get("fault_addr_o"), u64::from(*address), "{what}: address");
                        *words -= 1;
                        is_last = *words == 0;
                    }
                }
                None => assert!(!rsp.valid, "{what}: an answer to nothing"),
            }
            let place = |req: &Req| match req.address {
                address if address < 4 * RAM_WORDS as u32 => 0,
                address if address >> 30 == 1 => 1,
                address if address & !0x1fff == UNIT => 2,
                address if address & !0xfff == REGS => 3,
                _ => 4,
            };
            let may = open.is_none() || is_last;
            for (index, name) in names.iter().enumerate() {
                let sent = bench.get(&format!("{name}_req_o"));
                let wanted = req.filter(|req| place(req) == index && may && (index < 2 || is_quiet));
                assert_eq!(sent >> 40 & 1 == 1, wanted.is_some(), "{what}: a request for {name}");
                if let Some(wanted) = wanted {
                    assert_eq!(sent & ((1 << 40) - 1), wanted.bits(), "{what}: the request for {name}");
                }
            }
            let wanted = req.is_some_and(|req| {
                let target = place(&req);
                may && answers.get(target).is_none_or(|a| a.ready && (target < 2 || is_quiet))
            });
            if req.is_some() {
                assert_eq!(rsp.ready, wanted, "{what}: ready");
            }
            for (target, answer) in targets.iter_mut().zip(&answers) {
                if answer.valid {
                    target.left -= 1;
                    target.wait = if chance(rng, quick) { 1 } else { below(rng, 6) };
                }
            }
            if is_last {
                open = None;
            }
            if let Some(now) = req.filter(|_| rsp.ready) {
                let target = place(&now);
                open = Some((target, now.words, now.address));
                if let Some(state) = targets.get_mut(target) {
                    *state = Target { left: now.words, wait: if chance(rng, quick) { 1 } else { 1 + below(rng, 20) } };
                }
                (req, done) = (None, done + 1);
            }
            bench.model.cycle().unwrap();
        }
    });
}

/// Fetches of instructions. Each arrives once at on-chip memory, and answers come back in order. A fetch from elsewhere is an error
/// for each of its words.
#[test]
fn inst() {
    for_seeds(12, |seed, rng| {
        const RAM_WORDS: usize = 1024;
        let mut bench = Bench::new("tmv_core_inst", &[("RamWords", RAM_WORDS)], seed);
        let begin = pick(rng, &[60, 256]);
        let mut req: Option<Req> = None;
        // The access in progress: whether the memory has it, and its words that are due. The memory owes a word in each cycle.
        let mut open: Option<(bool, usize)> = None;
        let mut done = 0;
        for cycle in 0.. {
            let what = format!("seed {seed}, cycle {cycle}");
            assert!(cycle < 20_000, "{what}: {done} accesses, then nothing");
            if done == 400 && open.is_none() {
                break;
            }
            if req.is_none() && done < 400 && chance(rng, begin) {
                let ram = 4 * RAM_WORDS as u32;
                let places = [rng.next_u32() % ram, ram, WINDOW, UNIT, REGS, rng.next_u32() | ram];
                let at = pick(rng, &places) & !31;
                let words = pick(rng, &[1, LINE]);
                req = Some(Req { write: false, address: at, words, strobes: 0, data: 0 });
            }
            bench.set("req_i", req.map_or(0, |req| req.bits() | 1 << 40));
            let left = open.filter(|(ram, _)| *ram).map_or(0, |(_, left)| left);
            // An answer that belongs to no access means nothing.
            let valid = left > 0 || (open.is_none() && chance(rng, 40));
            let word = Rsp { ready: left <= 1, valid, error: false, data: rng.next_u32() };
            bench.set_rsp("ram_rsp_i", word);
            bench.model.eval().unwrap();

            let rsp = bench.rsp("rsp_o");
            assert_eq!(bench.get("busy_o") == 1, open.is_some(), "{what}: busy");
            assert_eq!(rsp.valid, open.is_some(), "{what}: an answer");
            let mut is_last = false;
            if let Some((ram, left)) = &mut open {
                let wanted = if *ram { (false, word.data) } else { (true, 0) };
                assert_eq!((rsp.error, rsp.data), wanted, "{what}");
                *left -= 1;
                is_last = *left == 0;
            }
            let may = open.is_none() || is_last;
            let in_ram = req.is_some_and(|req| req.address < 4 * RAM_WORDS as u32);
            let sent = bench.get("ram_req_o");
            assert_eq!(sent >> 40 & 1 == 1, may && in_ram, "{what}: a request for the memory");
            assert!(!(may && in_ram) || sent & ((1 << 40) - 1) == req.unwrap().bits(), "{what}: {sent:#x}");
            if req.is_some() {
                assert_eq!(rsp.ready, may, "{what}: ready");
            }
            if is_last {
                open = None;
            }
            if let Some(now) = req.filter(|_| rsp.ready) {
                open = Some((in_ram, now.words));
                (req, done) = (None, done + 1);
            }
            bench.model.cycle().unwrap();
        }
    });
}

/// On-chip memory: both ports at once, words and lines, bytes by their strobes.
#[test]
fn ram() {
    for_seeds(6, |seed, rng| {
        const WORDS: usize = 64;
        let mut bench = Bench::new("tmv_core_ram", &[("Words", WORDS)], seed);
        let mut memory = vec![0u32; WORDS];
        let mut reqs: [Option<Req>; 2] = [None; 2];
        // Words that each port owes, with what was there when they were read.
        let mut owed: [VecDeque<usize>; 2] = Default::default();
        let mut due: [Option<Option<u32>>; 2] = [None; 2];
        // All words are written first.
        let mut first: VecDeque<Req> = (0..WORDS)
            .map(|at| Req { write: true, address: 4 * at as u32, words: 1, strobes: 15, data: at as u32 })
            .collect();
        for cycle in 0..4_000 {
            for (port, req) in reqs.iter_mut().enumerate() {
                if req.is_none() && chance(rng, 200) {
                    let at = 4 * below(rng, WORDS) as u32;
                    let next = Req::random(rng, at, 3);
                    *req = match (port, first.front()) {
                        (1, Some(_)) => first.pop_front(),
                        (0, None) if !next.write => Some(next),
                        (1, None) => Some(next),
                        _ => None,
                    };
                }
            }
            for (name, req) in ["inst", "data"].iter().zip(&reqs) {
                bench.set(&format!("{name}_req_i"), req.map_or(0, |req| req.bits() | 1 << 40));
            }
            bench.set("data_wdata_i", reqs[1].map_or(0, |req| req.data.into()));
            bench.model.eval().unwrap();
            let before = memory.clone();
            for (port, name) in ["inst", "data"].iter().enumerate() {
                let (rsp, what) = (bench.rsp(&format!("{name}_rsp_o")), format!("seed {seed}, cycle {cycle}, {name}"));
                assert_eq!((rsp.valid, rsp.error), (due[port].is_some(), false), "{what}");
                if let Some(Some(word)) = due[port] {
                    assert_eq!(rsp.data, word, "{what}");
                }
                assert_eq!(rsp.ready, owed[port].is_empty(), "{what}: ready");
                due[port] = owed[port].pop_front().map(|at| Some(before[at]));
                if let Some(req) = reqs[port].filter(|_| rsp.ready) {
                    let at = req.address as usize / 4;
                    if req.write {
                        memory[at] = merge(memory[at], req.data, req.strobes);
                        due[port] = Some(None);
                    } else {
                        due[port] = Some(Some(before[at]));
                        owed[port].extend(at + 1..at + req.words);
                    }
                    reqs[port] = None;
                }
            }
            bench.model.cycle().unwrap();
        }
    });
}

/// The core's way to the units' registers. One access at a time, in the core's order, with the slave's data and errors. An answer
/// while no access is on its way is ignored.
#[test]
fn axil() {
    for_seeds(12, |seed, rng| {
        let mut bench = Bench::new("tmv_core_axil", &[], seed);
        let [begin, ready, slow] = [&[60, 256][..], &[60, 256], &[1, 12]].map(|of| pick(rng, of));
        let mut req: Option<Req> = None;
        // The access on its way: address, data of a write, and cycles until its answer, once all of it was taken.
        let mut open: Option<(Req, bool, bool, usize)> = None;
        let mut due: Option<(bool, Option<u32>)> = None;
        let mut done = 0;
        for cycle in 0.. {
            let what = format!("seed {seed}, cycle {cycle}");
            assert!(cycle < 40_000, "{what}: {done} accesses, then nothing");
            if done == 300 && open.is_none() && due.is_none() {
                break;
            }
            if req.is_none() && done < 300 && chance(rng, begin) {
                let at = UNIT + 4 * below(rng, 0x800) as u32;
                req = Some(Req::random(rng, at, 0));
            }
            bench.set("req_i", req.map_or(0, |req| req.bits() | 1 << 40));
            bench.set("wdata_i", req.map_or(0, |req| req.data.into()));
            let taken = ["awready", "wready", "arready"].map(|name| {
                let taken = chance(rng, ready);
                bench.set(&format!("m_axil_{name}"), taken.into());
                taken
            });
            let answers = open.is_some_and(|(_, address, data, wait)| address && data && wait == 0);
            let is_write = open.is_some_and(|(req, ..)| req.write);
            // Nobody waits: the slave has no reason to answer.
            let stray = open.is_none() && due.is_none() && req.is_none() && chance(rng, 40);
            let (resp, data) = (if chance(rng, 40) { 2 } else { 0 }, rng.next_u32());
            bench.set("m_axil_bvalid", (answers && is_write || stray).into());
            bench.set("m_axil_rvalid", (answers && !is_write).into());
            // The other channel says the opposite.
            bench.set("m_axil_bresp", if is_write { resp } else { 2 - resp });
            bench.set("m_axil_rresp", if is_write { 2 - resp } else { resp });
            bench.set("m_axil_rdata", data.into());
            bench.model.eval().unwrap();

            let rsp = bench.rsp("rsp_o");
            assert_eq!(rsp.valid, due.is_some(), "{what}: an answer");
            if let Some((error, word)) = due.take() {
                assert_eq!(rsp.error, error, "{what}: error");
                assert!(word.is_none_or(|word| word == rsp.data), "{what}: data");
            }
            if let Some((now, address, data, wait)) = &mut open {
                let bus = |name: &str| bench.get(&format!("m_axil_{name}"));
                assert_eq!(
                    (bus("awvalid"), bus("arvalid")),
                    if now.write { (u64::from(!*address), 0) } else { (0, u64::from(!*address)) }
                );
                assert_eq!(bus("wvalid"), u64::from(!*data), "{what}");
                let at = u64::from(now.address & 0x1fff);
                let seen = if now.write { bus("awaddr") } else { bus("araddr") };
                assert_eq!(seen, at, "{what}");
                if now.write {
                    assert_eq!((bus("wdata"), bus("wstrb")), (now.data.into(), now.strobes.into()), "{what}");
                }
                *wait = wait.saturating_sub(usize::from(*address && *data));
                *address |= if now.write { taken[0] } else { taken[2] };
                *data |= taken[1];
            }
            if answers {
                due = Some((resp != 0, (!is_write).then_some(data)));
                open = None;
            }
            if let Some(now) = req.filter(|_| rsp.ready) {
                assert!(open.is_none(), "{what}: two accesses");
                open = Some((now, false, !now.write, below(rng, slow)));
                (req, done) = (None, done + 1);
            }
            bench.model.cycle().unwrap();
        }
    });
}

/// A model of the sequencer's registers. One step is one cycle.
#[derive(Clone, Debug, Default)]
struct Registers {
    run: bool,
    job: bool,
    irq: u32,
    window: u32,
    ram_address: u32,
    job_address: u32,
    result: u32,
    trap: [u32; 3],
    fault_address: u32,
    cycle: u64,
}

/// What happens to the registers in a cycle.
#[derive(Clone, Copy, Debug, Default)]
struct Inputs {
    write: Option<(u32, u32, bool)>,
    core: Option<Req>,
    busy: bool,
    interrupts: [bool; 2],
    memory_fault: bool,
    core_fault: Option<u32>,
    /// The host read no register, two cycles ago.
    bad_read: bool,
}

impl Registers {
    /// The value of a register; `None` if there is none.
    fn value(&self, offset: u32, param: u32, now: &Inputs) -> Option<u32> {
        let [unit, vector] = now.interrupts.map(u32::from);
        Some(match offset {
            regs::ID => regs::ID_VALUE,
            regs::VERSION => regs::MAP_VERSION,
            regs::MAP_HASH => regs::MAP_HASH_VALUE,
            regs::PARAM => param,
            regs::CONTROL => self.run.into(),
            regs::STATUS => u32::from(now.busy) | u32::from(self.job) << 1 | unit << 2 | vector << 3,
            regs::IRQ_STATUS => self.irq,
            regs::WINDOW => self.window,
            regs::RAM_ADDR => self.ram_address,
            regs::RAM_DATA => 0,
            regs::JOB => self.job_address,
            regs::RESULT => self.result,
            regs::TRAP_CAUSE => self.trap[0],
            regs::TRAP_PC => self.trap[1],
            regs::TRAP_VALUE => self.trap[2],
            regs::FAULT_ADDR => self.fault_address,
            regs::CYCLE_LO => self.cycle as u32,
            regs::CYCLE_HI => (self.cycle >> 32) as u32,
            _ => return None,
        })
    }

    /// Whether the host's write is refused.
    fn refuses(&self, offset: u32, value: u32, whole: bool, busy: bool) -> bool {
        let wrong = match offset {
            regs::CONTROL => value & !1 != 0,
            regs::IRQ_STATUS => value & !0xf != 0,
            regs::WINDOW => self.run || busy || value & !0x3ff != 0,
            regs::RAM_ADDR => value & 3 != 0,
            regs::RAM_DATA => self.run || busy,
            regs::JOB => self.job || !self.run,
            _ => true,
        };
        wrong || !whole
    }

    /// The core's writes that change something.
    fn core_writes(req: &Req) -> bool {
        let offset = req.address & 0xfff;
        let known = [regs::RESULT, regs::TRAP_CAUSE, regs::TRAP_PC, regs::TRAP_VALUE].contains(&offset);
        req.write && known && req.strobes == 15
    }

    fn step(&mut self, now: &Inputs) {
        let before = self.clone();
        self.cycle += 1;
        let write = now.write.filter(|(offset, value, whole)| !before.refuses(*offset, *value, *whole, now.busy));
        let clears = |bit: u32| write.is_some_and(|(offset, value, _)| offset == regs::IRQ_STATUS && value & bit != 0);
        (0..4).map(|bit| 1 << bit).filter(|bit| clears(*bit)).for_each(|bit| self.irq &= !bit);
        if now.write.is_some() && write.is_none() || now.bad_read {
            self.irq |= regs::IRQ_STATUS_BAD_ACCESS;
        }
        self.irq |= if now.memory_fault { regs::IRQ_STATUS_MEMORY_FAULT } else { 0 };
        if let Some(address) = now.core_fault {
            // The address of the first fault stays.
            if before.irq & regs::IRQ_STATUS_CORE_FAULT == 0 || clears(regs::IRQ_STATUS_CORE_FAULT) {
                self.fault_address = address;
            }
            self.irq |= regs::IRQ_STATUS_CORE_FAULT;
        }
        if !before.run {
            self.job = false;
        }
        match write {
            Some((regs::CONTROL, value, _)) => self.run = value & 1 != 0,
            Some((regs::WINDOW, value, _)) => self.window = value,
            Some((regs::RAM_ADDR, value, _)) => self.ram_address = value,
            Some((regs::RAM_DATA, ..)) => self.ram_address = self.ram_address.wrapping_add(4),
            Some((regs::JOB, value, _)) => (self.job, self.job_address) = (true, value),
            _ => {}
        }
        if let Some(req) = now.core.filter(Self::core_writes) {
            match req.address & 0xfff {
                regs::TRAP_CAUSE => self.trap[0] = req.data,
                regs::TRAP_PC => self.trap[1] = req.data,
                regs::TRAP_VALUE => self.trap[2] = req.data,
                _ => {
                    (self.result, self.job) = (req.data, false);
                    self.irq |= regs::IRQ_STATUS_DONE;
                }
            }
        }
    }
}

/// The registers of the sequencer, while host and core use them at once. A model predicts every output in every cycle.
#[test]
fn registers() {
    for_seeds(10, |seed, rng| {
        let mut bench = Bench::new("tmv_sys_regs", &[], seed);
        let param = rng.next_u32();
        bench.set("param_i", param.into());
        let offsets: Vec<u32> = regs::REGISTERS.iter().map(|(_, offset, _)| *offset).chain([0x48, 0xffc]).collect();
        let mut state = Registers::default();
        let mut inputs = Inputs::default();
        // What the core is owed, and what the host read, in this cycle and in the one before.
        let mut owed: Option<(bool, Option<u32>)> = None;
        let mut request: Option<Req> = None;
        let mut was_bad = false;
        for cycle in 0..6_000 {
            let what = format!("seed {seed}, cycle {cycle}");
            // Writes of registers that matter are as likely as those of all others.
            let often = [regs::CONTROL, regs::IRQ_STATUS, regs::JOB, regs::RAM_DATA, regs::WINDOW];
            let offset = |rng: &mut Random| if chance(rng, 128) { pick(rng, &often) } else { pick(rng, &offsets) };
            let value = |rng: &mut Random| {
                let any = rng.next_u32();
                pick(rng, &[1, 1, 0, 8, 0xf, 0x3ff, 4, any & 0x3ff, any & !3, any])
            };
            let busy = if chance(rng, 30) { !inputs.busy } else { inputs.busy };
            let write = chance(rng, 90).then(|| (offset(rng), value(rng), !chance(rng, 16)));
            if request.is_none() && chance(rng, 90) {
                let mine = [regs::RESULT, regs::TRAP_CAUSE, regs::TRAP_PC, regs::TRAP_VALUE];
                let at = if chance(rng, 160) { pick(rng, &mine) } else { pick(rng, &offsets) };
                request = Some(Req::random(rng, REGS + at, 0));
            }
            // It is taken when no answer is due.
            let core = request.filter(|_| owed.is_none());
            inputs = Inputs {
                write,
                core,
                busy,
                interrupts: [(); 2].map(|()| chance(rng, 128)),
                memory_fault: chance(rng, 10),
                core_fault: chance(rng, 20).then(|| rng.next_u32()),
                bad_read: was_bad,
            };
            bench.set("write_i", write.is_some().into());
            if let Some((offset, value, whole)) = write {
                bench.set("write_addr_i", offset.into());
                bench.set("write_data_i", value.into());
                bench.set("write_full_i", whole.into());
            }
            bench.set("req_i", request.map_or(0, |req| req.bits() | 1 << 40));
            bench.set("wdata_i", request.map_or(0, |req| req.data.into()));
            bench.set("busy_i", busy.into());
            bench.set("unit_irq_i", inputs.interrupts[0].into());
            bench.set("vector_irq_i", inputs.interrupts[1].into());
            bench.set("memory_fault_i", inputs.memory_fault.into());
            bench.set("core_fault_i", inputs.core_fault.is_some().into());
            bench.set("fault_addr_i", inputs.core_fault.unwrap_or_default().into());
            let read = chance(rng, 100).then(|| pick(rng, &offsets));
            bench.set("read_i", read.is_some().into());
            bench.set("read_addr_i", read.unwrap_or_default().into());
            bench.model.eval().unwrap();

            let rsp = bench.rsp("rsp_o");
            assert_eq!((rsp.valid, rsp.ready), (owed.is_some(), owed.is_none()), "{what}");
            if let Some((error, word)) = owed.take() {
                assert_eq!(rsp.error, error, "{what}: error of the core's access");
                assert!(word.is_none_or(|word| word == rsp.data), "{what}: {:#x}, expected {word:#x?}", rsp.data);
            }
            assert_eq!(bench.get("run_o") == 1, state.run, "{what}: run");
            assert_eq!(bench.get("irq_o") == 1, state.irq != 0, "{what}: interrupt");
            assert_eq!(bench.get("window_o"), u64::from(state.window), "{what}: window");
            let ram =
                write.filter(|(at, value, whole)| *at == regs::RAM_DATA && !state.refuses(*at, *value, *whole, busy));
            assert_eq!(bench.get("ram_write_o") == 1, ram.is_some(), "{what}: a word for on-chip memory");
            if let Some((_, word, _)) = ram {
                assert_eq!(
                    (bench.get("ram_addr_o"), bench.get("ram_data_o")),
                    (state.ram_address.into(), word.into()),
                    "{what}"
                );
            }
            if let Some(req) = core {
                request = None;
                let known = state.value(req.address & 0xfff, param, &inputs);
                owed = Some(if req.write {
                    (!Registers::core_writes(&req), None)
                } else {
                    (known.is_none(), Some(known.unwrap_or(0)))
                });
            }
            let wanted = read.map(|offset| state.value(offset, param, &inputs));
            was_bad = wanted == Some(None);
            state.step(&inputs);
            bench.model.cycle().unwrap();
            if let Some(wanted) = wanted {
                assert_eq!(bench.get("read_data_o"), u64::from(wanted.unwrap_or(0)), "{what}: {:#x}", read.unwrap());
            }
        }
    });
}
