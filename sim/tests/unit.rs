//! The Verilated unit against golden, through the driver: shapes, stalls, power-up states, whole checkpoints.
#![allow(clippy::unwrap_used)]

mod common;

use std::ops::Range;
use std::path::Path;

use bitnet::BackendError;
use bitnet::checkpoint::Checkpoint;
use bitnet::layer::{CpuBackend, MatvecRequest, TernaryBackend};
use bitnet::model::Model as Decoder;
use bitnet::weights::WeightSource;
use common::{
    BASE3, BASE3_NARROW, DEFAULT, EIGHT, NARROW, Random, SMALLEST, activations, below, for_seeds, pick, restless,
    ternary,
};
use golden::{Codec, Dtype, Layout, TernaryMatrix};
use rand_core::{Rng, SeedableRng};
use testbench::device::VerilatedDevice;
use tmv::config::UnitConfig;
use tmv::counters::PortCounters;
use tmv::descriptor::Selection;
use tmv::device::{Device, DeviceError};
use tmv::driver::{Driver, RunResult, Weights};
use tmv::info::UnitInfo;
use tmv::regs;
use verilated::{Model, PowerUp, Trace, VerilatedContext};
use zynq_memory::MemoryConfig;

type Unit = Driver<VerilatedDevice>;

/// A unit that ignores the driver's soft reset, so that the first run starts from the power-up state.
struct AsPoweredUp(VerilatedDevice);

impl Device for AsPoweredUp {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        self.0.read_register(offset)
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        if (offset, value) == (regs::CONTROL, regs::CONTROL_SOFT_RESET) {
            return Ok(());
        }
        self.0.write_register(offset, value)
    }

    fn memory_base(&self) -> u64 {
        self.0.memory_base()
    }

    fn memory(&mut self) -> &mut [u8] {
        self.0.memory()
    }

    fn wait_interrupt(&mut self) -> Result<(), DeviceError> {
        self.0.wait_interrupt()
    }
}

/// Matrices that share activations, and the activations.
struct Job {
    matrices: Vec<TernaryMatrix>,
    /// Layout and selection of each.
    kinds: Vec<(Layout, Selection)>,
    x: Vec<i8>,
    tokens: usize,
}

impl Job {
    fn random(rng: &mut Random, unit: &UnitConfig) -> Self {
        let lanes = unit.info().lanes();
        let cols = match rng.next_u32() % 6 {
            0 => 1 + below(rng, 8),
            1 => lanes * (1 + below(rng, 5)),
            2 => lanes * (1 + below(rng, 5)) - 1,
            3 => lanes * (1 + below(rng, 5)) + 1,
            _ => 1 + below(rng, 12 * lanes),
        };
        let operators = pick(rng, &[1, 1, 2, 3, 6]);
        let rows = |rng: &mut Random| match rng.next_u32() % 4 {
            0 => 1 + below(rng, 8),
            1 => 8 * (1 + below(rng, 16)),
            _ => 1 + below(rng, 130),
        };
        let matrices = (0..operators).map(|_| {
            let rows = rows(rng);
            ternary(rng, rows, cols)
        });
        let matrices: Vec<TernaryMatrix> = matrices.collect();
        let any = 1 + below(rng, 2 * unit.max_tokens() + 1);
        let tokens = pick(rng, &[1, unit.vectors, unit.vectors + 1, unit.max_tokens(), any]);
        let x = activations(rng, tokens * cols);
        let layouts = [Layout::Blocks, Layout::Rows];
        let kinds = matrices.iter().map(|_| (pick(rng, &layouts), Selection::All)).collect();
        Self { matrices, kinds, x, tokens }
    }

