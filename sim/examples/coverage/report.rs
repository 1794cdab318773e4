//! Output for the user: a table, the verdict, a page.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::points::{Explained, Kind, Module, Modules};

/// Points hit, as a percentage of all points; 100 if there are no points.
fn percent((hit, all): (usize, usize)) -> f64 {
    if all == 0 { 100.0 } else { 100.0 * hit as f64 / all as f64 }
}

fn cell((hit, all): (usize, usize)) -> String {
    if all == 0 { String::new() } else { format!("{:.1} % ({hit}/{all})", percent((hit, all))) }
}

/// Points of a kind in all modules: hit, and all.
pub(crate) fn total(modules: &Modules, kind: Kind) -> (usize, usize) {
    modules.values().map(|module| module.count(kind)).fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
}

/// A table with one row per module, and the totals.
pub(crate) fn table(modules: &Modules) -> String {
    let mut table = program::table::table(&["module", "lines", "branches", "toggles", "cover points"]);
    let row = |name: &str, count: &dyn Fn(Kind) -> (usize, usize)| {
        std::iter::once(name.to_string()).chain(Kind::ALL.map(|kind| cell(count(kind)))).collect::<Vec<_>>()
    };
    for (name, module) in modules {
        table.add_row(row(name, &|kind| module.count(kind)));
    }
    table.add_row(row("total", &|kind| total(modules, kind)));
    table.to_string()
}

/// A text about the holes and all problems, and whether there are no problems.
pub(crate) fn verdict(modules: &Modules, holes: &[Explained], stale: &[String], bar: f64) -> (String, bool) {
    let (unexplained, explained): (Vec<_>, Vec<_>) = holes.iter().partition(|hole| hole.unexplained);
    let mut by_reason: BTreeMap<&str, usize> = BTreeMap::new();
    for hole in explained {
        *by_reason.entry(hole.reasons.first().map_or("", String::as_str)).or_default() += hole.hole.points;
    }
    let mut text: Vec<String> = Vec::new();
    text.push("points not hit, and why".into());
    text.extend(by_reason.iter().map(|(reason, points)| format!("{points:7}  {reason}")));
    if !unexplained.is_empty() {
        text.push("holes without a reason: hit them by a test, or say in coverage.toml of the unit why not".into());
        let line =
            |Explained { module, hole, .. }: &&Explained| format!("  {module}.sv:{}: {} {hole}", hole.line, hole.kind);
        text.extend(unexplained.iter().map(line));
    }
    if !stale.is_empty() {
        text.push("reasons without a hole: remove them from coverage.toml of the unit".into());
        text.extend(stale.iter().map(|part| format!("  {part}")));
    }
    let below = |kind: &Kind| percent(total(modules, *kind)) < bar;
    let below: Vec<Kind> = [Kind::Line, Kind::Toggle].into_iter().filter(below).collect();
    text.extend(below.iter().map(|kind| format!("{kind} coverage is {}, below {bar} %", cell(total(modules, *kind)))));
    (text.join("\n"), below.is_empty() && unexplained.is_empty() && stale.is_empty())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const STYLE: &str = "body{font:14px/1.4 sans-serif;margin:2em;max-width:75em}table{border-collapse:collapse}\
td,th{padding:.1em .7em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}\
.s td{font:12px/1.35 monospace;border:0;text-align:left;white-space:pre-wrap;vertical-align:top;padding:0 .6em}\
.s td:first-child{text-align:right;color:#888}.hit{background:#e4f4e4}.miss{background:#fbdcdc}.part{background:#fdf3d0}\
.n{color:#a33}";

/// A page that needs no other file: table, holes with reasons, annotated source.
pub(crate) fn html(modules: &Modules, holes: &[Explained]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>RTL coverage</title><style>{STYLE}</style>\
         <h1>RTL coverage</h1><table><tr><th>module<th>lines<th>branches<th>toggles<th>cover points"
    );
    let mut row = |name: &str, count: &dyn Fn(Kind) -> (usize, usize)| {
        let cells = Kind::ALL.map(|kind| format!("<td>{}", cell(count(kind)))).concat();
        let _ = write!(page, "<tr><td>{name}{cells}");
    };
    for (name, module) in modules {
        row(&format!("<a href=\"#{name}\">{name}</a>"), &|kind| module.count(kind));
    }
    row("total", &|kind| total(modules, kind));
    page += "</table>";
    for (name, module) in modules {
        let _ = write!(page, "<h2 id={name}>{name}</h2><table class=s>");
        let of_module: Vec<&Explained> = holes.iter().filter(|hole| hole.module == *name).collect();
        for (index, text) in module.source.iter().enumerate() {
            source_line(&mut page, module, &of_module, index as u32 + 1, text);
        }
        page += "</table>";
    }
    page
}

