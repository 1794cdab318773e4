//! Everything generated from the register map is current.

#[path = "../examples/regmap.rs"]
mod regmap;

#[test]
fn generated_files_are_current() {
    for (path, text) in regmap::generate() {
        let found = std::fs::read_to_string(regmap::root().join(path)).unwrap_or_default();
        assert!(found == text, "{path} is stale: run `cargo run -p host --example regmap`");
    }
}
