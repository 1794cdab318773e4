//! The structure of the workspace. Crates depend on each other as ARCHITECTURE.md says, modules of a crate do not
//! import each other in a circle, and no crate is more than a fifth of the product.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use syn::visit::{self, Visit};

/// For each crate, the crates that it depends on.
type Crates = BTreeMap<String, BTreeSet<String>>;
/// For each module, the modules that it imports from. Names are paths such as `html::page`; the name of the root is
/// empty.
type Modules = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

/// What `cargo metadata` prints, as far as these tests need it. The crate `cargo_metadata` is not used: it switches on a
/// feature of `serde_json`, and half of all dependencies would be compiled again for the tests.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; absent for a dependency of the crate itself.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

/// The members of the workspace.
fn packages() -> Vec<Package> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(root());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Metadata>(&output.stdout).unwrap().packages
}

/// The crates of the workspace, each with the workspace crates that it needs outside its tests.
fn built(packages: &[Package]) -> Crates {
    let members: BTreeSet<&String> = packages.iter().map(|p| &p.name).collect();
    let needs = |package: &Package| {
        let normal = package.dependencies.iter().filter(|d| d.kind.is_none() && members.contains(&d.name));
        normal.map(|d| d.name.clone()).collect()
    };
    packages.iter().map(|p| (p.name.clone(), needs(p))).collect()
}

/// The crates in the table of a document. The table has the columns name, folder, needed crates, purpose.
fn drawn(document: &str) -> Crates {
    let table = document.split_once("\n| crate | folder | needs |").unwrap().1.split_once("\n\n").unwrap().0;
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(String::from).collect::<Vec<_>>();
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        (quoted(cells[1]).remove(0), quoted(cells[3]).into_iter().collect())
    })
    .collect()
}

/// A description of each difference between two sets of crates.
fn differences(built: &Crates, drawn: &Crates) -> Vec<String> {
    let names: BTreeSet<&String> = built.keys().chain(drawn.keys()).collect();
    let differing = names.into_iter().filter(|name| built.get(*name) != drawn.get(*name));
    differing.map(|name| format!("{name}: Cargo.toml {:?}, drawn {:?}", built.get(name), drawn.get(name))).collect()
}

/// Reads the modules of a crate, and the imports of each module from the others.
struct Reader {
    modules: BTreeMap<String, syn::File>,
}

impl Reader {
    fn new(root: &Path) -> Self {
        let mut reader = Self { modules: BTreeMap::new() };
        reader.read(root, root.parent().unwrap(), String::new());
        reader
    }

    /// Reads the file of a module, and the files of its child modules, which are below `folder`.
    fn read(&mut self, file: &Path, folder: &Path, module: String) {
        let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for item in &parsed.items {
            let syn::Item::Mod(child) = item else { continue };
            if child.content.is_some() || is_test(&child.attrs) {
                continue;
            }
            let name = child.ident.to_string();
            let (flat, deep) = (folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs"));
            let file = if flat.exists() { flat } else { deep };
            self.read(&file, &folder.join(&name), joined(&module, &name));
        }
        self.modules.insert(module, parsed);
    }

    fn imports(&self) -> Modules {
        let of = |(name, file): (&String, &syn::File)| {
            let mut paths = Paths::default();
            paths.visit_file(file);
            let found = paths.0.iter().filter_map(|path| self.resolve(name, path));
            (name.clone(), found.filter(|other| other != name).collect())
        };
        self.modules.iter().map(of).collect()
    }

    /// The module of this crate that `path` leads to when it is used in `module`. `None` if the path leads out of the
    /// crate.
    fn resolve(&self, module: &str, path: &[String]) -> Option<String> {
        let (mut at, mut rest) = match path[0].as_str() {
            "crate" => (String::new(), &path[1..]),
            "self" => (module.to_string(), &path[1..]),
            "super" => (parent(module)?, &path[1..]),
            first if self.modules.contains_key(&joined(module, first)) => (module.to_string(), path),
            _ => return None,
        };
        while rest.first().is_some_and(|segment| segment == "super") {
            (at, rest) = (parent(&at)?, &rest[1..]);
        }
        while let Some(child) =
            rest.first().map(|segment| joined(&at, segment)).filter(|c| self.modules.contains_key(c))
        {
            (at, rest) = (child, &rest[1..]);
        }
        // A name that the module only re-exports belongs to the module that defines it.
        match rest.first().and_then(|name| self.passed_on(&at, name)) {
            Some(source) if at != module => self.resolve(&at, &source),
            _ => Some(at),
        }
    }

    /// The path from which `module` re-exports `name` with `pub use`, if it does.
    fn passed_on(&self, module: &str, name: &str) -> Option<Vec<String>> {
        let uses = self.modules[module].items.iter().filter_map(|item| match item {
            syn::Item::Use(item) if !matches!(item.vis, syn::Visibility::Inherited) => Some(&item.tree),
            _ => None,
        });
        let paths = uses.flat_map(|tree| flattened(tree, &[]));
        paths.into_iter().find(|path| path.len() > 1 && path.last().is_some_and(|last| last == name))
    }
}

fn joined(module: &str, name: &str) -> String {
    if module.is_empty() { name.into() } else { format!("{module}::{name}") }
}

fn parent(module: &str) -> Option<String> {
    (!module.is_empty()).then(|| module.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.into()))
}

/// Whether an item exists only for tests.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("cfg") && matches!(&a.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

