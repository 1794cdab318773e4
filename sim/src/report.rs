//! The report of a run: one structure, printed as a table or as JSON, and read again when shards are joined.

use std::collections::BTreeSet;
use std::path::Path;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use host::config::Linear;
use host::device::PortCounters;
use host::program::pretty;
use host::weight_cache::hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bench::Injection;
use crate::board::MemoryMode;
use crate::exit::{Exit, Failure};
use crate::projection::whole::{Inputs, Projection};
use crate::projection::{DRIVER_OVERHEAD_BAND_US, layer_ms, milliseconds};
use crate::shard::Shard;
use crate::unit::rtl_sha256;

/// Version of the JSON form. Keys are only added within a version.
pub const SCHEMA_VERSION: u32 = 2;

/// Everything a run found out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The command that repeats it.
    pub command: String,
    /// What was run.
    #[serde(flatten)]
    pub identity: Identity,
    /// The part of it that was verified, if not all.
    pub shard: Option<Shard>,
    /// Whether all that was to be verified has been.
    pub complete: bool,
    /// Runs of the unit that make up the whole, all shards.
    pub runs_in_all: usize,
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
    /// Outputs that differ, the first few of each operator.
    pub differences: Vec<Difference>,
    /// What came out of the forward pass on golden's arithmetic.
    pub forward: Option<Forward>,
    /// What a projection of the whole token needs besides the run.
    #[serde(default)]
    pub projection_inputs: Option<Inputs>,
    /// From the run to the whole token; of whole layers only.
    #[serde(default)]
    pub projection: Option<Projection>,
    /// What the simulation itself took.
    pub simulation: Simulation,
    /// What the projection rests on.
    pub assumptions: Vec<String>,
    /// Always `projected, not measured on a board`.
    pub status: String,
}

/// The value of [`Report::status`].
pub const STATUS: &str = "projected, not measured on a board";
/// The key of the checksum of a report.
const DIGEST: &str = "digest";

/// What must agree between reports that are joined, and between a journal and the run that goes on with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Program and RTL.
    pub build: BuildSection,
    /// Seed of everything random.
    pub seed: u64,
    /// The weights and the forward pass.
    pub model: ModelSection,
    /// The unit.
    pub unit: UnitSection,
    /// The memory.
    pub memory: MemorySection,
    /// The operators that were selected.
    pub selected: Vec<Linear>,
    /// The fault that was asked for.
    pub inject: Option<Injection>,
}

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSection {
    /// Version of this program.
    pub program: String,
    /// SHA-256 over the RTL's file list and files.
    pub rtl_sha256: String,
}

impl BuildSection {
    /// This program and the RTL as it is now.
    ///
    /// # Errors
    /// As [`rtl_sha256`].
    pub fn current() -> Result<Self, Failure> {
        Ok(Self { rtl_sha256: rtl_sha256()?, ..Self::without_rtl() })
    }

    /// This program alone.
    pub fn without_rtl() -> Self {
        Self { program: env!("CARGO_PKG_VERSION").into(), rtl_sha256: String::new() }
    }
}

/// The weights and the forward pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSection {
    /// `synthetic` or `checkpoint`.
    pub source: String,
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
    /// The layer that was run; none for all of them.
    pub layer: Option<usize>,
    /// Tokens of the forward pass.
    pub tokens: usize,
    /// The prompt, if there is one.
    pub prompt_ids: Option<Vec<u32>>,
    /// Compute type of the host.
    pub dtype: String,
}

/// The unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitSection {
    /// Board.
    pub board: String,
    /// Its device.
    pub part: String,
    /// AXI read ports.
    pub ports: usize,
    /// Bits of a port.
    pub port_bits: usize,
    /// Activation vectors.
    pub vectors: usize,
    /// Groups of them that a pass over the weights serves in turn.
    pub groups: usize,
    /// Weight codec.
    pub codec: String,
    /// Weights a cycle, all ports.
    pub lanes: usize,
    /// Clock.
    pub clock_mhz: f64,
}

/// The memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemorySection {
    /// Mode.
    pub mode: MemoryMode,
    /// Read latency in unit cycles.
    pub latency_cycles: u64,
    /// Chance in 256 of a stall.
    pub stall: u8,
    /// What the processors read meanwhile.
    pub ps_gb_per_s: f64,
    /// Whether it delivers one rate whatever comes, instead of being the board's.
    pub flat: bool,
    /// What plain readers on the same ports get from it; none for the ideal memory.
    pub reader_gb_per_s: Option<f64>,
    /// The same from the least and the most that such a memory has been seen to deliver.
    pub band_gb_per_s: Option<[f64; 2]>,
    /// The measurement it agrees with.
    pub calibrated: Option<String>,
}

