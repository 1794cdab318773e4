//! The operators between the BitLinears on the soft core or on the vector unit: `--nonlinear soft-core|vector`.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use bitnet::config::Linear;
use golden::Dtype;
use ndarray::Array2;
use report::head::OutputHead;
use report::nonlinear::{CoreSimulation, Nonlinear, NonlinearRow};
use report::tensor::TensorDifference;
use soft_core::compare::{Compared, Expected, compare_all, compare_named};
use soft_core::core::Core;
use soft_core::layer::{LayerInput, LayerOutput, memory_bytes, run, work};
use soft_core::operators::{operators, results};
use soft_core::whole;
use testbench::pool::drain;

use super::args::NonlinearArg;
use super::forward::{Entering, check_skipping};
use super::job::Job;
use crate::failure::{Exit, Failure};
use crate::head::{Head, MARGIN, Token};
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

/// A layer that ran.
struct OnCore {
    layer: usize,
    output: LayerOutput,
    compared: Vec<Compared>,
}

impl Job<'_> {
    /// Makes the firmware and the models, if the layers are to run on the core too, and checks that they fit.
    pub(super) fn prepare_core(&self) -> Result<Option<Parts>, Failure> {
        if self.args.nonlinear == NonlinearArg::Host {
            return Ok(None);
        }
        let which = Core::from(self.args.core);
        check_memory(self.core_memory_bytes())?;
        let on_vector = self.args.nonlinear == NonlinearArg::Vector;
        let vector = on_vector.then(|| vector_config(&self.setup, self.args.lanes)).transpose()?;
        Ok(Some(Parts::build(which, &self.setup, vector)?))
    }

    /// Runs the layers on the core, and compares every tensor with golden's.
    pub(super) fn nonlinear(&self, prepared: &Parts) -> Result<Nonlinear, Failure> {
        let (runs, each) = if prepared.vector.is_some() { (2, VECTOR_CYCLES) } else { (1, CYCLES) };
        let work = work(self.config(), self.tokens, self.args.context());
        let progress = Progress::new("simulating the core", runs * each * (work * self.layers.len()) as u64);
        let started = Instant::now();
        // A head that does not fit is told before the layers run.
        let head = self.args.layer.is_none().then(|| self.output_head(prepared)).transpose()?;
        let (layers, token) = match (self.args.layer, &self.ids) {
            (None, Some(ids)) => {
                let (layers, token) = self.on_core_in_parallel(prepared, ids, &progress)?;
                (layers, Some(token))
            }
            _ => {
                let case = self.case(self.entering_layer(self.layers.start)?)?;
                (vec![self.on_core(prepared, case, &progress)?], None)
            }
        };
        let seconds = started.elapsed().as_secs_f64() / runs as f64;
        progress.finish();
        let head = head.zip(token).map(|(head, token)| self.choose(&head, token)).transpose()?;
        let mut section = self.core_section(prepared, &layers, seconds);
        if let Some(head) = &head {
            section.elements += head.elements;
            section.mismatches += head.mismatches;
            section.differences.extend(head.differences.clone());
        }
        Ok(Nonlinear { head, ..section })
    }

    /// The output head for both units.
    fn output_head<'b>(&'b self, prepared: &'b Parts) -> Result<Head<'b>, Failure> {
        Head::new(prepared, &self.setup, self.source.weights(), self.args.model.dtype.into(), MARGIN)
    }

    /// Chooses the next token on both units.
    fn choose(&self, head: &Head<'_>, token: Token) -> Result<OutputHead, Failure> {
        let chosen = head.choose(&mut head.system(self.args.model.seed)?, 0, &token)?;
        Ok(head.report(vec![chosen]))
    }

    /// What enters a layer, with golden's tensors.
    fn case(&self, entering: Entering) -> Result<Case, Failure> {
        let Entering { layer, weights, hidden, cache } = &entering;
        let dtype = self.args.model.dtype.into();
        let golden = |skip| Expected::of(self.config(), *layer, weights, hidden, &mut cache.clone(), dtype, skip);
        let expected = golden(self.args.skip_zeros)?;
        if self.args.skip_zeros {
            check_skipping(*layer, &golden(false)?.hidden, &expected.hidden)?;
        }
        Ok(Case { entering, expected })
    }

    /// Runs all layers, some at the same time: golden computes what enters each of them. Returns golden's next token too.
    fn on_core_in_parallel(
        &self,
        on: &Parts,
        ids: &[u32],
        progress: &Progress,
    ) -> Result<(Vec<OnCore>, Token), Failure> {
        let (sender, receiver) = sync_channel(1);
        let (produced, (mut layers, failure)) = thread::scope(|scope| {
            let workers = scope.spawn(|| {
                // The receiver is dropped with the workers. Golden then fails to send, and ends too.
                let receiver = Mutex::new(receiver);
                drain(self.jobs, &receiver, |case: &Case| case.entering.layer, |case| self.on_core(on, case, progress))
            });
            let produced = self.entering_layers(ids, |entering| {
                let case = self.case(entering)?;
                let shape = case.entering.hidden.dim();
                let hidden = Array2::from_shape_vec(shape, case.expected.hidden.clone());
                let ended = |_| Failure::new(Exit::Internal, "the workers ended before the last layer");
                sender.send(case).map_err(ended)?;
                Ok(hidden.expect("a layer keeps the shape"))
            });
            drop(sender);
            (produced, workers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let token = failure.map_or(produced, Err)?;
        layers.sort_by_key(|layer| layer.layer);
        Ok((layers, token))
    }

    /// Runs a layer.
    fn on_core(&self, prepared: &Parts, case: Case, progress: &Progress) -> Result<OnCore, Failure> {
        let Parts { firmware, vector, .. } = prepared;
        let Case { entering: Entering { layer, weights, hidden, cache }, expected } = case;
        let hidden: Vec<f32> = hidden.iter().copied().collect();
        let dtype = Dtype::from(self.args.model.dtype);
        let skip_zeros = self.args.skip_zeros;
        let input =
            LayerInput { config: self.config(), weights: &weights, dtype, hidden: &hidden, cache: &cache, skip_zeros };
        let run_on = |tensors: bool| -> Result<LayerOutput, Failure> {
            let mut system = prepared.system(&self.setup, self.core_memory_bytes(), self.args.model.seed)?;
            let bar = progress.clone();
            system.set_progress(move |cycles| bar.advance(cycles));
            Ok(match vector {
                Some((_, config)) => whole::run(&mut system, firmware, config, &input, tensors)?,
                None => run(&mut system, firmware, &input, tensors)?,
            })
        };
        if vector.is_none() {
            let output = run_on(true)?;
            return Ok(OnCore { layer, compared: compare_all(&expected, &output), output });
        }
        // Tensors in memory cost the vector unit time, so cycles come from a run without them.
        let (shown, output) = thread::scope(|scope| {
            let timed = scope.spawn(|| run_on(false));
            (run_on(true), timed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (shown, output) = (shown?, output?);
        let mut compared = compare_named(&expected, &shown, &results());
        let names: Vec<String> = output.tensors.iter().map(|(name, _)| name.clone()).collect();
        for tensor in compare_named(&expected, &output, &names).into_iter().filter(|tensor| tensor.mismatches > 0) {
            compared.push(Compared { name: format!("{}, in the timed run", tensor.name), ..tensor });
        }
        Ok(OnCore { layer, compared, output })
    }

    /// Bytes of memory that core and unit need.
    fn core_memory_bytes(&self) -> usize {
        let matrix = |linear: Linear| {
            let (rows, cols) = self.shape(linear);
            self.setup.unit.weight_bytes(rows, cols) + ALIGNMENT
        };
        let weights = Linear::ALL.into_iter().map(matrix).sum();
        match self.args.nonlinear {
            NonlinearArg::Vector => whole::memory_bytes(self.config(), self.tokens, self.args.context(), weights),
            _ => memory_bytes(self.config(), self.tokens, self.args.context(), weights),
        }
    }

    fn core_section(&self, prepared: &Parts, layers: &[OnCore], seconds: f64) -> Nonlinear {
        let (firmware, context) = (&prepared.firmware, self.args.context());
        let lanes = prepared.vector.as_ref().map(|(_, config)| config.lanes);
        // The vector unit has the clock of the ternary unit.
        let clock_mhz = if lanes.is_some() { self.setup.clock_mhz } else { self.args.core_mhz };
        let ms = |cycles: u64| cycles as f64 / clock_mhz / 1e3;
        let mut rows: Vec<NonlinearRow> = Vec::new();
        for OnCore { output, compared, .. } in layers {
            for (index, o) in operators(self.config(), self.tokens, context, output, compared).into_iter().enumerate() {
                if index == rows.len() {
                    let (name, tokens) = (o.name.clone(), self.tokens);
                    rows.push(NonlinearRow { name, tokens, ..NonlinearRow::default() });
                }
                rows[index].elements += o.elements;
                rows[index].cycles += o.cycles;
                rows[index].overlapped_cycles += o.overlapped;
                rows[index].mismatches += o.mismatches;
            }
        }
        for row in &mut rows {
            row.cycles_per_element = row.cycles as f64 / row.elements as f64;
            row.ms = ms(row.cycles);
        }
        let cycles = rows.iter().map(|row| row.cycles).sum();
        let compared = || layers.iter().flat_map(|on| on.compared.iter().map(|tensor| (on.layer, tensor)));
        let differences = compared().filter_map(|(layer, tensor)| {
            let (name, first) = (&tensor.name, tensor.first?);
            let name = if layers.len() > 1 { format!("layer {layer}, {name}") } else { name.clone() };
            Some(TensorDifference { tensor: name, mismatches: tensor.mismatches, first })
        });
        Nonlinear {
            on: if lanes.is_some() { "vector" } else { "soft-core" }.into(),
            lanes,
            core: Core::from(self.args.core).name().into(),
            clock_mhz,
            context,
            layers: layers.len(),
            operators: rows,
            cycles,
            ms: ms(cycles),
            product_cycles: lanes.map(|_| layers.iter().flat_map(|on| &on.output.busy).sum()),
            elements: compared().map(|(_, tensor)| tensor.elements).sum(),
            mismatches: compared().map(|(_, tensor)| tensor.mismatches).sum(),
            differences: differences.collect(),
            head: None,
            simulation: CoreSimulation {
                firmware_bytes: firmware.image.len(),
                firmware_s: firmware.seconds,
                cycles: layers.iter().map(|on| on.output.cycles).sum(),
                unit_cycles: layers.iter().map(|on| on.output.unit_cycles).sum(),
                seconds,
            },
        }
    }
}
