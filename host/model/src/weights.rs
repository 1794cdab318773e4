//! The weights of a layer, and the trait of a source of weights.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use golden::TernaryMatrix;
use golden::interleaved::{self, Interleaved};
use half::bf16;
use ndarray::Array2;
use rayon::prelude::*;

use crate::config::{Linear, ModelConfig, Norm};
use crate::{Error, Result};

/// A ternary matrix in one of two orders.
#[derive(Clone, Debug, PartialEq)]
pub enum Ternary {
    /// Bit planes, which sources load and units need.
    Planes(TernaryMatrix),
    /// The order that the CPU reads fastest.
    Interleaved(Interleaved),
}

impl Ternary {
    /// Rows: output features.
    pub fn rows(&self) -> usize {
        match self {
            Self::Planes(matrix) => matrix.rows(),
            Self::Interleaved(matrix) => matrix.rows(),
        }
    }

    /// Columns: input features.
    pub fn cols(&self) -> usize {
        match self {
            Self::Planes(matrix) => matrix.cols(),
            Self::Interleaved(matrix) => matrix.cols(),
        }
    }

    /// The bit planes. They are made anew if the matrix has the other order.
    pub fn planes(&self) -> Cow<'_, TernaryMatrix> {
        match self {
            Self::Planes(matrix) => Cow::Borrowed(matrix),
            Self::Interleaved(matrix) => Cow::Owned(matrix.to_planes()),
        }
    }
}

impl From<TernaryMatrix> for Ternary {
    fn from(matrix: TernaryMatrix) -> Self {
        Self::Planes(matrix)
    }
}

/// The weights of one ternary linear, `[out_features, in_features]`.
#[derive(Clone, Debug, PartialEq)]
pub struct BitLinearWeights {
    /// The ternary matrix: -1, 0 and 1.
    pub ternary: Ternary,
    /// The value of a ternary weight of 1. The rescaled accumulator is multiplied by it.
    pub factor: f32,
}

/// All weights of one decoder layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights {
    linears: [BitLinearWeights; 7],
    norms: [Vec<f32>; 4],
}

impl LayerWeights {
    /// Combines linears in the order of [`Linear::ALL`] and norms in the order of [`Norm::ALL`].
    ///
    /// # Errors
    /// [`Error::Shape`] if a linear or a norm does not fit `config`.
    pub fn new(config: &ModelConfig, linears: [BitLinearWeights; 7], norms: [Vec<f32>; 4]) -> Result<Self> {
        let shape = |what: &str, expected: Vec<usize>, found: Vec<usize>| {
            if expected == found { Ok(()) } else { Err(Error::Shape { what: what.into(), expected, found }) }
        };
        for (linear, weights) in Linear::ALL.into_iter().zip(&linears) {
            let expected = vec![linear.out_features(config), linear.in_features(config)];
            shape(linear.name(), expected, vec![weights.ternary.rows(), weights.ternary.cols()])?;
        }
        for (norm, weights) in Norm::ALL.into_iter().zip(&norms) {
            shape(norm.name(), vec![norm.width(config)], vec![weights.len()])?;
        }
        Ok(Self { linears, norms })
    }

    /// The same weights in the order that the CPU reads fastest, if this machine has instructions for it.
    pub fn interleaved(&self) -> Self {
        if !interleaved::is_faster() {
            return self.clone();
        }
        let linears = self.linears.each_ref().map(|BitLinearWeights { ternary, factor }| {
            let ternary = Ternary::Interleaved(Interleaved::new(&ternary.planes()));
            BitLinearWeights { ternary, factor: *factor }
        });
        Self { linears, norms: self.norms.clone() }
    }

    /// The weights of one linear.
    pub fn linear(&self, linear: Linear) -> &BitLinearWeights {
        &self.linears[linear.index()]
    }

    /// The weights of one norm.
    pub fn norm(&self, norm: Norm) -> &[f32] {
        &self.norms[norm as usize]
    }
}

/// Rows of the output head, `[rows, hidden_size]`, row-major. All values are finite.
#[derive(Clone, Debug, PartialEq)]
pub enum HeadRows<'a> {
    /// Rows that are stored as bf16. They are borrowed if the source has them in memory.
    Bf16(Cow<'a, [bf16]>),
    /// Rows that are stored in another dtype, converted to fp32.
    F32(Cow<'a, [f32]>),
}

impl HeadRows<'_> {
    /// The elements in `range`, without a copy.
    ///
    /// # Panics
    /// If the rows have fewer elements.
    pub fn slice(&self, range: Range<usize>) -> HeadRows<'_> {
        match self {
            Self::Bf16(rows) => HeadRows::Bf16(Cow::Borrowed(&rows[range])),
            Self::F32(rows) => HeadRows::F32(Cow::Borrowed(&rows[range])),
        }
    }

    /// The elements in fp32.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Bf16(rows) => rows.iter().map(|x| x.to_f32()).collect(),
            Self::F32(rows) => rows.to_vec(),
        }
    }
}

/// A source of the weights of a model, which loads one layer at a time.
pub trait WeightSource: Sync {
    /// The dimensions of the model.
    fn config(&self) -> &ModelConfig;

    /// One ternary linear of one layer.
    ///
    /// # Errors
    /// A layer out of range, or an error in reading the source.
    fn linear(&self, layer: usize, linear: Linear) -> Result<BitLinearWeights>;

    /// The weights of one norm of one layer, `[width]`.
    ///
    /// # Errors
    /// A layer out of range, or an error in reading the source.
    fn norm(&self, layer: usize, norm: Norm) -> Result<Vec<f32>>;

    /// The rows of the embedding for the token ids `ids`, `[ids.len(), hidden_size]`.
    ///
    /// # Errors
    /// A token id out of range, or an error in reading the source.
    fn embed(&self, ids: &[u32]) -> Result<Array2<f32>>;

    /// The rows of the output head for the token ids `vocab`, `[vocab.len(), hidden_size]`. All ids must be within
    /// the vocabulary.
    ///
    /// # Errors
    /// An error in reading the source.
    fn head(&self, vocab: Range<usize>) -> Result<HeadRows<'_>>;

    /// The weights of the norm after the last layer, `[hidden_size]`.
    ///
    /// # Errors
    /// An error in reading the source.
    fn final_norm(&self) -> Result<Vec<f32>>;

    /// One line for a report: the kind of the weights and their origin.
    fn describe(&self) -> String;

    /// All weights of one layer. Its linears are loaded in parallel.
    ///
    /// # Errors
    /// A layer out of range, or an error in reading the source.
    fn layer(&self, layer: usize) -> Result<Arc<LayerWeights>> {
        self.config().check_layer(layer)?;
        let mut linears = Linear::ALL.map(|_| None);
        linears.par_iter_mut().zip(&Linear::ALL).for_each(|(slot, &l)| *slot = Some(self.linear(layer, l)));
        let [q, k, v, o, gate, up, down] = linears.map(|slot| slot.expect("every slot was filled"));
        let [input, attn, post, ffn] = Norm::ALL.map(|n| self.norm(layer, n));
        let (linears, norms) = ([q?, k?, v?, o?, gate?, up?, down?], [input?, attn?, post?, ffn?]);
        LayerWeights::new(self.config(), linears, norms).map(Arc::new)
    }
}
