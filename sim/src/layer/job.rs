//! A command for one layer or all layers, after its options are checked and resolved.

use std::collections::HashMap;
use std::ops::Range;

use bitnet::config::{Linear, ModelConfig};
use bitnet::skip::Skips;
use cost::baseline::{Baseline, CpuBaseline};
use cost::projection::Inputs;
use cost::setup::Setup;
use cpu_profile::report::CpuProfile;
use program::command_line;
use report::sections::BuildSection;
use testbench::bench::{Bench, TraceRequest};
use testbench::outcome::Outcome;
use testbench::pool::threads;
use testbench::recorder::Selection;
use verilated::Trace;

use super::args::{LayerArgs, NonlinearArg};
use crate::args::unit::{bench, check_width};
use crate::failure::Failure;
use crate::source::{DEFAULT_TOKENS, Source, check_length};

/// Ids of a prompt that the announcement lists.
const SHOWN_IDS: usize = 16;

/// A command for one layer or all layers, after its options are checked and resolved.
pub(super) struct Job<'a> {
    pub(super) args: &'a LayerArgs,
    pub(super) source: Source,
    /// The requested layer, or all layers.
    pub(super) layers: Range<usize>,
    /// Token ids of the prompt, those of the context first; `None` for synthetic hidden states.
    pub(super) ids: Option<Vec<u32>>,
    /// Tokens behind the context.
    pub(super) tokens: usize,
    /// What the unit skips.
    pub(super) skips: Skips,
    /// The selected operators, in the order of execution.
    pub(super) linears: Vec<Linear>,
    pub(super) setup: Setup,
    pub(super) baseline: Baseline,
    pub(super) inputs: Inputs,
    pub(super) build: BuildSection,
    pub(super) jobs: usize,
}

impl<'a> Job<'a> {
    /// Checks the options, and opens the files that they name.
    pub(super) fn new(args: &'a LayerArgs) -> Result<Self, Failure> {
        check_options(args)?;
        let setup = args.unit.setup()?;
        let source = Source::open(&args.model)?;
        let config = source.weights().config();
        let layers = match args.layer {
            Some(layer) => config.check_layer(layer)?..layer + 1,
            None => 0..config.num_hidden_layers,
        };
        let (ids, tokens) = prompt(args, &source)?;
        let by_default = tokens == 1 && args.nonlinear != NonlinearArg::SoftCore;
        let skips = args.skip.skips(by_default, config)?;
        let chosen = |l: &Linear| args.operators.is_empty() || args.operators.contains(l);
        let linears: Vec<Linear> = Linear::ALL.into_iter().filter(chosen).collect();
        check_width(&setup, config, &linears)?;
        let (baseline, inputs) = baselines(args, config, &layers, tokens)?;
        let build = BuildSection::new(rtl::unit_sha256()?);
        let mut job =
            Self { args, source, layers, ids, tokens, skips, linears, setup, baseline, inputs, build, jobs: 1 };
        let runs = job.runs_here().len();
        if runs == 0 {
            return Err(Failure::usage(format!("--shard: there are only {} runs to divide", job.runs_in_all())));
        }
        job.jobs = args.unit.jobs.unwrap_or_else(threads).min(runs);
        Ok(job)
    }

    pub(super) fn config(&self) -> &ModelConfig {
        self.source.weights().config()
    }

    pub(super) fn what(&self) -> String {
        self.args.layer.map_or("all layers".into(), |layer| format!("layer {layer}"))
    }

    pub(super) fn announcement(&self) -> String {
        let whose = if self.args.model.prompt_ids.is_none() { "default prompt" } else { "prompt" };
        let ids = self.ids.as_ref().map(|ids| {
            let shown: Vec<String> = ids.iter().take(SHOWN_IDS).map(u32::to_string).collect();
            let more = if ids.len() > SHOWN_IDS { format!(",... ({} ids)", ids.len()) } else { String::new() };
            shown.join(",") + &more
        });
        self.source.announcement() + &ids.map_or(String::new(), |ids| format!("; {whose} {ids}"))
    }

    /// `command` with the option `--seed`, so that the command repeats the run exactly.
    pub(super) fn repeatable(&self, command: &str) -> String {
        let words = command_line::words(command);
        let seeded = words.iter().any(|word| word == "--seed" || word.starts_with("--seed="));
        if seeded { command.into() } else { format!("{command} --seed {}", self.args.model.seed) }
    }

    /// The selected operators of each group that shares activations; groups without a selected operator are left out.
    pub(super) fn groups(&self) -> Vec<Vec<Linear>> {
        let chosen = |group: &&[Linear]| group.iter().copied().filter(|l| self.linears.contains(l)).collect();
        let groups: Vec<Vec<Linear>> = Linear::GROUPS.iter().map(chosen).collect();
        groups.into_iter().filter(|group| !group.is_empty()).collect()
    }

    pub(super) fn runs_in_all(&self) -> usize {
        self.groups().len() * self.layers.len()
    }

    /// Indices of the runs that this command verifies.
    pub(super) fn runs_here(&self) -> Vec<usize> {
        (0..self.runs_in_all())
            .filter(|run| self.args.shard.is_none_or(|shard| shard.takes(*run, self.runs_in_all())))
            .collect()
    }

    /// Layer and operator of each operator that this command verifies.
    pub(super) fn operators_here(&self) -> impl Iterator<Item = (usize, Linear)> {
        let groups = self.groups();
        let runs =
            self.runs_here().into_iter().map(move |run| (run / groups.len(), groups[run % groups.len()].clone()));
        runs.flat_map(move |(layer, group)| group.into_iter().map(move |l| (self.layers.start + layer, l)))
    }

