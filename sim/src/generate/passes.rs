//! The forward passes on golden's arithmetic.

use bitnet::config::{Linear, ModelConfig};
use bitnet::generate::{Last, Pass, generate};
use bitnet::layer::TernaryBackend;
use bitnet::model::{Model, int8_head, screened_head};
use bitnet::resident::Resident;
use bitnet::weights::WeightSource;
use golden::Dtype;
use program::{machine, pool};

use super::args::{DeviceKind, HeadKind};
use super::choice::Each;
use super::job::Job;
use super::writer::Writer;
use crate::failure::{Failure, check_interrupt};

/// The results of the forward passes.
#[derive(Default)]
pub(super) struct Generated {
    pub(super) passes: Vec<Pass>,
    pub(super) head_bytes: u64,
    pub(super) plane_bytes: u64,
    /// Rate of reading memory in bytes per second: the larger of two measurements, before and after the passes.
    pub(super) read_bandwidth: Option<f64>,
    /// Peak memory that is not mapped from a file, in bytes.
    pub(super) anonymous: Option<u64>,
}

impl Job<'_> {
    /// Generates the tokens on golden's arithmetic. Ternary products come from `backend`; `each` gets every pass.
    pub(super) fn generate(
        &self,
        backend: &mut dyn TernaryBackend,
        writer: &mut Writer<'_>,
        generated: &mut Generated,
        each: Each<'_>,
    ) -> Result<(), Failure> {
        let alone = self.args.device == DeviceKind::Golden;
        // Units beside it are simulated by threads of their own.
        let all_threads = alone && self.args.head != HeadKind::Units;
        if all_threads {
            pool::join(0);
        }
        let resident =
            if alone { Resident::for_cpu(self.source.weights()) } else { Resident::new(self.source.weights()) };
        let config = resident.config();
        let mut model = Model::new(&resident, Dtype::from(self.args.model.dtype));
        generated.plane_bytes = plane_bytes(config);
        let head_values = (config.vocab_size * config.hidden_size) as u64;
        generated.head_bytes = head_values * 2;
        // Load all layers before the first pass, so that the times of the passes do not include loading.
        for layer in 0..config.num_hidden_layers {
            resident.layer(layer)?;
            check_interrupt()?;
        }
        if self.args.head == HeadKind::Int8 {
            model.set_head(int8_head(self.source.weights())?);
            generated.head_bytes = head_values;
        } else {
            resident.head(0..config.vocab_size)?;
        }
        if self.args.head == HeadKind::Screened {
            model.set_head(screened_head(&resident, self.args.model.dtype.into())?);
            generated.head_bytes = head_values;
        }
        generated.read_bandwidth = if alone { resident.read_bandwidth() } else { None };
        let mut write_error = None;
        let mut on_pass = |pass: &Pass, last: Last<'_>| {
            generated.passes.push(*pass);
            each(pass, last);
            generated.anonymous = generated.anonymous.max(machine::anonymous_bytes());
            if let Err(failure) = writer.token(pass.next) {
                write_error.get_or_insert(failure);
            }
            Ok(())
        };
        let (sampler, model) = (&mut self.sampler.clone(), &mut model);
        let mut run = || generate(model, &self.prompt, &self.limits, sampler, backend, &mut on_pass);
        if all_threads { pool::awake(run) } else { run() }?;
        let after = resident.read_bandwidth().filter(|_| alone);
        generated.read_bandwidth = generated.read_bandwidth.zip(after).map(|(a, b)| a.max(b));
        write_error.map_or(Ok(()), Err)
    }
}

/// Bytes of the bit planes of all linears, all layers.
fn plane_bytes(config: &ModelConfig) -> u64 {
    let of = |l: &Linear| 2 * 8 * l.out_features(config) * l.in_features(config).div_ceil(golden::ternary::WORD);
    (Linear::ALL.iter().map(of).sum::<usize>() * config.num_hidden_layers) as u64
}