    /// Operators of one token, of which some record and some skip.
    fn selecting(rng: &mut Random, unit: &UnitConfig) -> Self {
        let lanes = unit.info().lanes();
        let cols = pick(rng, &[3, lanes, 2 * lanes + 5, 16 * lanes, 17 * lanes, 33 * lanes - 1]);
        // More than the window of unwritten results, or long rows.
        let rows = if cols > 3 * lanes { pick(rng, &[1, 9, 40, 67]) } else { pick(rng, &[1, 8, 67, 200, 530]) };
        let first = ternary(rng, rows, cols);
        let (mut job, mut records) = (Self::plain(vec![first], activations(rng, cols), 1), 1);
        job.kinds[0].1 = Selection::Record;
        let zeros = pick(rng, &[0, 20, 128, 250, 256]);
        job.x.iter_mut().for_each(|x| *x = if below(rng, 256) < zeros { 0 } else { *x });
        for _ in 0..1 + below(rng, 5) {
            let selection = pick(rng, &[Selection::All, Selection::Record, Selection::Skip, Selection::SkipOlder]);
            let selection = if records < 2 && selection == Selection::SkipOlder { Selection::Skip } else { selection };
            records += usize::from(selection == Selection::Record);
            let layout = match selection {
                Selection::Skip | Selection::SkipOlder => Layout::Rows,
                Selection::Record => pick(rng, &[Layout::Blocks, Layout::Rows]),
                Selection::All => pick(rng, &[Layout::Blocks, Layout::Rows, Layout::Columns, Layout::Columns]),
            };
            job.matrices.push(ternary(rng, rows, cols));
            job.kinds.push((layout, selection));
        }
        job
    }

    fn of(rows: usize, cols: usize, weight: i8, x: i8, tokens: usize) -> Self {
        let matrix = TernaryMatrix::from_rows(rows, cols, &vec![weight; rows * cols]).unwrap();
        Self::plain(vec![matrix], vec![x; tokens * cols], tokens)
    }

    /// Row blocks, all rows.
    fn plain(matrices: Vec<TernaryMatrix>, x: Vec<i8>, tokens: usize) -> Self {
        Self { kinds: vec![(Layout::Blocks, Selection::All); matrices.len()], matrices, x, tokens }
    }

    /// Expected results of each operator, and which rows or columns it reads, if it skips some.
    fn expected(&self) -> Vec<(Vec<i32>, Option<Vec<bool>>)> {
        let mut records: Vec<Vec<bool>> = Vec::new();
        let one = |(matrix, (layout, selection)): (&TernaryMatrix, &(Layout, Selection))| {
            let mut y = golden::matvec::reference(matrix, &self.x);
            if *layout == Layout::Columns {
                return (y, Some(self.x.iter().map(|x| *x != 0).collect()));
            }
            let read = match selection {
                Selection::Skip => Some(records[records.len() - 1].clone()),
                Selection::SkipOlder => Some(records[records.len() - 2].clone()),
                _ => None,
            };
            let skipped = read.iter().flatten().zip(&mut y).filter(|(read, _)| !**read);
            skipped.for_each(|(_, y)| *y = 0);
            if *selection == Selection::Record {
                records.push(y.iter().map(|y| *y > 0).collect());
            }
            (y, read)
        };
        self.matrices.iter().zip(&self.kinds).map(one).collect()
    }

