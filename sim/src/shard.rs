//! A part of the runs of a forward pass, for a machine of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Runs of a decoder layer: q, k, v; o; gate, up; down.
const RUNS_A_LAYER: usize = 4;

/// Part `index` (from 1) of `of`.
///
/// ```
/// let shard: sim::shard::Shard = "2/3".parse()?;
/// assert_eq!((0..12).filter(|run| shard.takes(*run, 12)).collect::<Vec<_>>(), [4, 5, 6, 7]);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, 1 to `of`.
    pub index: usize,
    /// How many parts.
    pub of: usize,
}

impl Shard {
    /// Whether run number `run` of `runs` belongs to this part. The runs of a layer differ in length, so those alike are
    /// dealt out in turn, then the next.
    pub fn takes(&self, run: usize, runs: usize) -> bool {
        let layers = runs.div_ceil(RUNS_A_LAYER);
        let dealt = run % RUNS_A_LAYER * layers + run / RUNS_A_LAYER;
        dealt % self.of == self.index - 1
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
