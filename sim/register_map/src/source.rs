//! The register maps, and how the files generated from one of them name it.

/// A register map of the repository, and what is generated from it. Paths begin at the root of the repository.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The register map.
    pub path: &'static str,
    /// The device that has the registers, as a subject of sentences.
    pub device: &'static str,
    /// The folder and the name of the SystemVerilog package.
    pub package: (&'static str, &'static str),
    /// The module of Rust constants.
    pub rust: &'static str,
    /// The prefix of names in C.
    pub c: &'static str,
    /// The page of documentation.
    pub page: &'static str,
    /// The title of the page.
    pub title: &'static str,
    /// How the registers are accessed, and what happens to an access that is refused.
    pub accesses: &'static str,
}

/// The map of the ternary unit.
pub const UNIT: Source = Source {
    path: "rtl/ternary/registers.toml",
    device: "TMV unit",
    package: ("rtl/ternary", "tmv_reg_pkg"),
    rust: "host/tmv/src/regs.rs",
    c: "TMV",
    page: "docs/registers.md",
    title: "Registers, descriptor and error codes",
    accesses: "\
AXI4-Lite, 32-bit data, 4 KiB window. The unit refuses an access to any other offset, a write to a read-only register,
a write with partial strobes and a write that sets a reserved bit. A refused access changes nothing and reads zero. It
is answered with OKAY, because Linux on Arm stops with a panic after SLVERR. It sets `IRQ_STATUS.BAD_ACCESS`, and
`ACCESS_ERROR` keeps its offset.",
};

/// The map of the vector unit.
pub const VECTOR: Source = Source {
    path: "rtl/vector/registers.toml",
    device: "vector unit",
    package: ("rtl/vector", "tmv_vec_reg_pkg"),
    rust: "host/vector/src/regs.rs",
    c: "TMV_VEC",
    page: "docs/vector-registers.md",
    title: "Registers, descriptor and error codes of the vector unit",
    accesses: UNIT.accesses,
};

/// The map of the sequencer.
pub const SEQUENCER: Source = Source {
    path: "rtl/system/registers.toml",
    device: "sequencer",
    package: ("rtl/system", "tmv_sys_reg_pkg"),
    rust: "host/sequencer/src/regs.rs",
    c: "TMV_SEQ",
    page: "docs/sequencer-registers.md",
    title: "Registers of the sequencer",
    accesses: "\
AXI4-Lite, 32-bit data, 4 KiB window, for the host; the core sees the same registers at 0xF001_0000. Each register has
one writer. The sequencer refuses an access to any other offset, a write by the other side, a write with partial strobes
and a write that sets a reserved bit. An access of the host that is refused changes nothing, reads zero, is answered with
OKAY, and sets `IRQ_STATUS.BAD_ACCESS`. One of the core is answered with an error, and sets `IRQ_STATUS.CORE_FAULT`.",
};

impl Source {
    /// The note in generated files that names their source.
    pub(crate) fn note(&self) -> String {
        format!("Generated from `{}` by `cargo run -p register_map`; do not edit.", self.path)
    }
}