/// The full paths of a `use`.
fn flattened(tree: &syn::UseTree, before: &[String]) -> Vec<Vec<String>> {
    let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    match tree {
        syn::UseTree::Path(path) => flattened(&path.tree, &with(&path.ident)),
        syn::UseTree::Name(name) => vec![with(&name.ident)],
        syn::UseTree::Rename(name) => vec![with(&name.ident)],
        syn::UseTree::Glob(_) => vec![before.to_vec()],
        syn::UseTree::Group(group) => group.items.iter().flat_map(|tree| flattened(tree, before)).collect(),
    }
}

/// Collects every path in a file, except in its tests.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.0.extend(flattened(&item.tree, &[]).into_iter().filter(|path| !path.is_empty()));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // A single name needs a `use`, which is collected separately.
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

/// A circle of modules, if there is one.
fn circle(modules: &Modules) -> Option<Vec<String>> {
    fn walk(at: &str, modules: &Modules, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|module| module == at) {
            return Some(way[start..].iter().cloned().chain([at.to_string()]).collect());
        }
        if !done.insert(at.to_string()) {
            return None;
        }
        way.push(at.to_string());
        let found = modules[at].iter().find_map(|next| walk(next, modules, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    modules.keys().find_map(|module| walk(module, modules, &mut Vec::new(), &mut done))
}

#[test]
fn crates_depend_as_drawn() {
    let (built, document) = (built(&packages()), fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap());
    let wrong = differences(&built, &drawn(&document));
    assert!(wrong.is_empty(), "ARCHITECTURE.md, table of crates:\n{}", wrong.join("\n"));
    assert!(circle(&built).is_none());
}

#[test]
fn no_module_imports_in_a_circle() {
    let (mut read, mut circles) = (0, Vec::new());
    for package in packages() {
        let is_code = |kind: &String| ["lib", "bin", "example"].contains(&kind.as_str());
        for target in package.targets.iter().filter(|target| target.kind.iter().any(is_code)) {
            let modules = Reader::new(&target.src_path).imports();
            read += modules.len();
            circles.extend(
                circle(&modules).map(|circle| format!("{}, {}: {}", package.name, target.name, circle.join(" -> "))),
            );
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
    assert!(read > 100, "only {read} modules were read");
}

/// Lines of code below a folder, without the folders in `others`, which are other crates.
fn lines(folder: &Path, others: &BTreeSet<PathBuf>) -> usize {
    const CODE: &[&str] = &["rs", "sv", "svh", "v", "cpp", "h", "py", "tcl", "sh", "toml", "xdc"];
    let mut sum = 0;
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() {
            if !(others.contains(&entry) || name.starts_with('.') || name == "target" || name == "seeds") {
                sum += lines(&entry, others);
            }
        } else if entry.extension().is_some_and(|e| CODE.iter().any(|code| e == *code)) {
            sum += fs::read_to_string(&entry).unwrap().lines().count();
        }
    }
    sum
}

#[test]
fn no_crate_is_above_a_fifth_of_the_product() {
    let packages = packages();
    let folder = |package: &Package| package.manifest_path.parent().unwrap().to_path_buf();
    let folders: BTreeSet<PathBuf> = packages.iter().map(folder).collect();
    let all = lines(&root(), &BTreeSet::new());
    println!("| crate | lines | share |\n|---|---|---|");
    for package in &packages {
        let count = lines(&folder(package), &folders);
        println!("| {} | {count} | {:.1} % |", package.name, 100.0 * count as f64 / all as f64);
        assert!(5 * count <= all, "{} has {count} of {all} lines", package.name);
    }
    println!("| all, RTL and scripts too | {all} | |");
}

/// Each check detects the fault that it is made for.
#[test]
fn planted_faults_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    };
    let found = || circle(&Reader::new(&folder.path().join("lib.rs")).imports()).map(|circle| circle.join(" -> "));
    write("lib.rs", "mod a;\nmod b;\npub use a::A;\nmod c;\n");
    write("a.rs", "use crate::b::B;\npub struct A(B);\n#[cfg(test)]\nmod tests { use crate::c::C; }\n");
    write("b.rs", "pub struct B;\n");
    write("c/mod.rs", "mod d;\nuse crate::A;\npub struct C(A, d::D);\n");
    write("c/d.rs", "pub struct D;\n");
    assert_eq!(found(), None);
    // Circles through a `use`, a re-export of the root, a path in code, and the parent module.
    for (file, text, circle) in [
        ("b.rs", "use crate::a;\npub struct B(a::A);\n", "a -> b -> a"),
        ("b.rs", "use crate::A;\npub struct B(A);\n", "a -> b -> a"),
        ("b.rs", "pub struct B;\nfn f() { crate::c::C::new(); }\n", "a -> b -> c -> a"),
        ("c/d.rs", "pub struct D(super::C);\n", "c -> c::d -> c"),
    ] {
        let before = fs::read_to_string(folder.path().join(file)).unwrap();
        write(file, text);
        assert_eq!(found().as_deref(), Some(circle), "{text}");
        write(file, &before);
    }
    assert_eq!(found(), None);

    let built = Crates::from([("x".into(), BTreeSet::from(["y".into()])), ("y".into(), BTreeSet::new())]);
    let table =
        "\n| crate | folder | needs | purpose |\n|---|---|---|---|\n| `x` | `x/` | `y` | a |\n| `y` | `y/` | | b |\n\n";
    assert_eq!(differences(&built, &drawn(table)), [] as [String; 0]);
    for (old, new) in [("| `y` | a", "| | a"), ("| `y/` | |", "| `y/` | `x` |"), ("| `y` | `y/` | | b |\n", "")] {
        assert_eq!(differences(&built, &drawn(&table.replace(old, new))).len(), 1, "{new}");
    }
}
