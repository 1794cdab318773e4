//! A job: a decoder layer to run, as words in shared memory.

use alloc::vec::Vec;

use decoder::Shape;
use golden::Dtype;
use golden::attention::Heads;
use tmv::driver::Weights;

/// The first word of a job. It changes with the layout of a job.
const MAGIC: u32 = 0x4A4F_4201;

/// A region of shared memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// The core's address of the first byte.
    pub address: u32,
    /// Size in bytes.
    pub bytes: u32,
}

/// A decoder layer to run. Addresses are the core's, except for those in `weights`; all of them are multiples of 64.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The compute type.
    pub dtype: Dtype,
    /// The dimensions of the layer.
    pub shape: Shape,
    /// Number of tokens.
    pub tokens: u32,
    /// Number of tokens in the cache before them.
    pub past: u32,
    /// The residual stream, fp32 `[tokens, hidden]`; the layer's output replaces it.
    pub hidden: u32,
    /// Keys, fp32 `[past + tokens, kv_heads, head_dim]`.
    pub keys: u32,
    /// Values, fp32 `[past + tokens, kv_heads, head_dim]`.
    pub values: u32,
    /// Cosines, fp32 `[tokens, head_dim / 2]`.
    pub cos: u32,
    /// Sines, fp32 `[tokens, head_dim / 2]`.
    pub sin: u32,
    /// Weights of the norms, fp32, in the order of [`decoder::Norm::ALL`].
    pub norms: [u32; 4],
    /// Factors of the linears, in the order of [`decoder::Linear::ALL`].
    pub factors: [f32; 7],
    /// Matrices of the linears, in the order of [`decoder::Linear::ALL`].
    pub weights: [Weights; 7],
    /// Memory that core and unit share during the job.
    pub unit: Region,
    /// Physical address of `unit`.
    pub unit_base: u64,
    /// Memory of the core alone.
    pub heap: Region,
    /// Room for records.
    pub records: Region,
    /// Whether tensors are recorded, besides steps.
    pub tensors: bool,
}

impl Job {
    /// Words of a job.
    pub const WORDS: usize = 35 + 7 * Weights::WORDS;

    /// The job as words, little endian in memory.
    pub fn to_words(&self) -> Vec<u32> {
        let Shape { hidden, intermediate, heads, eps } = self.shape;
        let mut words = Vec::with_capacity(Self::WORDS);
        words.extend([MAGIC, u32::from(self.dtype == Dtype::Bf16), self.tokens, self.past]);
        words.extend([hidden, intermediate, heads.query, heads.kv, heads.dim].map(|n| n as u32));
        words.extend([eps.to_bits(), self.hidden, self.keys, self.values, self.cos, self.sin]);
        words.extend(self.norms);
        words.extend(self.factors.map(f32::to_bits));
        words.extend(self.weights.iter().flat_map(|weights| weights.to_words()));
        words.extend([self.unit, self.heap, self.records].iter().flat_map(|region| [region.address, region.bytes]));
        words.extend([self.unit_base as u32, (self.unit_base >> 32) as u32, u32::from(self.tensors)]);
        words
    }

    /// The job in `words`; `None` if they are no job of this version.
    pub fn from_words(words: &[u32]) -> Option<Self> {
        let mut words = words.iter().copied();
        let mut next = || words.next();
        if next()? != MAGIC {
            return None;
        }
        let dtype = if next()? == 0 { Dtype::Fp32 } else { Dtype::Bf16 };
        let (tokens, past) = (next()?, next()?);
        let mut size = || next().map(|word| word as usize);
        let (hidden, intermediate) = (size()?, size()?);
        let heads = Heads { query: size()?, kv: size()?, dim: size()? };
        let shape = Shape { hidden, intermediate, heads, eps: f32::from_bits(next()?) };
        let (hidden, keys, values, cos, sin) = (next()?, next()?, next()?, next()?, next()?);
        let norms = [next()?, next()?, next()?, next()?];
        let mut factors = [0.0; 7];
        for factor in &mut factors {
            *factor = f32::from_bits(next()?);
        }
        let mut weights = [Weights::from_words([0; Weights::WORDS]); 7];
        for weights in &mut weights {
            let mut fields = [0; Weights::WORDS];
            for field in &mut fields {
                *field = next()?;
            }
            *weights = Weights::from_words(fields);
        }
        let mut region = || Some(Region { address: next()?, bytes: next()? });
        let (unit, heap, records) = (region()?, region()?, region()?);
        let unit_base = u64::from(next()?) | u64::from(next()?) << 32;
        let tensors = next()? != 0;
        Some(Self {
            dtype,
            shape,
            tokens,
            past,
            hidden,
            keys,
            values,
            cos,
            sin,
            norms,
            factors,
            weights,
            unit,
            unit_base,
            heap,
            records,
            tensors,
        })
    }
}

/// How a job ended: the value of the register RESULT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The layer's output is there.
    Done,
    /// The layer or the unit reported an error; the records have its text.
    Failed,
    /// The firmware panicked; the records have the text.
    Panicked,
    /// The core trapped; the registers TRAP_CAUSE, TRAP_PC and TRAP_VALUE tell.
    Trapped,
    /// The stack grew into other memory.
    StackOverflow,
    /// The words at the job's address are no job.
    NoJob,
}

impl Outcome {
    /// All outcomes, by their codes.
    pub const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::Panicked, Self::Trapped, Self::StackOverflow, Self::NoJob];

    /// The value of RESULT.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The outcome with this code.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_round_trips() {
        let region = |n: u32| Region { address: n << 8, bytes: n };
        let job = Job {
            dtype: Dtype::Bf16,
            shape: Shape { hidden: 1, intermediate: 2, heads: Heads { query: 3, kv: 4, dim: 5 }, eps: 6.5 },
            tokens: 7,
            past: 8,
            hidden: 9,
            keys: 10,
            values: 11,
            cos: 12,
            sin: 13,
            norms: [14, 15, 16, 17],
            factors: [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
            weights: [1, 2, 3, 4, 5, 6, 7].map(|n| Weights::from_words([n, 20, 21, 22, 23, 24, n % 3, 25])),
            unit: region(30),
            unit_base: 0x12_3456_7890,
            heap: region(31),
            records: region(32),
            tensors: true,
        };
        let words = job.to_words();
        assert_eq!(words.len(), Job::WORDS);
        assert_eq!(Job::from_words(&words), Some(job));
        for damaged in [&words[..Job::WORDS - 1], &[0; Job::WORDS]] {
            assert_eq!(Job::from_words(damaged), None);
        }
    }

    #[test]
    fn outcomes_have_their_codes() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
        }
        assert_eq!(Outcome::from_code(99), None);
    }
}