    pub(super) fn selection(&self, resumed: &[Outcome]) -> Selection {
        let done: HashMap<usize, String> = resumed.iter().map(|o| (o.index, o.sha256.clone())).collect();
        let runs = self.args.shard.map(|shard| shard.runs(self.runs_in_all()).collect());
        Selection { linears: self.linears.clone(), runs, done, skips: self.skips }
    }

    /// The form of the waveform, if one is requested.
    pub(super) fn trace_format(&self) -> Trace {
        self.args.trace.as_deref().map_or(Trace::Off, Trace::for_path)
    }

    /// The bench, with a waveform if one is requested.
    pub(super) fn bench(&self, trace: Option<TraceRequest>) -> Bench {
        Bench { trace, ..bench(&self.setup, self.args.model.seed, self.args.unit.injection()) }
    }

    pub(super) fn shape(&self, linear: Linear) -> (usize, usize) {
        (linear.out_features(self.config()), linear.in_features(self.config()))
    }

    pub(super) fn operator_ideal(&self, linear: Linear) -> u64 {
        self.setup.ideal_cycles(self.config(), linear, self.tokens)
    }

    pub(super) fn outcome_ideal(&self, outcome: &Outcome) -> u64 {
        outcome.operators.iter().map(|o| self.operator_ideal(o.linear)).sum()
    }

    pub(super) fn ideal_cycles(&self) -> u64 {
        self.operators_here().map(|(_, l)| self.operator_ideal(l)).sum()
    }
}

/// Rejects options that are invalid alone or together.
fn check_options(args: &LayerArgs) -> Result<(), Failure> {
    if args.layer.is_none() && !args.all_layers {
        return Err(Failure::usage(
            "give --layer N to run one decoder layer, for instance --layer 14, or --all-layers to run all layers; \
             see --help",
        ));
    }
    check_nonlinear(args)?;
    if args.unit.inject.is_some() && args.journal.is_some() {
        return Err(Failure::usage(
            "--inject changes the first run, which the journal may already contain: omit --inject or --journal",
        ));
    }
    Ok(())
}

/// Rejects options that do not go together with the place of the other operators.
fn check_nonlinear(args: &LayerArgs) -> Result<(), Failure> {
    let (name, layers) = match args.nonlinear {
        NonlinearArg::Host => return Ok(()),
        NonlinearArg::SoftCore => ("soft-core", "one whole layer"),
        NonlinearArg::Vector => ("vector", "whole layers"),
    };
    let refused = [
        ("--all-layers", args.all_layers && args.nonlinear == NonlinearArg::SoftCore),
        ("--skip-zeros", args.skip.demanded() && args.nonlinear == NonlinearArg::SoftCore),
        ("--op", !args.operators.is_empty()),
        ("--shard", args.shard.is_some()),
        ("--journal", args.journal.is_some()),
    ];
    match refused.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Failure::usage(format!("--nonlinear {name} runs {layers}; it does not go with {flag}"))),
        None => Ok(()),
    }
}

/// The token ids of the prompt, if there is a prompt, and the number of tokens behind the context.
fn prompt(args: &LayerArgs, source: &Source) -> Result<(Option<Vec<u32>>, usize), Failure> {
    let context = args.context();
    let wanted = args.tokens.map(|tokens| tokens.saturating_add(context));
    let default = DEFAULT_TOKENS.saturating_add(context);
    if matches!(source, Source::Synthetic(_)) && !args.all_layers {
        if args.model.prompt_ids.is_some() {
            return Err(Failure::usage("--prompt-ids: a synthetic layer has no prompt; add --model"));
        }
        let all = wanted.unwrap_or(default);
        check_length(source.weights().config(), all)?;
        return Ok((None, all - context));
    }
    let given = args.model.prompt_ids.as_deref();
    let ids = source.prompt(given, if given.is_none() { wanted.or(Some(default)) } else { wanted })?;
    match ids.len().checked_sub(context) {
        Some(tokens @ 1..) => Ok((Some(ids), tokens)),
        _ => {
            let count = ids.len();
            Err(Failure::usage(format!(
                "--context {context}: --prompt-ids has {count} ids, and no token is left to run"
            )))
        }
    }
}

/// The CPU profile for the table, and the inputs of the projection with all CPU profiles.
fn baselines(
    args: &LayerArgs,
    config: &ModelConfig,
    layers: &Range<usize>,
    tokens: usize,
) -> Result<(Baseline, Inputs), Failure> {
    let given: Vec<CpuProfile> =
        args.cpu_profile.iter().map(|path| CpuProfile::load(path)).collect::<Result<_, _>>()?;
    let profiles: Vec<CpuProfile> = std::iter::once(CpuProfile::builtin()).chain(given).collect();
    let beside = |(i, p): (usize, &CpuProfile)| CpuBaseline::new(p, i == 0, config, layers.clone());
    let baselines = profiles.iter().enumerate().map(beside).collect();
    let inputs = Inputs { vocab_size: config.vocab_size, baselines, soft_core: None };
    let builtin = profiles.len() == 1;
    let profile = profiles.into_iter().nth(usize::from(!builtin)).expect("there is the built-in one at least");
    Ok((Baseline::new(profile, builtin, config, layers.clone(), tokens), inputs))
}