    /// Loads the matrices, runs them `times` times and compares every result with golden.
    fn check<D: Device>(&self, driver: &mut Driver<D>, times: usize) -> Vec<RunResult> {
        let kinds = self.matrices.iter().zip(&self.kinds);
        let weights: Vec<_> = kinds.map(|(m, (layout, of))| driver.load_in(*layout, m).unwrap().with(*of)).collect();
        let expected = self.expected();
        let runs: Vec<_> = (0..times).map(|_| driver.run(&weights, &self.x, self.tokens).unwrap()).collect();
        for (run, result) in runs.iter().enumerate() {
            for (index, (matrix, result)) in self.matrices.iter().zip(&result.operators).enumerate() {
                let (rows, cols) = (matrix.rows(), matrix.cols());
                let kind = self.kinds[index];
                let what = format!("run {run}, operator {index}, [{rows}, {cols}], {} tokens, {kind:?}", self.tokens);
                let (expected, read) = &expected[index];
                let passes = self.tokens.div_ceil(driver.info().max_tokens());
                let read = read.as_ref().map(|read| read.iter().filter(|read| **read).count());
                let (rows_read, columns_read) = match read {
                    Some(read) if kind.0 == Layout::Columns => (rows, read),
                    Some(read) => (read, cols),
                    None => (passes * rows, passes * cols),
                };
                let found = (result.rows_read, result.columns_read);
                assert_eq!(found, (rows_read as u64, columns_read as u64), "{what}: rows and columns read");
                if let Some(i) = (0..expected.len()).find(|i| expected[*i] != result.accumulators[*i]) {
                    let (want, got) = (expected[i], result.accumulators[i]);
                    panic!("{what}: row {} of token {}: expected {want}, got {got}", i % rows, i / rows);
                }
                assert_eq!(expected.len(), result.accumulators.len(), "{what}");
            }
            self.check_counters(driver.info(), &weights, &expected, result);
        }
        runs
    }

    /// Checks the counters: in each pass, every weight beat is read once, bursts end at multiples of 16 beats, and each
    /// group of vectors consumes every beat once. Of an operator that skips rows or columns, the last block is filled up with
    /// its last one. Single rows and columns are read in pieces of 16 beats.
    fn check_counters(
        &self,
        unit: &UnitInfo,
        weights: &[Weights],
        expected: &[(Vec<i32>, Option<Vec<bool>>)],
        run: &RunResult,
    ) {
        let line = (16 * unit.port_bytes) as u64;
        let pieces = || {
            weights.iter().zip(expected).flat_map(|(w, (_, read))| {
                let mut all: Vec<Range<u64>> = w.blocks(unit.port_bytes).collect();
                if let Some(read) = read {
                    let mut read = read.iter();
                    all.retain(|_| read.next() == Some(&true));
                    let last = all.last().cloned().unwrap_or_default();
                    all.resize(all.len().next_multiple_of(8), last);
                }
                let cut = move |block: Range<u64>| {
                    let bytes = if w.layout() == Layout::Blocks { block.end - block.start } else { line };
                    block.clone().step_by(bytes as usize).map(move |at| at..block.end.min(at + bytes))
                };
                all.into_iter().flat_map(cut)
            })
        };
        let beats: u64 = pieces().map(|piece| (piece.end - piece.start) / unit.port_bytes as u64).sum();
        let bursts: u64 = pieces().map(|piece| piece.end.div_ceil(line) - piece.start / line).sum();
        let most = unit.max_tokens();
        let passes = self.tokens.div_ceil(most) as u64;
        let pass = |first: usize| most.min(self.tokens - first).div_ceil(unit.vectors) as u64;
        let groups: u64 = (0..self.tokens).step_by(most).map(pass).sum();
        let sum = |of: fn(&PortCounters) -> u32| run.ports.iter().map(|p| u64::from(of(p))).sum::<u64>();
        let expected = (passes * beats, passes * bursts, groups * beats);
        assert_eq!((sum(|p| p.beats), sum(|p| p.bursts), sum(|p| p.busy)), expected, "beats, bursts, busy");
        for port in &run.ports {
            assert!(u64::from(port.busy) + port.stalls() <= run.cycles, "{port:?} in {} cycles", run.cycles);
        }
    }
}

fn open(unit: &UnitConfig, memory: MemoryConfig) -> Unit {
    Driver::open(common::device(unit, memory)).unwrap()
}

/// Random operators under random stalls. Each run is repeated or not, and matrices are loaded between runs.
fn random_operators(unit: &UnitConfig, seeds: u64) {
    for_seeds(seeds, |_, rng| {
        let mut driver = open(unit, restless(rng));
        for _ in 0..3 {
            let times = pick(rng, &[1, 2]);
            let job = if rng.next_u32() % 3 == 0 { Job::selecting(rng, unit) } else { Job::random(rng, unit) };
            job.check(&mut driver, times);
            if rng.next_u32() & 1 == 0 {
                driver.unload();
            }
        }
    });
}

