//! Coverage points from Verilator's files, merged over all models, and the holes among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::unit::Unit;

/// The kinds of points. A line is a source line that a block or arm lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Line,
    Branch,
    Toggle,
    Cover,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Line, Self::Branch, Self::Toggle, Self::Cover];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Line => "line",
            Self::Branch => "branch",
            Self::Toggle => "toggle",
            Self::Cover => "cover",
        })
    }
}

/// A point of a module, for all parameters and instances of the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    pub(crate) kind: Kind,
    pub(crate) line: u32,
    /// Column of a branch, which distinguishes the branches of a line; 0 for other points.
    column: u32,
    /// Arm of a branch, name of a cover point, or `signal[bit]:0->1`; empty for a line.
    pub(crate) name: String,
}

/// Source and points of one file. Each file is named after the module or package in it.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) source: Vec<String>,
    pub(crate) points: BTreeMap<Point, u64>,
}

/// Modules by name.
pub(crate) type Modules = BTreeMap<String, Module>;

/// The modules of a unit, without points.
pub(crate) fn modules(rtl: &Path, unit: Unit) -> anyhow::Result<Modules> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let (lists, folders) = unit.files();
    let lists = lists.iter().map(|list| read(&rtl.join(list))).collect::<Result<Vec<_>, _>>()?;
    let files = lists.iter().flat_map(|list| list.lines()).filter(|line| line.ends_with(".sv"));
    files
        .filter(|file| folders.iter().any(|folder| file.starts_with(folder)))
        .map(|file| {
            let text = read(&rtl.join(file))?;
            let name = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".sv");
            Ok((name.into(), Module { source: text.lines().map(String::from).collect(), points: BTreeMap::new() }))
        })
        .collect()
}

impl Module {
    /// Text of a source line, without its indentation.
    pub(crate) fn text(&self, line: u32) -> &str {
        self.source.get(line as usize - 1).map_or("", |text| text.trim())
    }

    /// Whether the line uses a macro for assertions or cover points, which is not logic of the unit.
    fn is_macro(&self, line: u32) -> bool {
        self.text(line).starts_with("`TMV_")
    }

    /// Number of points of a kind: hit, and all.
    pub(crate) fn count(&self, kind: Kind) -> (usize, usize) {
        let of_kind = || self.points.iter().filter(|(point, _)| point.kind == kind);
        (of_kind().filter(|(_, count)| **count > 0).count(), of_kind().count())
    }

    fn add(&mut self, kind: Kind, line: u32, column: u32, name: &str, count: u64) {
        let sum = self.points.entry(Point { kind, line, column, name: name.into() }).or_default();
        *sum = sum.saturating_add(count);
    }

    /// The holes: one for each line, arm and cover point, and one for all toggles of a signal.
    pub(crate) fn holes(&self) -> Vec<Hole> {
        let mut holes: Vec<Hole> = Vec::new();
        for point in self.points.iter().filter(|(_, count)| **count == 0).map(|(point, _)| point) {
            let (name, bits) = if point.kind == Kind::Toggle { signal(&point.name) } else { (&*point.name, None) };
            let same = |hole: &&mut Hole| (hole.kind, hole.line, &*hole.name) == (Kind::Toggle, point.line, name);
            match holes.iter_mut().find(same) {
                Some(hole) => {
                    hole.points += 1;
                    hole.bits.extend(bits);
                }
                None => holes.push(Hole {
                    kind: point.kind,
                    line: point.line,
                    name: name.into(),
                    bits: bits.into_iter().collect(),
                    points: 1,
                    text: self.text(point.line).into(),
                }),
            }
        }
        holes
    }
}

/// Signal and bit of the name of a toggle, `signal[bit]:0->1`.
fn signal(name: &str) -> (&str, Option<u32>) {
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    let bit = |name: &str| name.strip_suffix(']')?.rsplit_once('[').map(|(_, bit)| bit.parse().ok())?;
    match bit(name) {
        Some(bit) => (&name[..name.rfind('[').unwrap_or(name.len())], Some(bit)),
        None => (name, None),
    }
}

/// A point that no test hit, or the bits of a signal that did not change in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) kind: Kind,
    pub(crate) line: u32,
    /// Signal without its bit, name of a cover point, or arm of a branch.
    pub(crate) name: String,
    pub(crate) bits: BTreeSet<u32>,
    pub(crate) points: usize,
    /// The source line.
    pub(crate) text: String,
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Line => write!(f, "{}", self.text),
            Kind::Branch => write!(f, "{}: {}", self.name, self.text),
            Kind::Cover => write!(f, "{}", self.name),
            Kind::Toggle => write!(f, "{}{}", self.name, ranges(&self.bits)),
        }
    }
}