/// The CPU it is compared with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProfileSection {
    /// Machine, software, model, date.
    pub provenance: String,
    /// Why its times are left out, if they are.
    pub not_comparable: Option<String>,
    /// Its time for the operators of a layer that stay on the host.
    pub nonlinear_ms_a_layer: Option<f64>,
}

/// One operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperatorRow {
    /// The decoder layer.
    pub layer: usize,
    /// `self_attn.q_proj`
    pub name: Linear,
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
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// The same, scaled to the most and the least that such a memory has been seen to deliver.
    pub linear_fpga_ms_band: Option<[f64; 2]>,
    /// Rate at which weights came.
    pub weight_gb_per_s: f64,
    /// Quotient of that and what plain readers get.
    pub reader_share: Option<f64>,
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRow {
    /// Place in the whole.
    pub index: usize,
    /// The decoder layer.
    pub layer: usize,
    /// Its operators.
    pub operators: Vec<Linear>,
    /// Cycles the unit was busy.
    pub busy_cycles: u64,
    /// Counters of each port.
    pub ports: Vec<PortCounters>,
}

/// An output that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The decoder layer.
    pub layer: usize,
    /// The operator.
    pub operator: Linear,
    /// The output feature.
    pub row: usize,
    /// The token.
    pub token: usize,
    /// The cycle since power-up in which the operator's pass was complete.
    pub cycle: u64,
    /// Golden's accumulator.
    pub expected: i32,
    /// The unit's.
    pub got: i32,
}

/// What came out of the forward pass on golden's arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// SHA-256 of the logits, or of the residual stream behind the layer, as little-endian fp32.
    pub sha256: String,
    /// The most likely next token, after all layers.
    pub next_token: Option<u32>,
}

/// What the simulation itself took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Simulation {
    /// From the start of the program to the report.
    pub wall_s: f64,
    /// Simulated cycles by CPU seconds of one thread.
    pub cycles_per_second: f64,
    /// Cycles simulated, all runs.
    pub simulated_cycles: u64,
    /// Threads.
    pub jobs: usize,
    /// Runs taken from a journal instead of being simulated.
    pub resumed_runs: usize,
    /// The forward pass on golden's arithmetic, which goes on beside the simulation.
    pub golden_s: f64,
    /// Most memory the process had in use, mapped files included; where the system tells.
    pub peak_resident_bytes: Option<u64>,
    /// The same without mapped files, sampled after each run.
    pub peak_anonymous_bytes: Option<u64>,
    /// From the request for the model to its being loaded, while weights were being made.
    pub model_build_s: f64,
    /// Whether the model was there already.
    pub model_cached: bool,
}

impl Report {
    /// The same with its projection, if it is of whole layers and complete.
    pub fn projected(mut self) -> Self {
        let inputs = self.projection_inputs.as_ref().filter(|_| self.complete && self.shard.is_none());
        self.projection = inputs
            .and_then(|inputs| Projection::new(inputs, &self.identity, &self.operators, &self.runs, &self.totals));
        self
    }

    /// JSON with a checksum over everything else in it.
    pub fn json(&self) -> String {
        let mut value = serde_json::to_value(self).expect("a report has string keys only");
        let digest = digest(&value);
        value.as_object_mut().expect("a report is an object").insert(DIGEST.into(), digest.into());
        pretty(&value)
    }

