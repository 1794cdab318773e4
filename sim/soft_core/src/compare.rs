//! The comparison of a job with golden on the host: every tensor, for equality.

use std::sync::Arc;

use bitnet::config::ModelConfig;
use bitnet::layer::{CpuBackend, DecoderLayer, KvCache, Observer, TernaryBackend, Values};
use bitnet::skip::Skipping;
use bitnet::weights::LayerWeights;
use golden::Dtype;
use ndarray::Array2;
use sequencer::record::Elements;

use crate::layer::{LayerOutput, Output};

/// Golden's tensors of a layer: name within the layer, elements.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The tensors in the order in which a layer shows them.
    pub tensors: Vec<(String, Elements)>,
    /// The residual stream after the layer, `[tokens, hidden]`.
    pub hidden: Vec<f32>,
    /// Keys and values after the layer, `[past + tokens, kv_heads, head_dim]` each.
    pub cache: KvCache,
}

impl Observer for Expected {
    fn tensor(&mut self, name: &str, _: &[usize], values: Values<'_>) {
        let elements = match values {
            Values::F32(values) => Elements::F32(values.iter().map(|value| value.to_bits()).collect()),
            Values::I8(values) => Elements::I8(values.into()),
            Values::I32(values) => Elements::I32(values.into()),
        };
        // `model.layers.L.` comes before the name within the layer.
        let name = name.splitn(4, '.').nth(3).unwrap_or_default();
        self.tensors.push((name.into(), elements));
    }
}

impl Expected {
    /// Runs the layer with golden. `cache` gets the keys and values of the new tokens. With `skip_rows`, rows of `up_proj`
    /// are left out that are multiplied by zero.
    ///
    /// # Errors
    /// The errors of [`DecoderLayer::forward`].
    pub fn of(
        config: &ModelConfig,
        layer: usize,
        weights: &Arc<LayerWeights>,
        hidden: &Array2<f32>,
        cache: &mut KvCache,
        dtype: Dtype,
        skip_rows: bool,
    ) -> bitnet::Result<Self> {
        let mut expected = Self::default();
        let layer = DecoderLayer::new(config, layer, weights);
        let backend: &mut dyn TernaryBackend = if skip_rows { &mut Skipping(CpuBackend) } else { &mut CpuBackend };
        let out = layer.forward(hidden, cache, dtype, backend, &mut expected)?;
        expected.hidden = out.into_raw_vec_and_offset().0;
        expected.cache = cache.clone();
        Ok(expected)
    }
}

/// The comparison of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Name within the layer.
    pub name: String,
    /// Elements compared.
    pub elements: usize,
    /// Elements that differ. All of them, if the tensor is missing or has another size or type.
    pub mismatches: usize,
    /// Index of the first element that differs.
    pub first: Option<usize>,
}

/// Compares the tensors that the core recorded. Bits are compared; a NaN equals any other NaN, because the payload of a
/// NaN is not defined by RISC-V and differs between processors.
pub fn compare(expected: &[(String, Elements)], found: &[(String, Elements)]) -> Vec<Compared> {
    let one = |(index, (name, want)): (usize, &(String, Elements))| {
        let got = found.get(index).filter(|(found, _)| found == name).map(|(_, elements)| elements);
        let differs = match (want, got) {
            (Elements::F32(want), Some(Elements::F32(got))) if want.len() == got.len() => differing(want, got, same),
            (Elements::I8(want), Some(Elements::I8(got))) if want.len() == got.len() => {
                differing(want, got, |a, b| a == b)
            }
            (Elements::I32(want), Some(Elements::I32(got))) if want.len() == got.len() => {
                differing(want, got, |a, b| a == b)
            }
            _ => (0..want.len()).collect(),
        };
        Compared {
            name: name.clone(),
            elements: want.len(),
            mismatches: differs.len(),
            first: differs.first().copied(),
        }
    };
    // A tensor that nobody expects differs too.
    let surplus = found.iter().skip(expected.len()).map(|(name, elements)| Compared {
        name: format!("{name}, which is not expected"),
        elements: elements.len(),
        mismatches: elements.len(),
        first: Some(0),
    });
    expected.iter().enumerate().map(one).chain(surplus).collect()
}

