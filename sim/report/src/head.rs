//! The output head on both units: record and text.

use program::table::grouped;
use serde::{Deserialize, Serialize};

use crate::tensor::TensorDifference;
use crate::words::verdict;

/// Tokens that both units chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputHead {
    /// Lanes of the vector unit.
    pub lanes: usize,
    /// Rows of the head: tokens of the vocabulary.
    pub rows: usize,
    /// Tokens that were chosen.
    pub tokens: usize,
    /// Standard deviations between the estimate of a logit and its upper estimate.
    pub margin: f64,
    /// Logits that were computed exactly: the fewest of a token, the mean, and the most.
    pub logits: [f64; 3],
    /// Cycles until the ternary unit begins, of it, and all in all: means of a token.
    pub cycles: [f64; 3],
    /// Clock of the units.
    pub clock_mhz: f64,
    /// Milliseconds of a token, the mean.
    pub ms: f64,
    /// Deviations of all rows between logits and their estimates, in the standard deviations that the ranking states:
    /// their root mean square, and the largest.
    pub deviations: [f64; 2],
    /// The largest deviation of a row that was chosen. Positive: the estimate was too small.
    pub chosen_deviation: f64,
    /// Logits above their upper estimates: such a row would be missed if it were the largest.
    pub beyond: u64,
    /// Elements compared: codes, accumulators, estimates, exact logits, and the token.
    pub elements: usize,
    /// Elements that differ from golden.
    pub mismatches: usize,
    /// Tensors that differ.
    pub differences: Vec<TensorDifference>,
    /// Cycles simulated, and the seconds that it took.
    pub simulated_cycles: u64,
    /// See [`OutputHead::simulated_cycles`].
    pub seconds: f64,
}

/// Two lines.
pub(crate) fn text(head: &OutputHead) -> String {
    let [begin, busy, all] = head.cycles.map(|cycles| grouped(cycles.round() as u64));
    let [fewest, mean, most] = head.logits.map(|count| grouped(count.round() as u64));
    let count = if head.tokens == 1 { mean } else { format!("{fewest} to {most}, {mean} in the mean") };
    let of = head.rows as u64 * head.tokens as u64;
    format!(
        "Output head on both units, {} rows, {} {}: {} elements, {}; {all} cycles a token, {busy} of them of the ternary \
         unit behind the {begin} of the norm; {:.2} ms\nExact logits: {count}. Margin of {} standard deviations: the \
         deviations of {} logits have a root mean square of {:.2}, the largest is {:.2}, {} are \
         beyond the margin; that of a chosen row is {:.2} at most\n",
        grouped(head.rows as u64),
        head.tokens,
        if head.tokens == 1 { "token" } else { "tokens" },
        grouped(head.elements as u64),
        verdict(head.mismatches),
        head.ms,
        head.margin,
        grouped(of),
        head.deviations[0],
        head.deviations[1],
        grouped(head.beyond),
        head.chosen_deviation,
    )
}
