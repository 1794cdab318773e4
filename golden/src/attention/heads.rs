//! The dimensions of an attention.

/// The head counts and the head width of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key/value heads. Key/value head `j` serves `query / kv` query heads, from query head `j * query / kv` on.
    pub kv: usize,
    /// Values per head.
    pub dim: usize,
}

/// New tokens, and those before them in the cache.
pub(super) struct Tokens {
    pub(super) past: usize,
    pub(super) new: usize,
}

impl Tokens {
    /// # Panics
    /// If shapes disagree.
    pub(super) fn new(heads: Heads, q: &[f32], keys: &[f32], values: &[f32]) -> Self {
        let Heads { query, kv, dim } = heads;
        assert!(kv > 0 && query.is_multiple_of(kv), "{kv} key/value heads divide {query} query heads");
        let (new, all) = (q.len() / (query * dim).max(1), keys.len() / (kv * dim).max(1));
        assert_eq!(q.len(), new * query * dim, "queries: whole tokens of {query} heads of {dim} values");
        assert_eq!(keys.len(), all * kv * dim, "keys: whole tokens of {kv} heads of {dim} values");
        assert_eq!(values.len(), keys.len(), "as many values as keys");
        assert!(all >= new, "{new} queries are among {all} keys");
        Self { past: all - new, new }
    }
}

/// The factor of all scores.
#[inline(always)]
pub(super) fn scale(dim: usize) -> f32 {
    (1.0 / libm::sqrt(dim as f64)) as f32
}
