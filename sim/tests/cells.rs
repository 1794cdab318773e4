//! The cells of the unit against simple models, under random stimulus with stalls on both sides.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{HashMap, VecDeque};

use common::{Random, below, for_seeds, pick};
use rand_core::Rng;
use tmv::regs;
use verilated::{Model, ModelLibrary, Pin, Trace, VerilatedContext};
use zynq_memory::{Address, AxiMemory, Faults, MemoryConfig, ReadFault, SLVERR, Timing};

/// A Verilated model, with its pins by name.
struct Cells {
    model: Model,
    pins: HashMap<String, Pin>,
}

/// A model with all cells in one top module. `lut` selects the bodies for LUTs.
fn library(lut: bool) -> ModelLibrary {
    let mut spec = testbench::model::spec("tmv_cells_tb", Trace::Off).unwrap();
    spec.files.push(rtl::dir().join("tb/tmv_cells_tb.sv"));
    if lut {
        spec.defines.insert("TMV_LUT_BODIES".into(), "1".into());
        spec.label = "tmv_cells_tb, bodies for LUTs".into();
    }
    common::model(&spec)
}

impl Cells {
    fn of(library: &ModelLibrary, seed: u64) -> Self {
        let context = VerilatedContext { seed, ..VerilatedContext::default() };
        let mut model = Model::new(library, &context).unwrap();
        let names: Vec<String> = model.ports().iter().map(|port| port.name.clone()).collect();
        let pins: HashMap<_, _> = names.into_iter().map(|name| (name.clone(), model.pin(&name).unwrap())).collect();
        for pin in pins.values() {
            if model.port(*pin).direction == verilated::Direction::Input {
                model.set_wide(*pin, &[]);
            }
        }
        let mut cells = Self { model, pins };
        cells.reset();
        cells
    }

    fn new(seed: u64) -> Self {
        Self::of(&library(false), seed)
    }

    fn reset(&mut self) {
        self.set("rst_ni", 0);
        self.cycle();
        self.cycle();
        self.set("rst_ni", 1);
    }

    fn get(&self, name: &str) -> u64 {
        self.model.get(self.pins[name])
    }

    fn set(&mut self, name: &str, value: u64) {
        self.set_wide(name, u128::from(value));
    }

    fn wide(&self, name: &str) -> u128 {
        let mut bytes = self.model.get_wide(self.pins[name]);
        bytes.resize(16, 0);
        u128::from_le_bytes(bytes.try_into().unwrap())
    }

    fn set_wide(&mut self, name: &str, value: u128) {
        let bytes = (self.model.width(self.pins[name]) as usize).div_ceil(8).min(16);
        self.model.set_wide(self.pins[name], &value.to_le_bytes()[..bytes]);
    }

    /// Evaluates the model, so that combinational outputs follow the inputs.
    fn settle(&mut self) {
        self.model.eval().unwrap();
    }

    fn cycle(&mut self) {
        self.model.cycle().unwrap();
    }
}

/// Returns true with probability `chance` / 256.
fn chance(rng: &mut Random, chance: u32) -> bool {
    rng.next_u32() >> 8 & 0xff < chance
}

#[test]
fn fifo() {
    let depths = [2, 16];
    for_seeds(12, |seed, rng| {
        let mut cells = Cells::new(seed);
        let (fill, drain) = (pick(rng, &[30, 128, 256]), pick(rng, &[30, 128, 256]));
        // The entries, each with the cycle in which it arrived.
        let mut queues: [VecDeque<(u64, u32)>; 2] = Default::default();
        let mut moved = [0; 2];
        for cycle in 0..3000 {
            let data = rng.next_u64() & 0x1f_ffff_ffff;
            let (wvalid, rready) =
                [fill, drain].map(|c| u64::from(chance(rng, c)) | u64::from(chance(rng, c)) << 1).into();
            cells.set("fifo_wvalid_i", wvalid);
            cells.set("fifo_wdata_i", data);
            cells.set("fifo_rready_i", rready);
            cells.settle();
            let (wready, rvalid, rdata) =
                (cells.get("fifo_wready_o"), cells.get("fifo_rvalid_o"), cells.wide("fifo_rdata_o"));
            for (i, (queue, depth)) in queues.iter_mut().zip(depths).enumerate() {
                let bit = |x: u64| x >> i & 1 != 0;
                let due = queue.front().is_some_and(|(_, at)| at + 2 <= cycle);
                assert!(bit(rvalid) || !due, "queue {i}, cycle {cycle}: an entry is late");
                assert!(bit(wready) || queue.len() >= depth, "queue {i}, cycle {cycle}: not full, yet not ready");
                if bit(rvalid) {
                    let (front, _) = *queue.front().expect("an entry out of nowhere");
                    assert_eq!((rdata >> (37 * i)) as u64 & 0x1f_ffff_ffff, front, "queue {i}, cycle {cycle}");
                    if bit(rready) {
                        queue.pop_front();
                        moved[i] += 1;
                    }
                }
                if bit(wvalid) && bit(wready) {
                    queue.push_back((data, cycle));
                }
                assert!(queue.len() <= depth + 1, "queue {i}, cycle {cycle}: more entries than places");
            }
            cells.cycle();
            if cycle == 1500 {
                cells.set("fifo_wvalid_i", 0);
                cells.reset();
                queues = Default::default();
                assert_eq!(cells.get("fifo_rvalid_o"), 0);
            }
        }
        let full_rate = fill == 256 && drain == 256;
        assert!(!full_rate || moved.iter().all(|n| *n >= 2990), "one entry a cycle: {moved:?} of 3000");
    });
}

