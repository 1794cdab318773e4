//! The operators between the BitLinears on the soft core or on the vector unit: `--nonlinear soft-core|vector`.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use bitnet::config::Linear;
use golden::Dtype;
use ndarray::Array2;
use program::console::tell;
use report::head::OutputHead;
use report::nonlinear::{CoreSimulation, Nonlinear, NonlinearRow, TokenTime};
use report::tensor::TensorDifference;
use soft_core::compare::{Compared, Expected, compare_all, compare_named, compare_stream};
use soft_core::core::Core;
use soft_core::layer::{LayerInput, Output, memory_bytes, run, work};
use soft_core::operators::{Operator, operators, results};
use soft_core::system::System;
use soft_core::token::{self, TokenOutput};
use soft_core::whole;
use testbench::bench::TraceRequest;
use testbench::pool::drain;

use super::args::NonlinearArg;
use super::forward::{Entering, check_skipping};
use super::job::Job;
use crate::failure::Failure;
use crate::head::{Head, MARGIN};
use crate::output::Progress;
use crate::system::{Parts, check_memory, vector_config};

/// About how many cycles the core takes for each value and multiply-accumulate of a layer, for the bar.
const CYCLES: u64 = 330;
/// The same for the units, of which the ternary one takes most.
const VECTOR_CYCLES: u64 = 1;
/// Room for the alignment of each matrix, in bytes.
const ALIGNMENT: usize = 4096;

/// A layer to run, and golden's tensors of it.
struct Case {
    entering: Entering,
    expected: Expected,
}

impl Case {
    fn stream(&self) -> Vec<f32> {
        self.entering.hidden.iter().copied().collect()
    }
}

/// The tensors of a layer.
type OfLayer = (usize, Vec<Compared>);

/// Layers that ran.
struct OnCore {
    /// What came out of the job of which the cycles are.
    output: Output,
    compared: Vec<OfLayer>,
    /// The output head behind all layers.
    head: Option<OutputHead>,
    /// Seconds of the simulation of that job.
    seconds: f64,
}

