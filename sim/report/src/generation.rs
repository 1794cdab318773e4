//! Generated tokens: the results of a generation, and their text.

use program::table::{grouped, table};
use serde::Serialize;

use crate::head::{self, OutputHead};
use crate::records::{Difference, STATUS};
use crate::sections::{BuildSection, MemorySection, ModelSection, UnitSection};
use crate::words::{share, verdict};

/// All results of a generation.
#[derive(Serialize)]
pub struct Generation {
    /// Version of the JSON format.
    pub schema_version: u32,
    /// The command that repeats the generation.
    pub command: String,
    /// Program and RTL.
    pub build: BuildSection,
    /// Seed of all random numbers.
    pub seed: u64,
    /// The weights and the prompt.
    pub model: ModelSection,
    /// What the user has to know about the files of the model, a sentence each.
    pub remarks: Vec<String>,
    /// The tokens that end the generation; empty with `--ignore-eos`.
    pub stop_tokens: Vec<StopToken>,
    /// The generated tokens.
    pub generated_ids: Vec<u32>,
    /// The generated tokens as text, if a tokenizer was available.
    pub text: Option<String>,
    /// Whether the last token is one of `stop_tokens`.
    pub stopped: bool,
    /// Times of golden's arithmetic.
    pub cpu: CpuTimes,
    /// The results of the unit, if the unit was simulated too.
    pub verification: Option<Verification>,
    /// The tokens that simulated units chose too, if they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<OutputHead>,
    /// Seconds from the start of the program to the report.
    pub wall_s: f64,
    /// Peak memory of the process, mapped files included.
    pub peak_resident_bytes: Option<u64>,
    /// Peak memory of the process without mapped files, sampled after each pass.
    pub peak_anonymous_bytes: Option<u64>,
    /// Always `projected, not measured on a board`.
    pub status: String,
}

/// A token that ends a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StopToken {
    /// The token.
    pub id: u32,
    /// The files, or the other places, that name it.
    pub from: Vec<String>,
}

/// Times of golden's arithmetic on this machine.
#[derive(Serialize)]
pub struct CpuTimes {
    /// Number of threads.
    pub threads: usize,
    /// Seconds of the forward pass over the prompt.
    pub prefill_s: f64,
    /// Seconds of a decode pass: median over all passes of one token.
    pub decode_s_a_token: Option<f64>,
    /// Decode speed, the inverse of `decode_s_a_token`.
    pub tokens_per_second: Option<f64>,
    /// Bytes of weights that a token reads.
    pub plane_bytes: u64,
    /// Bytes of the output head that a token reads.
    pub head_bytes: u64,
    /// Bytes of planes and head of a token, divided by the time of a token.
    pub gb_per_second: Option<f64>,
    /// Rate at which the same threads read memory when they do nothing else.
    pub read_bandwidth_gb_per_second: Option<f64>,
    /// Whether a simulation ran at the same time. If so, the times do not measure the CPU alone.
    pub beside_simulation: bool,
}

/// The results of the unit.
#[derive(Serialize)]
pub struct Verification {
    /// SHA-256 over the RTL's file list and the files in it.
    pub rtl_sha256: String,
    /// The unit.
    pub unit: UnitSection,
    /// The memory.
    pub memory: MemorySection,
    /// Number of operators compared.
    pub operators: usize,
    /// Number of outputs compared.
    pub outputs: usize,
    /// Number of outputs that differ from golden.
    pub mismatches: usize,
    /// Cycles of all operators.
    pub cycles: u64,
    /// Weight beats divided by ports.
    pub ideal_cycles: u64,
    /// One entry per forward pass.
    pub passes: Vec<VerifiedPass>,
    /// Outputs that differ: the first few of each operator.
    pub differences: Vec<Difference>,
    /// The injected fault, if any.
    pub injected: Option<String>,
    /// Number of simulated cycles.
    pub simulated_cycles: u64,
    /// Simulated cycles per CPU second of one thread.
    pub cycles_per_second: f64,
    /// Number of simulating threads.
    pub jobs: usize,
    /// Whether the Verilator model came from the cache.
    pub model_cached: bool,
    /// The assumptions of the projection.
    pub assumptions: Vec<String>,
}

