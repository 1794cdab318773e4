//! A job from begin to end.

use alloc::vec::Vec;
use core::slice;

use decoder::{Cache, Error, Layer, Linear, Norm};
use golden::rope::RopeTables;
use sequencer::head::HeadJob;
use sequencer::job::{Job, Outcome, Region};
use sequencer::map;
use sequencer::products::UnitProducts;
use sequencer::whole::{HEADER_WORDS, Units, WholeJob};
use tmv::device::DeviceError;
use tmv::driver::Driver;

use crate::recorder::Recorder;
use crate::unit::Unit;
use crate::{cpu, heap};

/// Runs the job at `address`.
pub(crate) fn run(address: u32) -> Outcome {
    // The host wrote the job and all that it names, beside the cache.
    cpu::invalidate_data_cache();
    if let Some(job) = WholeJob::from_words(view(address, WholeJob::WORDS)) {
        return whole(&job);
    }
    if let Some(job) = HeadJob::from_words(view(address, HeadJob::WORDS)) {
        return head(&job);
    }
    let Some(job) = Job::from_words(view(address, Job::WORDS)) else { return Outcome::NoJob };
    heap::begin(job.heap);
    let mut recorder = Recorder::new(bytes(job.records), job.tensors);
    match layer(&job, &mut recorder) {
        Ok(()) => Outcome::Done,
        Err(Error::NotFinite { linears }) => {
            recorder.text(format_args!("the input of {} has a value that is not finite", linears[0]));
            Outcome::Failed
        }
        Err(Error::Products { linears, source }) => {
            recorder.text(format_args!("{}: {source}", linears[0]));
            Outcome::Failed
        }
        Err(Error::Length { linears, expected, found }) => {
            recorder.text(format_args!("{}: expected {expected:?} products, found {found:?}", linears[0]));
            Outcome::Failed
        }
    }
}

/// The region of the records of the job at `address`.
pub(crate) fn records(address: u32) -> Option<&'static mut [u8]> {
    let whole = WholeJob::from_words(view(address, WholeJob::WORDS)).map(|job| job.records);
    let head = || HeadJob::from_words(view(address, HeadJob::WORDS)).map(|job| job.records);
    let records = whole.or_else(head).or_else(|| Some(Job::from_words(view(address, Job::WORDS))?.records))?;
    Some(bytes(records))
}

/// Runs layers on both units.
#[inline(never)]
fn whole(job: &WholeJob) -> Outcome {
    heap::begin(job.heap);
    let mut recorder = Recorder::new(bytes(job.records), false);
    let header: [u32; HEADER_WORDS] = core::array::from_fn(|i| view(map::core_address(job.placed), HEADER_WORDS)[i]);
    let ran =
        Units::open(Unit::alone(map::UNIT), Unit::alone(map::VECTOR)).and_then(|mut units| units.run(job, header));
    ended(ran, &mut recorder, |(), _| {})
}

/// Records what a job on both units came to, or why it failed.
fn ended<T>(
    result: Result<T, sequencer::whole::Error>,
    recorder: &mut Recorder,
    record: fn(T, &mut Recorder),
) -> Outcome {
    match result {
        Ok(value) => {
            record(value, recorder);
            Outcome::Done
        }
        Err(error) => {
            recorder.text(format_args!("{error}"));
            Outcome::Failed
        }
    }
}

/// Chooses the row of the output head with the largest logit, with both units.
#[inline(never)]
fn head(job: &HeadJob) -> Outcome {
    heap::begin(job.heap);
    let mut recorder = Recorder::new(bytes(job.records), false);
    let vector = Unit { registers: map::VECTOR, memory: bytes(job.shared), base: job.base };
    let chosen = Units::open(Unit::alone(map::UNIT), vector).and_then(|mut units| units.head(job));
    ended(chosen, &mut recorder, |chosen, recorder| recorder.head(chosen))
}

#[inline(never)]
fn layer(job: &Job, recorder: &mut Recorder) -> Result<(), Error<DeviceError>> {
    let (shape, tokens, past) = (job.shape, job.tokens as usize, job.past as usize);
    let (row, half) = (shape.heads.kv * shape.heads.dim, shape.heads.dim / 2);
    let table = |address| Vec::from(view::<f32>(address, tokens * half));
    let rope = RopeTables::from_values(table(job.cos), table(job.sin), shape.heads.dim, job.dtype);
    let layer = Layer {
        shape,
        dtype: job.dtype,
        norms: Norm::ALL.map(|norm| view(job.norms[norm.index()], norm.width(shape))),
        factors: job.factors,
        rope: &rope,
    };
    let cache = Cache {
        past,
        keys: view_mut(job.keys, (past + tokens) * row),
        values: view_mut(job.values, (past + tokens) * row),
    };
    let device = Unit { registers: map::UNIT, memory: bytes(job.unit), base: job.unit_base };
    let open = |source| Error::Products { linears: [Linear::Q].into(), source };
    let mut unit = UnitProducts::new(Driver::open(device).map_err(open)?, job.weights);
    layer.run(view_mut(job.hidden, tokens * shape.hidden), cache, &mut unit, recorder)?;
    recorder.unit(unit.busy());
    Ok(())
}

fn bytes(region: Region) -> &'static mut [u8] {
    view_mut(region.address, region.bytes as usize)
}

fn view<T: Plain>(address: u32, len: usize) -> &'static [T] {
    // SAFETY: the host laid out the job: the memory is there, aligned and initialised, and nobody else writes it.
    unsafe { slice::from_raw_parts(address as *const T, len) }
}

fn view_mut<T: Plain>(address: u32, len: usize) -> &'static mut [T] {
    // SAFETY: as in `view`. The host laid out the job so that what is written belongs to nothing else.
    unsafe { slice::from_raw_parts_mut(address as *mut T, len) }
}

/// Types for which every bit pattern is a value.
trait Plain: 'static {}

impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for f32 {}
