//! The program of the core: `host/firmware`, built by cargo at its first use, and kept in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use object::read::elf::ElfFile32;
use object::{LittleEndian, Object, ObjectSegment, ObjectSymbol};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use toolchain::cache::{self, Cache};
use toolchain::process::{log, output, stdout};
use toolchain::progress::Progress;
use toolchain::{Error as ToolError, io};

use crate::core::Core;
use crate::error::{Error, Place};

/// What the firmware is built from, relative to the root of the repository.
const SOURCES: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "golden",
    "host/decoder",
    "host/firmware",
    "host/sequencer",
    "host/tmv",
    "host/vector",
];

/// A firmware.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// The content of on-chip memory from address 0 on; whole words.
    pub image: Vec<u8>,
    /// Functions: begin, size, name.
    functions: Vec<(u32, u32, String)>,
    /// Symbols of the memory layout, such as `stack_limit`.
    symbols: Vec<(String, u32)>,
    /// Whether it came from the cache.
    pub was_cached: bool,
    /// Seconds that it took to build it, or to find it.
    pub seconds: f64,
}

impl Firmware {
    /// Builds the firmware for `core`, or takes it from the cache.
    ///
    /// # Errors
    /// [`Error::Toolchain`] if cargo or the target of Rust is missing, or if the sources do not compile.
    pub fn build(core: Core, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Self, Error> {
        let start = Instant::now();
        let cache = Cache::open(None)?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let target = core.target();
        let version = rustc_with(&root, target)?;
        let key = key(&root, &version, target)?;
        let entry = cache.path("firmware", &format!("{target}-{}", &key[..16]));
        let file = entry.join("firmware");
        let mut was_cached = true;
        if !cache::intact(&file) {
            // One lock for all: builds share cargo's folder of products.
            let _lock = cache.lock("firmware", "products", || progress(Progress::Waiting))?;
            if !cache::intact(&file) {
                was_cached = false;
                progress(Progress::Firmware(target));
                let scratch = compile(&cache, &root, target)?;
                if self::key(&root, &version, target)? != key {
                    return Err(changed(&root).into());
                }
                Cache::publish(scratch, &entry)?;
            }
        }
        let elf = std::fs::read(&file).map_err(io(&file))?;
        let bad = |what: String| Error::Firmware { path: file.display().to_string(), what };
        let (image, functions, symbols) = load(&elf).map_err(bad)?;
        Ok(Self { image, functions, symbols, was_cached, seconds: start.elapsed().as_secs_f64() })
    }

    /// The address of a function, by the end of its name, or of a symbol of the memory layout.
    pub fn find(&self, name: &str) -> Option<u32> {
        let function =
            self.functions.iter().find(|(_, _, function)| function.ends_with(name)).map(|function| function.0);
        function.or_else(|| self.symbols.iter().find(|symbol| symbol.0 == name).map(|symbol| symbol.1))
    }

    /// The place of an address in the firmware.
    pub fn place(&self, address: u32) -> Place {
        let function = self.functions.iter().find(|(begin, size, _)| address.wrapping_sub(*begin) < *size);
        Place { address, function: function.map(|(begin, _, name)| (name.clone(), address - begin)) }
    }
}

/// Image, functions and symbols.
type Loaded = (Vec<u8>, Vec<(u32, u32, String)>, Vec<(String, u32)>);

/// The version of the compiler, if it has `target`.
fn rustc_with(root: &Path, target: &'static str) -> Result<String, ToolError> {
    let missing = |tool: &str, hint: String| ToolError::ToolMissing { tool: tool.into(), hint };
    let rustc = |arguments: &[&str]| {
        let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        stdout(Command::new(program).args(arguments).current_dir(root))
            .map_err(|reason| missing("rustc", format!("{reason}; install it from https://rustup.rs")))
    };
    let version = rustc(&["--version", "--verbose"])?;
    let library = rustc(&["--print", "target-libdir", "--target", target])?;
    if Path::new(&library).is_dir() {
        return Ok(version);
    }
    Err(missing(
        &format!("Rust for {target}, which the firmware of the soft core needs,"),
        format!("install it with `rustup target add {target}`"),
    ))
}

/// A hash of all that the firmware is built from.
fn key(root: &Path, version: &str, target: &str) -> Result<String, ToolError> {
    let mut hash = Sha256::new_with_prefix(format!("{version}\n{target}\n"));
    for source in SOURCES {
        for file in files(&root.join(source))? {
            let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
            hash.update(format!("{name}\n"));
            hash.update(std::fs::read(&file).map_err(io(&file))?);
        }
    }
    Ok(hex::encode(hash.finalize()))
}

/// The files in a folder, in order of their names; or the file itself.
fn files(path: &Path) -> Result<Vec<PathBuf>, ToolError> {
    if path.is_file() {
        return Ok(vec![path.into()]);
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io(path))? {
        entries.push(entry.map_err(io(path))?.path());
    }
    entries.sort();
    let mut found = Vec::new();
    // Tests, vectors and build products are not part of the firmware.
    let skipped = ["target", "tests", "benches", "examples"];
    let wanted = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        !hidden && !skipped.iter().any(|name| path.ends_with(name))
    };
    for entry in entries.into_iter().filter(wanted) {
        found.extend(files(&entry)?);
    }
    Ok(found)
}

