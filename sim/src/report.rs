//! The report of a layer run: one structure, printed as a table or as JSON.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use host::device::PortCounters;
use serde::Serialize;

use crate::board::MemoryMode;
use crate::projection::DRIVER_OVERHEAD_BAND_US;

/// Version of the JSON form. Keys are only added within a version.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything a layer run found out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The command that repeats it.
    pub command: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The weights and the forward pass.
    pub model: ModelSection,
    /// The unit.
    pub unit: UnitSection,
    /// The memory.
    pub memory: MemorySection,
    /// The CPU it is compared with.
    pub cpu_profile: ProfileSection,
    /// The fault that was injected.
    pub injected: Option<String>,
    /// One entry an operator, in the order they execute.
    pub operators: Vec<OperatorRow>,
    /// Sums.
    pub totals: Totals,
    /// One entry a run of the unit.
    pub runs: Vec<RunRow>,
    /// What the simulation itself took.
    pub simulation: Simulation,
    /// What the projection rests on.
    pub assumptions: Vec<String>,
    /// Always `projected, not measured on a board`.
    pub status: &'static str,
}

/// The value of [`Report::status`].
pub const STATUS: &str = "projected, not measured on a board";

/// The weights and the forward pass.
#[derive(Clone, Debug, Serialize)]
pub struct ModelSection {
    /// `synthetic` or `checkpoint`.
    pub source: &'static str,
    /// The folder, or whose dimensions it has.
    pub name: String,
    /// In one line.
    pub description: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width between gate/up and down.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// The layer that was run.
    pub layer: usize,
    /// Tokens of the forward pass.
    pub tokens: usize,
    /// The prompt, if there is one.
    pub prompt_ids: Option<Vec<u32>>,
    /// Compute type of the host.
    pub dtype: &'static str,
}

/// The unit.
#[derive(Clone, Debug, Serialize)]
pub struct UnitSection {
    /// Board.
    pub board: &'static str,
    /// Its device.
    pub part: &'static str,
    /// AXI read ports.
    pub ports: usize,
    /// Bits of a port.
    pub port_bits: usize,
    /// Activation vectors.
    pub vectors: usize,
    /// Weight codec.
    pub codec: String,
    /// Weights a cycle, all ports.
    pub lanes: usize,
    /// Clock.
    pub clock_mhz: f64,
}

/// The memory.
#[derive(Clone, Debug, Serialize)]
pub struct MemorySection {
    /// Mode.
    pub mode: MemoryMode,
    /// Read latency in unit cycles.
    pub latency_cycles: u64,
    /// Cycles lost at each read/write turn.
    pub turnaround_cycles: f64,
    /// Chance in 256 of a stall.
    pub stall: u8,
    /// Always false: no profile was calibrated against a board.
    pub calibrated: bool,
    /// Bandwidth limits.
    pub limits: Vec<LimitSection>,
}

/// A bandwidth limit.
#[derive(Clone, Debug, Serialize)]
pub struct LimitSection {
    /// What is shared.
    pub name: &'static str,
    /// The ports that share it.
    pub ports: Vec<usize>,
    /// Bytes a unit cycle.
    pub bytes_per_cycle: f64,
}

/// The CPU it is compared with.
#[derive(Clone, Debug, Serialize)]
pub struct ProfileSection {
    /// Machine, software, model, date.
    pub provenance: String,
    /// Why its times are left out, if they are.
    pub not_comparable: Option<String>,
}

/// One operator.
#[derive(Clone, Debug, Serialize)]
pub struct OperatorRow {
    /// The decoder layer.
    pub layer: usize,
    /// `self_attn.q_proj`
    pub name: &'static str,
    /// K.
    pub in_features: usize,
    /// N.
    pub out_features: usize,
    /// Tokens.
    pub tokens: usize,
    /// Outputs compared.
    pub outputs: usize,
    /// Those that differ.
    pub mismatches: usize,
    /// Cycles from the completion of the operator before it in its run (or the run's start) to its own.
    pub cycles: u64,
    /// Weight beats divided by ports.
    pub ideal_cycles: u64,
    /// Cycles the ports' engines waited for weights, activations or results, added up over the ports; counted by run
    /// and shared out to its operators in proportion to their cycles.
    pub stall_cycles: u64,
    /// Bytes of the weight image.
    pub weight_bytes: usize,
    /// Projected time.
    pub fpga_ms: f64,
    /// Time on the CPU.
    pub cpu_ms: Option<f64>,
    /// Their quotient.
    pub speedup: Option<f64>,
}

/// Sums over the operators.
#[derive(Clone, Debug, Serialize)]
pub struct Totals {
    /// Outputs compared.
    pub outputs: usize,
    /// Those that differ.
    pub mismatches: usize,
    /// Cycles.
    pub cycles: u64,
    /// Weight beats divided by ports.
    pub ideal_cycles: u64,
    /// Cycles waited, all ports.
    pub stall_cycles: u64,
    /// Bytes of all weight images.
    pub weight_bytes: usize,
    /// Projected time of the linears.
    pub linear_fpga_ms: f64,
    /// Their time on the CPU.
    pub linear_cpu_ms: Option<f64>,
    /// The quotient.
    pub linear_speedup: Option<f64>,
    /// The linears projected, driver calls, and the other operators on the profiled CPU; of whole layers only.
    pub layer_ms_with_host_nonlinear: Option<f64>,
    /// The same with the largest driver overhead seen in published systems.
    pub layer_ms_with_largest_overhead: Option<f64>,
    /// The other operators on the profiled CPU.
    pub host_nonlinear_ms: Option<f64>,
    /// The layer on the CPU alone.
    pub layer_cpu_ms: Option<f64>,
    /// Driver calls.
    pub driver_calls: usize,
    /// Assumed overhead of one.
    pub driver_overhead_us: f64,
}