    /// Reads a report and checks that nothing in it was changed.
    ///
    /// # Errors
    /// An input file that cannot be read, is no report, of another version, or not as it was written.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let refuse = |why: String| Failure::new(Exit::InputFile, format!("{}: {why}", path.display()));
        let text = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
        let mut value: Value = serde_json::from_slice(&text).map_err(|e| refuse(format!("not a report: {e}")))?;
        let version = value.get("schema_version").and_then(Value::as_u64);
        if version != Some(SCHEMA_VERSION.into()) {
            let found = version.map_or("none".into(), |v| v.to_string());
            return Err(refuse(format!("not a report of schema version {SCHEMA_VERSION}: found {found}")));
        }
        let found = value.as_object_mut().and_then(|object| object.remove(DIGEST));
        let expected = digest(&value);
        if found.as_ref().and_then(Value::as_str) != Some(&expected) {
            return Err(refuse("changed since it was written: its digest does not fit its content".into()));
        }
        serde_json::from_value(value).map_err(|e| refuse(format!("not a report: {e}")))
    }

    /// Text for people.
    pub fn text(&self) -> String {
        let (m, u, t, s) = (&self.identity.model, &self.identity.unit, &self.totals, &self.simulation);
        let what = m.layer.map_or("All layers".into(), |layer| format!("Layer {layer}"));
        let mut out = format!(
            "{what} of {}; {} tokens, host arithmetic {}\n{}; memory {}\n",
            m.description,
            m.tokens,
            m.dtype,
            u.describe(),
            self.identity.memory.describe(),
        );
        if let Some(shard) = self.shard {
            out += &format!("Shard {shard}: {} of {} runs\n", self.runs.len(), self.runs_in_all);
        }
        if !self.complete {
            out += "PARTIAL: interrupted before all of it was verified\n";
        }
        out += &format!("{}\n", self.table());
        let (operators, outputs) = (self.operators.len(), grouped(t.outputs as u64));
        out += &format!("{operators} operators, {outputs} outputs, {}\n", verdict(t.mismatches));
        out += &format!("BitLinears: {:.3} ms projected", t.linear_fpga_ms);
        if let Some([least, most]) = t.linear_fpga_ms_band {
            out += &format!(" ({least:.3} to {most:.3})");
        }
        if let (Some(cpu), Some(speedup)) = (t.linear_cpu_ms, t.linear_speedup) {
            out += &format!(", {cpu:.2} ms on the CPU, {speedup:.1}x");
        }
        out += &format!("; weights at {:.2} GB/s", t.weight_gb_per_s);
        if let Some(share) = t.reader_share {
            out += &format!(", {:.1}% of what plain readers get", 100.0 * share);
        }
        out += "\n";
        if let (Some(ms), Some(worst), Some(host), Some(cpu)) =
            (t.layer_ms_with_host_nonlinear, t.layer_ms_with_largest_overhead, t.host_nonlinear_ms, t.layer_cpu_ms)
        {
            let what = m.layer.map_or("Layers", |_| "Layer");
            out += &format!(
                "{what}: {ms:.3} ms projected, with {host:.2} ms of other operators on that CPU and {} driver calls of {} \
                 us; {worst:.3} ms with calls of {} us; {cpu:.2} ms on the CPU alone, {:.1}x\n",
                t.driver_calls,
                t.driver_overhead_us,
                DRIVER_OVERHEAD_BAND_US[1],
                cpu / ms,
            );
        }
        if let Some(projection) = &self.projection {
            out += &projection.text();
        }
        if let Some(token) = self.forward.as_ref().and_then(|f| f.next_token) {
            out += &format!("Next token {token}; embedding, final norm and output head on this CPU, not on the unit\n");
        }
        let model = if s.model_cached { "from the cache".into() } else { format!("built in {:.1} s", s.model_build_s) };
        out += &format!(
            "Simulated {} cycles at {:.2} M cycles/s a thread, {} threads; model {model}; {:.2} s in all",
            grouped(s.simulated_cycles),
            s.cycles_per_second / 1e6,
            s.jobs,
            s.wall_s,
        );
        if s.resumed_runs > 0 {
            out += &format!("; {} runs from the journal", s.resumed_runs);
        }
        if let Some(bytes) = s.peak_resident_bytes {
            out += &format!("; {} MB of memory at most", bytes / 1_000_000);
        }
        out += "\n\nAssumptions\n";
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
            [grouped(outputs as u64), grouped(mismatches as u64), grouped(cycles), share(ideal, cycles)]
        };
        // Many layers: a line each. The operators are in the JSON.
        if self.identity.model.layer.is_some() {
            for o in &self.operators {
                let name = [o.name.to_string(), format!("{} x {}", o.out_features, o.in_features)];
                let counts = counts(o.outputs, o.mismatches, o.cycles, o.ideal_cycles);
                table.add_row(name.into_iter().chain(counts).chain(times(o.fpga_ms, o.cpu_ms, o.speedup)));
            }
        } else {
            for rows in self.operators.chunk_by(|a, b| a.layer == b.layer) {
                let layer = Totals::of(rows, 0, &self.cpu_profile, &self.identity, 0.0);
                let name = [format!("layer {}", rows[0].layer), format!("{} operators", rows.len())];
                let counts = counts(layer.outputs, layer.mismatches, layer.cycles, layer.ideal_cycles);
                let times = times(layer.linear_fpga_ms, layer.linear_cpu_ms, layer.linear_speedup);
                table.add_row(name.into_iter().chain(counts).chain(times));
            }
        }
        let t = &self.totals;
        let name = ["total".to_string(), String::new()];
        let counts = counts(t.outputs, t.mismatches, t.cycles, t.ideal_cycles);
        table.add_row(name.into_iter().chain(counts).chain(times(t.linear_fpga_ms, t.linear_cpu_ms, t.linear_speedup)));
        table
    }
}

/// SHA-256 over the compact form of `value`, whose keys are sorted.
fn digest(value: &Value) -> String {
    hex(Sha256::new_with_prefix(value.to_string()))
}