#[test]
fn random_operators_default() {
    random_operators(&DEFAULT, 60);
}

#[test]
fn random_operators_smallest() {
    random_operators(&SMALLEST, 40);
}

#[test]
fn random_operators_narrow() {
    random_operators(&NARROW, 60);
}

#[test]
fn random_operators_of_base3_units() {
    random_operators(&BASE3, 60);
    random_operators(&BASE3_NARROW, 40);
}

/// Parameters that no board has: ports and vectors that are no powers of two, most ports, most groups, most vectors.
#[test]
fn random_operators_of_odd_units() {
    let odd = |ports, port_bits, vectors, groups, codec| UnitConfig { ports, port_bits, vectors, groups, codec };
    for unit in [
        odd(3, 64, 3, 2, Codec::WeightsBase3),
        odd(8, 64, 1, 8, Codec::Weights2b),
        odd(5, 64, 8, 1, Codec::Weights2b),
        odd(7, 64, 5, 1, Codec::WeightsBase3),
        odd(1, 128, 1, 4, Codec::WeightsBase3),
    ] {
        random_operators(&unit, 12);
    }
}

/// Rows of one beat: the result of a block is due every eight beats, so the engines wait for the collector.
#[test]
fn rows_of_one_beat() {
    for unit in [DEFAULT, SMALLEST, NARROW, BASE3, BASE3_NARROW] {
        let lanes = unit.info().lanes();
        for_seeds(4, |_, rng| {
            let mut driver = open(&unit, restless(rng));
            for tokens in 1..=unit.max_tokens() {
                let (rows, cols) = (1 + below(rng, 300), 1 + below(rng, lanes));
                let x = activations(rng, tokens * cols);
                Job::plain(vec![ternary(rng, rows, cols), ternary(rng, 9, cols)], x, tokens).check(&mut driver, 1);
                driver.unload();
            }
        });
    }
}

/// The extremes of shape and value, at full speed and with stalls on every channel.
#[test]
fn extremes() {
    for unit in [DEFAULT, SMALLEST, NARROW, BASE3, BASE3_NARROW] {
        let (lanes, vectors) = (unit.info().lanes(), unit.max_tokens());
        let longest = unit.info().max_in_features();
        for stall in [0, 200] {
            let mut driver = open(&unit, MemoryConfig { stall, ..common::memory() });
            for job in [
                Job::of(1, 1, 1, 1, 1),
                Job::of(1, 1, -1, -128, 1),
                Job::of(16, 4 * lanes, -1, -128, vectors),
                Job::of(16, 4 * lanes, -1, 127, vectors),
                Job::of(16, 4 * lanes, 1, -128, vectors),
                Job::of(16, 4 * lanes, 0, -128, vectors),
                Job::of(9, longest, -1, -128, 1),
                Job::of(9, longest, 1, -128, 1),
                Job::of(1, longest, 1, 127, vectors),
                Job::of(700, 1, -1, -128, vectors),
                Job::of(2, 3 * lanes, 1, 5, 5 * vectors + 1),
            ] {
                job.check(&mut driver, 1);
                driver.unload();
            }
        }
    }
}

/// A unit for rows so long that a sum does not fit 22 bits: the sign is extended from the highest bit of 24.
#[test]
fn sums_of_the_longest_rows() {
    let unit = UnitConfig { ports: 1, vectors: 1, groups: 1, ..BASE3 };
    let spec = testbench::model::unit_spec(&unit, Trace::Off).unwrap().param("BankWords", 512);
    let device = VerilatedDevice::new(&common::model(&spec), &VerilatedContext::default(), &unit, common::memory());
    let mut driver = Driver::open(device.unwrap()).unwrap();
    let longest = driver.info().max_in_features();
    assert!(128 * longest > 1 << 22, "{longest} activations");
    for (weight, value) in [(1, -128), (-1, -128), (1, 127), (-1, 127)] {
        for cols in [longest, (1 << 21) / 128 + 3] {
            Job::of(9, cols, weight, value, 1).check(&mut driver, 1);
            driver.unload();
        }
    }
}

