//! The generated files of the repository agree with the register maps.

use std::path::Path;

use register_map::{RegisterMap, SEQUENCER, UNIT, generate};

#[test]
fn generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    for source in [UNIT, SEQUENCER] {
        let map = RegisterMap::parse(&read(source.path)).expect("the map is right");
        for (path, text) in generate(&map, &source) {
            assert!(read(&path) == text, "{path} is stale: run `cargo run -p register_map`");
        }
    }
}
