//! The tensors of a forward pass, kept for a safetensors file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use bitnet::layer::{Observer, Values};
use safetensors::{Dtype, View, serialize};

use crate::failure::{Exit, Failure};

/// An observer that keeps every tensor, if tensors are wanted.
#[derive(Default)]
pub(crate) struct Dump {
    wanted: bool,
    tensors: BTreeMap<String, Tensor>,
}

struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Dump {
    /// Creates a dump. It keeps tensors only if they are `wanted`.
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, tensors: BTreeMap::new() }
    }

    /// The content of a safetensors file with the tensors. `about` is a line that describes their origin.
    pub(crate) fn serialize(&self, about: String) -> Result<Vec<u8>, Failure> {
        let about = HashMap::from([("sim".to_string(), about)]);
        serialize(&self.tensors, Some(about)).map_err(|e| Failure::new(Exit::Internal, format!("--dump: {e}")))
    }
}

impl Observer for Dump {
    fn active(&self) -> bool {
        self.wanted
    }

    fn tensor(&mut self, name: &str, shape: &[usize], values: Values<'_>) {
        let (dtype, bytes) = match values {
            Values::F32(x) => (Dtype::F32, x.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Values::I8(x) => (Dtype::I8, x.iter().map(|x| *x as u8).collect()),
            Values::I32(x) => (Dtype::I32, x.iter().flat_map(|x| x.to_le_bytes()).collect()),
        };
        self.tensors.insert(name.into(), Tensor { dtype, shape: shape.into(), bytes });
    }
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}
