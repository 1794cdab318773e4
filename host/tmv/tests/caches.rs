//! The driver and the conformance suite keep caches and memory in step: they run on a device whose host has a cache.
#![allow(clippy::unwrap_used)]

use std::ops::Range;

use golden::{Codec, TernaryMatrix};
use tmv::conformance_suite;
use tmv::device::{Device, DeviceError};
use tmv::driver::Driver;
use tmv::functional::FunctionalDevice;
use tmv::info::UnitInfo;

/// Bytes of a cache line.
const LINE: usize = 64;

/// A unit whose memory the host sees only through a cache that nothing keeps coherent. Lines move when the host cleans
/// or invalidates them, and then only if there is a barrier between this and the unit.
struct Cached {
    unit: FunctionalDevice,
    /// What the host sees, and what it saw when each line was last clean.
    cache: Vec<u8>,
    clean: Vec<u8>,
    /// Lines on their way to memory: offset and content. They arrive at the next barrier.
    pending: Vec<(usize, Vec<u8>)>,
    /// Whether a barrier has followed the last interrupt.
    ordered: bool,
    /// Calls of the three hooks, and the call that is left out.
    calls: usize,
    left_out: Option<usize>,
}

impl Cached {
    fn new(info: UnitInfo) -> Self {
        let mut unit = FunctionalDevice::new(info, 0x1000_0000, 1 << 20);
        // Not zero, so that nothing is right by chance.
        unit.memory().fill(0x5a);
        let cache = unit.memory().to_vec();
        Self { unit, clean: cache.clone(), cache, pending: Vec::new(), ordered: true, calls: 0, left_out: None }
    }

    /// Counts a call of a hook. Says whether it takes place.
    fn takes_place(&mut self) -> bool {
        self.calls += 1;
        self.left_out != Some(self.calls - 1)
    }
}

/// The lines of a range, which must be whole lines.
fn lines(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    assert!(range.start.is_multiple_of(LINE) && range.end.is_multiple_of(LINE), "{range:?} has parts of lines");
    range.step_by(LINE).map(|at| at..at + LINE)
}

impl Device for Cached {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        self.unit.read_register(offset)
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.unit.write_register(offset, value)
    }

    fn memory_base(&self) -> u64 {
        self.unit.memory_base()
    }

    fn memory(&mut self) -> &mut [u8] {
        &mut self.cache
    }

    fn to_device(&mut self, range: Range<usize>) -> Result<(), DeviceError> {
        if self.takes_place() {
            // Only dirty lines move: the unit may have written to the others.
            for line in lines(range) {
                if self.cache[line.clone()] != self.clean[line.clone()] {
                    self.clean[line.clone()].copy_from_slice(&self.cache[line.clone()]);
                    self.pending.push((line.start, self.cache[line].to_vec()));
                }
            }
        }
        Ok(())
    }

    fn from_device(&mut self, range: Range<usize>) -> Result<(), DeviceError> {
        if self.takes_place() && self.ordered {
            for line in lines(range) {
                self.cache[line.clone()].copy_from_slice(&self.unit.memory()[line.clone()]);
                self.clean[line.clone()].copy_from_slice(&self.cache[line]);
            }
        }
        Ok(())
    }

    fn barrier(&mut self) {
        if self.takes_place() {
            self.ordered = true;
            for (at, line) in self.pending.drain(..) {
                self.unit.memory()[at..at + LINE].copy_from_slice(&line);
            }
        }
    }

    fn wait_interrupt(&mut self) -> Result<(), DeviceError> {
        self.ordered = false;
        self.unit.wait_interrupt()
    }
}

fn info(codec: Codec) -> UnitInfo {
    UnitInfo { ports: 4, port_bytes: 16, vectors: 4, groups: 2, codec, bank_words: 256, columns: true }
}

mod conformance {
    use super::*;
    conformance_suite!(Cached::new(info(Codec::WeightsBase3)));
}

/// Loads two matrices and runs them twice. Says whether everything was right, and how often hooks were called.
fn works(codec: Codec, left_out: Option<usize>) -> (bool, usize) {
    let mut device = Cached::new(info(codec));
    device.left_out = left_out;
    let weight = |i: usize| (i * 7 % 3) as i8 - 1;
    // As a reference, as every caller may have it.
    let mut driver = Driver::open(&mut device).unwrap();
    let matrices = [20, 13].map(|rows| {
        TernaryMatrix::from_rows(rows, 100, &(0..rows * 100).map(|i| weight(i + rows)).collect::<Vec<_>>()).unwrap()
    });
    let mut right = true;
    let weights = matrices.each_ref().map(|matrix| driver.load(matrix).unwrap());
    // More tokens than one pass serves.
    for (tokens, seed) in [(9, 3), (1, 5)] {
        let x: Vec<i8> = (0..tokens * 100).map(|i| (i * seed % 251) as u8 as i8).collect();
        right &= driver.run(&weights, &x, tokens).is_ok_and(|result| {
            let pairs = result.operators.iter().zip(&matrices);
            pairs.into_iter().all(|(op, matrix)| op.accumulators == golden::matvec::reference(matrix, &x))
        });
    }
    (right, device.calls)
}

#[test]
fn the_driver_works_behind_a_cache() {
    for codec in Codec::ALL {
        let (right, calls) = works(codec, None);
        assert!(right, "{codec}: wrong behind a cache");
        // Two matrices; and for each of two runs: clean, barrier, doorbell, interrupt, barrier, invalidate.
        assert_eq!(calls, 2 + 2 * 4, "{codec}");
        for call in 0..calls {
            assert!(!works(codec, Some(call)).0, "{codec}: nobody misses call {call}");
        }
    }
}