#[test]
fn round_robin() {
    for_seeds(5, |seed, rng| {
        let mut cells = Cells::new(seed);
        let widths = [1u32, 4, 8];
        let mut last = [None; 3];
        let mut waiting = [[0u32; 8]; 3];
        let density = pick(rng, &[30, 128, 220]);
        for _ in 0..4000 {
            let req: u64 = (0..8).map(|i| u64::from(chance(rng, density)) << i).sum();
            let enable = rng.next_u32() & 3 != 0;
            cells.set("arbiter_enable_i", u64::from(enable));
            cells.set("arbiter_req_i", req);
            cells.settle();
            for (i, width) in widths.into_iter().enumerate() {
                let grant = cells.get(&format!("arbiter{width}_grant_o"));
                // The first client after the last granted client, otherwise the first client of all.
                let wants = |client: &u32| req >> client & 1 != 0;
                let first = (last[i].map_or(0, |l| l + 1)..width).find(wants).or((0..width).find(wants));
                let expected = first.filter(|_| enable);
                assert_eq!(grant, expected.map_or(0, |client| 1 << client), "{width} clients, {req:#b}");
                last[i] = expected.or(last[i]);
                for client in 0..width {
                    let waits = &mut waiting[i][client as usize];
                    *waits = if wants(&client) && expected != Some(client) { *waits + u32::from(enable) } else { 0 };
                    assert!(*waits < width, "client {client} of {width} starves");
                }
            }
            cells.cycle();
        }
    });
}

fn check_popcount(cells: &mut Cells, bits: u128) {
    cells.set_wide("popcount_bits_i", bits);
    cells.settle();
    let counts = cells.wide("popcount_o");
    for (i, width) in [6, 32, 40, 64, 80].into_iter().enumerate() {
        let expected = (bits & ((1 << width) - 1)).count_ones();
        assert_eq!((counts >> (7 * i)) as u32 & 0x7f, expected, "{width} bits of {bits:#x}");
    }
}

/// Both bodies: every input of every compressor on several backgrounds, then random words.
#[test]
fn popcount() {
    for lut in [false, true] {
        let mut cells = Cells::of(&library(lut), 1);
        for_seeds(2, |_, rng| {
            let mut random = || u128::from(rng.next_u64()) | u128::from(rng.next_u64()) << 64;
            for background in [0, u128::MAX, random(), random()] {
                for group in 0..14 {
                    for value in 0..64 {
                        check_popcount(&mut cells, background & !(63 << (6 * group)) | value << (6 * group));
                    }
                }
            }
            for _ in 0..5000 {
                let bits = random();
                check_popcount(&mut cells, bits);
            }
        });
        for bit in 0..80 {
            check_popcount(&mut cells, 1 << bit);
            check_popcount(&mut cells, !(1 << bit));
        }
    }
}

#[test]
fn decode() {
    for_seeds(3, |seed, rng| {
        let mut cells = Cells::new(seed);
        for i in 0..5000u64 {
            let (nz, mut neg) = (rng.next_u64(), rng.next_u64());
            // Legal beats, beats with one illegal weight, and arbitrary beats.
            if i % 3 != 0 {
                neg &= nz;
            }
            if i % 3 == 1 {
                neg |= 1 << (rng.next_u32() % 64);
            }
            let beat = u128::from(nz) | u128::from(neg) << 64;
            cells.set_wide("decode_beat_i", beat);
            cells.settle();
            assert_eq!((cells.get("decode128_nz_o"), cells.get("decode128_neg_o")), (nz, neg));
            let (low, high) = (nz & 0xffff_ffff, nz >> 32);
            assert_eq!((cells.get("decode64_nz_o"), cells.get("decode64_neg_o")), (low, high));
            let illegal = u64::from(high & !low != 0) | u64::from(neg & !nz != 0) << 1;
            assert_eq!(cells.get("decode_illegal_o"), illegal, "{beat:#x}");
        }
    });
}

/// Both bodies: every byte at every position of a base 3 beat, with random bytes around it.
#[test]
fn decode_base3() {
    for lut in [false, true] {
        let library = library(lut);
        for_seeds(1, |seed, rng| {
            let mut cells = Cells::of(&library, seed);
            for (place, code) in (0..16).flat_map(|place| (0..=255u8).rev().map(move |code| (place, code))) {
                let mut beat: [u8; 16] = std::array::from_fn(|_| (rng.next_u32() % 243) as u8);
                beat[place] = code;
                cells.set_wide("decode_beat_i", u128::from_le_bytes(beat));
                cells.settle();
                let (nz, neg) = (cells.wide("decode_base3_nz_o"), cells.wide("decode_base3_neg_o"));
                assert_eq!(cells.get("decode_base3_illegal_o"), u64::from(code >= 243), "byte {code} at {place}");
                for (lane, digit) in beat.iter().flat_map(|b| (0..5).map(move |j| b / 3u8.pow(j) % 3)).enumerate() {
                    if code < 243 || lane / 5 != place {
                        let found = (nz >> lane & 1 == 1, neg >> lane & 1 == 1);
                        assert_eq!(found, (digit != 1, digit == 0), "byte {code} at {place}, lane {lane}");
                    }
                }
            }
        });
    }
}

