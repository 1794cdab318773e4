//! The location of the register map, and how the generated files name it.

/// The path of the register map from the repository's root.
pub const SOURCE: &str = "rtl/ternary/registers.toml";
/// The note in generated files that names their source.
pub(crate) const GENERATED: &str =
    "Generated from `rtl/ternary/registers.toml` by `cargo run -p register_map`; do not edit.";
