//! A CPU profile as tables: the tables of the source report, recomputed and compared with the stated values; the
//! table of a team; several profiles side by side; CSV files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::measure::Call;
use crate::report::{CpuProfile, OperatorProfile, Quantity, REPORT_NAME, STAGES, Spread};
use crate::{Error, Result};

/// A table: rows of text under a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Title of the table.
    pub title: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// The rows. Each has as many cells as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    fn new(title: impl Into<String>, header: &[&str]) -> Self {
        Self { title: title.into(), header: header.iter().map(|h| h.to_string()).collect(), rows: vec![] }
    }
}

/// A cell whose stated value differs from the recomputed value.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Number of the table, with row and column of the cell.
    pub cell: String,
    /// The value in the profile.
    pub stated: f64,
    /// The value that follows from the profile's times and shapes.
    pub recomputed: f64,
    /// Name of the contradiction that lists both values. If it is `None`, nothing explains the difference, and the
    /// profile is wrong.
    pub listed: Option<String>,
}

/// The tables of the source report, and the cells that do not follow from the rest of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Tables 3.1, 4.1, 4.2 and 4.4 of the source report.
    pub tables: Vec<Table>,
    /// The differences, in the order of the cells.
    pub differences: Vec<Difference>,
}

impl Report {
    /// The differences that no contradiction lists.
    pub fn unlisted(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|d| d.listed.is_none())
    }
}

/// Compares cells and records the differences.
struct Check<'a> {
    profile: &'a CpuProfile,
    /// Decimals of times in milliseconds. The source report has two; fast operators need more.
    digits: usize,
    differences: Vec<Difference>,
}

impl Check<'_> {
    /// Checks a cell. Returns its text and the value for further computation: the stated value, or the recomputed
    /// value if no contradiction lists the difference.
    fn cell(
        &mut self,
        table: &str,
        place: [&str; 2],
        unit: &str,
        stated: Option<f64>,
        recomputed: f64,
    ) -> (String, f64) {
        let digits = if unit == "ms" { self.digits } else { 2 };
        let text = |x: f64| format!("{x:.digits$}");
        let Some(stated) = stated.filter(|stated| text(*stated) != text(recomputed)) else {
            return (text(recomputed), stated.unwrap_or(recomputed));
        };
        let near = |value: &Quantity, x: f64| value.value().is_some_and(|value| text(value) == text(x));
        let listed = self.profile.contradictions.iter().find(|c| {
            let mut pairs = c.values.iter().zip(&c.places);
            c.unit == unit
                && pairs.any(|(v, p)| near(v, stated) && p.split(", ").any(|section| section == table))
                && c.values.iter().any(|v| near(v, recomputed))
        });
        let listed = listed.map(|c| c.id.clone());
        let mark = listed.as_ref().map_or("!", |_| "*");
        let used = if listed.is_some() { stated } else { recomputed };
        self.differences.push(Difference {
            cell: format!("{table} {} {}", place[0], place[1]),
            stated,
            recomputed,
            listed,
        });
        (format!("{} {mark}", text(stated)), used)
    }
}