/// The dot product of the first `lanes` activations and the weights in the planes `nz` (non-zero) and `neg`
/// (negative).
fn dot(x: &[i8; 80], nz: u128, neg: u128, lanes: usize) -> i32 {
    let weight = |i: usize| (nz >> i & 1) as i32 * (1 - 2 * (neg >> i & 1) as i32);
    (0..lanes).map(|i| weight(i) * i32::from(x[i])).sum()
}

/// Both bodies: a sum appears two cycles after its planes and stays until the next sum. Extremes do not overflow.
#[test]
fn dot_product() {
    for lut in [false, true] {
        let library = library(lut);
        for_seeds(4, |seed, rng| {
            let mut cells = Cells::of(&library, seed);
            // On the input, and in the planes: a load takes two cycles.
            let (mut x, mut loaded) = ([0i8; 80], [0i8; 80]);
            let mut loading = false;
            let mut pipeline: [Option<[i32; 2]>; 3] = [None; 3];
            let mut shown = None;
            let density = pick(rng, &[60, 200, 256]);
            for cycle in 0..4000 {
                let load = cycle == 0 || (!loading && chance(rng, 60));
                loading = load;
                let mut next = x;
                if load {
                    next = match rng.next_u32() % 4 {
                        0 => [-128; 80],
                        1 => std::array::from_fn(|_| if rng.next_u32() & 1 == 0 { -128 } else { 127 }),
                        _ => std::array::from_fn(|_| rng.next_u32() as i8),
                    };
                }
                let plane = |b: usize| (0..80).map(|i| u128::from(next[i] as u8 >> b & 1) << i).sum::<u128>();
                let planes: Vec<u8> = (0..8).flat_map(|b| plane(b).to_le_bytes().into_iter().take(10)).collect();
                cells.set("dot_load_i", u64::from(load));
                let pin = cells.pins["dot_x_i"];
                cells.model.set_wide(pin, &planes);
                let valid = cycle > 1 && chance(rng, density);
                let (nz, neg) = match rng.next_u32() % 4 {
                    0 => (u128::MAX >> 48, u128::MAX >> 48),
                    1 => (u128::MAX >> 48, 0),
                    _ => {
                        let mut plane = || u128::from(rng.next_u64()) | u128::from(rng.next_u32() as u16) << 64;
                        let nz = plane();
                        (nz, nz & plane())
                    }
                };
                cells.set("dot_valid_i", u64::from(valid));
                cells.set_wide("dot_nz_i", nz);
                cells.set_wide("dot_neg_i", neg);
                cells.cycle();
                let sums = valid.then(|| [32, 80].map(|lanes| dot(&loaded, nz, neg, lanes)));
                pipeline = [sums, pipeline[0], pipeline[1]];
                // The planes of two cycles before appear as a sum after this edge.
                shown = pipeline[2].or(shown);
                loaded = x;
                if let Some(expected) = shown {
                    let sums = cells.get("dot_sum_o");
                    let found = [0, 1].map(|i| (sums >> (32 * i)) as u32 as i32);
                    assert_eq!(found, expected, "cycle {cycle}");
                }
                x = next;
            }
        });
    }
}

/// Both bodies: sums of one to eight columns appear four cycles after the planes of the last column, and stay until the next
/// ones. Extremes do not overflow into other lanes.
#[test]
fn column_products() {
    for lut in [false, true] {
        let library = library(lut);
        for_seeds(4, |seed, rng| {
            let mut cells = Cells::of(&library, seed);
            let density = pick(rng, &[60, 200, 256]);
            let (mut sums, mut column, mut columns) = ([0i16; 80], 0, 8);
            let mut pipeline: [Option<[i16; 80]>; 4] = [None; 4];
            let mut shown = None;
            let mut kind = 0;
            for cycle in 0..3000 {
                let valid = chance(rng, density);
                if column == 0 {
                    let any = 1 + below(rng, 8);
                    (columns, kind) = (pick(rng, &[8, 8, any]), rng.next_u32() % 6);
                }
                let mut plane = || u128::from(rng.next_u64()) | u128::from(rng.next_u32() as u16) << 64;
                let all = u128::MAX >> 48;
                let alternating = all / 3;
                let (nz, neg) = match kind {
                    0 => (all, all),
                    1 => (all, alternating),
                    2 => (alternating, alternating),
                    _ => {
                        let nz = plane();
                        (nz, nz & plane())
                    }
                };
                let x = if kind < 4 { pick(rng, &[-128, 127, -128, -128]) } else { rng.next_u32() as i8 };
                let flags = [("valid", valid), ("first", column == 0), ("last", column + 1 == columns)];
                flags.iter().for_each(|(name, flag)| cells.set(&format!("products_{name}_i"), u64::from(*flag)));
                cells.set("products_x_i", u64::from(x as u8));
                cells.set_wide("products_nz_i", nz);
                cells.set_wide("products_neg_i", neg);
                let mut done = None;
                if valid {
                    for (lane, sum) in sums.iter_mut().enumerate() {
                        let weight = (nz >> lane & 1) as i16 * (1 - 2 * (neg >> lane & 1) as i16);
                        *sum = if column == 0 { 0 } else { *sum } + weight * i16::from(x);
                    }
                    column = (column + 1) % columns;
                    done = (column == 0).then_some(sums);
                }
                cells.cycle();
                pipeline = [done, pipeline[0], pipeline[1], pipeline[2]];
                shown = pipeline[3].or(shown);
                if let Some(expected) = shown {
                    for (name, lanes) in [("products32_sum_o", 32), ("products80_sum_o", 80)] {
                        let bytes = cells.model.get_wide(cells.pins[name]);
                        let found: Vec<i16> = bytes.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
                        assert_eq!(found[..lanes], expected[..lanes], "{name}, cycle {cycle}");
                    }
                }
            }
        });
    }
}

