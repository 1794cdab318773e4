//! Keeps weights in memory after the first read, for many passes over the same model.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use golden::interleaved::{self, Line};
use ndarray::Array2;
use rayon::prelude::*;

use crate::Result;
use crate::config::{Linear, ModelConfig, Norm};
use crate::weights::{BitLinearWeights, HeadRows, LayerWeights, Ternary, WeightSource};

/// Number of lines that one task reads in the measurement of the bandwidth: 1 MiB.
const CHUNK: usize = 1 << 13;

/// A wrapper around a weight source that requests each layer once, and the output head once, and keeps them in memory.
///
/// For BitNet b1.58-2B-4T, the weights of all layers take 521 MB. The head takes another 657 MB, unless the source
/// has mapped it.
pub struct Resident<'a> {
    source: &'a dyn WeightSource,
    interleaved: bool,
    layers: Vec<Mutex<Option<Arc<LayerWeights>>>>,
    head: OnceLock<HeadRows<'a>>,
}

impl<'a> Resident<'a> {
    /// Wraps `source`. Nothing is read yet.
    pub fn new(source: &'a dyn WeightSource) -> Self {
        let layers = (0..source.config().num_hidden_layers).map(|_| Mutex::default()).collect();
        Self { source, interleaved: false, layers, head: OnceLock::new() }
    }

    /// Wraps `source` for [`CpuBackend`](crate::layer::CpuBackend): layers are kept in the order that it reads fastest.
    pub fn for_cpu(source: &'a dyn WeightSource) -> Self {
        Self { interleaved: true, ..Self::new(source) }
    }

    /// Measures the bandwidth, in bytes per second, at which all cores together read the ternary weights of the layers
    /// that are in memory. This bandwidth limits products with one token. Returns the best of three measurements, or
    /// `None` if no layer is in memory in the order for the CPU.
    pub fn read_bandwidth(&self) -> Option<f64> {
        let lock =
            |slot: &Mutex<Option<Arc<LayerWeights>>>| slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let layers: Vec<_> = self.layers.iter().filter_map(lock).collect();
        let weights = layers.iter().flat_map(|layer| Linear::ALL.map(|l| &layer.linear(l).ternary));
        let lines = weights.filter_map(|ternary| match ternary {
            Ternary::Interleaved(matrix) => Some(matrix.lines()),
            Ternary::Planes(_) => None,
        });
        let chunks: Vec<&[Line]> = lines.flat_map(|lines| lines.chunks(CHUNK)).collect();
        let bytes: usize = chunks.iter().map(|chunk| size_of_val(*chunk)).sum();
        let time = |_| {
            let start = Instant::now();
            // The result of this sum is not used; `black_box` keeps the compiler from removing the reads.
            let sum = chunks.par_iter().map(|lines| interleaved::read(lines)).reduce(|| 0, u32::wrapping_add);
            std::hint::black_box(sum);
            start.elapsed().as_secs_f64()
        };
        let best = (0..3).map(time).fold(f64::INFINITY, f64::min);
        (bytes > 0).then(|| bytes as f64 / best)
    }
}

impl WeightSource for Resident<'_> {
    fn config(&self) -> &ModelConfig {
        self.source.config()
    }

    fn linear(&self, layer: usize, linear: Linear) -> Result<BitLinearWeights> {
        self.source.linear(layer, linear)
    }

    fn norm(&self, layer: usize, norm: Norm) -> Result<Vec<f32>> {
        self.source.norm(layer, norm)
    }

    fn embed(&self, ids: &[u32]) -> Result<Array2<f32>> {
        self.source.embed(ids)
    }

    fn head(&self, vocab: Range<usize>) -> Result<HeadRows<'_>> {
        let width = self.config().hidden_size;
        let all = match self.head.get() {
            Some(all) => all,
            None => {
                let all = self.source.head(0..self.config().vocab_size)?;
                self.head.get_or_init(|| all)
            }
        };
        Ok(all.slice(vocab.start * width..vocab.end * width))
    }

    fn final_norm(&self) -> Result<Vec<f32>> {
        self.source.final_norm()
    }

    fn describe(&self) -> String {
        self.source.describe()
    }

    fn layer(&self, layer: usize) -> Result<Arc<LayerWeights>> {
        self.config().check_layer(layer)?;
        let mut slot = self.layers[layer].lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            let weights = self.source.layer(layer)?;
            *slot = Some(if self.interleaved { Arc::new(weights.interleaved()) } else { weights });
        }
        Ok(slot.clone().expect("it was filled"))
    }
}