/// One run of the unit: operators that share their activations.
#[derive(Clone, Debug, Serialize)]
pub struct RunRow {
    /// The decoder layer.
    pub layer: usize,
    /// Its operators.
    pub operators: Vec<&'static str>,
    /// Cycles the unit was busy.
    pub busy_cycles: u64,
    /// Counters of each port.
    pub ports: Vec<PortCounters>,
}

/// What the simulation itself took.
#[derive(Clone, Debug, Serialize)]
pub struct Simulation {
    /// From the start of the program to the report.
    pub wall_s: f64,
    /// Simulated cycles by CPU seconds of one thread.
    pub cycles_per_second: f64,
    /// Cycles simulated, all runs.
    pub simulated_cycles: u64,
    /// Threads.
    pub jobs: usize,
    /// From the request for the model to its being loaded, while weights were being made.
    pub model_build_s: f64,
    /// Whether the model was there already.
    pub model_cached: bool,
}

impl Report {
    /// JSON, with keys in a fixed order.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has string keys only") + "\n"
    }

    /// Text for people.
    pub fn text(&self) -> String {
        let (m, u, t, s) = (&self.model, &self.unit, &self.totals, &self.simulation);
        let mut out = format!(
            "Layer {} of {}; {} tokens, host arithmetic {}\n{}: {} ports of {} bits, {} vectors, codec {}, {} weights a \
             cycle, {} MHz; memory {}\n",
            m.layer,
            m.description,
            m.tokens,
            m.dtype,
            u.board,
            u.ports,
            u.port_bits,
            u.vectors,
            u.codec,
            u.lanes,
            u.clock_mhz,
            self.memory.describe(),
        );
        out += &format!("{}\n", self.table());
        let verdict = if t.mismatches == 0 { "all equal to golden, bit for bit" } else { "NOT EQUAL to golden" };
        out += &format!("{} outputs, {} mismatches: {verdict}\n", grouped(t.outputs as u64), t.mismatches);
        if let (Some(cpu), Some(speedup)) = (t.linear_cpu_ms, t.linear_speedup) {
            out +=
                &format!("BitLinears: {:.3} ms projected, {cpu:.2} ms on the CPU, {speedup:.1}x\n", t.linear_fpga_ms);
        }
        if let (Some(ms), Some(worst), Some(host), Some(cpu)) =
            (t.layer_ms_with_host_nonlinear, t.layer_ms_with_largest_overhead, t.host_nonlinear_ms, t.layer_cpu_ms)
        {
            out += &format!(
                "Layer: {ms:.3} ms projected, with {host:.2} ms of other operators on that CPU and {} driver calls of {} \
                 us; {worst:.3} ms with calls of {} us; {cpu:.2} ms on the CPU alone, {:.1}x\n",
                t.driver_calls,
                t.driver_overhead_us,
                DRIVER_OVERHEAD_BAND_US[1],
                cpu / ms,
            );
        }
        let model = if s.model_cached { "from the cache".into() } else { format!("built in {:.1} s", s.model_build_s) };
        out += &format!(
            "Simulated {} cycles at {:.2} M cycles/s a thread, {} threads; model {model}; {:.2} s in all\n\nAssumptions\n",
            grouped(s.simulated_cycles),
            s.cycles_per_second / 1e6,
            s.jobs,
            s.wall_s,
        );
        self.assumptions.iter().for_each(|line| out += &format!("- {line}\n"));
        out + STATUS + "\n"
    }

    fn table(&self) -> Table {
        let mut table = table(&[
            "operator",
            "shape",
            "outputs",
            "mismatches",
            "cycles",
            "of ideal",
            "projected ms",
            "CPU ms",
            "speedup",
        ]);
        let times = |fpga: f64, cpu: Option<f64>, speedup: Option<f64>| {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            [
                format!("{fpga:.4}"),
                or_dash(cpu.map(|ms| format!("{ms:.2}"))),
                or_dash(speedup.map(|x| format!("{x:.1}x"))),
            ]
        };
        let counts = |outputs: usize, mismatches: usize, cycles: u64, ideal: u64| {
            let share = format!("{:.1}%", 100.0 * ideal as f64 / cycles.max(1) as f64);
            [grouped(outputs as u64), grouped(mismatches as u64), grouped(cycles), share]
        };
        for o in &self.operators {
            let name = [o.name.to_string(), format!("{} x {}", o.out_features, o.in_features)];
            let counts = counts(o.outputs, o.mismatches, o.cycles, o.ideal_cycles);
            table.add_row(name.into_iter().chain(counts).chain(times(o.fpga_ms, o.cpu_ms, o.speedup)));
        }
        let t = &self.totals;
        let name = ["total".to_string(), String::new()];
        let counts = counts(t.outputs, t.mismatches, t.cycles, t.ideal_cycles);
        table.add_row(name.into_iter().chain(counts).chain(times(t.linear_fpga_ms, t.linear_cpu_ms, t.linear_speedup)));
        table
    }
}

impl MemorySection {
    fn describe(&self) -> String {
        let mut text = match self.mode {
            MemoryMode::Ideal => format!("ideal, latency {} cycles", self.latency_cycles),
            MemoryMode::Ddr => {
                let total = self.limits.last().map_or(f64::INFINITY, |l| l.bytes_per_cycle);
                format!("ddr, {total:.1} bytes a cycle, latency {} cycles", self.latency_cycles)
            }
        };
        if self.stall != 0 {
            text += &format!(", stalls {}/256", self.stall);
        }
        text
    }
}

/// An empty table: first column left, the rest right.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `68,352`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}
