//! Joining the reports of shards.

use std::path::PathBuf;

use crate::cli::MergeArgs;
use crate::clock::cycles_per_second;
use crate::exit::{Exit, Failure};
use crate::mismatch::Mismatches;
use crate::output::JsonOutput;
use crate::report::{ModelSection, Report, Simulation, Totals};

/// Runs the command.
///
/// # Errors
/// Reports that cannot be read, were changed, are not of one run, or do not make up the whole of it.
pub fn run(args: &MergeArgs) -> Result<Exit, Failure> {
    let json = JsonOutput::new(args.json.as_deref())?;
    let reports: Result<Vec<(PathBuf, Report)>, Failure> =
        args.reports.iter().map(|path| Ok((path.clone(), Report::read(path)?))).collect();
    let report = join(reports?)?;
    json.put(&report.json(), &report.text())?;
    if report.totals.mismatches == 0 {
        return Ok(Exit::Ok);
    }
    eprint!("{}", Mismatches::of(&report, false).tell());
    Ok(Exit::Mismatch)
}

/// The report of the whole.
fn join(mut reports: Vec<(PathBuf, Report)>) -> Result<Report, Failure> {
    reports.sort_by_key(|(_, report)| report.shard);
    check(&reports)?;
    let mut reports = reports.into_iter().map(|(_, report)| report);
    let mut whole = reports.next().expect("clap asks for one report at least");
    for mut part in reports {
        whole.operators.append(&mut part.operators);
        whole.runs.append(&mut part.runs);
        whole.differences.append(&mut part.differences);
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

/// One report for each part, all of the same run, with all runs between them.
fn check(reports: &[(PathBuf, Report)]) -> Result<(), Failure> {
    let refuse = |path: &PathBuf, why: String| Failure::new(Exit::InputFile, format!("{}: {why}", path.display()));
    let (first_path, first) = &reports[0];
    let of = first.shard.map(|shard| shard.of);
    for (path, report) in reports {
        let shard = report.shard.ok_or_else(|| refuse(path, "not the report of a shard".into()))?;
        if !report.complete {
            return Err(refuse(path, format!("shard {shard} is partial: it was interrupted")));
        }
        let (a, b) = (&first.identity, &report.identity);
        // Where a checkpoint lies may differ; what came out of it may not.
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
        let expected: Vec<usize> =
            (0..report.runs_in_all).filter(|run| shard.takes(*run, report.runs_in_all)).collect();
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
        return Err(Failure::new(Exit::InputFile, format!("shard {} is missing", missing.join(", "))));
    }
    Ok(())
}

/// Two simulations that went on side by side.
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

/// `command` without the options `flags` and their values.
fn without(command: &str, flags: &[&str]) -> String {
    let mut kept = Vec::new();
    let mut words = command.split(' ');
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        if !flags.contains(&name) {
            kept.push(word);
        } else if name == word {
            words.next();
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_out_of_a_command() {
        let command = "sim --all-layers --shard 1/2 --json=a.json --seed 3 --journal j";
        assert_eq!(without(command, &["--shard", "--json", "--journal"]), "sim --all-layers --seed 3");
    }
}
