//! The token at the beginning of a prompt.

/// `ids` with the token `first` before them, unless they begin with it.
pub fn with_first(first: Option<u32>, ids: &[u32]) -> Vec<u32> {
    without_repeated(first, &first.into_iter().chain(ids.iter().copied()).collect::<Vec<_>>())
}

/// `ids` with `token` at most once at the beginning. A template and a prompt may both write the BOS token, but a model
/// was trained on one.
pub fn without_repeated(token: Option<u32>, ids: &[u32]) -> Vec<u32> {
    let repeated = ids.iter().take_while(|id| Some(**id) == token).count();
    ids[repeated.saturating_sub(1)..].to_vec()
}