/// A read stream in front of the memory model.
struct Stream {
    cells: Cells,
    memory: AxiMemory,
    bursts: usize,
}

impl Stream {
    /// Simulates one cycle. Returns the beat taken and the fault reported (code and address).
    fn cycle(&mut self, beat_ready: bool) -> (Option<u64>, Option<(u8, u64)>) {
        let cells = &mut self.cells;
        self.memory.tick();
        let (addr, len) = (cells.get("stream_ar_addr_o"), cells.get("stream_ar_len_o") as u8);
        let ar = Address { valid: cells.get("stream_ar_valid_o") != 0, addr, len, id: 0 };
        let ready = self.memory.read_address(0, ar).unwrap();
        self.bursts += usize::from(ready && ar.valid);
        let beat = self.memory.read_data(0, true).unwrap();
        cells.set("stream_ar_ready_i", u64::from(ready));
        cells.set("stream_r_valid_i", u64::from(beat.valid));
        cells.set("stream_r_last_i", u64::from(beat.last));
        cells.set("stream_r_resp_i", u64::from(beat.resp));
        if let Some(offset) = beat.offset.filter(|_| beat.valid) {
            cells.set(
                "stream_r_data_i",
                u64::from_le_bytes(self.memory.bytes()[offset..offset + 8].try_into().unwrap()),
            );
        }
        cells.set("stream_beat_ready_i", u64::from(beat_ready));
        cells.settle();
        let taken = (cells.get("stream_beat_valid_o") != 0 && beat_ready).then(|| cells.get("stream_beat_o"));
        cells.cycle();
        let fault = (cells.get("stream_fault_o") != 0)
            .then(|| (cells.get("stream_fault_code_o") as u8, cells.get("stream_fault_addr_o")));
        (taken, fault)
    }
}

/// Beats arrive in order under any stalls. Open bursts end during a halt. Faults are reported with their address.
#[test]
fn read_stream() {
    const BASE: u64 = 0x40_0000_0000;
    const BYTES: usize = 1 << 16;
    for_seeds(20, |seed, rng| {
        let mut timing = Timing::ideal(pick(rng, &[1, 5, 40]));
        timing.queue = pick(rng, &[1, 3, 8]);
        let read = (below(rng, 2) == 0).then(|| {
            let fault = [ReadFault::Response(SLVERR), ReadFault::Response(zynq_memory::DECERR), ReadFault::FlipLast]
                [below(rng, 3)];
            (0, below(rng, 500) as u64, fault)
        });
        let config = MemoryConfig {
            base: BASE,
            bytes: BYTES,
            timing,
            stall: pick(rng, &[0, 50, 200]),
            interleave: false,
            shy: false,
            late_writes: false,
            data_first: false,
            seed,
            faults: Faults { read, ..Faults::default() },
        };
        let mut memory = AxiMemory::new(config, 1, 8);
        memory.bytes().fill_with(|| rng.next_u32() as u8);
        let mut stream = Stream { cells: Cells::new(seed), memory, bursts: 0 };
        let (eager, ready) = (pick(rng, &[40, 256]), pick(rng, &[40, 150, 256]));
        let mut expected = VecDeque::new();
        let mut command: Option<(u64, u64)> = None;
        let (mut halted, mut faults) = (0, Vec::new());
        for cycle in 0..20_000 {
            if command.is_none() && cycle < 15_000 && chance(rng, eager) {
                let beats = pick(rng, &[1, 2, 15, 16, 17, 100]).min(1 + below(rng, 200));
                let first = below(rng, BYTES / 8 - beats);
                command = Some((BASE + 8 * first as u64, beats as u64));
            }
            if let Some((addr, beats)) = command {
                stream.cells.set("stream_cmd_addr_i", addr);
                stream.cells.set("stream_cmd_beats_i", beats);
            }
            stream.cells.set("stream_cmd_valid_i", u64::from(command.is_some()));
            // A halt from time to time: an announced burst is issued, and no other burst begins.
            if halted == 0 && below(rng, 500) == 0 {
                halted = 60;
                stream.bursts = 0;
            }
            halted -= usize::from(halted > 0);
            stream.cells.set("stream_halt_i", u64::from(halted > 0));
            if let Some((addr, beats)) = command.filter(|_| stream.cells.get("stream_cmd_ready_o") != 0) {
                for i in 0..beats {
                    let at = (addr - BASE + 8 * i) as usize;
                    expected.push_back(u64::from_le_bytes(stream.memory.bytes()[at..at + 8].try_into().unwrap()));
                }
                command = None;
            }
            let (beat, fault) = stream.cycle(chance(rng, ready));
            if let Some(beat) = beat {
                assert_eq!(Some(beat), expected.pop_front(), "cycle {cycle}");
            }
            faults.extend(fault);
            assert!(halted == 0 || stream.bursts <= 1, "cycle {cycle}: a burst began during a halt");
        }
        assert!(expected.is_empty(), "{} beats are missing", expected.len());
        assert_eq!(stream.cells.get("stream_quiet_o"), 1);
        let injected = read.filter(|_| stream.memory.faulted().is_some()).map(|(_, _, fault)| match fault {
            ReadFault::Response(SLVERR) => regs::ERR_READ_SLVERR,
            ReadFault::Response(_) => regs::ERR_READ_DECERR,
            ReadFault::FlipLast => regs::ERR_READ_LAST,
        });
        let injected: Vec<_> = injected.map(|code| (code, stream.memory.faulted().unwrap())).into_iter().collect();
        assert_eq!(faults, injected);
    });
}

