//! A report as one page that needs nothing else: no network, no script.
//!
//! Every number on it is looked up in the report's JSON, which is in the page too, and carries the path where it was
//! found (`data-field`); a test reads the page and compares.

use serde_json::Value;

use crate::html_plots;
use crate::report::Report;

const STYLE: &str = "\
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;background:#fff;color:#222}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd;font-weight:normal}
thead th{border-bottom:2px solid #888;font-weight:600}
th:first-child,.text{text-align:left}td.long{min-width:12rem}
.wide{overflow-x:auto}.status{font-weight:600}.note,figcaption{color:#555;font-size:.9rem}
figure{margin:1rem 0;max-width:60rem}figure svg{width:100%;height:auto}
dt{font-weight:600}dd{margin:0 0 .4rem 1rem;overflow-wrap:anywhere}
@media (prefers-color-scheme: dark){body{background:#16181c;color:#e4e4e4}th,td{border-color:#444}
.note,figcaption{color:#aaa}}
@media print{body{max-width:none;margin:0;font-size:11px}table{font-size:8px}th,td{padding:.1rem .3rem}
.note,figcaption{font-size:10px}td.long{min-width:0}figure,tr{break-inside:avoid}h2,h3{break-after:avoid}}";

/// Text as HTML has it.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A report's JSON, and its values ready to be shown.
pub(crate) struct Fields(Value);

impl Fields {
    /// Of `report`.
    pub(crate) fn new(report: &Report) -> Self {
        Self(serde_json::from_str(&report.json()).expect("it has just been written"))
    }

    /// The value at `a.b.0.c`.
    pub(crate) fn get(&self, path: &str) -> &Value {
        self.0.pointer(&format!("/{}", path.replace('.', "/"))).unwrap_or(&Value::Null)
    }

    /// Entries of the list at `path`.
    pub(crate) fn len(&self, path: &str) -> usize {
        self.get(path).as_array().map_or(0, Vec::len)
    }

    /// The number at `path`.
    pub(crate) fn number(&self, path: &str) -> Option<f64> {
        self.get(path).as_f64()
    }

    /// The text at `path`; a number as it is.
    pub(crate) fn string(&self, path: &str) -> String {
        match self.get(path) {
            Value::String(text) => text.clone(),
            Value::Null => "-".into(),
            other => other.to_string(),
        }
    }

    /// The value at `path` with so many decimals, as an element.
    pub(crate) fn show(&self, path: &str, decimals: usize) -> String {
        let text = self.number(path).map_or_else(|| self.string(path), |x| format!("{x:.decimals$}"));
        format!("<span data-field=\"{path}\">{}</span>", escape(&text))
    }

    fn text(&self, path: &str) -> String {
        self.show(path, 0)
    }
}

/// A table; the first column and those that do not look like numbers are aligned left.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut out = String::from("<div class=\"wide\"><table><thead><tr>");
    let class = |cell: &str| match cell {
        "source" | "basis" => " class=\"text long\"",
        "on" => " class=\"text\"",
        _ => "",
    };
    head.iter().for_each(|cell| out += &format!("<th{}>{cell}</th>", class(cell)));
    out += "</tr></thead><tbody>";
    for row in rows {
        out += "<tr>";
        for (i, cell) in row.iter().enumerate() {
            let tag = if i == 0 { "th" } else { "td" };
            out += &format!("<{tag}{}>{cell}</{tag}>", class(head[i]));
        }
        out += "</tr>";
    }
    out + "</tbody></table></div>\n"
}

fn list(f: &Fields, path: &str) -> String {
    let items = (0..f.len(path)).map(|i| format!("<li>{}</li>", f.text(&format!("{path}.{i}"))));
    format!("<ul>{}</ul>\n", items.collect::<String>())
}

fn figure(svg: &str, caption: &str) -> String {
    format!("<figure>{svg}<figcaption>{caption}</figcaption></figure>\n")
}

/// The page, and its pictures by name.
pub(crate) fn page(report: &Report) -> (String, Vec<(&'static str, String)>) {
    let f = Fields::new(report);
    let mut body = summary(&f);
    let mut plots = Vec::new();
    if report.projection.is_some() {
        plots = html_plots::all(&f);
        body += &projection(&f, &plots);
    } else {
        body += "<p>No projection of a token: that takes all seven linears of whole layers, complete.</p>\n";
    }
    body += &closing(&f);
    let json = f.0.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <title>BitLinears of BitNet b1.58 on an FPGA, projected</title><style>{STYLE}</style></head>\n<body>\n{body}\
         <script type=\"application/json\" id=\"report\">{json}</script>\n</body></html>\n"
    );
    (page, plots)
}

fn summary(f: &Fields) -> String {
    let mut out = format!(
        "<h1>BitLinears of BitNet b1.58 on {}, projected</h1>\n<p class=\"status\">{}</p>\n\
         <p>{}; tokens {}. Unit: {} ports of {} bits, {} vectors x {}, codec {}, {} weights a cycle, {} MHz.</p>\n",
        f.text("unit.board"),
        f.text("status"),
        f.text("model.description"),
        f.text("model.tokens"),
        f.text("unit.ports"),
        f.text("unit.port_bits"),
        f.text("unit.vectors"),
        f.text("unit.groups"),
        f.text("unit.codec"),
        f.text("unit.lanes"),
        f.text("unit.clock_mhz"),
    );
    out += &format!(
        "<p>{} outputs compared with golden, {} mismatches. Linears of this run: {} cycles, {} ms",
        f.text("totals.outputs"),
        f.text("totals.mismatches"),
        f.text("totals.cycles"),
        f.show("totals.linear_fpga_ms", 3),
    );
    if !f.get("totals.linear_fpga_ms_band").is_null() {
        out += &format!(
            " ({} to {} with memories as fast and as slow as seen)",
            f.show("totals.linear_fpga_ms_band.0", 3),
            f.show("totals.linear_fpga_ms_band.1", 3)
        );
    }
    if !f.get("totals.linear_cpu_ms").is_null() {
        out += &format!(
            ", {} ms on the CPU of the profile, {} times as long",
            f.show("totals.linear_cpu_ms", 2),
            f.show("totals.linear_speedup", 1)
        );
    }
    out + ".</p>\n"
}

fn projection(f: &Fields, plots: &[(&str, String)]) -> String {
    let plot = |name: &str| plots.iter().find(|(n, _)| *n == name).map_or("", |(_, svg)| svg.as_str());
    let p = "projection";
    let mut out = String::from("<h2>The whole token</h2>\n");
    let phases = f.len(&format!("{p}.phases"));
    let mut rows = Vec::new();
    for i in 0..phases {
        let phase = format!("{p}.phases.{i}");
        for j in 0..f.len(&format!("{phase}.on_cores")) {
            let on = format!("{phase}.on_cores.{j}");
            rows.push(vec![
                format!("{} of {}", f.text(&format!("{phase}.name")), f.text(&format!("{phase}.tokens"))),
                f.show(&format!("{phase}.linear_ms"), 3),
                f.show(&format!("{phase}.driver_ms"), 3),
                f.show(&format!("{on}.others_ms"), 3),
                f.show(&format!("{on}.layer_ms"), 3),
                f.show(&format!("{on}.pass_ms"), 1),
                f.show(&format!("{on}.pass_ms_most"), 1),
                f.show(&format!("{on}.tokens_per_s"), 2),
                f.show(&format!("{on}.linear_percent"), 1),
                f.show(&format!("{on}.alone_ms"), 1),
                format!("{}: {}", f.text(&format!("{on}.core")), f.text(&format!("{on}.basis"))),
            ]);
        }
    }
    out += &table(
        &[
            "pass",
            "linears",
            "driver",
            "others",
            "layer",
            "pass",
            "slow driver",
            "tokens/s",
            "unit, %",
            "core alone",
            "basis",
        ],
        rows,
    );
    out += &format!(
        "<p class=\"note\">Milliseconds; linears, driver calls and others of one of {} layers, pass of all with embedding and \
         output head. A driver call takes {} us, slow ones {}. Overlap: {}.</p>\n",
        f.text("projection.layers"),
        f.show("projection.driver_overhead_us", 0),
        f.show("projection.driver_overhead_band_us.1", 0),
        f.text("projection.overlap"),
    );
    out += "<h2>Time by operator</h2>\n";
    out += &figure(plot("operators"), "One layer of the simulated pass, logarithmic.");
    out += "<h2>Roofline</h2>\n";
    out += &figure(
        plot("roofline"),
        "Every operator: the linears under the unit's roof, the others under the core's, where a model places them on it. \
         Filled: the simulated pass; hollow: by formula.",
    );
    out += &format!(
        "<p>Roofs of the unit: {} GB/s to plain readers; {} GOPS with one vector, {} with all. Of the core, {}: {} GB/s, {} \
         GOPS.</p>\n",
        f.show("projection.roofline.gb_per_s", 2),
        f.show("projection.roofline.peak_gops_one_vector", 0),
        f.show("projection.roofline.peak_gops", 0),
        f.text("projection.roofline.core.name"),
        f.show("projection.roofline.core.gb_per_s", 2),
        f.show("projection.roofline.core.peak_gops", 2),
    );
    let points = (0..f.len("projection.roofline.points")).map(|i| {
        let at = |key: &str, decimals| f.show(&format!("projection.roofline.points.{i}.{key}"), decimals);
        vec![
            at("name", 0),
            at("on", 0),
            at("phase", 0),
            at("ops_per_byte", 2),
            at("gops", 2),
            at("roof_gops", 2),
            at("percent", 1),
            at("bound", 0),
        ]
    });
    out += &table(&["operator", "on", "pass", "ops/byte", "GOPS", "roof", "% of it", "bound by"], points);
    out += "<p class=\"note\">Linears of one run overlap, and each counts from the end of the one before: one of them may pass \
            its roof, their sum does not.</p>\n";
    out += "<h2>Amdahl</h2>\n";
    out += &figure(
        plot("amdahl"),
        "What is gained in all if linears alone get faster. Dots: this unit with its driver calls; \
         dotted: the limit.",
    );
    let curves = (0..f.len("projection.amdahl")).map(|i| {
        let at = |key: &str, decimals| f.show(&format!("projection.amdahl.{i}.{key}"), decimals);
        vec![
            at("what", 0),
            at("linear_percent", 1),
            at("unit.0", 1),
            at("unit.1", 2),
            at("limit", 2),
            format!("{}: {}", at("baseline", 0), at("basis", 0)),
        ]
    });
    out += &table(&["of", "linears, %", "they get faster", "all gets faster", "limit", "basis"], curves);
    out += "<h2>Where the ports waited</h2>\n";
    out += &figure(plot("ports"), "Cycles of the simulated runs.");
    let ports = (0..f.len("projection.ports")).map(|i| {
        ["port", "busy", "stall_weights", "stall_activations", "stall_results", "other"]
            .map(|key| f.text(&format!("projection.ports.{i}.{key}")))
            .to_vec()
    });
    out += &table(&["port", "busy", "weights", "activations", "results", "start and end"], ports);
    out += "<h2>Memory</h2>\n";
    let band = (0..phases).map(|i| {
        let at = |key: &str, decimals| f.show(&format!("projection.phases.{i}.{key}"), decimals);
        vec![at("name", 0), at("linear_ms_band.0", 3), at("linear_ms", 3), at("linear_ms_band.1", 3), at("source", 0)]
    });
    out += &table(&["linears of a layer, ms", "fastest memory", "projected", "slowest memory", "source"], band);
    out += &format!(
        "<p>Memory {}: {} GB/s to plain readers, {} to {} seen. Agrees with: {}.</p>\n",
        f.text("memory.mode"),
        f.show("memory.reader_gb_per_s", 2),
        f.show("memory.band_gb_per_s.0", 2),
        f.show("memory.band_gb_per_s.1", 2),
        f.text("memory.calibrated"),
    );
    out += &beside(f);
    out += "<h2>Every operator</h2>\n";
    (0..phases).for_each(|i| out += &operators(f, &format!("{p}.phases.{i}")));
    out
}

/// What a phase is made of.
fn operators(f: &Fields, phase: &str) -> String {
    let mut out = format!(
        "<h3>{} of {}, positions before: {}</h3>\n<p class=\"note\">Linears: {}.</p>\n",
        f.text(&format!("{phase}.name")),
        f.text(&format!("{phase}.tokens")),
        f.text(&format!("{phase}.context")),
        f.text(&format!("{phase}.source")),
    );
    let linears = (0..f.len(&format!("{phase}.linears"))).map(|i| {
        let at = |key: &str, decimals| f.show(&format!("{phase}.linears.{i}.{key}"), decimals);
        let mut row = vec![at("name", 0), at("cycles", 0), at("ms", 4)];
        row.extend(
            (0..f.len(&format!("{phase}.on_cores")))
                .map(|j| f.show(&format!("{phase}.on_cores.{j}.alone_linears.{i}.ms"), 3)),
        );
        row
    });
    let cores: Vec<String> =
        (0..f.len(&format!("{phase}.on_cores"))).map(|j| f.text(&format!("{phase}.on_cores.{j}.core"))).collect();
    let mut head = vec!["linear", "cycles", "unit, ms"];
    head.extend(cores.iter().map(String::as_str));
    out += &table(&head, linears);
    for j in 0..cores.len() {
        let on = format!("{phase}.on_cores.{j}");
        let rows = (0..f.len(&format!("{on}.operators"))).map(|i| {
            let at = |key: &str, decimals| f.show(&format!("{on}.operators.{i}.{key}"), decimals);
            vec![at("name", 0), at("in_layer", 0), at("ops", 0), at("bytes", 0), at("ms", 4)]
        });
        out += &format!(
            "<details open=\"open\"><summary>Others on {} ({})</summary>\n",
            f.text(&format!("{on}.core")),
            f.text(&format!("{on}.basis"))
        );
        out += &table(&["operator", "in every layer", "operations", "bytes", "ms"], rows);
        out += "</details>\n";
    }
    out
}

/// CPUs, published systems, and the check of the arithmetic.
fn beside(f: &Fields) -> String {
    let mut out = String::from("<h2>Beside it</h2>\n");
    let cpus = (0..f.len("projection.baselines")).map(|i| {
        let at = |key: &str, decimals| f.show(&format!("projection.baselines.{i}.{key}"), decimals);
        vec![
            at("tokens", 0),
            at("linear_ms", 2),
            at("layer_ms", 2),
            at("offline_layer_ms", 2),
            at("prefill_ms", 1),
            at("decode_token_ms", 1),
            at("provenance", 0),
        ]
    });
    out += &table(
        &[
            "tokens",
            "linears, ms",
            "layer, ms",
            "ternary once, estimate",
            "prefill, ms",
            "decode, ms a token",
            "source",
        ],
        cpus,
    );
    let published = (0..f.len("projection.published")).map(|i| {
        let at = |key: &str, decimals| f.show(&format!("projection.published.{i}.{key}"), decimals);
        vec![
            at("name", 0),
            at("device", 0),
            at("tokens_per_s", 2),
            at("prefill_tokens_per_s", 2),
            at("joules_per_token", 3),
            at("source", 0),
        ]
    });
    out += &table(&["published, 2B-4T", "device", "decode, tokens/s", "prefill", "J a token", "source"], published);
    out += &format!(
        "<p class=\"note\">Energy of this unit: {}; no power of it was measured.</p>\n",
        f.text("projection.joules_per_token")
    );
    let c = |key: &str, decimals| f.show(&format!("projection.check.{key}"), decimals);
    out += &format!(
        "<h2>The arithmetic on a published system</h2>\n<p>{}: BitLinears {} ms by this program's formula (published {}), {} \
         runs of {} us {} ms, other parts {} ms: {} ms a token, published {}; {} %, allowed {} either way. Only the \
         BitLinears are projected; the rest goes in as published. Source: {}.</p>\n",
        c("name", 0),
        c("bitlinear_ms", 1),
        c("published_bitlinear_ms", 1),
        c("runs", 0),
        c("run_us", 0),
        c("runs_ms", 1),
        c("parts_ms", 2),
        c("token_ms", 1),
        c("published_token_ms", 1),
        c("off_percent", 1),
        c("tolerance_percent", 0),
        c("source", 0),
    );
    let parts = (0..f.len("projection.check.parts"))
        .map(|i| vec![c(&format!("parts.{i}.name"), 0), c(&format!("parts.{i}.ms"), 2)]);
    out += &table(&["its other part", "ms"], parts);
    out += "<h2>Cores, modelled by two rates</h2>\n";
    let cores = (0..f.len("projection.cores")).map(|i| {
        let at = |key: &str, decimals| f.show(&format!("projection.cores.{i}.{key}"), decimals);
        vec![
            at("name", 0),
            at("gops.value", 2),
            at("gb_per_s.value", 2),
            at("published_token_ms.value", 0),
            format!("{}; {}; {}", at("gops.source", 0), at("gb_per_s.source", 0), at("published_token_ms.source", 0)),
        ]
    });
    out + &table(&["core", "GOPS", "GB/s", "a token on it alone, published, ms", "source"], cores)
}

fn closing(f: &Fields) -> String {
    let mut out = String::from("<h2>Assumptions</h2>\n") + &list(f, "assumptions") + &list(f, "projection.assumptions");
    out += "<h2>Provenance</h2>\n<dl>";
    for (what, path) in [
        ("command", "command"),
        ("seed", "seed"),
        ("program", "build.program"),
        ("RTL, SHA-256", "build.rtl_sha256"),
        ("report, SHA-256", "digest"),
        ("result of the forward pass, SHA-256", "forward.sha256"),
        ("part", "unit.part"),
        ("CPU profile", "cpu_profile.provenance"),
        ("simulated cycles", "simulation.simulated_cycles"),
    ] {
        out += &format!("<dt>{what}</dt><dd>{}</dd>", f.text(path));
    }
    out + "</dl>\n"
}
