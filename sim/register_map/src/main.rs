//! Writes the files of the repository that are generated from the register maps.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use register_map::{RegisterMap, SEQUENCER, Source, UNIT, VECTOR, generate};

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = |root: &Path| [UNIT, SEQUENCER, VECTOR].iter().try_for_each(|source| run(root, source));
    match folder.ancestors().nth(2).ok_or("no root".into()).and_then(all) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tell(&format!("error: {message}"));
            ExitCode::from(3)
        }
    }
}

fn run(root: &Path, source: &Source) -> Result<(), String> {
    let file = root.join(source.path);
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: cannot read: {e}", file.display()))?;
    let map = RegisterMap::parse(&text).map_err(|why| format!("{}: {why}", file.display()))?;
    for (path, text) in generate(&map, source) {
        let path = root.join(path);
        std::fs::write(&path, text).map_err(|e| format!("{}: cannot write: {e}", path.display()))?;
        tell(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Prints a line on standard error. A closed pipe or a full disk there changes nothing. This crate has no workspace
/// dependencies, so it cannot use the crate `program`.
#[allow(clippy::disallowed_methods)]
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
