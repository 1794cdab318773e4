//! The report as text for a terminal.

use bitnet::config::Linear;
use comfy_table::Table;
use cost::projection::Projection;
use cost::time::DRIVER_OVERHEAD_BAND_US;
use program::table::{grouped, table};
use testbench::recorder::Zeros;

use crate::export::Exporter;
use crate::nonlinear;
use crate::records::{OperatorRow, Report, STATUS, Simulation, Totals};
use crate::words::{share, verdict};

/// The report as text.
pub struct Text;

impl Exporter for Text {
    fn export(&self, report: &Report) -> String {
        let mut out = heading(report) + &format!("{}\n", operators(report)) + &sums(report);
        out += &layer(report);
        out += &report.nonlinear.as_ref().map_or(String::new(), nonlinear::text);
        out += &report.projection.as_ref().map_or(String::new(), projection);
        if let Some(token) = report.forward.as_ref().and_then(|f| f.next_token) {
            let on_units = report.nonlinear.as_ref().is_some_and(|nonlinear| nonlinear.head.is_some());
            let rest = if on_units { "embedding" } else { "embedding, final norm and output head" };
            out += &format!("Next token {token}; {rest} on this CPU, not on the unit\n");
        }
        out += &simulation(&report.simulation);
        out += "\n\nAssumptions\n";
        report.assumptions.iter().for_each(|line| out += &format!("- {line}\n"));
        out + STATUS + "\n"
    }
}

/// The model, the unit and the memory of the run.
fn heading(report: &Report) -> String {
    let (m, u) = (&report.identity.model, &report.identity.unit);
    let what = m.layer.map_or("All layers".into(), |layer| format!("Layer {layer}"));
    let mut out = format!(
        "{what} of {}; {} tokens, host arithmetic {}\n{}; memory {}\n",
        m.description,
        m.tokens,
        m.dtype,
        u.describe(),
        report.identity.memory.describe(),
    );
    report.remarks.iter().for_each(|remark| out += &format!("Remark: {remark}\n"));
    if let Some(shard) = report.shard {
        out += &format!("Shard {shard}: {} of {} runs\n", report.runs.len(), report.runs_in_all);
    }
    if !report.complete {
        out += "PARTIAL: interrupted before all of it was verified\n";
    }
    out
}

/// Numbers of outputs and mismatches, and the time of the linears.
fn sums(report: &Report) -> String {
    let t = &report.totals;
    let (operators, outputs) = (report.operators.len(), grouped(t.outputs as u64));
    let mut out = format!("{operators} operators, {outputs} outputs, {}\n", verdict(t.mismatches));
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
    out + "\n" + &zeros(report) + &skipped(report)
}

/// What golden counted of the zeros in the feed-forward parts: the gates whose rows of `up_proj` are needed, and the inputs
/// of `down_proj` that are zero.
fn zeros(report: &Report) -> String {
    let sum = |of: fn(&Zeros) -> usize| report.zeros.iter().map(of).sum::<usize>() as f64;
    let (gates, inputs) = (sum(|z| z.gates), sum(|z| z.down_inputs));
    if gates == 0.0 || inputs == 0.0 {
        return String::new();
    }
    let above = 100.0 * sum(|z| z.gates_above_zero) / gates;
    let zero = 100.0 * sum(|z| z.zero_down_inputs) / inputs;
    format!("Gates above zero: {above:.1}%; inputs of {} that are zero: {zero:.1}%\n", Linear::Down)
}

/// What was skipped, if anything was to be.
fn skipped(report: &Report) -> String {
    if !report.identity.skip_zeros {
        return String::new();
    }
    let line = |linear: Linear, what: &str, read: fn(&OperatorRow) -> Option<u64>, all: fn(&OperatorRow) -> usize| {
        let rows = || report.operators.iter().filter(|o| o.name == linear);
        let read: u64 = rows().filter_map(read).sum();
        let all: u64 = rows().map(|o| (all(o) * report.identity.unit.passes(o.tokens)) as u64).sum();
        let why = if report.identity.model.tokens > 1 { "; some are skipped with one token only" } else { "" };
        if all == 0 {
            String::new()
        } else {
            format!("{linear}: {} of {} {what} read{why}\n", grouped(read), grouped(all))
        }
    };
    line(Linear::Up, "rows", |o| o.rows_read, |o| o.out_features)
        + &line(Linear::Down, "columns", |o| o.columns_read, |o| o.in_features)
}