/// Bits as ranges, such as `[7:4,1]`.
fn ranges(bits: &BTreeSet<u32>) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for bit in bits.iter().rev() {
        match parts.last_mut() {
            Some((_, low)) if *low == bit + 1 => *low = *bit,
            _ => parts.push((*bit, *bit)),
        }
    }
    let text = |(high, low): &(u32, u32)| if high == low { high.to_string() } else { format!("{high}:{low}") };
    let parts: Vec<String> = parts.iter().map(text).collect();
    if parts.is_empty() { String::new() } else { format!("[{}]", parts.join(",")) }
}

/// Adds the counts of one of Verilator's files. Points in files that belong to no module are left out.
pub(crate) fn merge(modules: &mut Modules, rtl: &Path, text: &str) -> anyhow::Result<()> {
    let rtl = rtl.canonicalize().with_context(|| rtl.display().to_string())?;
    for (number, entry) in text.lines().enumerate().filter(|(_, line)| line.starts_with("C '")) {
        let parse = || {
            let (keys, count) = entry.strip_prefix("C '")?.rsplit_once("' ")?;
            let keys: BTreeMap<&str, &str> = keys.split('\u{1}').filter_map(|pair| pair.split_once('\u{2}')).collect();
            let number = |key: &str| keys.get(key)?.parse::<u32>().ok();
            let text = |key: &str| keys.get(key).copied();
            Some((text("f")?, number("l")?, number("n")?, text("t")?, text("o")?, text("S"), count.parse().ok()?))
        };
        let Some((file, line, column, kind, name, lines, count)) = parse() else {
            bail!("line {}: not an entry of Verilator's coverage format: {entry:?}", number + 1)
        };
        let file = Path::new(file);
        let inside = file.parent().and_then(|dir| dir.canonicalize().ok()).is_some_and(|dir| dir.starts_with(&rtl));
        let module = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| modules.get_mut(stem));
        let Some(module) = module.filter(|_| inside) else { continue };
        match kind {
            "toggle" => module.add(Kind::Toggle, line, 0, name, count),
            "user" => module.add(Kind::Cover, line, 0, name, count),
            "line" | "branch" if module.is_macro(line) => {}
            "line" | "branch" => {
                if kind == "branch" || name == "case" {
                    module.add(Kind::Branch, line, column, name, count);
                }
                for line in lines.into_iter().flat_map(|list| list.split(',')).filter(|part| !part.is_empty()) {
                    let (first, last) = line.split_once('-').unwrap_or((line, line));
                    let (first, last): (u32, u32) = (first.parse()?, last.parse()?);
                    (first..=last).for_each(|line| module.add(Kind::Line, line, 0, "", count));
                }
            }
            _ => bail!("line {}: coverage of an unknown kind: {kind}", number + 1),
        }
    }
    Ok(())
}

/// Adds the counts of all of Verilator's files in a folder, but for those of the other unit's models.
pub(crate) fn merge_folder(modules: &mut Modules, rtl: &Path, folder: &Path, unit: Unit) -> anyhow::Result<()> {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "dat") {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            if unit.other_top().is_none_or(|top| !text.contains(top)) {
                merge(modules, rtl, &text).with_context(|| path.display().to_string())?;
                files += 1;
            }
        }
    }
    ensure!(files > 0, "{}: no coverage data (*.dat)", folder.display());
    Ok(())
}

/// The content of a `coverage.toml`: the reasons for holes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explanations {
    #[serde(default)]
    pub(crate) hole: Vec<Explanation>,
}

impl Explanations {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }
}

/// One reason, and the holes that it explains.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explanation {
    /// Names of modules; `*` stands for any text.
    pub(crate) modules: Vec<String>,
    pub(crate) kind: Kind,
    /// Signals, with or without a range of bits; names of cover points; text of source lines. `*` stands for any text.
    pub(crate) what: Vec<String>,
    pub(crate) reason: String,
}

/// Whether `pattern` matches `text`. `*` in the pattern stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            text.char_indices().map(|(i, _)| i).chain([text.len()]).any(|i| matches(rest, &text[i..]))
        }),
    }
}