/// The handover of an engine: a block, and its next token.
#[derive(Clone, Copy)]
struct Handover {
    block: usize,
    token: usize,
}

/// Engines finish blocks in any order; some blocks finish only after all other blocks of the window. The words leave
/// in the order of blocks and tokens, and no word is counted before it is available.
#[test]
fn collector() {
    const WINDOW: usize = 128;
    for_seeds(10, |seed, rng| {
        let mut cells = Cells::new(seed);
        let mut slot_base = 0;
        for _ in 0..6 {
            let (blocks, tokens, group) = (1 + below(rng, 300), 1 + below(rng, 8), 1 << below(rng, 4));
            let (hand_over, read) = (pick(rng, &[30, 128, 256]), pick(rng, &[30, 200, 256]));
            let value = |block: usize, token: usize| ((block * 8 + token) as u64 * 0x9e5 + seed) & 0xff_ffff;
            cells.set("collector_start_i", 1);
            cells.set("collector_blocks_i", blocks as u64);
            cells.set("collector_tokens_i", tokens as u64);
            cells.cycle();
            cells.set("collector_start_i", 0);
            // For each block the number of tokens handed over, and whether the block is finished late.
            let mut done = vec![0; blocks];
            let late: Vec<bool> = (0..blocks).map(|_| chance(rng, 40)).collect();
            let (mut engines, mut taken, mut freed) = ([None::<Handover>; 4], 0, 0);
            let mut held = 0;
            for cycle in 0.. {
                assert!(cycle < 200_000, "seed {seed}: {taken} of {} words", blocks * tokens);
                // An idle engine takes a block that no other engine has.
                for engine in 0..4 {
                    if engines[engine].is_some() || !chance(rng, hand_over) {
                        continue;
                    }
                    let taken = |block: usize| engines.iter().flatten().any(|at| at.block == block);
                    let open =
                        (freed..(freed + WINDOW).min(blocks)).filter(|block| done[*block] < tokens && !taken(*block));
                    let next = open.min_by_key(|block| (late[*block], rng.next_u32()));
                    engines[engine] = next.map(|block| Handover { block, token: done[block] });
                }
                let (mut valid, mut last, mut complete) = (0, 0, 0);
                let (mut token, mut slot, mut acc) = (0, 0, 0);
                for (engine, handover) in engines.iter().enumerate() {
                    let Some(at) = handover else { continue };
                    let first = at.token / group * group;
                    valid |= 1 << engine;
                    last |= u64::from(at.token + 1 == tokens.min(first + group)) << engine;
                    complete |= u64::from(first + group >= tokens) << engine;
                    token |= (first as u64) << (4 * engine);
                    slot |= (((slot_base + at.block) % WINDOW) as u64) << (7 * engine);
                    acc |= u128::from(value(at.block, at.token)) << (24 * engine);
                }
                cells.set("collector_valid_i", valid);
                cells.set("collector_last_i", last);
                cells.set("collector_done_i", complete);
                cells.set("collector_token_i", token);
                cells.set("collector_slot_i", slot);
                cells.set_wide("collector_acc_i", acc);
                // The writer takes only words that were counted.
                let ready_words = cells.get("collector_ready_words_o") as usize;
                let word_ready = ready_words > 0 && cells.get("collector_word_valid_o") != 0 && chance(rng, read);
                cells.set("collector_word_ready_i", u64::from(word_ready));
                cells.settle();
                let prefix = done.iter().position(|n| *n < tokens).unwrap_or(blocks) * tokens;
                assert!(
                    taken + ready_words <= prefix,
                    "seed {seed}: {ready_words} words behind {taken}, there are {prefix}"
                );
                held += usize::from(ready_words > 0 && cells.get("collector_word_valid_o") == 0);
                let ready = cells.get("collector_ready_o");
                assert!(ready.count_ones() <= 1 && ready & !valid == 0, "seed {seed}: ready {ready:#b} of {valid:#b}");
                for (engine, handover) in engines.iter_mut().enumerate() {
                    if ready >> engine & 1 != 0 {
                        let at = handover.as_mut().unwrap();
                        at.token += 1;
                        done[at.block] = at.token;
                        if last >> engine & 1 != 0 {
                            *handover = None;
                        }
                    }
                }
                if word_ready {
                    assert_eq!(cells.get("collector_same_o"), 1);
                    let (block, token) = (taken / tokens, taken % tokens);
                    assert_eq!(
                        cells.get("collector_acc_o"),
                        value(block, token),
                        "seed {seed}: block {block}, token {token}"
                    );
                    taken += 1;
                }
                freed += cells.get("collector_slot_free_o") as usize;
                assert!(freed * tokens <= taken + tokens, "seed {seed}: a slot is free before its words are read");
                cells.cycle();
                if taken == blocks * tokens {
                    break;
                }
            }
            cells.set("collector_word_ready_i", 0);
            for _ in 0..3 {
                cells.cycle();
                freed += cells.get("collector_slot_free_o") as usize;
            }
            assert_eq!(freed, blocks, "seed {seed}: slots free again");
            assert_eq!(
                (cells.get("collector_complete_o"), cells.get("collector_ready_words_o")),
                (1, 0),
                "seed {seed}"
            );
            assert!(held <= 2 * blocks, "seed {seed}: the words were counted, yet not offered in {held} cycles");
            slot_base += blocks;
        }
    });
}

