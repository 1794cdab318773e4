//! The functional model passes the conformance suite with the parameters of several units.
#![allow(clippy::unwrap_used)]

use golden::Codec;
use rand_core::SeedableRng;
use tmv::conformance::{Bench, Operator, Random};
use tmv::conformance_suite;
use tmv::descriptor::Descriptor;
use tmv::functional::FunctionalDevice;
use tmv::info::UnitInfo;
use tmv::regs;

macro_rules! unit {
    ($name:ident, $ports:expr, $port_bytes:expr, $vectors:expr, $groups:expr, $codec:expr) => {
        mod $name {
            use super::*;

            fn fresh() -> FunctionalDevice {
                let (ports, port_bytes, vectors, groups) = ($ports, $port_bytes, $vectors, $groups);
                let info =
                    UnitInfo { ports, port_bytes, vectors, groups, codec: $codec, bank_words: 256, columns: true };
                FunctionalDevice::new(info, 0x1000_0000, 1 << 20)
            }

            conformance_suite!(fresh());
        }
    };
}

unit!(ports_4_bits_128_vectors_4, 4, 16, 4, 1, Codec::Weights2b);
unit!(ports_1_bits_64_vectors_1, 1, 8, 1, 1, Codec::Weights2b);
unit!(ports_8_bits_64_vectors_8, 8, 8, 8, 1, Codec::Weights2b);
unit!(ports_4_bits_128_vectors_4_groups_2_base3, 4, 16, 4, 2, Codec::WeightsBase3);
unit!(ports_2_bits_64_vectors_2_groups_4_base3, 2, 8, 2, 4, Codec::WeightsBase3);

/// The model waits for another unit, and tells it, as the unit does: `sim/tests/tell.rs`.
#[test]
fn units_that_tell() {
    let info = UnitInfo {
        ports: 1,
        port_bytes: 8,
        vectors: 1,
        groups: 1,
        codec: Codec::Weights2b,
        bank_words: 256,
        columns: true,
    };
    let mut bench = Bench::new(FunctionalDevice::new(info, 0x1000_0000, 1 << 20));
    let op = bench.operator(&mut Random::seed_from_u64(1), 40, 33, 1);
    let with = |after, tell| Operator { descriptor: Descriptor { after, tell, ..op.descriptor }, ..op.clone() };
    let ops = [with(true, true), with(false, false), with(true, true)];
    let numbers = ops.each_ref().map(|op| bench.queue(op));
    bench.ring();
    assert_eq!((bench.read(regs::RING_HEAD), bench.device.tells()), (0, 0));
    bench.device.tell();
    assert_eq!((bench.read(regs::RING_HEAD), bench.device.tells()), (2, 1));
    bench.device.tell();
    assert_eq!((bench.read(regs::RING_HEAD), bench.device.tells()), (3, 2));
    ops.iter().zip(numbers).for_each(|(op, number)| bench.check(op, number));
    bench.device.tell();
    bench.soft_reset();
    bench.queue(&ops[0]);
    bench.ring();
    assert_eq!(bench.read(regs::RING_HEAD), 0);
}