/// Computes tables 3.1, 4.1, 4.2 and 4.4 of the source report, for any profile with operators. Times, shapes and
/// memory are data; sums, shares, operations and rates are recomputed.
///
/// ```
/// let report = cpu_profile::tables::report(&cpu_profile::report::CpuProfile::builtin());
/// assert_eq!((report.tables.len(), report.unlisted().count()), (4, 0));
/// let o_proj = &report.differences.iter().find(|d| d.cell == "4.1 self_attn.o_proj GOPS").expect("it is off");
/// assert_eq!((o_proj.stated, o_proj.listed.as_deref()), (13.58, Some("rounded-rates")));
/// ```
pub fn report(profile: &CpuProfile) -> Report {
    let rows: Vec<&OperatorProfile> = profile.typical().collect();
    let digits = if rows.iter().any(|o| o.median_ms.is_some()) { 4 } else { 2 };
    let mut check = Check { profile, digits, differences: vec![] };
    let ops: u64 = rows.iter().filter_map(|o| o.counted_ops()).sum();
    let block = |name: &str| profile.block(name);
    let sum = |members: &[String]| -> f64 { rows.iter().filter(|o| members.contains(&o.name)).map(|o| o.ms()).sum() };

    let layer = block("decoder_layer");
    let layer_sum: f64 = rows.iter().map(|o| o.ms()).sum();
    let (layer_text, layer_ms) = check.cell("4.4", ["decoder_layer", "ms"], "ms", layer.map(|b| b.mean_ms), layer_sum);
    let mut summary = Table::new("4.4 Layer", &["quantity", "ms", "share %", "OPs"]);
    let ops_text = exact(&mut check, "4.4 decoder_layer OPs", layer.and_then(|b| b.ops), Some(ops));
    summary.rows.push(vec!["time of a layer".into(), layer_text, "100.00".into(), ops_text]);

    let mut blocks = Table::new("3.1 Blocks", &["block", "operators", "ms", "share %"]);
    for b in profile.blocks.iter().filter(|b| b.name != "decoder_layer" && !b.members.is_empty()) {
        let (text, ms) = check.cell("3.1", [&b.name, "ms"], "ms", Some(b.mean_ms), sum(&b.members));
        let share = 100.0 * ms / layer_ms;
        let (share, _) = check.cell("3.1", [&b.name, "share"], "%", b.share_percent, share);
        if matches!(b.name.as_str(), "linear" | "nonlinear") {
            summary.rows.push(vec![format!("{} operators", b.name), text.clone(), share.clone(), String::new()]);
        }
        let members: Vec<&str> = b.members.iter().map(|m| m.rsplit('.').next().unwrap_or(m)).collect();
        blocks.rows.push(vec![b.name.clone(), members.join(" + "), text, share]);
    }

    let mut of = |number: &str, title: &str, linear: bool| {
        let header = ["operator", "type", "ms", "share %", "OPs", "share of OPs %", "GOPS", "memory MB"];
        let mut table = Table::new(format!("{number} {title}"), &header);
        for o in rows.iter().filter(|o| o.linear().is_some() == linear) {
            let counted = o.counted_ops();
            let name = o.name.as_str();
            let mut cell = |column: &str, unit: &str, stated: Option<f64>, value: Option<f64>| {
                value.map_or(String::new(), |value| check.cell(number, [name, column], unit, stated, value).0)
            };
            let share = cell("share", "%", o.share_percent, Some(100.0 * o.ms() / layer_ms));
            let of_ops = counted.map(|n| 100.0 * n as f64 / ops as f64);
            let of_ops = cell("share of OPs", "%", o.ops_share_percent, of_ops);
            let gops = cell("GOPS", "GOPS", o.gops, counted.map(|n| n as f64 / o.ms() / 1e6));
            let counted = exact(&mut check, &format!("{number} {name} OPs"), o.ops, counted);
            let ms = format!("{:.digits$}", o.ms());
            let memory = o.memory_delta_mb.as_ref().map_or(String::new(), |m| show(m, 2));
            table.rows.push(vec![name.into(), o.class.clone(), ms, share, counted, of_ops, gops, memory]);
        }
        table
    };
    let (linear, nonlinear) = (of("4.1", "Linear operators", true), of("4.2", "Other operators", false));
    Report { tables: vec![blocks, linear, nonlinear, summary], differences: check.differences }
}

/// A cell with a count, which must match exactly.
fn exact(check: &mut Check<'_>, cell: &str, stated: Option<u64>, recomputed: Option<u64>) -> String {
    if let (Some(stated), Some(recomputed)) = (stated, recomputed)
        && stated != recomputed
    {
        let (stated, recomputed) = (stated as f64, recomputed as f64);
        check.differences.push(Difference { cell: cell.into(), stated, recomputed, listed: None });
        return format!("{stated} !");
    }
    recomputed.or(stated).map_or(String::new(), |n| n.to_string())
}