/// A port may take a block if no other one has fewer, also after many blocks, and when it takes one in the cycle in which it ends another.
#[test]
fn balance() {
    for_seeds(10, |seed, rng| {
        let mut cells = Cells::new(seed);
        let mut blocks = [0u32; 4];
        let mut may = 0;
        let (mut refused, mut both) = (0, 0);
        for cycle in 0..20_000 {
            assert_eq!(cells.get("balance_may_o"), may, "seed {seed}, cycle {cycle}: {blocks:?}");
            let speed = if cycle / 1000 % 2 == 0 { [200, 200, 90, 120] } else { [40, 200, 200, 200] };
            // The dispatcher gives a block to one port at most.
            let port = below(rng, 4);
            let grant = u64::from(may >> port & 1 != 0 && blocks[port] < 33 && chance(rng, 230)) << port;
            let done: u64 = (0..4).map(|p| u64::from(blocks[p] > 0 && chance(rng, speed[p] / 4)) << p).sum();
            cells.set("balance_grant_i", grant);
            cells.set("balance_done_i", done);
            refused += u32::from(may != 0xf);
            both += u32::from(grant & done != 0);
            let least = *blocks.iter().min().unwrap();
            may = (0..4).map(|p| u64::from(blocks[p] == least) << p).sum();
            for (p, blocks) in blocks.iter_mut().enumerate() {
                *blocks = *blocks + (grant >> p & 1) as u32 - (done >> p & 1) as u32;
            }
            cells.cycle();
        }
        assert!(refused > 1000 && both > 100, "seed {seed}: {refused} and {both} cycles");
    });
}

/// Both channels at the same time, VALID before and after READY, responses that wait: each access is answered once,
/// in order.
#[test]
fn axil_slave() {
    for_seeds(10, |seed, rng| {
        let mut cells = Cells::new(seed);
        let pace = pick(rng, &[40, 128, 256]);
        let (mut aw, mut w, mut ar) = (None, None, None);
        // Accepted requests that have not been answered yet.
        let (mut addresses, mut data) = (VecDeque::new(), VecDeque::new());
        let mut reads: VecDeque<u64> = VecDeque::new();
        let (mut writes, mut read_answers) = (0, 0);
        let mut performed = VecDeque::new();
        let (mut b_waits, mut r_waits): (Option<u64>, Option<(u64, u64)>) = (None, None);
        let mut read_latency: Option<(u32, u64)> = None;
        for cycle in 0..5000 {
            let stop = cycle > 4900;
            if aw.is_none() && !stop && chance(rng, pace) {
                aw = Some(rng.next_u64() & 0xfff);
            }
            if w.is_none() && !stop && chance(rng, pace) {
                w = Some((rng.next_u64() & 0xffff_ffff, if chance(rng, 200) { 0xf } else { rng.next_u64() & 0xf }));
            }
            if ar.is_none() && !stop && chance(rng, pace) {
                ar = Some(rng.next_u64() & 0xfff);
            }
            cells.set("s_axil_awvalid", u64::from(aw.is_some()));
            cells.set("s_axil_awaddr", aw.unwrap_or(0));
            cells.set("s_axil_wvalid", u64::from(w.is_some()));
            cells.set("s_axil_wdata", w.unwrap_or((0, 0)).0);
            cells.set("s_axil_wstrb", w.unwrap_or((0, 0)).1);
            cells.set("s_axil_arvalid", u64::from(ar.is_some()));
            cells.set("s_axil_araddr", ar.unwrap_or(0));
            let (bready, rready) = (stop || chance(rng, pace), stop || chance(rng, pace));
            cells.set("s_axil_bready", u64::from(bready));
            cells.set("s_axil_rready", u64::from(rready));
            cells.settle();
            // The answer of the register file to a read takes two cycles, and stays.
            read_latency = match read_latency {
                Some((0, addr)) => {
                    cells.set("axil_read_data_i", addr * 0x1_0001);
                    None
                }
                other => other.map(|(left, addr)| (left - 1, addr)),
            };
            cells.settle();
            if cells.get("axil_write_o") != 0 {
                let strobes = cells.get("axil_write_full_o") != 0;
                performed.push_back((cells.get("axil_write_addr_o"), cells.get("axil_write_data_o"), strobes));
            }
            if cells.get("axil_read_o") != 0 {
                read_latency = Some((0, cells.get("axil_read_addr_o")));
            }
            if cells.get("s_axil_bvalid") != 0 {
                let resp = cells.get("s_axil_bresp");
                assert!(b_waits.is_none_or(|before| before == resp), "cycle {cycle}: the response changed");
                b_waits = (!bready).then_some(resp);
                if bready {
                    let (addr, (value, strobes)): (u64, (u64, u64)) =
                        (addresses.pop_front().unwrap(), data.pop_front().unwrap());
                    assert_eq!(resp, 0, "write of {addr:#x}, strobes {strobes:#x}");
                    let expected = (addr, value, strobes == 0xf);
                    assert_eq!(performed.pop_front(), Some(expected), "what the register file saw");
                    writes += 1;
                }
            } else {
                assert_eq!(b_waits, None, "cycle {cycle}: the response was withdrawn");
            }
            if cells.get("s_axil_rvalid") != 0 {
                let answer = (cells.get("s_axil_rdata"), cells.get("s_axil_rresp"));
                assert!(r_waits.is_none_or(|before| before == answer), "cycle {cycle}: the answer changed");
                r_waits = (!rready).then_some(answer);
                if rready {
                    let addr = reads.pop_front().unwrap();
                    assert_eq!(answer, (addr * 0x1_0001, 0), "read of {addr:#x}");
                    read_answers += 1;
                }
            } else {
                assert_eq!(r_waits, None, "cycle {cycle}: the answer was withdrawn");
            }
            if cells.get("s_axil_awready") != 0 {
                addresses.extend(aw.take());
            }
            if cells.get("s_axil_wready") != 0 {
                data.extend(w.take());
            }
            if cells.get("s_axil_arready") != 0 {
                reads.extend(ar.take());
            }
            cells.cycle();
        }
        assert!(performed.is_empty() && reads.is_empty(), "accesses without an answer");
        assert!(addresses.is_empty() || data.is_empty(), "writes without an answer");
        assert!(writes > 100 && read_answers > 100, "{writes} writes, {read_answers} reads");
    });
}

