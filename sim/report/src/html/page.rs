//! The page: the settings of the run, the projection if there is one, assumptions and provenance.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::field::{cells, maybe, number, plain, table};
use super::{token, units};
use crate::json;
use crate::records::Report;

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
/// Written as text because the page is also XML, in which these elements must be closed.
const META: &str = "<meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>";

/// The page of `report`. The page also contains the report's JSON.
pub(super) fn page(report: &Report) -> Markup {
    let value = json::value(report);
    let digest = value["digest"].as_str().unwrap_or_default();
    // Characters that would end the script element or begin markup are written as JSON escapes.
    let script = value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    html! {
        (DOCTYPE) "\n"
        html lang="en" {
            head {
                (PreEscaped(META))
                title { "BitLinears of BitNet b1.58 on an FPGA, projected" }
                style { (PreEscaped(STYLE)) }
            }
            "\n"
            body {
                "\n"
                (summary(report))
                @for remark in &report.remarks {
                    p { "Remark: " (remark) } "\n"
                }
                @if let Some(nonlinear) = &report.nonlinear { (units::section(nonlinear)) }
                (zeros(report))
                @if let Some(projection) = &report.projection {
                    (token::section(projection, &report.identity.memory))
                } @else {
                    p { "No projection of a token: that takes all seven linears of whole layers, complete." } "\n"
                }
                (assumptions(report))
                (provenance(report, digest))
                script type="application/json" id="report" { (PreEscaped(script)) }
                "\n"
            }
        }
        "\n"
    }
}

/// The settings of the run, and its sums.
fn summary(report: &Report) -> Markup {
    let (m, u, t) = (&report.identity.model, &report.identity.unit, &report.totals);
    html! {
        h1 { "BitLinears of BitNet b1.58 on " (plain("unit.board", &u.board)) ", projected" } "\n"
        p class="status" { (plain("status", &report.status)) } "\n"
        p {
            (plain("model.description", &m.description)) "; tokens " (plain("model.tokens", m.tokens)) ". Unit: "
            (plain("unit.ports", u.ports)) " ports of " (plain("unit.port_bits", u.port_bits)) " bits, "
            (plain("unit.vectors", u.vectors)) " vectors x " (plain("unit.groups", u.groups)) ", codec "
            (plain("unit.codec", &u.codec)) ", " (plain("unit.lanes", u.lanes)) " weights a cycle, "
            (number("unit.clock_mhz", u.clock_mhz, 0)) " MHz."
        } "\n"
        p {
            (plain("totals.outputs", t.outputs)) " outputs compared with golden, "
            (plain("totals.mismatches", t.mismatches)) " mismatches. Linears of this run: "
            (plain("totals.cycles", t.cycles)) " cycles, " (number("totals.linear_fpga_ms", t.linear_fpga_ms, 3)) " ms"
            @if let Some([least, most]) = t.linear_fpga_ms_band {
                " (" (number("totals.linear_fpga_ms_band.0", least, 3)) " to "
                (number("totals.linear_fpga_ms_band.1", most, 3)) " with memories as fast and as slow as seen)"
            }
            @if t.linear_cpu_ms.is_some() {
                ", " (number("totals.linear_cpu_ms", t.linear_cpu_ms, 2)) " ms on the CPU of the profile, "
                (number("totals.linear_speedup", t.linear_speedup, 1)) " times as long"
            }
            "."
        } "\n"
    }
}

/// The zeros of each layer, which decide what need not be read.
fn zeros(report: &Report) -> Markup {
    let head = ["layer", "gates", "above zero", "inputs of down_proj", "that are zero"];
    let rows = report.zeros.iter().enumerate().map(|(i, zeros)| {
        let at = |key: &str| format!("zeros.{i}.{key}");
        cells![
            plain(at("layer"), zeros.layer),
            plain(at("gates"), zeros.gates),
            plain(at("gates_above_zero"), zeros.gates_above_zero),
            plain(at("down_inputs"), zeros.down_inputs),
            plain(at("zero_down_inputs"), zeros.zero_down_inputs),
        ]
    });
    html! {
        @if !report.zeros.is_empty() {
            h2 { "Zeros" } "
    "
            p {
                "Rows of up_proj whose gate is not above zero, and columns of down_proj whose input is zero, change no "
                "result."
                @if report.identity.skip_zeros { " With one token, this unit does not read them." }
            } "
    "
            (table(&head, rows))
        }
    }
}

/// The assumptions of all numbers.
fn assumptions(report: &Report) -> Markup {
    let of_projection = report.projection.as_ref().map_or(&[][..], |p| &p.assumptions);
    html! {
        h2 { "Assumptions" } "\n"
        (list("assumptions", &report.assumptions))
        (list("projection.assumptions", of_projection))
    }
}

fn list(path: &str, lines: &[String]) -> Markup {
    html! {
        ul { @for (i, line) in lines.iter().enumerate() { li { (plain(format_args!("{path}.{i}"), line)) } } } "\n"
    }
}

/// The data that are needed to repeat the run.
fn provenance(report: &Report, digest: &str) -> Markup {
    let (build, forward) = (&report.identity.build, report.forward.as_ref().map(|f| &f.sha256));
    let terms = [
        ("command", plain("command", &report.command)),
        ("seed", plain("seed", report.identity.seed)),
        ("program", plain("build.program", &build.program)),
        ("RTL, SHA-256", plain("build.rtl_sha256", &build.rtl_sha256)),
        ("report, SHA-256", plain("digest", digest)),
        ("result of the forward pass, SHA-256", maybe("forward.sha256", forward)),
        ("part", plain("unit.part", &report.identity.unit.part)),
        ("CPU profile", plain("cpu_profile.provenance", &report.cpu_profile.provenance)),
        ("simulated cycles", plain("simulation.simulated_cycles", report.simulation.simulated_cycles)),
    ];
    html! {
        h2 { "Provenance" } "\n"
        dl { @for (what, value) in terms { dt { (what) } dd { (value) } } } "\n"
    }
}