/// Long rows, and many of them, before short ones: every bit of each length register changes.
#[test]
fn long_before_short() {
    for unit in [DEFAULT, BASE3, EIGHT] {
        let lanes = unit.info().lanes();
        let mut driver = open(&unit, MemoryConfig { bytes: 8 << 20, ..common::memory() });
        let mut rng = Random::seed_from_u64(2);
        for (rows, cols, tokens) in
            [(520, (unit.bank_words() - 1) * lanes, 1), (1, 1, 1), (600, 31 * lanes, unit.max_tokens()), (9, 5, 2)]
        {
            let (matrix, x) = (ternary(&mut rng, rows, cols), activations(&mut rng, tokens * cols));
            Job::plain(vec![matrix], x, tokens).check(&mut driver, 1);
            driver.unload();
        }
    }
}

/// The state that reset does not clear must influence neither results nor cycle counts.
#[test]
fn power_up_state_is_irrelevant() {
    let states = [PowerUp::Zeros, PowerUp::Ones, PowerUp::Random, PowerUp::Random, PowerUp::Random];
    for unit in [DEFAULT, NARROW, BASE3] {
        let library = common::unit(&unit);
        for_seeds(4, |seed, rng| {
            let memory = restless(rng);
            let jobs: Vec<Job> = (0..3).map(|_| Job::random(rng, &unit)).collect();
            // The cycle counter starts anywhere: ends count from the first one.
            let from_first = |mut run: RunResult| {
                let first = run.operators[0].ends[0];
                run.operators.iter_mut().flat_map(|op| &mut op.ends).for_each(|end| *end = end.wrapping_sub(first));
                run
            };
            let mut outcomes = states.iter().enumerate().map(|(i, power_up)| {
                let device = common::device_of(&library, &unit, memory.clone(), *power_up, seed + i as u64);
                let mut driver = Driver::open(AsPoweredUp(device)).unwrap();
                let runs = jobs.iter().flat_map(|job| job.check(&mut driver, 2)).map(from_first);
                (runs.collect::<Vec<_>>(), driver.device().0.cycles())
            });
            let first = outcomes.next().unwrap();
            outcomes.enumerate().for_each(|(i, other)| assert!(first == other, "{:?} differs", states[i + 1]));
        });
    }
}

/// The bodies of modules for synthesis give the same results in the same cycles as the bodies for simulation.
#[test]
fn synthesised_bodies() {
    let unit = UnitConfig { codec: Codec::WeightsBase3, ..SMALLEST };
    let mut spec = testbench::model::unit_spec(&unit, Trace::Off).unwrap();
    spec.defines.insert("TMV_LUT_BODIES".into(), "1".into());
    spec.label += ", bodies for LUTs";
    let (lut, plain) = (common::model(&spec), common::unit(&unit));
    for_seeds(16, |seed, rng| {
        let selecting = seed % 2 == 0;
        let job = if selecting { Job::selecting(rng, &unit) } else { Job::random(rng, &unit) };
        let memory = restless(rng);
        let run = |library| {
            let device = common::device_of(library, &unit, memory.clone(), PowerUp::Random, seed);
            job.check(&mut Driver::open(device).unwrap(), 1)
        };
        assert_eq!(run(&lut), run(&plain));
    });
}

/// Verilator must merge the functions of all ports, because otherwise the simulation is half as fast. The merged
/// functions have the name of the port they were generated for.
#[test]
fn ports_share_their_code() {
    for unit in [DEFAULT, BASE3] {
        let library = std::fs::read(common::unit(&unit).path()).unwrap();
        let names = |port: usize| format!("nba_sequent__TOP__tmv_unit__DOT__gen_port__BRA__{port}__").into_bytes();
        let found = (0..unit.ports).filter(|port| {
            let name = names(*port);
            library.windows(name.len()).any(|window| window == name)
        });
        assert_eq!(found.collect::<Vec<_>>(), [0], "{unit:?}: see docs/adr/0018-rtl-that-simulates-fast.md");
    }
}

