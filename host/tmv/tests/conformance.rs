//! The functional model passes the conformance suite with the parameters of several units.
#![allow(clippy::unwrap_used)]

use golden::Codec;
use tmv::conformance_suite;
use tmv::functional::FunctionalDevice;
use tmv::info::UnitInfo;

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