/// The AXI checker alone, for two 64-bit ports.
fn checker() -> Cells {
    let spec = testbench::model::spec("tmv_axi_checker", Trace::Off).unwrap().param("Ports", 2).param("PortBits", 64);
    let mut cells = Cells::of(&common::model(&spec), 1);
    cells.set("m_axi_rready", 3);
    cells.set("m_axi_bready", 1);
    cells.reset();
    cells.cycle();
    cells
}

/// Values of pins in successive cycles. A pin keeps its value until it is set again.
type Script<'a> = &'a [&'a [(&'a str, u64)]];

/// Every rule of the bound checker fires when it is broken, and does not fire when it is kept.
#[test]
fn every_rule_is_alive() {
    fn said(script: Script<'_>) -> Option<String> {
        let mut cells = checker();
        for pins in script {
            pins.iter().for_each(|(name, value)| cells.set(name, *value));
            if let Err(error) = cells.model.cycle() {
                return Some(error.to_string());
            }
        }
        None
    }
    const AR: (&str, u64) = ("m_axi_arvalid", 1);
    const AW: (&str, u64) = ("m_axi_awvalid", 1);
    const W: (&str, u64) = ("m_axi_wvalid", 1);
    let kept: [Script<'_>; 4] = [
        &[
            &[AR, ("m_axi_araddr", 0xf80), ("m_axi_arlen", 15)],
            &[],
            &[("m_axi_arready", 1)],
            &[("m_axi_arvalid", 0)],
            &[("m_axi_rvalid", 1)],
        ],
        &[
            &[AW, ("m_axi_awlen", 1)],
            &[W],
            &[("m_axi_awready", 1)],
            &[("m_axi_awvalid", 0), ("m_axi_wready", 1)],
            &[("m_axi_wlast", 1)],
            &[("m_axi_wvalid", 0), ("m_axi_bvalid", 1)],
        ],
        &[
            &[("s_axil_awvalid", 1), ("s_axil_awready", 1), ("s_axil_wvalid", 1), ("s_axil_wready", 1)],
            &[("s_axil_awvalid", 0), ("s_axil_wvalid", 0), ("s_axil_bvalid", 1)],
            &[],
            &[("s_axil_bready", 1)],
        ],
        &[
            &[("s_axil_arvalid", 1), ("s_axil_arready", 1)],
            &[("s_axil_arvalid", 0), ("s_axil_rvalid", 1)],
            &[],
            &[("s_axil_rready", 1)],
        ],
    ];
    for script in kept {
        assert_eq!(said(script), None, "{script:?}");
    }
    let broken: &[(&str, Script<'_>)] = &[
        ("AXI_ERRM_ARVALID_STABLE", &[&[AR], &[("m_axi_arvalid", 0)]]),
        ("AXI_ERRM_AR_STABLE", &[&[AR], &[("m_axi_araddr", 64)]]),
        ("AXI_ERRM_AR_STABLE", &[&[AR], &[("m_axi_arlen", 1)]]),
        ("AXI_ERRM_AR_STABLE", &[&[AR], &[("m_axi_arid", 1)]]),
        ("AXI_ERRM_ARLEN_AXI3", &[&[AR, ("m_axi_arlen", 16)]]),
        ("AXI_ERRM_ARADDR_BOUNDARY", &[&[AR, ("m_axi_araddr", 0xf88), ("m_axi_arlen", 15)]]),
        ("AXI_ERRM_ARADDR_ALIGN", &[&[AR, ("m_axi_araddr", 4)]]),
        ("AXI_ERRS_RVALID_UNASKED", &[&[("m_axi_rvalid", 1)]]),
        ("AXI_ERRS_RVALID_UNASKED", &[&[AR, ("m_axi_arready", 3)], &[("m_axi_arvalid", 0), ("m_axi_rvalid", 1)], &[]]),
        ("AXI_ERRS_RVALID_UNASKED", &[&[AR, ("m_axi_arready", 3)], &[("m_axi_arvalid", 0), ("m_axi_rvalid", 2)]]),
        ("AXI_ERRS_RRESP_EXOKAY", &[&[AR, ("m_axi_arready", 3)], &[("m_axi_rvalid", 1), ("m_axi_rresp", 1)]]),
        ("AXI_ERRM_AWVALID_STABLE", &[&[AW], &[("m_axi_awvalid", 0)]]),
        ("AXI_ERRM_AW_STABLE", &[&[AW], &[("m_axi_awaddr", 64)]]),
        ("AXI_ERRM_AW_STABLE", &[&[AW], &[("m_axi_awlen", 3)]]),
        ("AXI_ERRM_AWLEN_AXI3", &[&[AW, ("m_axi_awlen", 16)]]),
        ("AXI_ERRM_AWADDR_BOUNDARY", &[&[AW, ("m_axi_awaddr", 0x1fc0), ("m_axi_awlen", 8)]]),
        ("AXI_ERRM_AWADDR_ALIGN", &[&[AW, ("m_axi_awaddr", 1)]]),
        ("TMV_W_ANNOUNCED", &[&[W, ("m_axi_wlast", 1)]]),
        ("AXI_ERRM_WVALID_STABLE", &[&[AW, ("m_axi_awlen", 1)], &[W], &[("m_axi_wvalid", 0)]]),
        ("AXI_ERRM_W_STABLE", &[&[AW, ("m_axi_awlen", 1)], &[W], &[("m_axi_wdata", 1)]]),
        ("AXI_ERRM_WLAST", &[&[AW, ("m_axi_awlen", 1)], &[W, ("m_axi_wlast", 1)]]),
        ("AXI_ERRM_WLAST", &[&[AW], &[W]]),
        ("AXI_ERRS_BVALID_UNASKED", &[&[("m_axi_bvalid", 1)]]),
        ("AXI_ERRS_BVALID_UNASKED", &[&[AW, ("m_axi_awready", 1)], &[("m_axi_awvalid", 0), ("m_axi_bvalid", 1)]]),
        (
            "AXI_ERRS_BRESP_EXOKAY",
            &[
                &[AW, W, ("m_axi_wlast", 1), ("m_axi_awready", 1), ("m_axi_wready", 1)],
                &[("m_axi_awvalid", 0), ("m_axi_wvalid", 0), ("m_axi_bvalid", 1), ("m_axi_bresp", 1)],
            ],
        ),
        ("TMV_READY_HIGH", &[&[("m_axi_rready", 1)]]),
        ("TMV_READY_HIGH", &[&[("m_axi_bready", 0)]]),
        ("AXI_ERRM_VALID_RESET", &[&[("rst_ni", 0)], &[("rst_ni", 1), AR]]),
        ("AXI4LITE_ERRS_VALID_RESET", &[&[("rst_ni", 0)], &[("rst_ni", 1), ("s_axil_bvalid", 1)]]),
        ("AXI4LITE_ERRS_BVALID_UNASKED", &[&[("s_axil_bvalid", 1)]]),
        (
            "AXI4LITE_ERRS_BVALID_UNASKED",
            &[&[("s_axil_awvalid", 1), ("s_axil_awready", 1)], &[("s_axil_awvalid", 0), ("s_axil_bvalid", 1)]],
        ),
        (
            "AXI4LITE_ERRS_B_STABLE",
            &[
                &[("s_axil_awvalid", 1), ("s_axil_awready", 1), ("s_axil_wvalid", 1), ("s_axil_wready", 1)],
                &[("s_axil_awvalid", 0), ("s_axil_wvalid", 0), ("s_axil_bvalid", 1)],
                &[("s_axil_bresp", 2)],
            ],
        ),
        ("AXI4LITE_ERRS_RVALID_UNASKED", &[&[("s_axil_rvalid", 1)]]),
        (
            "AXI4LITE_ERRS_R_STABLE",
            &[
                &[("s_axil_arvalid", 1), ("s_axil_arready", 1)],
                &[("s_axil_arvalid", 0), ("s_axil_rvalid", 1)],
                &[("s_axil_rdata", 1)],
            ],
        ),
        (
            "AXI4LITE_ERRS_R_STABLE",
            &[
                &[("s_axil_arvalid", 1), ("s_axil_arready", 1)],
                &[("s_axil_arvalid", 0), ("s_axil_rvalid", 1)],
                &[("s_axil_rvalid", 0)],
            ],
        ),
    ];
    for (rule, script) in broken {
        let said = said(script).unwrap_or_else(|| panic!("{rule} is dead: {script:?}"));
        assert!(said.contains(rule), "{rule}: {said}");
    }
    // Each rule has a script that breaks it.
    let source = std::fs::read_to_string(rtl::dir().join("tb/tmv_axi_checker.sv")).unwrap();
    for rule in source.split("$error(\"").skip(1).map(|text| text.split(':').next().unwrap()) {
        assert!(broken.iter().any(|(name, _)| *name == rule), "no test breaks {rule}");
    }
}
