//! Differing outputs as text, with the commands to reproduce them.

use std::fmt::Write as _;

use program::command_line::without;

use crate::records::{Difference, Report, RunRow};

/// Maximum number of mismatches that are printed in full.
const SHOWN_MISMATCHES: usize = 8;
/// Cycles before the mismatch at which the proposed waveform begins.
const TRACE_BEFORE: u64 = 2_000;

/// Differing outputs, and the commands to reproduce them.
pub struct Mismatches<'a> {
    /// The first few differing outputs.
    pub differences: &'a [Difference],
    /// Number of all differing outputs.
    pub count: usize,
    /// The injected fault, if any.
    pub injected: Option<&'a str>,
    /// The command that repeats the run: without a journal, since the run is not repeated if it is in the journal.
    pub command: String,
    /// The run that a waveform would record, if waveforms are available.
    pub waveform_of: Option<&'a RunRow>,
}

impl<'a> Mismatches<'a> {
    /// The mismatches of `report`. `waveform` tells whether waveforms are available.
    pub fn of(report: &'a Report, waveform: bool) -> Self {
        Self {
            differences: &report.differences,
            count: report.totals.mismatches,
            injected: report.injected.as_deref(),
            command: without(&report.command, &["--journal"]),
            waveform_of: report.runs.first().filter(|_| waveform),
        }
    }

    /// The mismatches and the commands as text.
    pub fn tell(&self) -> String {
        let (mut text, command) = (String::new(), &self.command);
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

#[cfg(test)]
mod tests {
    use bitnet::config::Linear;

    use super::*;

    fn difference(token: usize, cycle: u64) -> Difference {
        Difference { layer: 3, operator: Linear::K, row: 5, token, cycle, expected: 7, got: -7 }
    }

    fn run(layer: usize, operators: &[Linear]) -> RunRow {
        RunRow { index: 0, layer, operators: operators.to_vec(), busy_cycles: 0, ports: vec![] }
    }

    #[test]
    fn eight_are_told_in_full() {
        let differences: Vec<Difference> = (0..10).map(|token| difference(token, 2_500)).collect();
        let first = run(3, &[Linear::Q, Linear::K]);
        fn told(differences: &[Difference], count: usize, injected: Option<&str>, of: Option<&RunRow>) -> String {
            Mismatches { differences, count, injected, command: "sim".into(), waveform_of: of }.tell()
        }
        let text = told(&differences, 12, Some("a bit"), Some(&first));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[7],
            "mismatch: layer 3, self_attn.k_proj, row 5, token 7, complete in cycle 2500: expected 7, got -7"
        );
        let rest = [
            "and 4 more",
            "injected: a bit",
            "repeat it with: sim",
            "waveform of it: sim --trace mismatch.fst --trace-from 500",
        ];
        assert_eq!(lines[8..], rest);
        // Waveforms record only the first run.
        for other in [run(2, &[Linear::K]), run(3, &[Linear::Q])] {
            assert_eq!(told(&differences[..1], 1, None, Some(&other)).lines().count(), 2);
        }
        assert_eq!(told(&differences[..1], 1, None, None).lines().last(), Some("repeat it with: sim"));
    }
}