/// The error for sources that changed while they were compiled: the firmware is not that of the key.
fn changed(root: &Path) -> ToolError {
    let hint = format!("its sources in {} changed while it was built; run the command again", root.display());
    ToolError::ToolMissing { tool: "the firmware".into(), hint }
}

/// Name of the folder of cargo's products. They name files of the checkout that they were built from, and cargo takes those of
/// another one as its own: so each checkout has a folder.
fn products(root: &Path) -> Result<String, ToolError> {
    let checkout = root.canonicalize().map_err(io(root))?;
    let checkout = cache::hash(&[checkout.as_os_str().as_encoded_bytes()]);
    Ok(format!("target-{}", &checkout[..16]))
}

/// Compiles the firmware. Returns a scratch folder with it.
fn compile(cache: &Cache, root: &Path, target: &'static str) -> Result<TempDir, ToolError> {
    let scratch = cache.scratch("firmware")?;
    let products = cache.path("firmware", &products(root)?);
    cache.prune_products("firmware", "target", &products);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--package", "firmware", "--profile", "firmware", "--target", target]);
    cargo.arg("--target-dir").arg(&products).current_dir(root);
    // Flags of the user are for other programs, and would change the firmware behind its key.
    let flags = |name: &str| {
        name.contains("RUSTFLAGS") || name.starts_with("CARGO_BUILD_") || name.starts_with("CARGO_PROFILE_")
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(flags)) {
        cargo.env_remove(name);
    }
    let failed = |hint: String| ToolError::ToolMissing { tool: "cargo, which builds the firmware,".into(), hint };
    let built = output(&mut cargo).map_err(|error| failed(error.to_string()))?;
    if !built.status.success() {
        return Err(failed(log(&built)));
    }
    let from = products.join(target).join("firmware/firmware");
    let to = scratch.path().join("firmware");
    std::fs::copy(&from, &to).map_err(io(&from))?;
    cache::seal(&to)?;
    Ok(scratch)
}

/// The content of an ELF file.
fn load(elf: &[u8]) -> Result<Loaded, String> {
    let file = ElfFile32::<LittleEndian>::parse(elf).map_err(|error| error.to_string())?;
    let mut image = Vec::new();
    for segment in file.segments() {
        let (begin, data) = (segment.address() as usize, segment.data().map_err(|error| error.to_string())?);
        if !data.is_empty() {
            let end = begin + data.len();
            image.resize(image.len().max(end.next_multiple_of(4)), 0);
            image[begin..end].copy_from_slice(data);
        }
    }
    let functions = file.symbols().filter(|symbol| symbol.size() > 0 && symbol.kind() == object::SymbolKind::Text);
    let named = functions.map(|symbol| {
        let name = symbol.name().unwrap_or("?");
        (symbol.address() as u32, symbol.size() as u32, format!("{:#}", rustc_demangle::demangle(name)))
    });
    let layout = file.symbols().filter(|symbol| symbol.is_global());
    let layout = layout.map(|symbol| (symbol.name().unwrap_or("?").to_owned(), symbol.address() as u32));
    Ok((image, named.collect(), layout.collect()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn checkouts_share_no_products() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let other = tempfile::tempdir().unwrap();
        assert_eq!(products(&root).unwrap(), products(&root.canonicalize().unwrap()).unwrap());
        assert_ne!(products(&root).unwrap(), products(other.path()).unwrap());
    }
}
