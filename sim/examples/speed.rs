//! How fast the default unit simulates: `cargo run -p sim --example speed -- [rows] [cols] [tokens] [codec]`.
//!
//! One operator on the ideal memory, checked against golden; cycles per second of thread CPU time, one thread.

use anyhow::{Context, ensure};
use golden::TernaryMatrix;
use host::driver::Driver;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use sim::device::VerilatedDevice;
use sim::memory::{Faults, MemoryConfig, Timing};
use sim::unit::UnitConfig;
use verilated::{Trace, VerilatedContext};

fn main() -> anyhow::Result<()> {
    let codec = std::env::args().nth(4).map_or(Ok(golden::Codec::default()), |name| name.parse())?;
    let mut sizes = std::env::args().skip(1).take(3).map(|arg| arg.parse::<usize>());
    let mut next = |default| sizes.next().unwrap_or(Ok(default)).context("sizes are numbers");
    let (rows, cols, tokens) = (next(6912)?, next(2560)?, next(3)?);

    let unit = UnitConfig { ports: 4, port_bits: 128, vectors: 4, groups: 2, codec };
    let library = verilated::build(&unit.spec(Trace::Off), &mut |step| eprintln!("{step}"))?;
    let memory = MemoryConfig {
        base: 0x1000_0000,
        bytes: 64 << 20,
        timing: Timing::ideal(40),
        stall: 0,
        interleave: false,
        shy: false,
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
    let (cycles, cpu) = (driver.device().cycles(), cpu_seconds());
    let run = driver.run(&[weights], &x, tokens)?;
    let (cycles, cpu) = (driver.device().cycles() - cycles, cpu_seconds() - cpu);
    ensure!(run.operators[0].accumulators == golden::matvec::matvec(&matrix, &x), "outputs differ from golden");
    let ideal = unit.ideal_cycles(rows, cols, tokens);
    println!(
        "{rows} x {cols}, {tokens} tokens: {} cycles, {:.4} of ideal",
        run.cycles,
        run.cycles as f64 / ideal as f64
    );
    println!("{cycles} cycles simulated in {cpu:.3} s of CPU: {:.2} M cycles/s", cycles as f64 / cpu / 1e6);
    Ok(())
}

/// CPU time of this thread, so that a busy machine does not count; wall time where the system does not tell.
fn cpu_seconds() -> f64 {
    let nanoseconds = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let start = *START.get_or_init(std::time::Instant::now);
    nanoseconds.map_or_else(|| start.elapsed().as_secs_f64(), |ns| ns / 1e9)
}

static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
