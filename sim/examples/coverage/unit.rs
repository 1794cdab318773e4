//! The units whose coverage can be measured.

use clap::ValueEnum;

/// A unit whose coverage is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// The ternary unit, with the shared cells and bus parts.
    Ternary,
    /// The vector unit, with the cells for floats.
    Vector,
    /// The modules between the sequencer's core and its buses, and the switch of a system.
    System,
}

impl Unit {
    /// The test programs that simulate the unit or parts of it.
    pub(crate) fn tests(self) -> &'static [&'static str] {
        match self {
            Self::Ternary => &["cells", "registers", "unit", "faults", "hostile", "late", "tell", "long", "cycles"],
            Self::Vector => &["float", "vector", "vector_layer", "tell"],
            Self::System => &["bus_parts", "switch"],
        }
    }

    /// Its lists of files, and with what the files begin whose modules are measured.
    pub(crate) fn files(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Ternary => (&[rtl::UNIT_LIST], &[""]),
            Self::Vector => (&[rtl::VECTOR_LIST], &["float/", "vector/"]),
            // The sequencer and the top of a system are wires: layers on a core show that they are right.
            Self::System => (&[rtl::SEQUENCER_LIST, rtl::SYSTEM_LIST], &["system/tmv_core_", "system/tmv_sys_"]),
        }
    }

    /// The top of a model that does not count, although it has modules that are measured: parts that both units share have
    /// other widths there.
    pub(crate) fn other_top(self) -> Option<&'static str> {
        match self {
            Self::Ternary => Some("TOP.tmv_vec_unit."),
            Self::Vector | Self::System => None,
        }
    }

    /// The file that explains its holes.
    pub(crate) fn holes(self) -> &'static str {
        match self {
            Self::Ternary => "ternary/coverage.toml",
            Self::Vector => "vector/coverage.toml",
            Self::System => "system/coverage.toml",
        }
    }
}
