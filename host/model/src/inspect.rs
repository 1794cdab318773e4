//! A wrapper around a weight source that notices weights which no trained model has.
//!
//! Some published checkpoints hold matrices of zeros, because a conversion failed. The arithmetic is exact for them
//! too, so that nothing else tells the user.

use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use golden::TernaryMatrix;
use half::bf16;
use ndarray::Array2;

use crate::Result;
use crate::config::{Linear, ModelConfig, Norm};
use crate::names::{EMBEDDING, FINAL_NORM, HEAD};
use crate::weights::{BitLinearWeights, HeadRows, LayerWeights, WeightSource};

/// What is wrong with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Zero,
    ConstantRows,
    ZeroScale,
}

impl Fault {
    const ALL: [Self; 3] = [Self::Zero, Self::ConstantRows, Self::ZeroScale];

    const fn text(self) -> &'static str {
        match self {
            Self::Zero => "all values are zero",
            Self::ConstantRows => "every row repeats one value",
            Self::ZeroScale => "the scale is zero",
        }
    }
}

/// The faults that were found so far.
#[derive(Debug, Default)]
struct Found {
    /// Tensors of the layers: index of the layer, fault, names.
    layers: BTreeMap<(usize, Fault), Vec<&'static str>>,
    final_norm: bool,
    /// Parts of the output head that are zero: first row and number of rows.
    head: BTreeMap<usize, usize>,
}

/// A weight source whose layers, final norm and output head are inspected when they are loaded.
///
/// ```
/// use bitnet::{checkpoint::Checkpoint, inspect::Inspected, weights::WeightSource};
/// let model = Inspected::new(Box::new(Checkpoint::open("../../testdata/tiny-packed")?));
/// model.layer(0)?;
/// assert_eq!(model.finding(), None);
/// # Ok::<(), bitnet::Error>(())
/// ```
pub struct Inspected<S> {
    source: S,
    found: Mutex<Found>,
}

impl<S> Inspected<S>
where
    S: Deref,
    S::Target: WeightSource,
{
    /// Wraps `source`. Nothing is read yet.
    pub fn new(source: S) -> Self {
        Self { source, found: Mutex::default() }
    }

    /// The wrapped source.
    pub fn source(&self) -> &S::Target {
        &self.source
    }

    /// A sentence about everything that is wrong with the weights that were loaded so far; `None` if nothing is.
    pub fn finding(&self) -> Option<String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = vec![];
        for fault in Fault::ALL {
            // Layers with the same names are listed together.
            let mut groups: BTreeMap<&[&str], Vec<usize>> = BTreeMap::new();
            for ((layer, _), names) in found.layers.iter().filter(|((_, other), _)| *other == fault) {
                groups.entry(names).or_default().push(*layer);
            }
            let mut places: Vec<String> =
                groups.iter().map(|(names, layers)| format!("{} of {}", names.join(", "), ranges(layers))).collect();
            if fault == Fault::Zero {
                let config = self.source.config();
                places.extend(found.final_norm.then(|| FINAL_NORM.into()));
                let head = if config.tie_word_embeddings { EMBEDDING } else { HEAD };
                let zero = found.head.values().sum::<usize>() == config.vocab_size;
                places.extend(zero.then(|| head.into()));
            }
            if !places.is_empty() {
                faults.push(format!("{}: {}", fault.text(), places.join("; ")));
            }
        }
        let faults = faults.join("; ");
        (!faults.is_empty()).then(|| format!("weights that no trained model has: {faults}; are the files intact?"))
    }

    fn note(&self, note: impl FnOnce(&mut Found)) {
        note(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn inspect(&self, layer: usize, weights: &LayerWeights) {
        let linears = Linear::ALL.into_iter().filter_map(|l| Some((l.name(), fault(weights.linear(l))?)));
        let zero = |norm: &Norm| weights.norm(*norm).iter().all(|x| *x == 0.0);
        let norms = Norm::ALL.into_iter().filter(zero).map(|norm| (norm.name(), Fault::Zero));
        let mut faults: BTreeMap<(usize, Fault), Vec<&'static str>> = BTreeMap::new();
        for (name, fault) in linears.chain(norms) {
            faults.entry((layer, fault)).or_default().push(name);
        }
        if !faults.is_empty() {
            self.note(|found| found.layers.extend(faults));
        }
    }
}

fn fault(weights: &BitLinearWeights) -> Option<Fault> {
    let BitLinearWeights { ternary, factor } = weights;
    let matrix = ternary.planes();
    if matrix.planes().0.iter().all(|word| *word == 0) {
        Some(Fault::Zero)
    } else if *factor == 0.0 {
        Some(Fault::ZeroScale)
    } else {
        (matrix.cols() > 1 && has_constant_rows(&matrix)).then_some(Fault::ConstantRows)
    }
}

fn has_constant_rows(matrix: &TernaryMatrix) -> bool {
    (0..matrix.rows()).all(|r| (1..matrix.cols()).all(|c| matrix.get(r, c) == matrix.get(r, 0)))
}

/// `layer 3`, or `layers 0 to 4, 7`.
fn ranges(layers: &[usize]) -> String {
    let runs = layers.chunk_by(|a, b| a + 1 == *b);
    let run = |run: &[usize]| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    };
    let text: Vec<String> = runs.map(run).collect();
    format!("layer{} {}", if layers.len() == 1 { "" } else { "s" }, text.join(", "))
}

impl<S> WeightSource for Inspected<S>
where
    S: Deref + Sync,
    S::Target: WeightSource,
{
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
        let rows = self.source.head(vocab.clone())?;
        let zero = match &rows {
            HeadRows::Bf16(rows) => rows.iter().all(|x| *x == bf16::ZERO),
            HeadRows::F32(rows) => rows.iter().all(|x| *x == 0.0),
        };
        if zero {
            self.note(|found| found.head.extend([(vocab.start, vocab.len())]));
        }
        Ok(rows)
    }

    fn final_norm(&self) -> Result<Vec<f32>> {
        let norm = self.source.final_norm()?;
        self.note(|found| found.final_norm = norm.iter().all(|x| *x == 0.0));
        Ok(norm)
    }

    fn describe(&self) -> String {
        self.source.describe()
    }

    fn layer(&self, layer: usize) -> Result<Arc<LayerWeights>> {
        let weights = self.source.layer(layer)?;
        self.inspect(layer, &weights);
        Ok(weights)
    }
}
