//! Simulation speed of the default unit: `cargo run -p sim --example speed -- [rows] [cols] [tokens] [codec]`.
//!
//! The program runs one operator on the ideal memory, checks it against golden, and prints simulated cycles per
//! second of CPU time of one thread.

use anyhow::{Context, ensure};
use golden::TernaryMatrix;
use program::console::{print, tell};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use testbench::clock::{ThreadClock, cycles_per_second};
use testbench::device::VerilatedDevice;
use testbench::model;
use tmv::config::UnitConfig;
use tmv::driver::Driver;
use verilated::{Trace, VerilatedContext};
use zynq_memory::{Faults, MemoryConfig, Timing};

fn main() -> anyhow::Result<()> {
    let codec = std::env::args().nth(4).map_or(Ok(golden::Codec::default()), |name| name.parse())?;
    let mut sizes = std::env::args().skip(1).take(3).map(|arg| arg.parse::<usize>());
    let mut next = |default| sizes.next().unwrap_or(Ok(default)).context("sizes are numbers");
    let (rows, cols, tokens) = (next(6912)?, next(2560)?, next(3)?);

    let unit = UnitConfig { ports: 4, port_bits: 128, vectors: 4, groups: 2, codec };
    let library = model::build(&unit, Trace::Off, &mut |step| tell(step))?;
    let memory = MemoryConfig {
        base: 0x1000_0000,
        bytes: 64 << 20,
        timing: Timing::ideal(40),
        stall: 0,
        interleave: false,
        shy: false,
        late_writes: false,
        data_first: false,
        seed: 1,
        faults: Faults::default(),
    };
    let device = VerilatedDevice::new(&library, &VerilatedContext::default(), &unit, memory)?;
    let mut driver = Driver::open(device)?;

    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut plane = || (0..rows * cols.div_ceil(64)).map(|_| rng.next_u64()).collect::<Vec<_>>();
    let (nz, neg) = (plane(), plane());
    let matrix = TernaryMatrix::from_planes(rows, cols, nz, neg).context("planes have the matrix' size")?;
    let x: Vec<i8> = (0..tokens * cols).map(|_| rng.next_u32() as i8).collect();

    let weights = driver.load(&matrix)?;
    let (before, clock) = (driver.device().cycles(), ThreadClock::start());
    let run = driver.run(&[weights], &x, tokens)?;
    let (cycles, cpu) = (driver.device().cycles() - before, clock.seconds());
    ensure!(run.operators[0].accumulators == golden::matvec::matvec(&matrix, &x), "outputs differ from golden");
    let ideal = unit.ideal_cycles(rows, cols, tokens);
    let share = run.cycles as f64 / ideal as f64;
    print(&format!(
        "{rows} x {cols}, {tokens} tokens: {} cycles, {share:.4} of ideal\n\
         {cycles} cycles simulated in {cpu:.3} s of CPU: {:.2} M cycles/s\n",
        run.cycles,
        cycles_per_second(cycles, cpu) / 1e6
    ))?;
    Ok(())
}
