//! The functional model passes the conformance suite with the parameters of several units.
#![allow(clippy::unwrap_used)]

use vector::conformance::bench::{BYTES, INPUT, OUTPUT, PROGRAM, fault_of, moved};
use vector::driver::Driver;
use vector::functional::FunctionalDevice;
use vector::{Instruction, VectorConfig, conformance_suite, regs};

macro_rules! unit {
    ($name:ident, $config:expr) => {
        mod $name {
            use super::*;

            fn fresh() -> FunctionalDevice {
                FunctionalDevice::new($config, 0x1000_0000, BYTES)
            }

            conformance_suite!(fresh());
        }
    };
}

unit!(lanes_8, VectorConfig { words: 128, ..VectorConfig::of(8) });
unit!(lanes_16, VectorConfig::of(16));
unit!(lanes_32, VectorConfig::of(32));

/// The model refuses what only shows in hardware: a stream of words that the program stored, without a fence between them.
#[test]
fn missing_fences() {
    let config = VectorConfig::of(8);
    let mut driver = Driver::open(FunctionalDevice::new(config, 0x1000_0000, BYTES)).unwrap();
    let at = |from, load| moved(0x1000_0000, from, 4, &config, load);
    let (store, load) = (at(OUTPUT, false), at(OUTPUT, true));
    let fenced = Instruction { fence: true, ..load };
    for program in [vec![store, fenced], vec![store, at(OUTPUT + 128, true)], vec![load, store]] {
        driver.run(&program, PROGRAM, INPUT..BYTES).unwrap();
    }
    for program in [vec![store, load], vec![store, at(OUTPUT + 96, true)], vec![store, fenced, store, load]] {
        let last = 64 * (program.len() as i64 - 1);
        assert_eq!(fault_of(&mut driver, &program), (regs::ERR_BAD_INSTRUCTION, "the engine", last));
    }
}
