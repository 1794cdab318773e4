//! Simulation of single units of a sweep.

use bitnet::config::{Linear, ModelConfig};
use bitnet::layer::{DecoderLayer, KvCache};
use bitnet::synthetic::Synthetic;
use bitnet::weights::WeightSource;
use cost::formula::layer_cycles;
use cost::setup::Setup;
use golden::Dtype;
use program::console::tell;
use report::sections::UnitSection;
use report::sweep::{Point, Sample};
use testbench::model;
use testbench::outcome::Outcome;
use testbench::pool::{Verified, threads, verify};
use testbench::recorder::{Recorder, Selection};
use verilated::Trace;

use super::args::SweepArgs;
use crate::args::unit::bench;
use crate::failure::{Exit, Failure};
use crate::output::Progress;

/// The layer that is simulated. The choice does not matter, because all layers have the same shapes.
const LAYER: usize = 14;

/// Simulates a layer with enough tokens for two passes over the weights, or with one token if the unit holds only
/// one.
pub(super) fn sample(setup: &Setup, point: &Point, args: &SweepArgs) -> Result<Sample, Failure> {
    let config = ModelConfig::bitnet_2b_4t();
    let most = setup.unit.max_tokens();
    let tokens = if most == 1 { 1 } else { 2 * most };
    let unit = UnitSection::of(setup).describe();
    tell(format_args!("simulating {tokens} tokens: {unit}"));
    let outcomes = simulate(setup, args, &config, tokens)?;
    let operators = || outcomes.iter().flat_map(|o| &o.operators);
    let compared: Vec<Linear> = operators().map(|o| o.linear).collect();
    if compared != Linear::ALL {
        let message = format!("{compared:?} were compared, expected {:?}", Linear::ALL);
        return Err(Failure::new(Exit::Internal, message));
    }
    let cycles: u64 = operators().map(|o| o.cycles).sum();
    let rate = point.reader_gb_per_s.map(|gb| gb * 1e3 / setup.clock_mhz);
    let predicted = layer_cycles(&setup.unit, &config, tokens, &setup.timing(), rate);
    Ok(Sample {
        unit,
        tokens,
        outputs: operators().map(|o| o.outputs).sum(),
        mismatches: operators().map(|o| o.mismatches).sum(),
        cycles,
        predicted_cycles: predicted.round() as u64,
        error: predicted / cycles as f64 - 1.0,
    })
}

/// Simulates the runs of the layer. Returns their outcomes in order.
fn simulate(setup: &Setup, args: &SweepArgs, config: &ModelConfig, tokens: usize) -> Result<Vec<Outcome>, Failure> {
    let source = Synthetic::new(config.clone(), args.seed);
    let ideal = |l: Linear| setup.ideal_cycles(config, l, tokens);
    let progress = Progress::new("verifying", Linear::ALL.map(ideal).iter().sum());
    let verified: Verified<(), Failure> = verify(
        &bench(setup, args.seed, None),
        args.jobs.unwrap_or_else(threads),
        || Ok(model::build(&setup.unit, Trace::Off, &mut |step| progress.say(step))?),
        |outcome| {
            progress.advance(outcome.operators.iter().map(|o| ideal(o.linear)).sum());
            Ok(())
        },
        |queue| {
            let selection = Selection { linears: Linear::ALL.to_vec(), ..Selection::default() };
            let mut recorder = Recorder::new(queue, selection);
            let (weights, hidden) = (source.layer(LAYER)?, source.hidden(LAYER, tokens)?);
            let layer = DecoderLayer::new(config, LAYER, &weights);
            layer.forward(&hidden, &mut KvCache::new(), Dtype::Fp32, &mut recorder, &mut ())?;
            Ok(())
        },
    );
    progress.finish();
    verified.produced?;
    Ok(verified.outcomes)
}