/// The stages of a profile, with measured times and times at the reference frequency.
pub fn stages(profile: &CpuProfile) -> Table {
    let header = [
        "stage",
        "tokens",
        "ms",
        "normalised ms",
        "ms a token",
        "fastest",
        "slowest",
        "MB before",
        "MB after",
        "delta",
        "peak",
    ];
    let mut table = Table::new("Stages", &header);
    for s in profile.model_load.iter().chain(&profile.stage_profiles) {
        let number = |q: &Option<Quantity>| q.as_ref().map_or(String::new(), |q| show(q, 1));
        let spread = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x:.2}"));
        let a_token = s.a_token;
        table.rows.push(vec![
            s.name.clone(),
            s.tokens.map_or(String::new(), |t| t.to_string()),
            s.duration_ms.as_ref().map_or("not measured".into(), |q| show(q, 3)),
            s.duration_normalized_ms.as_ref().map_or(String::new(), |q| show(q, 3)),
            spread(a_token.map(|a| a.median_ms)),
            spread(a_token.map(|a| a.min_ms)),
            spread(a_token.map(|a| a.max_ms)),
            number(&s.memory_before_mb),
            number(&s.memory_after_mb),
            number(&s.memory_delta_mb),
            spread(s.peak_memory_mb),
        ]);
    }
    table
}

fn show(quantity: &Quantity, digits: usize) -> String {
    match quantity {
        Quantity::Number(x) => format!("{x:.digits$}"),
        text => text.to_string(),
    }
}

/// The table of a team: one row per report, with measured times and times at the reference frequency.
///
/// # Errors
/// [`Error::ForeignReport`] for a report without Prefill or Decode, for a report whose model or prompt length differs
/// from the first report, and for a second report of the same member.
pub fn team(reports: &[(PathBuf, CpuProfile)]) -> Result<Table> {
    let header = ["member", "CPU", "base MHz", "Prefill ms", "normalised", "Decode ms/token", "normalised", "peak MB"];
    let mut table = Table::new("Team", &header);
    for (path, profile) in reports {
        let foreign = |reason: String| Error::ForeignReport { path: path.clone(), reason };
        let prefill = stage_ms(profile, STAGES[1])
            .ok_or_else(|| foreign("expected a measured stage Prefill, found none".into()))?;
        if stage_ms(profile, STAGES[2]).is_none() {
            return Err(foreign("expected a measured stage Decode, found none".into()));
        }
        let decode = decode_ms(profile);
        let (first_path, first) = &reports[0];
        // Models are compared by name if one of the reports does not state the dimensions.
        let (ours, firsts) = match (&profile.meta.dimensions, &first.meta.dimensions) {
            (Some(ours), Some(firsts)) => (ours, firsts),
            _ => (&profile.meta.model_name, &first.meta.model_name),
        };
        if ours != firsts {
            let first = first_path.display();
            return Err(foreign(format!("expected the model \"{firsts}\" as in {first}, found \"{ours}\"")));
        }
        if let (Some(a), Some(b)) = (first.meta.tokens, profile.meta.tokens)
            && a != b
        {
            let first = first_path.display();
            return Err(foreign(format!("expected a prompt of {a} tokens as in {first}, found {b}")));
        }
        let member = profile.meta.member.clone().unwrap_or_else(|| label(path));
        if table.rows.iter().any(|row| row[0] == member) {
            return Err(foreign(format!("expected a report a member, found a second one of \"{member}\"")));
        }
        let scale = profile.freq_normalization.scale_factor.as_ref().and_then(Quantity::value);
        let text = |q: &Option<Quantity>| q.as_ref().map_or(String::new(), Quantity::to_string);
        let normalised = |ms: f64| scale.map_or(String::new(), |s| format!("{:.2}", ms * s));
        table.rows.push(vec![
            member,
            profile.cpu_info.brand.clone(),
            text(&profile.cpu_info.freq_base_mhz),
            format!("{prefill:.2}"),
            normalised(prefill),
            decode.map_or(String::new(), |ms| format!("{ms:.2}")),
            decode.map_or(String::new(), normalised),
            profile.summary.peak_memory_mb.as_ref().map_or(String::new(), |mb| show(mb, 1)),
        ]);
    }
    Ok(table)
}

