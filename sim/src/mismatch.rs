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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::OperatorOutcome;
    use crate::verify::Mismatch;
    use host::config::Linear;

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
            Mismatches { differences, count, injected, command: "sim", waveform_of: of }.tell()
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
        // A waveform is of the first run alone.
        for other in [run(2, &[Linear::K]), run(3, &[Linear::Q])] {
            assert_eq!(told(&differences[..1], 1, None, Some(&other)).lines().count(), 2);
        }
        assert_eq!(told(&differences[..1], 1, None, None).lines().last(), Some("repeat it with: sim"));
    }

    #[test]
    fn a_token_is_complete_with_its_pass() {
        let mismatch = |token| Mismatch { token, row: 5, expected: 7, got: -7 };
        let operator = OperatorOutcome {
            linear: Linear::K,
            cycles: 0,
            ends: vec![100, 200],
            outputs: 10,
            mismatches: 3,
            first: vec![mismatch(0), mismatch(3), mismatch(4)],
        };
        let outcome = Outcome {
            index: 0,
            pass: 0,
            sha256: String::new(),
            layer: 3,
            operators: vec![operator],
            busy_cycles: 0,
            ports: vec![],
            simulated_cycles: 0,
            seconds: 0.0,
            injected: None,
        };
        assert_eq!(differences(&outcome, 4), [difference(0, 100), difference(3, 100), difference(4, 200)]);
    }
}