/// The bits of `hole` that `what` explains; `None` if `what` does not match the hole.
fn covers(what: &str, hole: &Hole) -> Option<BTreeSet<u32>> {
    let found = match hole.kind {
        Kind::Line | Kind::Branch => matches(what, &hole.text),
        Kind::Cover => matches(what, &hole.name),
        Kind::Toggle if matches(what, &hole.name) => true,
        Kind::Toggle => {
            let (name, range) = what.strip_suffix(']')?.rsplit_once('[')?;
            let (high, low) = range.split_once(':').unwrap_or((range, range));
            let (high, low): (u32, u32) = (high.parse().ok()?, low.parse().ok()?);
            let bits: BTreeSet<u32> = hole.bits.iter().copied().filter(|bit| (low..=high).contains(bit)).collect();
            return (matches(name, &hole.name) && !bits.is_empty()).then_some(bits);
        }
    };
    found.then(|| hole.bits.clone())
}

/// A hole of a module, with the reasons given for it.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) module: String,
    pub(crate) hole: Hole,
    pub(crate) reasons: Vec<String>,
    /// Whether the hole, or one of its bits, has no reason.
    pub(crate) unexplained: bool,
}

/// Every hole with its reasons, and the parts of the explanations that match no hole.
pub(crate) fn explain(modules: &Modules, explanations: &Explanations) -> (Vec<Explained>, Vec<String>) {
    let mut used = BTreeSet::new();
    let mut holes = Vec::new();
    for (name, module) in modules {
        for hole in module.holes() {
            let (mut reasons, mut left, mut any) = (Vec::new(), hole.bits.clone(), false);
            for (index, entry) in explanations.hole.iter().enumerate().filter(|(_, entry)| entry.kind == hole.kind) {
                for of in entry.modules.iter().filter(|of| matches(of, name)) {
                    for what in &entry.what {
                        if let Some(bits) = covers(what, &hole) {
                            any = true;
                            left.retain(|bit| !bits.contains(bit));
                            used.insert((index, of.as_str()));
                            used.insert((index, what.as_str()));
                            if !reasons.contains(&entry.reason) {
                                reasons.push(entry.reason.clone());
                            }
                        }
                    }
                }
            }
            let unexplained = if any { !left.is_empty() } else { true };
            holes.push(Explained { module: name.clone(), hole, reasons, unexplained });
        }
    }
    let parts = explanations
        .hole
        .iter()
        .enumerate()
        .flat_map(|(index, entry)| entry.modules.iter().chain(&entry.what).map(move |part| (index, part.as_str())));
    let stale = parts.filter(|part| !used.contains(part)).map(|(index, part)| {
        let entry = &explanations.hole[index];
        format!("`{part}` ({}, {}: {})", entry.modules.join(", "), entry.kind, entry.reason)
    });
    (holes, stale.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SOURCE: &str = "always_comb\n  if (a_i) b = 1;\n  else b = 0;\n  `TMV_ASSERT(Never, a_i)\nlogic [3:0] c;";

    /// A folder with one module, and the module without points.
    fn example() -> (tempfile::TempDir, Modules) {
        let rtl = tempfile::tempdir().unwrap();
        std::fs::create_dir(rtl.path().join("ternary")).unwrap();
        std::fs::write(rtl.path().join("ternary/tmv_files.f"), "// Files.\nleaf.sv\n").unwrap();
        std::fs::write(rtl.path().join("leaf.sv"), SOURCE).unwrap();
        let modules = modules(rtl.path(), Unit::Ternary).unwrap();
        (rtl, modules)
    }

    fn entry(rtl: &Path, line: u32, kind: &str, name: &str, lines: &str, count: u64) -> String {
        let file = rtl.join("leaf.sv");
        let keys = [
            ("f", file.to_str().unwrap()),
            ("l", &line.to_string()),
            ("n", "3"),
            ("t", kind),
            ("o", name),
            ("S", lines),
        ];
        let keys: String = keys.iter().map(|(key, value)| format!("\u{1}{key}\u{2}{value}")).collect();
        format!("C '{keys}\u{1}h\u{2}TOP.x' {count}\n")
    }

    fn merged(entries: &[(u32, &str, &str, &str, u64)]) -> Modules {
        let (rtl, mut modules) = example();
        let text: String = entries.iter().map(|(l, k, o, s, n)| entry(rtl.path(), *l, k, o, s, *n)).collect();
        merge(&mut modules, rtl.path(), &text).unwrap();
        modules
    }

    fn reasons(kind: Kind, what: &str) -> Explanations {
        let entry =
            Explanation { modules: vec!["le*".into()], kind, what: vec![what.into()], reason: "because".into() };
        Explanations { hole: vec![entry] }
    }

    #[test]
    fn hit_in_any_model_is_hit() {
        let modules = merged(&[
            (2, "branch", "if", "2", 0),
            (2, "branch", "else", "3", 4),
            (2, "branch", "if", "2", 1),
            (5, "toggle", "c[0]:0->1", "", 1),
            (5, "toggle", "c[0]:1->0", "", 0),
            (5, "toggle", "c[3]:1->0", "", 0),
            (5, "user", "Seen", "", 0),
        ]);
        let leaf = &modules["leaf"];
        assert_eq!(Kind::ALL.map(|kind| leaf.count(kind)), [(2, 2), (2, 2), (1, 3), (0, 1)]);
        let names: Vec<String> = leaf.holes().iter().map(Hole::to_string).collect();
        assert_eq!(names, ["c[3,0]", "Seen"]);
    }

    #[test]
    fn assertions_are_no_lines() {
        let modules = merged(&[(4, "line", "block", "4", 1), (4, "branch", "if", "4", 0)]);
        assert_eq!(Kind::ALL.map(|kind| modules["leaf"].count(kind)), [(0, 0); 4]);
    }

    #[test]
    fn files_beside_the_modules_do_not_count() {
        let (rtl, mut modules) = example();
        let (inside, elsewhere) = (entry(rtl.path(), 2, "line", "block", "2", 1), tempfile::tempdir().unwrap());
        merge(&mut modules, elsewhere.path(), &inside).unwrap();
        assert_eq!(modules["leaf"].count(Kind::Line), (0, 0));
        merge(&mut modules, rtl.path(), &inside.replace("leaf.sv", "other.sv")).unwrap();
        assert_eq!(modules["leaf"].count(Kind::Line), (0, 0));
    }

    #[test]
    fn models_of_the_other_unit_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        for (unit, seen) in [(Unit::Ternary, 0), (Unit::Vector, 1)] {
            let (rtl, mut modules) = example();
            let own = entry(rtl.path(), 2, "branch", "if", "2", 0);
            let other = entry(rtl.path(), 2, "branch", "if", "2", 1).replace("TOP.x", "TOP.tmv_vec_unit.u_fifo");
            std::fs::write(folder.path().join("own.dat"), own).unwrap();
            std::fs::write(folder.path().join("other.dat"), other).unwrap();
            merge_folder(&mut modules, rtl.path(), folder.path(), unit).unwrap();
            assert_eq!(modules["leaf"].count(Kind::Branch), (seen, 1));
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let (rtl, mut modules) = example();
        let good = entry(rtl.path(), 2, "line", "block", "2", 1);
        for bad in [good.replace("\u{1}l\u{2}2", ""), good.replace("' 1", "' x"), good.replace("line", "fsm")] {
            assert!(merge(&mut modules, rtl.path(), &bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_hole_wants_a_reason_and_every_reason_a_hole() {
        let modules = merged(&[
            (5, "toggle", "c[0]:0->1", "", 0),
            (5, "toggle", "c[3]:1->0", "", 0),
            (5, "toggle", "c[3]:0->1", "", 1),
        ]);
        let check = |what: &str| {
            let (holes, stale) = explain(&modules, &reasons(Kind::Toggle, what));
            (holes.iter().filter(|hole| hole.unexplained).count(), stale.len())
        };
        assert_eq!(check("c"), (0, 0));
        assert_eq!(check("*"), (0, 0));
        assert_eq!(check("c[3:0]"), (0, 0));
        assert_eq!(check("c[3]"), (1, 0), "bit 0 has no reason");
        assert_eq!(check("d"), (1, 2), "no such hole");
        assert_eq!(check("c[2:1]"), (1, 2), "bits that were seen");
        // The reason is reported as stale when its hole is gone.
        let covered = merged(&[(5, "toggle", "c[0]:0->1", "", 1)]);
        let (holes, stale) = explain(&covered, &reasons(Kind::Toggle, "c"));
        assert!(holes.is_empty() && stale.iter().any(|text| text.contains("because")));
    }

    #[test]
    fn lines_are_known_by_their_text() {
        let modules = merged(&[(2, "branch", "if", "2", 0), (2, "branch", "else", "3", 1)]);
        let (holes, stale) = explain(&modules, &reasons(Kind::Line, "if (a_i) *"));
        assert_eq!((holes.iter().filter(|hole| hole.unexplained).count(), stale.len()), (1, 0), "the branch is left");
        let (_, stale) = explain(&modules, &reasons(Kind::Line, "else b = 0;"));
        assert_eq!(stale.len(), 2, "that line was hit");
    }
}