/// The label of a report that names no member: the name of its file, or of its folder if the file has the usual name.
fn label(path: &Path) -> String {
    let named = |p: Option<&OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
    match named(path.file_name()).as_str() {
        REPORT_NAME => named(path.parent().and_then(Path::file_name)),
        _ => named(path.file_stem()),
    }
}

fn stage_ms(profile: &CpuProfile, stage: &str) -> Option<f64> {
    profile.stage(stage)?.duration_ms.as_ref()?.value()
}

/// Time per token of Decode, in ms. `None` if the report does not state the number of tokens.
fn decode_ms(profile: &CpuProfile) -> Option<f64> {
    let stage = profile.stage(STAGES[2])?;
    let mean = || Some(stage.duration_ms.as_ref()?.value()? / stage.tokens.filter(|t| *t > 0)? as f64);
    stage.a_token.map(|a| a.median_ms).or_else(mean)
}

/// Compares profiles side by side: the time of each operator and, from the second profile on, its ratio to the time
/// in the first profile. Times are medians. If `fastest` is set, they are the times of the fastest calls, for a
/// machine that is also busy with other work.
///
/// # Errors
/// [`Error::ForeignReport`] for a report without operators, and for a report whose shapes differ from the first
/// report.
pub fn compare(profiles: &[(PathBuf, CpuProfile)], fastest: bool) -> Result<Table> {
    let (first_path, first) = &profiles[0];
    let mut header = vec!["operator".to_string()];
    for (i, (path, _)) in profiles.iter().enumerate() {
        header.push(format!("{} ms", label(path)));
        header.extend((i > 0).then(|| "ratio".to_string()));
    }
    let mut table = Table { title: "Side by side".into(), header, rows: vec![] };
    let find = |p: &CpuProfile, name: &str| p.typical().find(|o| o.name == name).cloned();
    let ms = |o: &OperatorProfile| o.min_ms.filter(|_| fastest).unwrap_or(o.ms());
    let of = |s: Spread| if fastest { s.min_ms } else { s.median_ms };
    for (path, profile) in profiles {
        let foreign = |reason: String| Error::ForeignReport { path: path.clone(), reason };
        if profile.typical().next().is_none() {
            return Err(foreign("expected operators, found none".into()));
        }
        for o in profile.typical() {
            let other = find(first, &o.name).filter(|other| other.input_shape != o.input_shape);
            if let Some(other) = other {
                let (name, expected, found) = (&o.name, other.input_shape, &o.input_shape);
                let first = first_path.display();
                return Err(foreign(format!("expected {name} of {expected:?} as in {first}, found {found:?}")));
            }
        }
    }
    let mut row = |name: &str, time: &dyn Fn(&CpuProfile) -> Option<f64>| {
        let mut cells = vec![name.to_string()];
        let base = time(first);
        for (i, (_, profile)) in profiles.iter().enumerate() {
            let value = time(profile);
            cells.push(value.map_or(String::new(), |ms| format!("{ms:.3}")));
            if i > 0 {
                let ratio = value.zip(base).filter(|(_, base)| *base > 0.0);
                cells.push(ratio.map_or(String::new(), |(ms, base)| format!("{:.1}x", ms / base)));
            }
        }
        table.rows.push(cells);
    };
    // The operators that all profiles have, in the order of the first profile. The other operators have no
    // counterpart and are summed up.
    let common: Vec<String> = first
        .typical()
        .map(|o| o.name.clone())
        .filter(|n| profiles.iter().all(|(_, p)| find(p, n).is_some()))
        .collect();
    for name in &common {
        row(name, &|p| find(p, name).map(|o| ms(&o)));
    }
    let sum = |p: &CpuProfile, wanted: &dyn Fn(&OperatorProfile) -> bool| {
        Some(p.typical().filter(|o| wanted(o)).map(ms).sum::<f64>()).filter(|ms| *ms > 0.0)
    };
    row("sum of BitLinears", &|p| sum(p, &|o| o.linear().is_some()));
    row("sum of these", &|p| sum(p, &|o| common.contains(&o.name)));
    row("others", &|p| sum(p, &|o| !common.contains(&o.name)));
    row("layer, wall", &|p| p.layer_wall.map(of));
    row("Prefill", &|p| stage_ms(p, STAGES[1]));
    row("Decode, a token", &|p| p.stage(STAGES[2]).and_then(|s| s.a_token).map(of).or_else(|| decode_ms(p)));
    table.rows.retain(|cells| cells[1..].iter().any(|c| !c.is_empty()));
    Ok(table)
}