impl Job<'_> {
    /// Makes the firmware and the models, if the layers are to run on the core too, and checks that they fit.
    pub(super) fn prepare_core(&self) -> Result<Option<Parts>, Failure> {
        if self.args.one_top && self.args.nonlinear != NonlinearArg::Vector {
            return Err(Failure::usage("--one-top: tmv_system has a vector unit: add --nonlinear vector"));
        }
        if self.args.nonlinear == NonlinearArg::Host {
            return Ok(None);
        }
        let which = Core::from(self.args.core);
        check_memory(self.core_memory_bytes(1))?;
        let on_vector = self.args.nonlinear == NonlinearArg::Vector;
        let vector = on_vector.then(|| vector_config(&self.setup, self.args.lanes)).transpose()?;
        Ok(Some(match vector {
            Some(vector) if self.args.one_top => Parts::build_top(which, &self.setup, vector, self.trace_format())?,
            vector => Parts::build(which, &self.setup, vector, self.trace_format())?,
        }))
    }

    /// Runs the layers on the core, and compares every tensor with golden's. `trace` is the waveform to record of the run of which
    /// the cycles are.
    pub(super) fn nonlinear(&self, prepared: &Parts, trace: Option<&TraceRequest>) -> Result<Nonlinear, Failure> {
        let (runs, each) = if prepared.vector().is_some() { (2, VECTOR_CYCLES) } else { (1, CYCLES) };
        let work = work(self.config(), self.tokens, self.args.context());
        let progress = Progress::new("simulating the core", runs * each * (work * self.layers.len()) as u64);
        let ran = match (self.args.layer, &self.ids) {
            (None, Some(ids)) => self.on_core_all(prepared, ids, trace, &progress)?,
            _ => {
                let case = self.case(self.entering_layer(self.layers.start)?)?;
                self.on_core_one(prepared, &case, trace, &progress)?
            }
        };
        progress.finish();
        Ok(self.core_section(prepared, ran))
    }

    /// What enters a layer, with golden's tensors.
    fn case(&self, entering: Entering) -> Result<Case, Failure> {
        let Entering { layer, weights, hidden, cache } = &entering;
        let dtype = self.args.model.dtype.into();
        let golden = |skip| Expected::of(self.config(), *layer, weights, hidden, &mut cache.clone(), dtype, skip);
        let expected = golden(self.skips.rows)?;
        if self.skips.rows {
            check_skipping(*layer, &golden(false)?.hidden, &expected.hidden)?;
        }
        Ok(Case { entering, expected })
    }

    /// Runs a layer.
    fn on_core_one(
        &self,
        on: &Parts,
        case: &Case,
        trace: Option<&TraceRequest>,
        progress: &Progress,
    ) -> Result<OnCore, Failure> {
        let (layer, started) = (case.entering.layer, Instant::now());
        if on.vector().is_none() {
            let output = self.run_layer(on, case, true, trace, progress)?;
            let compared = [compare_all(&case.expected, &output.layers[0]), compare_stream(&case.expected, &output)];
            let seconds = started.elapsed().as_secs_f64();
            return Ok(OnCore { output, compared: vec![(layer, compared.concat())], head: None, seconds });
        }
        // Tensors in memory cost the vector unit time, so cycles come from a run without them.
        let (shown, output) = thread::scope(|scope| {
            let timed = scope.spawn(|| self.run_layer(on, case, false, trace, progress));
            (self.shown(on, case, progress), timed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (shown, output) = (shown?, output?);
        let compared = [vec![shown], compare_timed(&[(layer, &case.expected)], &output)].concat();
        let seconds = started.elapsed().as_secs_f64();
        Ok(OnCore { output, compared, head: None, seconds })
    }

    /// Runs all layers: some at the same time, each for its tensors, and beside them all of them one behind the other, with
    /// the output head behind them, for the cycles of a token.
    fn on_core_all(
        &self,
        on: &Parts,
        ids: &[u32],
        trace: Option<&TraceRequest>,
        progress: &Progress,
    ) -> Result<OnCore, Failure> {
        // A head that does not fit is told before the layers run.
        let head = Head::new(on, &self.setup, self.source.weights(), self.args.model.dtype.into(), MARGIN)?;
        let mut cases = Vec::new();
        let token = self.entering_layers(ids, |entering| {
            let case = self.case(entering)?;
            let hidden = Array2::from_shape_vec(case.entering.hidden.dim(), case.expected.hidden.clone());
            cases.push(case);
            Ok(hidden.expect("a layer keeps the shape"))
        })?;
        let (shown, ran) = thread::scope(|scope| {
            let token = scope.spawn(|| self.run_token(on, &cases, &head, trace, progress));
            let (sender, receiver) = channel();
            cases.iter().try_for_each(|case| sender.send(case)).expect("the receiver is here");
            drop(sender);
            let others = self.jobs.saturating_sub(1).max(1);
            let shown =
                drain(others, &Mutex::new(receiver), |case| case.entering.layer, |case| self.shown(on, case, progress));
            (shown, token.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (mut shown, failure) = shown;
        let ran = failure.map_or(ran, Err)?;
        shown.sort_by_key(|(layer, _)| *layer);
        let expected: Vec<_> = cases.iter().map(|case| (case.entering.layer, &case.expected)).collect();
        let compared = [shown, compare_timed(&expected, &ran.layers)].concat();
        let [seconds, of_head] = ran.seconds;
        let head = head.report(vec![head.chosen(ran.head, 0, &token, of_head)]);
        Ok(OnCore { output: ran.layers, compared, head: Some(head), seconds })
    }

    fn input<'b>(&'b self, case: &'b Case) -> LayerInput<'b> {
        let Entering { weights, cache, .. } = &case.entering;
        let dtype = Dtype::from(self.args.model.dtype);
        LayerInput { config: self.config(), weights, dtype, cache, skips: self.skips }
    }

    /// A system that advances `progress`.
    fn system(&self, on: &Parts, bytes: usize, progress: &Progress) -> Result<System, Failure> {
        let mut system = on.system(&self.setup, bytes, self.args.model.seed)?;
        let bar = progress.clone();
        system.set_progress(move |cycles| bar.advance(cycles));
        Ok(system)
    }

    /// Runs a layer alone. `tensors` says whether all of them are recorded.
    fn run_layer(
        &self,
        on: &Parts,
        case: &Case,
        tensors: bool,
        trace: Option<&TraceRequest>,
        progress: &Progress,
    ) -> Result<Output, Failure> {
        let mut system = self.system(on, self.core_memory_bytes(1), progress)?;
        let (stream, input) = (case.stream(), self.input(case));
        traced(&mut system, trace, |system| {
            Ok(match on.vector() {
                Some(unit) => whole::run(system, &on.firmware, unit, &stream, &[input], tensors)?,
                None => run(system, &on.firmware, &stream, &input, tensors)?,
            })
        })
    }

    /// Runs a layer alone on both units, and compares all of its tensors.
    fn shown(&self, on: &Parts, case: &Case, progress: &Progress) -> Result<OfLayer, Failure> {
        let output = self.run_layer(on, case, true, None, progress)?;
        let tensors = compare_named(&case.expected, &output.layers[0], &results());
        Ok((case.entering.layer, [tensors, compare_stream(&case.expected, &output)].concat()))
    }

    /// Runs all layers and the output head, one behind the other.
    fn run_token(
        &self,
        on: &Parts,
        cases: &[Case],
        head: &Head<'_>,
        trace: Option<&TraceRequest>,
        progress: &Progress,
    ) -> Result<TokenOutput, Failure> {
        let [near, far] = head.bytes;
        let near = near + self.core_memory_bytes(cases.len());
        check_memory(near)?;
        let mut system = self.system(on, near + far, progress)?;
        let inputs: Vec<_> = cases.iter().map(|case| self.input(case)).collect();
        let (stream, with_margin) = (cases[0].stream(), (&head.weights, head.margin));
        traced(&mut system, trace, |system| {
            Ok(token::run(system, &on.firmware, &head.unit, &stream, &inputs, with_margin)?)
        })
    }

    /// Bytes of memory that core and units need for so many layers.
    fn core_memory_bytes(&self, layers: usize) -> usize {
        let matrix = |linear: Linear| {
            let (rows, cols) = self.shape(linear);
            self.setup.unit.weight_bytes(rows, cols) + ALIGNMENT
        };
        let weights = Linear::ALL.into_iter().map(matrix).sum();
        match self.args.nonlinear {
            NonlinearArg::Vector => {
                whole::memory_bytes(self.config(), layers, self.tokens, self.args.context(), weights)
            }
            _ => memory_bytes(self.config(), self.tokens, self.args.context(), weights),
        }
    }

    fn core_section(&self, prepared: &Parts, ran: OnCore) -> Nonlinear {
        let OnCore { output, compared, head, seconds } = ran;
        let (firmware, context) = (&prepared.firmware, self.args.context());
        let lanes = prepared.vector().map(|config| config.lanes);
        // The vector unit has the clock of the ternary unit.
        let clock_mhz = if lanes.is_some() { self.setup.clock_mhz } else { self.args.core_mhz };
        let ms = |cycles: u64| cycles as f64 / clock_mhz / 1e3;
        let tensors: Vec<Compared> = compared.iter().flat_map(|(_, tensors)| tensors).cloned().collect();
        let row = |o: Operator| NonlinearRow {
            name: o.name,
            tokens: self.tokens,
            elements: o.elements,
            cycles: o.cycles,
            overlapped_cycles: o.overlapped,
            cycles_per_element: o.cycles as f64 / o.elements as f64,
            ms: ms(o.cycles),
            mismatches: o.mismatches,
        };
        let rows: Vec<NonlinearRow> =
            operators(self.config(), self.tokens, context, &output, &tensors).into_iter().map(row).collect();
        let cycles = rows.iter().map(|row| row.cycles).sum();
        let several = self.layers.len() > 1;
        let named = compared.iter().flat_map(|(layer, tensors)| tensors.iter().map(move |tensor| (layer, tensor)));
        let differences = named.filter_map(|(layer, Compared { name, mismatches, first, .. })| {
            let tensor = if several { format!("layer {layer}, {name}") } else { name.clone() };
            Some(TensorDifference { tensor, mismatches: *mismatches, first: (*first)? })
        });
        let of_head = head.as_ref();
        Nonlinear {
            on: if lanes.is_some() { "vector" } else { "soft-core" }.into(),
            lanes,
            core: Core::from(self.args.core).name().into(),
            clock_mhz,
            context,
            layers: self.layers.len(),
            operators: rows,
            cycles,
            ms: ms(cycles),
            product_cycles: lanes.map(|_| output.busy.iter().sum()),
            token: of_head.map(|head| {
                let cycles = output.cycles + head.cycles[2].round() as u64;
                TokenTime { cycles, ms: ms(cycles) }
            }),
            elements: tensors.iter().map(|t| t.elements).sum::<usize>() + of_head.map_or(0, |head| head.elements),
            mismatches: tensors.iter().map(|t| t.mismatches).sum::<usize>() + of_head.map_or(0, |head| head.mismatches),
            differences: differences.chain(of_head.map_or(Vec::new(), |head| head.differences.clone())).collect(),
            simulation: CoreSimulation {
                top: prepared.top(),
                firmware_bytes: firmware.image.len(),
                firmware_s: firmware.seconds,
                cycles: output.cycles,
                unit_cycles: output.unit_cycles,
                seconds,
            },
            head,
        }
    }
}

/// Does `work`, and records the waveform of it that `trace` asks for, also if the work fails.
fn traced<T>(
    system: &mut System,
    trace: Option<&TraceRequest>,
    work: impl FnOnce(&mut System) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let Some(request) = trace else { return work(system) };
    let file = request.target.temporary()?;
    let begin = system.cycles();
    tell(format_args!("the core's work begins in cycle {begin}"));
    system.open_trace(&file, request.window(begin))?;
    let done = work(system);
    request.finish(file, system.close_trace());
    done
}

/// Compares what layers left in the run of which the cycles are: the tensors that lie in memory, and the residual stream
/// behind the last layer. `expected` has the number of each layer. What equals golden is not listed, because the layer's
/// other run compared it too.
fn compare_timed(expected: &[(usize, &Expected)], output: &Output) -> Vec<OfLayer> {
    let mut compared = Vec::new();
    for ((layer, expected), found) in expected.iter().zip(&output.layers) {
        let names: Vec<String> = found.tensors.iter().map(|(name, _)| name.clone()).collect();
        compared.push((*layer, compare_named(expected, found, &names)));
    }
    if let Some((layer, last)) = expected.last() {
        compared.push((*layer, compare_stream(last, output)));
    }
    for (_, tensors) in &mut compared {
        tensors.retain(|tensor| tensor.mismatches > 0);
        tensors.iter_mut().for_each(|tensor| tensor.name += ", in the timed run");
    }
    compared
}

#[cfg(test)]
mod tests {
    use sequencer::record::Elements;
    use soft_core::layer::LayerOutput;

    use super::*;

    #[test]
    fn the_timed_run_is_compared() {
        let tensors = |value: i8| vec![("self_attn.q_proj.x_q".to_owned(), Elements::I8(vec![1, value]))];
        let expected = Expected { tensors: tensors(2), hidden: vec![3.0, 4.0], ..Expected::default() };
        let found = |value, hidden: [f32; 2]| {
            let layer = LayerOutput { tensors: tensors(value), ..LayerOutput::default() };
            let output = Output { hidden: hidden.into(), layers: vec![layer.clone(), layer], ..Output::default() };
            let compared = compare_timed(&[(7, &expected), (8, &expected)], &output);
            let tensors = compared.iter().flat_map(|(layer, tensors)| tensors.iter().map(move |t| (layer, t)));
            tensors.map(|(layer, tensor)| format!("{layer} {}", tensor.name)).collect::<Vec<String>>()
        };
        assert_eq!(found(2, [3.0, 4.0]), [""; 0]);
        let codes = "self_attn.q_proj.x_q, in the timed run";
        assert_eq!(found(-2, [3.0, 4.0]), [format!("7 {codes}"), format!("8 {codes}")]);
        assert_eq!(found(2, [3.0, -4.0]), ["8 output in memory, in the timed run"]);
    }
}
