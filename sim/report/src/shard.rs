//! A shard: the part of the runs of a forward pass that one machine verifies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Number of runs of a decoder layer: q, k, v; o; gate, up; down.
const RUNS_A_LAYER: usize = 4;

/// Shard number `index` (from 1) of `of` shards.
///
/// ```
/// let shard: report::shard::Shard = "2/3".parse()?;
/// assert_eq!((0..12).filter(|run| shard.takes(*run, 12)).collect::<Vec<_>>(), [4, 5, 6, 7]);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Number of this shard, from 1 to `of`.
    pub index: usize,
    /// Number of shards.
    pub of: usize,
}

impl Shard {
    /// Whether run number `run` of `runs` belongs to this shard. The four runs of a layer differ in length. Therefore
    /// the first runs of all layers are dealt out to the shards in turn, then the second runs, and so on.
    pub fn takes(&self, run: usize, runs: usize) -> bool {
        let layers = runs.div_ceil(RUNS_A_LAYER);
        let dealt = run % RUNS_A_LAYER * layers + run / RUNS_A_LAYER;
        dealt % self.of == self.index - 1
    }
}

impl Shard {
    /// The indices of the runs of this shard. `runs` is the number of all runs.
    pub fn runs(&self, runs: usize) -> impl Iterator<Item = usize> {
        (0..runs).filter(move |run| self.takes(*run, runs))
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((index, of)) if (1..=of).contains(&index) && of <= 4096 => Ok(Self { index, of }),
            _ => Err("expected i/n with 1 <= i <= n <= 4096, such as 2/8".into()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_belongs_to_one_shard_and_long_runs_are_spread() {
        for of in 1..=130 {
            let mut gate_up = vec![0; of];
            for run in 0..120 {
                let owners: Vec<usize> = (1..=of).filter(|index| Shard { index: *index, of }.takes(run, 120)).collect();
                assert_eq!(owners.len(), 1, "run {run} of {of} shards");
                gate_up[owners[0] - 1] += usize::from(run % RUNS_A_LAYER == 2);
            }
            assert!(gate_up.iter().max() <= Some(&(30usize.div_ceil(of))), "{of} shards: {gate_up:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2", "1/5000"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