/// The table `raw_layer_data.csv` of the source report: every timed call.
pub fn raw(profile: &CpuProfile, calls: &[Call]) -> Table {
    let header = ["Layer Name", "Type", "Input Shape", "Time (ms)", "Mem Delta (MB)", "Abs Mem (MB)", "Repeat"];
    let mut table = Table::new("raw_layer_data", &header);
    let number = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x:.3}"));
    for call in calls {
        let (name, row) = match call.layer {
            Some(layer) => (
                format!("layers.{layer}.{}", call.operator),
                profile.operators.iter().find(|o| o.name == call.operator).map(|o| (o.class.as_str(), &o.input_shape)),
            ),
            None => (call.operator.into(), None),
        };
        let (class, shape) = row.map_or(("", String::new()), |(class, shape)| (class, format!("{shape:?}")));
        table.rows.push(vec![
            name,
            class.into(),
            shape,
            format!("{:.6}", call.ms),
            number(call.memory_delta_mb),
            number(call.memory_mb),
            call.repeat.to_string(),
        ]);
    }
    table
}

/// The tables `final_operator_benchmark.csv`, `linear_operator_stats.csv` and `nonlinear_operator_stats.csv` of the
/// source report.
pub fn statistics(profile: &CpuProfile) -> [(&'static str, Table); 3] {
    let header = [
        "Submodule",
        "Type",
        "Time (ms)",
        "Time Share (%)",
        "OPs",
        "OPs Share (%)",
        "GOPS",
        "Memory Delta (MB)",
        "Mean (ms)",
        "Fastest (ms)",
        "Slowest (ms)",
    ];
    let of = |name: &'static str, wanted: &dyn Fn(&OperatorProfile) -> bool| {
        let mut table = Table::new(name, &header);
        for o in profile.typical().filter(|o| wanted(o)) {
            let number = |x: Option<f64>| x.map_or(String::new(), |x| format!("{x:.6}"));
            table.rows.push(vec![
                o.name.clone(),
                o.class.clone(),
                number(Some(o.ms())),
                number(o.share_percent),
                o.ops.map_or(String::new(), |n| n.to_string()),
                number(o.ops_share_percent),
                number(o.gops),
                o.memory_delta_mb.as_ref().map_or(String::new(), |m| show(m, 6)),
                number(Some(o.mean_ms)),
                number(o.min_ms),
                number(o.max_ms),
            ]);
        }
        (name, table)
    };
    [
        of("final_operator_benchmark", &|_| true),
        of("linear_operator_stats", &|o| o.linear().is_some()),
        of("nonlinear_operator_stats", &|o| o.linear().is_none()),
    ]
}
