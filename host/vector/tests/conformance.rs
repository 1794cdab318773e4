//! The functional model passes the conformance suite with the parameters of several units.

use vector::functional::FunctionalDevice;
use vector::{VectorConfig, conformance_suite};

macro_rules! unit {
    ($name:ident, $config:expr) => {
        mod $name {
            use super::*;

            fn fresh() -> FunctionalDevice {
                FunctionalDevice::new($config, 0x1000_0000, vector::conformance::bench::BYTES)
            }

            conformance_suite!(fresh());
        }
    };
}

unit!(lanes_8, VectorConfig { words: 128, ..VectorConfig::of(8) });
unit!(lanes_16, VectorConfig::of(16));
unit!(lanes_32, VectorConfig::of(32));
