//! Weights as a layer uses them, and where they can come from.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use golden::TernaryMatrix;
use half::bf16;
use ndarray::Array2;
use rayon::prelude::*;

use crate::config::{Linear, ModelConfig, Norm};
use crate::{Error, Result};

/// The weights of one ternary linear, `[out_features, in_features]`.
#[derive(Clone, Debug, PartialEq)]
pub struct BitLinearWeights {
    /// The signs.
    pub ternary: TernaryMatrix,
    /// What one unit is worth: multiplies the rescaled accumulator.
    pub factor: f32,
}

/// Everything one decoder layer holds.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerWeights {
    linears: [BitLinearWeights; 7],
    norms: [Vec<f32>; 4],
}

impl LayerWeights {
    /// From the linears in the order of [`Linear::ALL`] and the norms in that of [`Norm::ALL`].
    ///
    /// # Errors
    /// [`Error::Shape`] for one that does not fit `config`.
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

    /// The weights of one linear.
    pub fn linear(&self, linear: Linear) -> &BitLinearWeights {
        &self.linears[linear.index()]
    }

    /// The weights of one norm.
    pub fn norm(&self, norm: Norm) -> &[f32] {
        &self.norms[norm as usize]
    }
}

/// Rows of the output head, `[rows, hidden_size]`, in the dtype they are stored in; all finite.
#[derive(Clone, Debug, PartialEq)]
pub enum HeadRows<'a> {
    /// Without a copy where the source has them in memory.
    Bf16(Cow<'a, [bf16]>),
    /// Of any wider dtype.
    F32(Cow<'a, [f32]>),
}

impl HeadRows<'_> {
    /// Elements `range`, not copied.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn slice(&self, range: Range<usize>) -> HeadRows<'_> {
        match self {
            Self::Bf16(rows) => HeadRows::Bf16(Cow::Borrowed(&rows[range])),
            Self::F32(rows) => HeadRows::F32(Cow::Borrowed(&rows[range])),
        }
    }

    /// The same values in fp32.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Bf16(rows) => rows.iter().map(|x| x.to_f32()).collect(),
            Self::F32(rows) => rows.to_vec(),
        }
    }
}

/// Where the weights of a model come from, a layer at a time.
pub trait WeightSource: Sync {
    /// The dimensions.
    fn config(&self) -> &ModelConfig;

    /// One ternary linear of one layer.
    ///
    /// # Errors
    /// A layer out of range, or whatever reading the source finds.
    fn linear(&self, layer: usize, linear: Linear) -> Result<BitLinearWeights>;

    /// One norm of one layer.
    ///
    /// # Errors
    /// As [`linear`](Self::linear).
    fn norm(&self, layer: usize, norm: Norm) -> Result<Vec<f32>>;

    /// The rows `ids` of the embedding, `[ids, hidden_size]`.
    ///
    /// # Errors
    /// A token out of range, or whatever reading the source finds.
    fn embed(&self, ids: &[u32]) -> Result<Array2<f32>>;

    /// Rows `vocab` of the output head, `[rows, hidden_size]`, for ids within the vocabulary.
    ///
    /// # Errors
    /// Whatever reading the source finds.
    fn head(&self, vocab: Range<usize>) -> Result<HeadRows<'_>>;

    /// The weights of the norm after the last layer.
    ///
    /// # Errors
    /// Whatever reading the source finds.
    fn final_norm(&self) -> Result<Vec<f32>>;

    /// One line for a report: what kind of weights these are and where they are from.
    fn describe(&self) -> String;

    /// All of one layer, its linears loaded in parallel.
    ///
    /// # Errors
    /// As [`linear`](Self::linear).
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