/// The bound assertions are active. EXOKAY, which the unit itself ignores, ends the simulation.
#[test]
fn canary() {
    use zynq_memory::ReadFault;
    for unit in [DEFAULT, SMALLEST, NARROW, BASE3, BASE3_NARROW] {
        let mut driver = open(&unit, common::memory());
        driver.device().axi_memory().faults().read = Some((0, 2, ReadFault::Response(1)));
        let weights = driver.load(&ternary(&mut Random::seed_from_u64(1), 8, 64)).unwrap();
        let error = driver.run(&[weights], &[1; 64], 1).unwrap_err();
        assert!(error.to_string().contains("AXI_ERRS_RRESP_EXOKAY"), "the bound checkers are dead: {error}");
    }
}

/// The assertions inside modules are active too: here, for a stream whose addresses have the ID of the other stream.
#[test]
fn canary_inside() {
    let spec = testbench::model::spec("tmv_read_mux", Trace::Off).unwrap();
    let mut model = Model::new(&common::model(&spec), &VerilatedContext::default()).unwrap();
    for (name, value) in [("rst_ni", 1), ("ar_ready_i", 1), ("r_valid_i", 0), ("ar_valid_i", 1)] {
        let pin = model.pin(name).unwrap();
        model.set(pin, value);
    }
    let ar = model.pin("ar_i").unwrap();
    model.set_bytes(ar, 0, &[0xff; 12]);
    assert!(model.cycle().unwrap_err().to_string().contains("IdIsStream"));
    assert!(model.cycle().is_err(), "a stopped model stays stopped");
}

/// A backend that computes each product on the unit and on golden, and compares the results.
struct Both<'a>(&'a mut Unit, usize);

impl TernaryBackend for Both<'_> {
    fn matvec(&mut self, request: &MatvecRequest<'_>) -> Result<Vec<Vec<i32>>, BackendError> {
        self.0.unload();
        let load = |(_, w): &(_, &bitnet::weights::BitLinearWeights)| self.0.load(&w.ternary.planes());
        let weights = request.operators.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let run = self.0.run(&weights, request.x_q, request.tokens)?;
        let found: Vec<Vec<i32>> = run.operators.into_iter().map(|op| op.accumulators).collect();
        let expected = CpuBackend.matvec(request)?;
        for (((linear, _), found), expected) in request.operators.iter().zip(&found).zip(&expected) {
            assert_eq!(found, expected, "layer {}, {}", request.layer, linear.name());
            self.1 += found.len();
        }
        Ok(found)
    }
}

/// Every layer of the small checkpoints: the prompt, then one more token.
#[test]
fn checkpoints() {
    let prompt = [318, 2, 282, 0, 1, 7];
    for (folder, dtype, unit) in [
        ("tiny-online", Dtype::Fp32, DEFAULT),
        ("tiny-packed", Dtype::Bf16, NARROW),
        ("tiny-packed-sharded", Dtype::Fp32, SMALLEST),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(folder);
        let source = Checkpoint::open(path).unwrap();
        let mut driver = open(&unit, common::memory());
        let mut both = Both(&mut driver, 0);
        let mut through_unit = Decoder::new(&source, dtype);
        let mut on_cpu = Decoder::new(&source, dtype);
        for ids in [&prompt[..], &[188]] {
            let found = through_unit.forward(ids, &mut both, &mut ()).unwrap();
            assert_eq!(found, on_cpu.forward(ids, &mut CpuBackend, &mut ()).unwrap(), "{folder}");
        }
        let c = source.config();
        let rows = 2 * c.hidden_size + 2 * c.kv_dim() + 2 * c.intermediate_size + c.hidden_size;
        assert_eq!(both.1, c.num_hidden_layers * rows * (prompt.len() + 1), "{folder}: outputs checked");
    }
}
