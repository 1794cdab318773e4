//! smoke
#![allow(clippy::unwrap_used)]
use golden::TernaryMatrix;
use host::driver::Driver;
use sim::device::VerilatedDevice;
use sim::memory::{Faults, MemoryConfig, Timing};
use sim::unit::UnitConfig;
use verilated::{Trace, VerilatedContext};

#[test]
fn smoke() {
    let unit = UnitConfig { ports: 4, port_bits: 128, vectors: 4, codec: golden::Codec::Weights2b };
    let lib = unit.build(Trace::Off, &mut |p| eprintln!("{p}")).unwrap();
    eprintln!("build {:.1}", lib.build_seconds());
    let mem = MemoryConfig {
        base: 0x1000_0000,
        bytes: 64 << 20,
        timing: Timing::ideal(40),
        stall: 0,
        interleave: false,
        seed: 1,
        faults: Faults::default(),
    };
    let dev = VerilatedDevice::new(&lib, &VerilatedContext::default(), &unit, mem).unwrap();
    let mut driver = Driver::open(dev).unwrap();
    for (rows, cols, tokens) in [(8, 64, 1), (640, 2560, 3), (6912, 2560, 3), (2560, 6912, 3), (100, 200, 7)] {
        let mut s = 12345u64;
        let mut next = || {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            s
        };
        let w: Vec<i8> = (0..rows * cols).map(|_| (next() % 3) as i8 - 1).collect();
        let x: Vec<i8> = (0..tokens * cols).map(|_| next() as i8).collect();
        let m = TernaryMatrix::from_rows(rows, cols, &w).unwrap();
        driver.unload();
        let weights = driver.load(&m).unwrap();
        let c0 = driver.device().cycles();
        let cpu = || {
            std::fs::read_to_string("/proc/thread-self/schedstat")
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse::<f64>()
                .unwrap()
                / 1e9
        };
        let t = cpu();
        let r = driver.run(&[weights], &x, tokens).unwrap();
        let dt = cpu() - t;
        let n = driver.device().cycles() - c0;
        let y = golden::matvec::matvec(&m, &x);
        let bad = y.iter().zip(&r.operators[0].accumulators).filter(|(a, b)| a != b).count();
        eprintln!(
            "{rows}x{cols} t{tokens}: bad {bad} of {} cycles {} ideal {} ratio {:.4} speed {:.2} M/s",
            y.len(),
            r.operators[0].cycles,
            unit.ideal_cycles(rows, cols, tokens),
            r.operators[0].cycles as f64 / unit.ideal_cycles(rows, cols, tokens) as f64,
            n as f64 / dt / 1e6
        );
        eprintln!("  {:?}", r.ports[0]);
        assert_eq!(bad, 0);
    }
}
