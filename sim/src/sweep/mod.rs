//! `sim sweep`: many units by formula, and a few of them simulated to check the formula.

mod args;
mod points;
mod sample;

use bitnet::config::ModelConfig;
use cost::board::Board;
use cost::luts;
use cost::setup::Setup;
use program::console::pretty;
use program::target::{Target, Targets};
use report::records::{SCHEMA_VERSION, STATUS};
use report::sweep::{self, Sample, Sweep, mark_front};

pub(crate) use args::SweepArgs;

use crate::args::unit::MemoryArg;
use crate::failure::{Exit, Failure, conclude};
use crate::output::{JsonOutput, target};

/// Runs the command. `command` is the command line as typed.
pub(crate) fn run(args: &SweepArgs, command: &str) -> Result<Exit, Failure> {
    let mut targets = Targets::default();
    let json = JsonOutput::new(&mut targets, args.json.as_deref())?;
    let csv = target(&mut targets, "--csv", args.csv.as_deref())?;
    let svg = target(&mut targets, "--svg", args.svg.as_deref())?;
    let config = ModelConfig::bitnet_2b_4t();
    let setups = points::setups(args, &config)?;
    let mut points = points::points(&setups, &config, args.prefill_tokens);
    mark_front(&mut points);
    let chosen = points::chosen(&points, args.sample);
    let samples = chosen.into_iter().map(|i| sample::sample(&setups[i], &points[i], args));
    let samples: Vec<Sample> = samples.collect::<Result<_, _>>()?;
    let sweep = Sweep {
        schema_version: SCHEMA_VERSION,
        command: command.into(),
        model: "BitNet b1.58-2B-4T".into(),
        prefill_tokens: args.prefill_tokens,
        points,
        samples,
        assumptions: assumptions(args, &setups),
        status: STATUS.into(),
    };
    let put = |target: Option<Target>, content: &dyn Fn() -> Result<String, report::Error>| match target {
        Some(target) => Ok::<_, Failure>(target.write(content()?.as_bytes())?),
        None => Ok(()),
    };
    let written = [
        json.put(&pretty(&sweep), &sweep::text(&sweep)),
        put(csv, &|| sweep::csv(&sweep)),
        put(svg, &|| sweep::svg(&sweep)),
    ];
    let mismatches: usize = sweep.samples.iter().map(|s| s.mismatches).sum();
    let told = format!("{mismatches} outputs differ from golden; the table of simulated units says in which unit");
    Ok(conclude(written, (mismatches > 0).then_some(told)))
}

fn assumptions(args: &SweepArgs, setups: &[Setup]) -> Vec<String> {
    let mut lines = vec![
        "tokens a second count only the BitLinears: no driver calls, norms, attention or output head".into(),
        "cycles come from a formula (sim/cost/src/formula.rs); its error against the RTL is below the table".into(),
        format!("LUTs: {}", luts::SOURCE),
        "every point is assumed to close timing at its clock".into(),
    ];
    if args.memory == MemoryArg::Ddr {
        let mut boards: Vec<&Board> = setups.iter().map(|s| s.board).collect();
        boards.dedup_by_key(|b| &b.name);
        lines.extend(boards.iter().map(|b| {
            let [least, most] = &b.band_gb_per_s;
            format!("memory of {}: seen to deliver {} to {} GB/s (sim boards)", b.name, least.value, most.value)
        }));
    } else {
        lines.push("memory ideal: every port moves a beat each cycle, which no board does".into());
    }
    lines
}