/// A line of source: its colour, and the points of it that were not hit, with the reasons.
fn source_line(page: &mut String, module: &Module, holes: &[&Explained], line: u32, text: &str) {
    let mut points = module.points.iter().filter(|(point, _)| point.line == line).peekable();
    let hit = module.points.iter().find(|(point, _)| point.line == line && point.kind == Kind::Line);
    let missing: Vec<&&Explained> = holes.iter().filter(|hole| hole.hole.line == line).collect();
    let class = match (hit, points.peek(), missing.is_empty()) {
        (Some((_, 0)), ..) => "miss",
        (_, Some(_), false) => "part",
        (_, Some(_), true) => "hit",
        _ => "",
    };
    let notes = missing.iter().map(|Explained { hole, reasons, .. }| {
        let what = if hole.kind == Kind::Branch { hole.name.clone() } else { hole.to_string() };
        let what = if hole.kind == Kind::Line { String::new() } else { what };
        let reasons = if reasons.is_empty() { "no reason".into() } else { reasons.join("; ") };
        escape(&format!("{} {what}: {reasons}\n", hole.kind))
    });
    let _ = write!(page, "<tr class={class:?}><td>{line}<td>{}<td class=n>{}", escape(text), notes.collect::<String>());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::points::{Explanations, explain, merge};

    /// The verdict on a module with `hit` of ten toggles hit, with `explanations` for the others.
    fn judge(hit: u32, explanations: &str, bar: f64) -> (String, bool) {
        let rtl = tempfile::tempdir().unwrap();
        let file = rtl.path().join("leaf.sv");
        std::fs::write(&file, "logic [9:0] a;\n").unwrap();
        let module = Module { source: vec!["logic [9:0] a;".into()], ..Module::default() };
        let mut modules = Modules::from([("leaf".into(), module)]);
        for bit in 0..10 {
            let keys = format!("\u{1}f\u{2}{}\u{1}l\u{2}1\u{1}n\u{2}1\u{1}t\u{2}toggle", file.display());
            let entry = format!("C '{keys}\u{1}o\u{2}a[{bit}]:0->1' {}\n", u32::from(bit < hit));
            merge(&mut modules, rtl.path(), &entry).unwrap();
        }
        let explanations: Explanations = toml::from_str(explanations).unwrap();
        let (holes, stale) = explain(&modules, &explanations);
        assert!(html(&modules, &holes).contains("leaf"));
        verdict(&modules, &holes, &stale, bar)
    }

    const REASON: &str = "[[hole]]\nmodules = ['leaf']\nkind = 'toggle'\nwhat = ['a[9]']\nreason = 'so it is'\n";

    #[test]
    fn nothing_is_wrong() {
        let (text, good) = judge(9, REASON, 90.0);
        assert!(good && text.contains("1  so it is"), "{text}");
        assert!(judge(10, "", 90.0).1);
    }

    #[test]
    fn too_little_is_noticed() {
        let (text, good) = judge(9, REASON, 90.1);
        assert!(!good && text.contains("toggle coverage is 90.0 % (9/10), below 90.1 %"), "{text}");
    }

    #[test]
    fn holes_without_a_reason_are_named() {
        let (text, good) = judge(8, REASON, 50.0);
        assert!(!good && text.contains("leaf.sv:1: toggle a[9:8]"), "{text}");
    }

    #[test]
    fn reasons_without_a_hole_are_named() {
        let (text, good) = judge(10, REASON, 90.0);
        assert!(!good && text.contains("`a[9]`") && text.contains("so it is"), "{text}");
    }
}