/// Floats in memory as a tensor.
fn in_memory(name: &str, values: &[f32]) -> (String, Elements) {
    (format!("{name} in memory"), Elements::F32(values.iter().map(|value| value.to_bits()).collect()))
}

/// Compares keys and values in memory.
fn compare_cache(expected: &Expected, found: &LayerOutput) -> Vec<Compared> {
    compare(
        &[in_memory("keys", expected.cache.keys()), in_memory("values", expected.cache.values())],
        &[in_memory("keys", &found.keys), in_memory("values", &found.values)],
    )
}

/// Compares the residual stream in memory, behind the last layer of a job.
pub fn compare_stream(expected: &Expected, found: &Output) -> Vec<Compared> {
    compare(&[in_memory("output", &expected.hidden)], &[in_memory("output", &found.hidden)])
}

/// Compares everything that a layer left: its tensors, and keys and values in memory.
pub fn compare_all(expected: &Expected, found: &LayerOutput) -> Vec<Compared> {
    [compare(&expected.tensors, &found.tensors), compare_cache(expected, found)].concat()
}

/// Compares the tensors in `names` that a layer left, and keys and values in memory.
pub fn compare_named(expected: &Expected, found: &LayerOutput, names: &[String]) -> Vec<Compared> {
    let wanted = expected.tensors.iter().filter(|(name, _)| names.contains(name));
    let (expected_tensors, found_tensors): (Vec<_>, Vec<_>) = wanted
        .map(|tensor| {
            let found = found.tensors.iter().find(|(found, _)| *found == tensor.0).cloned();
            (tensor.clone(), found.unwrap_or_else(|| (tensor.0.clone(), Elements::I8(Vec::new()))))
        })
        .unzip();
    [compare(&expected_tensors, &found_tensors), compare_cache(expected, found)].concat()
}

fn differing<T>(want: &[T], got: &[T], same: impl Fn(&T, &T) -> bool) -> Vec<usize> {
    want.iter().zip(got).enumerate().filter(|(_, (want, got))| !same(want, got)).map(|(index, _)| index).collect()
}

/// Whether the bits of two floats are the same value.
fn same(a: &u32, b: &u32) -> bool {
    a == b || f32::from_bits(*a).is_nan() && f32::from_bits(*b).is_nan()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_counts() {
        let tensor = |bits: &[u32]| vec![("x".to_owned(), Elements::F32(bits.into()))];
        let check = |want: &[u32], got: &[(String, Elements)]| {
            let compared = compare(&tensor(want), got);
            (compared[0].mismatches, compared[0].first)
        };
        let nan = f32::NAN.to_bits();
        assert_eq!(check(&[1, nan, 3], &tensor(&[1, nan + 1, 3])), (0, None));
        assert_eq!(check(&[1, 2, 3], &tensor(&[1, 0, 0])), (2, Some(1)));
        // Zeros differ by their sign.
        assert_eq!(check(&[0], &tensor(&[1 << 31])), (1, Some(0)));
        assert_eq!(check(&[1, 2], &tensor(&[1])), (2, Some(0)), "too short");
        assert_eq!(check(&[1, 2], &[]), (2, Some(0)), "missing");
        assert_eq!(check(&[1], &[("x".into(), Elements::I32(vec![1]))]), (1, Some(0)), "another type");
        let two = [tensor(&[1]), tensor(&[2])].concat();
        assert_eq!(compare(&tensor(&[1]), &two).iter().map(|tensor| tensor.mismatches).sum::<usize>(), 1, "surplus");
        assert_eq!(check(&[1], &[("y".into(), Elements::F32(vec![1]))]), (1, Some(0)), "another name");
    }
}
