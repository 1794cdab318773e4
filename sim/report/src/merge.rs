//! Joining the reports of shards.

use std::path::PathBuf;

use program::command_line::without;
use testbench::clock::cycles_per_second;

use crate::error::Error;
use crate::records::{Report, Simulation, Totals};
use crate::sections::ModelSection;

/// Joins the reports of all shards of a run to one report. `reports` are the reports with their files.
///
/// # Errors
/// If the reports are not of the same run, or do not contain every run exactly once.
///
/// # Panics
/// If `reports` is empty.
pub fn join(mut reports: Vec<(PathBuf, Report)>) -> Result<Report, Error> {
    reports.sort_by_key(|(_, report)| report.shard);
    check(&reports)?;
    let mut reports = reports.into_iter().map(|(_, report)| report);
    let mut whole = reports.next().expect("there is one report at least");
    for mut part in reports {
        whole.operators.append(&mut part.operators);
        whole.runs.append(&mut part.runs);
        whole.differences.append(&mut part.differences);
        let seen = whole.remarks.clone();
        whole.remarks.extend(part.remarks.into_iter().filter(|remark| !seen.contains(remark)));
        whole.injected = whole.injected.or(part.injected);
        whole.simulation = both(&whole.simulation, &part.simulation);
    }
    whole.shard = None;
    whole.command = without(&whole.command, &["--shard", "--json", "--journal"]);
    whole.runs.sort_by_key(|run| run.index);
    whole.operators.sort_by_key(|o| (o.layer, o.name));
    whole.differences.sort_by_key(|d| (d.layer, d.operator));
    let overhead = whole.totals.driver_overhead_us;
    whole.totals = Totals::of(&whole.operators, whole.runs.len(), &whole.cpu_profile, &whole.identity, overhead);
    Ok(whole.projected())
}

/// Checks that there is one complete report for each shard, that all are of the same run, and that they contain all
/// runs.
fn check(reports: &[(PathBuf, Report)]) -> Result<(), Error> {
    let refuse = |path: &PathBuf, why: String| Error::refused(path.display(), why);
    let (first_path, first) = &reports[0];
    let of = first.shard.map(|shard| shard.of);
    for (path, report) in reports {
        let shard = report.shard.ok_or_else(|| refuse(path, "not the report of a shard".into()))?;
        if !report.complete {
            return Err(refuse(path, format!("shard {shard} is partial: it was interrupted")));
        }
        let (a, b) = (&first.identity, &report.identity);
        // The path of the checkpoint may differ between shards. The hash of the forward pass's result may not.
        let model = |m: &ModelSection| ModelSection { name: String::new(), description: String::new(), ..m.clone() };
        let forward = [&first.forward, &report.forward].map(|f| f.as_ref().map(|f| &f.sha256));
        for (what, same) in [
            ("build", a.build == b.build),
            ("seed", a.seed == b.seed),
            ("model, prompt or dtype", model(&a.model) == model(&b.model)),
            ("unit", a.unit == b.unit),
            ("memory", a.memory == b.memory),
            ("selection of operators", a.selected == b.selected),
            ("injected fault", a.inject == b.inject),
            ("choice to skip zeros", a.skip_zeros == b.skip_zeros),
            ("number of shards", of == Some(shard.of) && first.runs_in_all == report.runs_in_all),
            ("CPU profile", first.cpu_profile.provenance == report.cpu_profile.provenance),
            ("set of CPU profiles", first.projection_inputs == report.projection_inputs),
            ("driver overhead", first.totals.driver_overhead_us == report.totals.driver_overhead_us),
            ("result of the forward pass", forward[0] == forward[1]),
        ] {
            if !same {
                return Err(refuse(path, format!("another {what} than {}", first_path.display())));
            }
        }
        let expected: Vec<usize> = shard.runs(report.runs_in_all).collect();
        let found: Vec<usize> = report.runs.iter().map(|run| run.index).collect();
        if found != expected {
            return Err(refuse(path, format!("shard {shard} has runs {found:?}, expected {expected:?}")));
        }
        let rows = report.operators.iter().map(|o| (o.layer, o.name));
        if !rows.eq(report.runs.iter().flat_map(|run| run.operators.iter().map(|o| (run.layer, *o)))) {
            return Err(refuse(path, format!("the operators of shard {shard} are not those of its runs")));
        }
    }
    for pair in reports.windows(2) {
        if pair[0].1.shard == pair[1].1.shard {
            let shard = pair[0].1.shard.map_or(String::new(), |shard| shard.to_string());
            return Err(refuse(&pair[1].0, format!("shard {shard} twice, also in {}", pair[0].0.display())));
        }
    }
    let of = of.unwrap_or_default();
    let given: Vec<usize> = reports.iter().filter_map(|(_, report)| report.shard.map(|s| s.index)).collect();
    let missing: Vec<String> = (1..=of).filter(|i| !given.contains(i)).map(|i| format!("{i}/{of}")).collect();
    if !missing.is_empty() {
        return Err(Error::MissingShards { shards: missing.join(", ") });
    }
    Ok(())
}

/// Combines the figures of two simulations that ran in parallel.
fn both(a: &Simulation, b: &Simulation) -> Simulation {
    let seconds =
        |s: &Simulation| if s.cycles_per_second > 0.0 { s.simulated_cycles as f64 / s.cycles_per_second } else { 0.0 };
    let simulated_cycles = a.simulated_cycles + b.simulated_cycles;
    Simulation {
        wall_s: a.wall_s.max(b.wall_s),
        cycles_per_second: cycles_per_second(simulated_cycles, seconds(a) + seconds(b)),
        simulated_cycles,
        jobs: a.jobs + b.jobs,
        resumed_runs: a.resumed_runs + b.resumed_runs,
        golden_s: a.golden_s.max(b.golden_s),
        peak_resident_bytes: a.peak_resident_bytes.max(b.peak_resident_bytes),
        peak_anonymous_bytes: a.peak_anonymous_bytes.max(b.peak_anonymous_bytes),
        model_build_s: a.model_build_s.max(b.model_build_s),
        model_cached: a.model_cached && b.model_cached,
    }
}