/// The time of a layer with its other operators on the profiled CPU. Empty if the report has no such times.
fn layer(report: &Report) -> String {
    let t = &report.totals;
    let (Some(ms), Some(worst), Some(host), Some(cpu)) =
        (t.layer_ms_with_host_nonlinear, t.layer_ms_with_largest_overhead, t.host_nonlinear_ms, t.layer_cpu_ms)
    else {
        return String::new();
    };
    let what = report.identity.model.layer.map_or("Layers", |_| "Layer");
    format!(
        "{what}: {ms:.3} ms projected, with {host:.2} ms of other operators on that CPU and {} driver calls of {} \
         us; {worst:.3} ms with calls of {} us; {cpu:.2} ms on the CPU alone, {:.1}x\n",
        t.driver_calls,
        t.driver_overhead_us,
        DRIVER_OVERHEAD_BAND_US[1],
        cpu / ms,
    )
}

/// The time of a whole token, one line per phase.
fn projection(projection: &Projection) -> String {
    let mut out = String::new();
    for phase in &projection.phases {
        let layers = projection.layers as f64;
        let (linear, driver) = (layers * phase.linear_ms, layers * phase.driver_ms);
        let source = if phase.simulated { "simulated" } else { "by formula" };
        let (name, tokens) = (&phase.name, phase.tokens);
        out += &format!(
            "Model, {name} of {tokens}: {linear:.1} ms of BitLinears ({source}), {driver:.1} ms of driver calls"
        );
        let whole = phase.on_cores.iter().find_map(|on| Some((on, on.pass_ms?, on.tokens_per_s?)));
        if let Some((on, ms, rate)) = whole {
            out += &format!("; {ms:.0} ms, {rate:.1} tokens/s, with the rest on {} ({})", on.core, on.basis);
        }
        if let Some((ms, on)) = phase.on_cores.iter().find(|on| on.simulated).and_then(|on| Some((on.pass_ms?, on))) {
            out += &format!("; {ms:.0} ms on {} ({})", on.core, on.basis);
        }
        out += "\n";
    }
    let c = &projection.check;
    out + &format!(
        "Check: the BitLinears of {}, {:.1} ms by formula ({:.1} published), and its other parts as published make \
         {:.1} ms a token, published {:.1}: {:+.1}%\n",
        c.name, c.bitlinear_ms, c.published_bitlinear_ms, c.token_ms, c.published_token_ms, c.off_percent
    )
}

/// Cycles, speed, time and memory of the simulation itself.
fn simulation(s: &Simulation) -> String {
    let model = if s.model_cached { "from the cache".into() } else { format!("built in {:.1} s", s.model_build_s) };
    let mut out = format!(
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
    out
}

/// The table of operators, or the table of layers if the run has all layers.
fn operators(report: &Report) -> Table {
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
        [format!("{fpga:.4}"), or_dash(cpu.map(|ms| format!("{ms:.2}"))), or_dash(speedup.map(|x| format!("{x:.1}x")))]
    };
    let counts = |outputs: usize, mismatches: usize, cycles: u64, ideal: u64| {
        [grouped(outputs as u64), grouped(mismatches as u64), grouped(cycles), share(ideal, cycles)]
    };
    // A run of all layers has one line per layer. The single operators are in the JSON.
    if report.identity.model.layer.is_some() {
        for o in &report.operators {
            let name = [o.name.to_string(), format!("{} x {}", o.out_features, o.in_features)];
            let counts = counts(o.outputs, o.mismatches, o.cycles, o.ideal_cycles);
            table.add_row(name.into_iter().chain(counts).chain(times(o.fpga_ms, o.cpu_ms, o.speedup)));
        }
    } else {
        for rows in report.operators.chunk_by(|a, b| a.layer == b.layer) {
            let layer = Totals::of(rows, 0, &report.cpu_profile, &report.identity, 0.0);
            let name = [format!("layer {}", rows[0].layer), format!("{} operators", rows.len())];
            let counts = counts(layer.outputs, layer.mismatches, layer.cycles, layer.ideal_cycles);
            let times = times(layer.linear_fpga_ms, layer.linear_cpu_ms, layer.linear_speedup);
            table.add_row(name.into_iter().chain(counts).chain(times));
        }
    }
    let t = &report.totals;
    let name = ["total".to_string(), String::new()];
    let counts = counts(t.outputs, t.mismatches, t.cycles, t.ideal_cycles);
    table.add_row(name.into_iter().chain(counts).chain(times(t.linear_fpga_ms, t.linear_cpu_ms, t.linear_speedup)));
    table
}
