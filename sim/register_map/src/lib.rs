//! The register map of the TMV unit: one parser, six output formats.
//!
//! `rtl/ternary/registers.toml` is the source. Three of the generated files are in the repository, see [`generate`].
//! The other three are part of a hand-off.
//!
//! | module | output | for |
//! | --- | --- | --- |
//! | [`map`] | the parsed file | the modules below |
//! | [`systemverilog`] | `rtl/ternary/tmv_reg_pkg.sv` | the unit |
//! | [`rust`] | `host/tmv/src/regs.rs` | the driver |
//! | [`markdown`] | `docs/registers.md` | readers of the documentation |
//! | [`c`], [`json`], [`ip_xact`] | files of a hand-off | C drivers, other programs, Vivado |

pub mod c;
pub mod ip_xact;
pub mod json;
pub mod map;
pub mod markdown;
pub mod rust;
mod source;
pub mod systemverilog;

pub use map::RegisterMap;
pub use source::SOURCE;

/// The generated files of the repository: path from the repository's root, and text.
pub fn generate(map: &RegisterMap) -> [(&'static str, String); 3] {
    [
        ("rtl/ternary/tmv_reg_pkg.sv", systemverilog::package(map)),
        ("host/tmv/src/regs.rs", rust::constants(map)),
        ("docs/registers.md", markdown::page(map)),
    ]
}
