//! Generation in which the unit verifies every ternary product.

use bitnet::config::Linear;
use cost::time::milliseconds;
use report::generation::{Verification, VerifiedPass};
use report::records::differences;
use report::sections::{MemorySection, UnitSection};
use testbench::clock::cycles_per_second;
use testbench::model;
use testbench::outcome::Outcome;
use testbench::pool::{Verified, verify};
use testbench::recorder::{Recorder, Selection};
use verilated::Trace;

use super::choice::Each;
use super::job::Job;
use super::passes::Generated;
use super::writer::Writer;
use crate::args::unit::bench;
use crate::failure::{Exit, Failure};
use crate::output::Progress;

impl Job<'_> {
    /// Generates the tokens, and compares every product of every forward pass.
    pub(super) fn verify(
        &self,
        command: &str,
        writer: &mut Writer<'_>,
        generated: &mut Generated,
        each: Each<'_>,
    ) -> Result<Verification, Failure> {
        let layers = self.source.weights().config().num_hidden_layers as u64;
        let passes = self.ideal(self.prompt.len()) + self.ideal(1) * (self.limits.tokens as u64 - 1);
        let progress = Progress::new("verifying", passes * layers);
        let verified: Verified<usize, Failure> = verify(
            &bench(&self.setup, self.args.model.seed, self.args.unit.injection()),
            self.jobs,
            || Ok(model::build(&self.setup.unit, Trace::Off, &mut |step| progress.say(step))?),
            |outcome| {
                progress.advance(self.ideal_of(outcome));
                Ok(())
            },
            |queue| {
                let skips = self.skips;
                let selection = Selection { linears: Linear::ALL.to_vec(), skips, ..Selection::default() };
                let mut recorder = Recorder::new(queue, selection);
                self.generate(&mut recorder, writer, generated, each).map(|()| recorder.runs())
            },
        );
        progress.finish();
        let Verified { produced, outcomes, library } = verified;
        let runs = produced.map_err(|failure| failure.repeat_with(command))?;
        if outcomes.len() != runs {
            let message = format!("{} runs were compared, expected {runs}", outcomes.len());
            return Err(Failure::new(Exit::Internal, message));
        }
        Ok(self.verification(&outcomes, library.is_some_and(|library| library.was_cached())))
    }

    /// Ideal cycles of a layer, in a forward pass of `tokens` tokens.
    fn ideal(&self, tokens: usize) -> u64 {
        let config = self.source.weights().config();
        Linear::ALL.map(|l| self.setup.ideal_cycles(config, l, tokens)).iter().sum()
    }

    /// Ideal cycles of a run.
    fn ideal_of(&self, outcome: &Outcome) -> u64 {
        let config = self.source.weights().config();
        let tokens = if outcome.pass == 0 { self.prompt.len() } else { 1 };
        outcome.operators.iter().map(|o| self.setup.ideal_cycles(config, o.linear, tokens)).sum()
    }

    /// The results of the unit.
    fn verification(&self, outcomes: &[Outcome], model_cached: bool) -> Verification {
        let passes = outcomes.chunk_by(|a, b| a.pass == b.pass).map(|pass| self.verified_pass(pass));
        let passes: Vec<VerifiedPass> = passes.collect();
        let simulated: u64 = outcomes.iter().map(|o| o.simulated_cycles).sum();
        let seconds: f64 = outcomes.iter().map(|o| o.seconds).sum();
        Verification {
            rtl_sha256: self.build.rtl_sha256.clone(),
            unit: UnitSection::of(&self.setup),
            memory: MemorySection::of(&self.setup),
            operators: passes.iter().map(|p| p.operators).sum(),
            outputs: passes.iter().map(|p| p.outputs).sum(),
            mismatches: passes.iter().map(|p| p.mismatches).sum(),
            cycles: passes.iter().map(|p| p.cycles).sum(),
            ideal_cycles: passes.iter().map(|p| p.ideal_cycles).sum(),
            passes,
            differences: outcomes.iter().flat_map(|o| differences(o, self.setup.unit.max_tokens())).collect(),
            injected: outcomes.iter().find_map(|o| o.injected.clone()),
            simulated_cycles: simulated,
            cycles_per_second: cycles_per_second(simulated, seconds),
            jobs: self.jobs,
            model_cached,
            assumptions: self.setup.assumptions(),
        }
    }

    fn verified_pass(&self, pass: &[Outcome]) -> VerifiedPass {
        let operators = || pass.iter().flat_map(|o| &o.operators);
        let cycles = operators().map(|o| o.cycles).sum();
        VerifiedPass {
            operators: operators().count(),
            outputs: operators().map(|o| o.outputs).sum(),
            mismatches: operators().map(|o| o.mismatches).sum(),
            cycles,
            ideal_cycles: pass.iter().map(|outcome| self.ideal_of(outcome)).sum(),
            linear_fpga_ms: milliseconds(cycles, self.setup.clock_mhz),
        }
    }
}
