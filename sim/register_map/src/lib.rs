//! The register maps of the devices in the RTL: one parser, six output formats.
//!
//! A file `registers.toml` is the source of each map, see [`Source`]. Three of the generated files of a map are in the
//! repository, see [`generate`]. The other three are part of a hand-off.
//!
//! | module | output | for |
//! | --- | --- | --- |
//! | [`map`] | the parsed file | the modules below |
//! | [`systemverilog`] | a package | the device |
//! | [`rust`] | a module of constants | drivers |
//! | [`markdown`] | a page | readers of the documentation |
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
pub use source::{SEQUENCER, Source, UNIT, VECTOR};

/// The files of the repository that are generated from a map: path from the repository's root, and text.
pub fn generate(map: &RegisterMap, source: &Source) -> [(String, String); 3] {
    let (folder, package) = source.package;
    [
        (format!("{folder}/{package}.sv"), systemverilog::package(map, source)),
        (source.rust.into(), rust::constants(map, source)),
        (source.page.into(), markdown::page(map, source)),
    ]
}