/// One forward pass on the unit.
#[derive(Serialize)]
pub struct VerifiedPass {
    /// Number of operators compared.
    pub operators: usize,
    /// Number of outputs compared.
    pub outputs: usize,
    /// Number of outputs that differ from golden.
    pub mismatches: usize,
    /// Cycles of all operators of the pass.
    pub cycles: u64,
    /// Weight beats divided by ports.
    pub ideal_cycles: u64,
    /// Projected milliseconds of the linears.
    pub linear_fpga_ms: f64,
}

impl Generation {
    /// The generation as text for a terminal.
    pub fn text(&self) -> String {
        let m = &self.model;
        let count = self.generated_ids.len();
        let ids: Vec<String> = self.generated_ids.iter().map(u32::to_string).collect();
        let why = if self.stopped { ", the last ends the text" } else { "" };
        let mut out = format!("{}; host arithmetic {}\n", m.description, m.dtype);
        out += &format!("{} prompt tokens, {count} generated{why}: {}\n", m.tokens, ids.join(" "));
        out += &self.stops();
        self.remarks.iter().for_each(|remark| out += &format!("Remark: {remark}\n"));
        out += &self.head.as_ref().map_or(String::new(), head::text);
        out + &match &self.verification {
            Some(verification) => verification.text(m.tokens, self.wall_s),
            None => self.cpu.text(self.peak_resident_bytes.zip(self.peak_anonymous_bytes)),
        }
    }

    /// One line about the tokens that end the text.
    fn stops(&self) -> String {
        if self.stop_tokens.is_empty() {
            return "No token ends the text\n".into();
        }
        let token = |token: &StopToken| format!("{} ({})", token.id, token.from.join(", "));
        let tokens: Vec<String> = self.stop_tokens.iter().map(token).collect();
        format!("Tokens that end the text: {}\n", tokens.join("; "))
    }
}

impl Verification {
    /// A table with one line per pass, and the assumptions.
    fn text(&self, prompt_tokens: usize, wall_s: f64) -> String {
        let mut table = table(&["pass", "operators", "outputs", "mismatches", "cycles", "of ideal", "projected ms"]);
        for (i, p) in self.passes.iter().enumerate() {
            let name = if i == 0 { format!("prompt, {prompt_tokens} tokens") } else { format!("token {i}") };
            table.add_row([
                name,
                p.operators.to_string(),
                grouped(p.outputs as u64),
                grouped(p.mismatches as u64),
                grouped(p.cycles),
                share(p.ideal_cycles, p.cycles),
                format!("{:.3}", p.linear_fpga_ms),
            ]);
        }
        let mut out = format!("{}; memory {}\n{table}\n", self.unit.describe(), self.memory.describe());
        let (operators, outputs) = (grouped(self.operators as u64), grouped(self.outputs as u64));
        out += &format!("{operators} BitLinears, {outputs} outputs, {}\n", verdict(self.mismatches));
        out += &format!(
            "Simulated {} cycles at {:.2} M cycles/s a thread, {} threads; {:.2} s in all\n\nAssumptions\n",
            grouped(self.simulated_cycles),
            self.cycles_per_second / 1e6,
            self.jobs,
            wall_s
        );
        self.assumptions.iter().for_each(|line| out += &format!("- {line}\n"));
        out += "- projected are the BitLinears alone: no driver calls, norms, attention or output head\n";
        out + STATUS + "\n"
    }
}

impl CpuTimes {
    /// One line about the CPU. `memory` is the peak in bytes with mapped files, and the peak without them.
    fn text(&self, memory: Option<(u64, u64)>) -> String {
        let mut out = format!("This CPU, {} threads: prompt {:.3} s", self.threads, self.prefill_s);
        if let (Some(s), Some(rate), Some(gb)) = (self.decode_s_a_token, self.tokens_per_second, self.gb_per_second) {
            out += &format!(
                ", then {:.1} ms a token (median), {rate:.1} tokens/s; {:.0} MB of ternary weights and {:.0} MB of head a token, \
                 {gb:.1} GB/s",
                s * 1e3,
                self.plane_bytes as f64 / 1e6,
                self.head_bytes as f64 / 1e6,
            );
            if let Some(read) = self.read_bandwidth_gb_per_second {
                out += &format!(", {:.0}% of the {read:.1} GB/s at which it reads memory", 100.0 * gb / read);
            }
        }
        if let Some((all, own)) = memory {
            out += &format!("; {} MB of memory, {} MB without mapped files", all / 1_000_000, own / 1_000_000);
        }
        out + "\n"
    }
}
