//! What differs from golden, in words, and the commands to see it again.

use std::fmt::Write as _;

use crate::bench::Outcome;
use crate::report::{Difference, Report, RunRow};

/// Mismatches told in full.
const SHOWN_MISMATCHES: usize = 8;
/// Cycles of the waveform that is proposed after a mismatch.
const TRACE_BEFORE: u64 = 2_000;

/// The first outputs of `run` that differ, on a unit that takes `max_tokens` tokens a pass.
pub fn differences(run: &Outcome, max_tokens: usize) -> Vec<Difference> {
    let all = run.operators.iter().flat_map(|o| o.first.iter().map(move |m| (o, m)));
    let all = all.map(|(o, m)| Difference {
        layer: run.layer,
        operator: o.linear,
        row: m.row,
        token: m.token,
        cycle: o.ends.get(m.token / max_tokens).copied().unwrap_or_default(),
        expected: m.expected,
        got: m.got,
    });
    all.collect()
}

/// What mismatches are about, and the commands to see them again.
pub struct Mismatches<'a> {
    /// The first of them.
    pub differences: &'a [Difference],
    /// How many there are.
    pub count: usize,
    /// The fault that was injected.
    pub injected: Option<&'a str>,
    /// The command that repeats them.
    pub command: &'a str,
    /// The run that a waveform would be of.
    pub waveform_of: Option<&'a RunRow>,
}

impl<'a> Mismatches<'a> {
    /// Those of a report.
    pub fn of(report: &'a Report, waveform: bool) -> Self {
        Self {
            differences: &report.differences,
            count: report.totals.mismatches,
            injected: report.injected.as_deref(),
            command: &report.command,
            waveform_of: report.runs.first().filter(|_| waveform),
        }
    }

    /// In words.
    pub fn tell(&self) -> String {
        let (mut text, command) = (String::new(), self.command);
        for d in self.differences.iter().take(SHOWN_MISMATCHES) {
            let _ = writeln!(
                text,
                "mismatch: layer {}, {}, row {}, token {}, complete in cycle {}: expected {}, got {}",
                d.layer, d.operator, d.row, d.token, d.cycle, d.expected, d.got
            );
        }
        let more = self.count - self.differences.len().min(SHOWN_MISMATCHES);
        if more > 0 {
            let _ = writeln!(text, "and {more} more");
        }
        if let Some(what) = self.injected {
            let _ = writeln!(text, "injected: {what}");
        }
        let _ = writeln!(text, "repeat it with: {command}");
        if let (Some(d), Some(first)) = (self.differences.first(), self.waveform_of)
            && d.layer == first.layer
            && first.operators.contains(&d.operator)
        {
            let from = d.cycle.saturating_sub(TRACE_BEFORE);
            let _ = writeln!(text, "waveform of it: {command} --trace mismatch.fst --trace-from {from}");
        }
        text
    }
}