impl Totals {
    /// Sums over `rows`, which took `driver_calls` calls of `overhead_us`.
    pub fn of(
        rows: &[OperatorRow],
        driver_calls: usize,
        profile: &ProfileSection,
        identity: &Identity,
        overhead_us: f64,
    ) -> Self {
        let (unit, memory) = (&identity.unit, &identity.memory);
        let cycles = rows.iter().map(|o| o.cycles).sum();
        let linear_fpga_ms = milliseconds(cycles, unit.clock_mhz);
        let moved = |o: &OperatorRow| (o.weight_bytes * o.tokens.div_ceil(unit.vectors * unit.groups)) as f64;
        let weight_gb_per_s = rows.iter().map(moved).sum::<f64>() / linear_fpga_ms / 1e6;
        // No operator is faster than its weight beats, nor than the memory.
        let bound_ms = |gb_per_s: f64| -> f64 {
            rows.iter().map(|o| milliseconds(o.ideal_cycles, unit.clock_mhz).max(moved(o) / gb_per_s / 1e6)).sum()
        };
        let from = |gb_per_s: f64| memory.reader_gb_per_s.map(|reader| bound_ms(gb_per_s) / bound_ms(reader));
        let band = memory.band_gb_per_s.filter(|_| cycles > 0).map(|[least, most]| [most, least].map(from));
        let linear_cpu_ms: Option<f64> = rows.iter().map(|o| o.cpu_ms).sum();
        let layers = rows.iter().map(|o| o.layer).collect::<BTreeSet<_>>().len();
        // Of whole layers only.
        let whole = rows.len() == layers * Linear::ALL.len();
        let host_nonlinear_ms = profile.nonlinear_ms_a_layer.filter(|_| whole).map(|ms| ms * layers as f64);
        let layer = |us: f64| host_nonlinear_ms.map(|ms| layer_ms(linear_fpga_ms, ms, driver_calls, us));
        Self {
            outputs: rows.iter().map(|o| o.outputs).sum(),
            mismatches: rows.iter().map(|o| o.mismatches).sum(),
            cycles,
            ideal_cycles: rows.iter().map(|o| o.ideal_cycles).sum(),
            stall_cycles: rows.iter().map(|o| o.stall_cycles).sum(),
            weight_bytes: rows.iter().map(|o| o.weight_bytes).sum(),
            linear_fpga_ms,
            linear_fpga_ms_band: band.and_then(|[a, b]| Some([a? * linear_fpga_ms, b? * linear_fpga_ms])),
            weight_gb_per_s,
            reader_share: memory.reader_gb_per_s.map(|reader| weight_gb_per_s / reader),
            linear_cpu_ms,
            linear_speedup: linear_cpu_ms.map(|cpu| cpu / linear_fpga_ms),
            layer_ms_with_host_nonlinear: layer(overhead_us),
            layer_ms_with_largest_overhead: layer(DRIVER_OVERHEAD_BAND_US[1]),
            host_nonlinear_ms,
            layer_cpu_ms: linear_cpu_ms.zip(host_nonlinear_ms).map(|(a, b)| a + b),
            driver_calls,
            driver_overhead_us: overhead_us,
        }
    }
}

impl UnitSection {
    /// In a few words.
    pub fn describe(&self) -> String {
        let Self { board, ports, port_bits, vectors, groups, codec, lanes, clock_mhz, .. } = self;
        format!(
            "{board}: {ports} ports of {port_bits} bits, {vectors} vectors x {groups}, codec {codec}, {lanes} weights a cycle, \
             {clock_mhz} MHz"
        )
    }
}

impl MemorySection {
    /// In a few words.
    pub fn describe(&self) -> String {
        let mut text = format!("ideal, latency {} cycles", self.latency_cycles);
        if let Some(rate) = self.reader_gb_per_s {
            text = format!("ddr, {rate:.2} GB/s to plain readers, latency {} cycles", self.latency_cycles);
        }
        if self.ps_gb_per_s > 0.0 {
            text += &format!(", {} GB/s to the processors", self.ps_gb_per_s);
        }
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

/// `0 mismatches: all equal to golden, bit for bit`
pub fn verdict(mismatches: usize) -> String {
    let verdict = if mismatches == 0 { "all equal to golden, bit for bit" } else { "NOT EQUAL to golden" };
    format!("{mismatches} mismatches: {verdict}")
}

/// Share of ideal: `98.1%`
pub fn share(ideal: u64, cycles: u64) -> String {
    format!("{:.1}%", 100.0 * ideal as f64 / cycles.max(1) as f64)
}

/// `68,352`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}
