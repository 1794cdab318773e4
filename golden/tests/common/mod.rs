//! The reference vectors, and comparisons that report where and by how much they fail.
// Every test binary uses only a part of this module.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::path::Path;

use golden::Dtype;
use half::bf16;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype as Stored;

pub struct Tensor {
    pub stored: Stored,
    pub shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn elements<T, const N: usize>(&self, stored: Stored, convert: fn([u8; N]) -> T) -> Vec<T> {
        assert_eq!(self.stored, stored);
        self.bytes.as_chunks::<N>().0.iter().map(|b| convert(*b)).collect()
    }

    pub fn bf16(&self) -> Vec<bf16> {
        self.elements(Stored::BF16, bf16::from_le_bytes)
    }

    /// The values of a bf16 or fp32 tensor, converted exactly.
    pub fn f32(&self) -> Vec<f32> {
        match self.stored {
            Stored::BF16 => self.bf16().iter().map(|x| x.to_f32()).collect(),
            _ => self.elements(Stored::F32, f32::from_le_bytes),
        }
    }

    pub fn i8(&self) -> Vec<i8> {
        self.elements(Stored::I8, i8::from_le_bytes)
    }

    pub fn i32(&self) -> Vec<i32> {
        self.elements(Stored::I32, i32::from_le_bytes)
    }

    pub fn i64(&self) -> Vec<i64> {
        self.elements(Stored::I64, i64::from_le_bytes)
    }

    pub fn u8(&self) -> &[u8] {
        assert_eq!(self.stored, Stored::U8);
        &self.bytes
    }

    pub fn width(&self) -> usize {
        *self.shape.last().unwrap()
    }
}

pub struct Tensors(pub BTreeMap<String, Tensor>);

impl Tensors {
    /// Reads a file below `testdata/`.
    pub fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let own = |(name, view): (String, safetensors::tensor::TensorView)| {
            (name, Tensor { stored: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() })
        };
        Self(tensors.tensors().into_iter().map(own).collect())
    }

    pub fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.get(name).f32()
    }
}

/// The required agreement of a float operator with its recorded output.
#[derive(Clone, Copy, Debug)]
pub enum Accept {
    /// Equal values.
    Exact,
    /// Limits of the largest and the rms error, relative to the rms of the row.
    Relative { max: f64, rms: f64 },
    /// At least 99.9 % of the values have equal bits; the others differ by one bf16 unit.
    Bf16,
}

impl Accept {
    /// The tolerance for operators that sum floats or call elementary functions.
    pub fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Fp32 => Self::Relative { max: 1e-5, rms: 1e-5 },
            Dtype::Bf16 => Self::Bf16,
        }
    }

    /// The tolerance for BitLinear. In bf16 the reference does not compute BitLinear in integers.
    pub fn of_bit_linear(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Fp32 => Self::of(dtype),
            Dtype::Bf16 => Self::Relative { max: 5e-2, rms: 5e-3 },
        }
    }
}

/// Collects the outputs of one operator over a model and judges them together.
#[derive(Default, Debug)]
pub struct Deviation {
    values: usize,
    equal: usize,
    max: f64,
    squares: f64,
    bf16_steps: u32,
}

impl Deviation {
    pub fn add(&mut self, got: &[f32], want: &[f32], width: usize) -> &mut Self {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.chunks(width).zip(want.chunks(width)) {
            let rms = (want.iter().map(|x| (*x as f64).powi(2)).sum::<f64>() / width as f64).sqrt();
            for (got, want) in got.iter().zip(want) {
                let error = (*got as f64 - *want as f64).abs();
                // A row of zeros has rms 0. Its outputs must be zero too.
                let error = if error == 0.0 { 0.0 } else { error / rms };
                self.values += 1;
                self.equal += (error == 0.0) as usize;
                self.max = if error > self.max || error.is_nan() { error } else { self.max };
                self.squares += error * error;
                self.bf16_steps =
                    self.bf16_steps.max((got.to_bits() >> 16).abs_diff(want.to_bits() >> 16) * (error != 0.0) as u32);
            }
        }
        self
    }

    pub fn judge(&self, accept: Accept) -> Result<(), String> {
        let rms = (self.squares / self.values as f64).sqrt();
        let good = self.values > 0
            && match accept {
                Accept::Exact => self.equal == self.values,
                Accept::Relative { max, rms: limit } => self.max <= max && rms <= limit,
                Accept::Bf16 => self.equal as f64 >= 0.999 * self.values as f64 && self.bf16_steps <= 1,
            };
        if good { Ok(()) } else { Err(format!("rms {rms:e} of {self:?}, accepted {accept:?}")) }
    }
}

/// The number of elements that differ.
pub fn mismatches<T: PartialEq>(got: &[T], want: &[T]) -> usize {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).filter(|(got, want)| got != want).count()
}

/// Distance in units of the last place of fp32, for positive values.
pub fn ulps(a: f32, b: f32) -> u32 {
    a.to_bits().abs_diff(b.to_bits())
}
