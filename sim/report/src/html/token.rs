//! The projection of a token: its tables and pictures.

use cost::projection::{PeerCheck, Phase, Projection, Roofline};
use maud::{Markup, html};

use super::field::{cells, maybe, number, plain, table};
use super::plots::plot;
use crate::sections::MemorySection;

/// All sections about the token.
pub(super) fn section(p: &Projection, memory: &MemorySection) -> Markup {
    html! {
        h2 { "The whole token" } "\n"
        (passes(p))
        h2 { "Time by operator" } "\n"
        (figure(p, "operators", "One layer of the simulated pass, logarithmic."))
        h2 { "Roofline" } "\n"
        (figure(
            p,
            "roofline",
            "Every operator: the linears under the unit's roof, the others under the core's, where a model places them on \
             it. Filled: the simulated pass; hollow: by formula.",
        ))
        (roofs(&p.roofline))
        h2 { "Amdahl" } "\n"
        (figure(
            p,
            "amdahl",
            "What is gained in all if linears alone get faster. Dots: this unit with its driver calls; hollow: with the other operators on the simulated soft core; dotted: the limit.",
        ))
        (curves(p))
        h2 { "Where the ports waited" } "\n"
        (figure(p, "ports", "Cycles of the simulated runs."))
        (ports(p))
        h2 { "Memory" } "\n"
        (band(p, memory))
        h2 { "Beside it" } "\n"
        (baselines(p))
        (published(p))
        h2 { "The arithmetic on a published system" } "\n"
        (check(&p.check))
        h2 { "Cores, modelled by two rates" } "\n"
        (cores(p))
        h2 { "Every operator" } "\n"
        @for (i, phase) in p.phases.iter().enumerate() { (operators(phase, &format!("projection.phases.{i}"))) }
    }
}

fn figure(p: &Projection, name: &str, caption: &str) -> Markup {
    html! { figure { (plot(name, p)) figcaption { (caption) } } "\n" }
}

/// The table of passes, with a line for each phase on each core.
fn passes(p: &Projection) -> Markup {
    let head = [
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
    ];
    let all = p.phases.iter().enumerate().flat_map(|(i, phase)| {
        phase.on_cores.iter().enumerate().map(move |(j, on)| (format!("projection.phases.{i}"), phase, j, on))
    });
    let rows = all.map(|(at, phase, j, on)| {
        let on_at = format!("{at}.on_cores.{j}");
        let [name, tokens] = [plain(format!("{at}.name"), &phase.name), plain(format!("{at}.tokens"), phase.tokens)];
        let [core, basis] = [plain(format!("{on_at}.core"), &on.core), plain(format!("{on_at}.basis"), &on.basis)];
        vec![
            html! { (name) " of " (tokens) },
            html! { (number(format!("{at}.linear_ms"), phase.linear_ms, 3)) },
            html! { (number(format!("{at}.driver_ms"), phase.driver_ms, 3)) },
            html! { (number(format!("{on_at}.others_ms"), on.others_ms, 3)) },
            html! { (number(format!("{on_at}.layer_ms"), on.layer_ms, 3)) },
            html! { (number(format!("{on_at}.pass_ms"), on.pass_ms, 1)) },
            html! { (number(format!("{on_at}.pass_ms_most"), on.pass_ms_most, 1)) },
            html! { (number(format!("{on_at}.tokens_per_s"), on.tokens_per_s, 2)) },
            html! { (number(format!("{on_at}.linear_percent"), on.linear_percent, 1)) },
            html! { (number(format!("{on_at}.alone_ms"), on.alone_ms, 1)) },
            html! { (core) ": " (basis) },
        ]
    });
    html! {
        (table(&head, rows))
        p class="note" {
            "Milliseconds; linears, driver calls and others of one of " (plain("projection.layers", p.layers))
            " layers, pass of all with embedding and output head. A driver call takes "
            (number("projection.driver_overhead_us", p.driver_overhead_us, 0)) " us, slow ones "
            (number("projection.driver_overhead_band_us.1", p.driver_overhead_band_us[1], 0)) ". Overlap: "
            (plain("projection.overlap", &p.overlap)) "."
        } "\n"
    }
}

/// The rooflines, and each operator below its roofline.
fn roofs(r: &Roofline) -> Markup {
    let core = r.core.as_ref();
    let points = r.points.iter().enumerate().map(|(i, point)| {
        let at = |key: &str| format!("projection.roofline.points.{i}.{key}");
        cells![
            plain(at("name"), &point.name),
            plain(at("on"), &point.on),
            plain(at("phase"), &point.phase),
            number(at("ops_per_byte"), point.ops_per_byte, 2),
            number(at("gops"), point.gops, 2),
            number(at("roof_gops"), point.roof_gops, 2),
            number(at("percent"), point.percent, 1),
            plain(at("bound"), &point.bound),
        ]
    });
    html! {
        p {
            "Roofs of the unit: " (number("projection.roofline.gb_per_s", r.gb_per_s, 2)) " GB/s to plain readers; "
            (number("projection.roofline.peak_gops_one_vector", r.peak_gops_one_vector, 0)) " GOPS with one vector, "
            (number("projection.roofline.peak_gops", r.peak_gops, 0)) " with all. Of the core, "
            (maybe("projection.roofline.core.name", core.map(|c| &c.name))) ": "
            (number("projection.roofline.core.gb_per_s", core.map(|c| c.gb_per_s), 2)) " GB/s, "
            (number("projection.roofline.core.peak_gops", core.map(|c| c.peak_gops), 2)) " GOPS."
        } "\n"
        (table(&["operator", "on", "pass", "ops/byte", "GOPS", "roof", "% of it", "bound by"], points))
        p class="note" {
            "Linears of one run overlap, and each counts from the end of the one before: one of them may pass its roof, \
             their sum does not."
        } "\n"
    }
}

/// Amdahl's curves, each at the speed-up that the unit reaches.
fn curves(p: &Projection) -> Markup {
    let rows = p.amdahl.iter().enumerate().map(|(i, curve)| {
        let at = |key: &str| format!("projection.amdahl.{i}.{key}");
        let [baseline, basis] = [plain(at("baseline"), &curve.baseline), plain(at("basis"), &curve.basis)];
        vec![
            html! { (plain(at("what"), &curve.what)) },
            html! { (number(at("linear_percent"), curve.linear_percent, 1)) },
            html! { (number(at("unit.0"), curve.unit[0], 1)) },
            html! { (number(at("unit.1"), curve.unit[1], 2)) },
            html! { (number(at("limit"), curve.limit, 2)) },
            html! { (baseline) ": " (basis) },
        ]
    });
    table(&["of", "linears, %", "they get faster", "all gets faster", "limit", "basis"], rows)
}

/// The cycles of each port, by activity.
fn ports(p: &Projection) -> Markup {
    let rows = p.ports.iter().enumerate().map(|(i, port)| {
        let at = |key: &str| format!("projection.ports.{i}.{key}");
        cells![
            plain(at("port"), port.port),
            plain(at("busy"), port.busy),
            plain(at("stall_weights"), port.stall_weights),
            plain(at("stall_activations"), port.stall_activations),
            plain(at("stall_results"), port.stall_results),
            plain(at("other"), port.other),
        ]
    });
    table(&["port", "busy", "weights", "activations", "results", "start and end"], rows)
}

/// The times with the fastest and the slowest memory observed.
fn band(p: &Projection, memory: &MemorySection) -> Markup {
    let rows = p.phases.iter().enumerate().map(|(i, phase)| {
        let at = |key: &str| format!("projection.phases.{i}.{key}");
        let band = phase.linear_ms_band;
        cells![
            plain(at("name"), &phase.name),
            number(at("linear_ms_band.0"), band.map(|b| b[0]), 3),
            number(at("linear_ms"), phase.linear_ms, 3),
            number(at("linear_ms_band.1"), band.map(|b| b[1]), 3),
            plain(at("source"), &phase.source),
        ]
    });
    let seen = memory.band_gb_per_s;
    html! {
        (table(&["linears of a layer, ms", "fastest memory", "projected", "slowest memory", "source"], rows))
        p {
            "Memory " (plain("memory.mode", memory.mode.name())) ": "
            (number("memory.reader_gb_per_s", memory.reader_gb_per_s, 2)) " GB/s to plain readers, "
            (number("memory.band_gb_per_s.0", seen.map(|b| b[0]), 2)) " to "
            (number("memory.band_gb_per_s.1", seen.map(|b| b[1]), 2)) " seen. Agrees with: "
            (maybe("memory.calibrated", memory.calibrated.as_ref())) "."
        } "\n"
    }
}

/// The table of CPU profiles.
fn baselines(p: &Projection) -> Markup {
    let head =
        ["tokens", "linears, ms", "layer, ms", "ternary once, estimate", "prefill, ms", "decode, ms a token", "source"];
    let rows = p.baselines.iter().enumerate().map(|(i, cpu)| {
        let at = |key: &str| format!("projection.baselines.{i}.{key}");
        cells![
            maybe(at("tokens"), cpu.tokens),
            number(at("linear_ms"), cpu.linear_ms, 2),
            number(at("layer_ms"), cpu.layer_ms, 2),
            number(at("offline_layer_ms"), cpu.offline_layer_ms, 2),
            number(at("prefill_ms"), cpu.prefill_ms, 1),
            number(at("decode_token_ms"), cpu.decode_token_ms, 1),
            plain(at("provenance"), &cpu.provenance),
        ]
    });
    table(&head, rows)
}

/// The table of published systems.
fn published(p: &Projection) -> Markup {
    let rows = p.published.iter().enumerate().map(|(i, system)| {
        let at = |key: &str| format!("projection.published.{i}.{key}");
        cells![
            plain(at("name"), &system.name),
            plain(at("device"), &system.device),
            number(at("tokens_per_s"), system.tokens_per_s, 2),
            number(at("prefill_tokens_per_s"), system.prefill_tokens_per_s, 2),
            number(at("joules_per_token"), system.joules_per_token, 3),
            plain(at("source"), &system.source),
        ]
    });
    html! {
        (table(&["published, 2B-4T", "device", "decode, tokens/s", "prefill", "J a token", "source"], rows))
        p class="note" {
            "Energy of this unit: " (number("projection.joules_per_token", p.joules_per_token, 0))
            "; no power of it was measured."
        } "\n"
    }
}

/// The check of the projection's arithmetic with a published system.
fn check(c: &PeerCheck) -> Markup {
    let at = |key: &str| format!("projection.check.{key}");
    let ms = |key: &str, value: f64, decimals| number(at(key), value, decimals);
    let parts = c.parts.iter().enumerate().map(|(i, part)| {
        cells![plain(at(&format!("parts.{i}.name")), &part.name), ms(&format!("parts.{i}.ms"), part.ms, 2)]
    });
    html! {
        p {
            (plain(at("name"), &c.name)) ": BitLinears " (ms("bitlinear_ms", c.bitlinear_ms, 1))
            " ms by this program's formula (published " (ms("published_bitlinear_ms", c.published_bitlinear_ms, 1)) "), "
            (plain(at("runs"), c.runs)) " runs of " (ms("run_us", c.run_us, 0)) " us " (ms("runs_ms", c.runs_ms, 1))
            " ms, other parts " (ms("parts_ms", c.parts_ms, 2)) " ms: " (ms("token_ms", c.token_ms, 1))
            " ms a token, published " (ms("published_token_ms", c.published_token_ms, 1)) "; "
            (ms("off_percent", c.off_percent, 1)) " %, allowed " (ms("tolerance_percent", c.tolerance_percent, 0))
            " either way. Only the BitLinears are projected; the rest goes in as published. Source: "
            (plain(at("source"), &c.source)) "."
        } "\n"
        (table(&["its other part", "ms"], parts))
    }
}

/// The cores that the board contains or has room for.
fn cores(p: &Projection) -> Markup {
    let rows = p.cores.iter().enumerate().map(|(i, core)| {
        let at = |key: &str| format!("projection.cores.{i}.{key}");
        let token = core.published_token_ms.as_ref();
        let sources = [
            plain(at("gops.source"), &core.gops.source),
            plain(at("gb_per_s.source"), &core.gb_per_s.source),
            maybe(at("published_token_ms.source"), token.map(|t| &t.source)),
        ];
        vec![
            html! { (plain(at("name"), &core.name)) },
            html! { (number(at("gops.value"), core.gops.value, 2)) },
            html! { (number(at("gb_per_s.value"), core.gb_per_s.value, 2)) },
            html! { (number(at("published_token_ms.value"), token.map(|t| t.value), 0)) },
            html! { (sources[0]) "; " (sources[1]) "; " (sources[2]) },
        ]
    });
    table(&["core", "GOPS", "GB/s", "a token on it alone, published, ms", "source"], rows)
}

/// The operators of a phase.
fn operators(phase: &Phase, at: &str) -> Markup {
    let names: Vec<&str> = phase.on_cores.iter().map(|on| on.core.as_str()).collect();
    let head: Vec<&str> = ["linear", "cycles", "unit, ms"].into_iter().chain(names).collect();
    let linears = phase.linears.iter().enumerate().map(|(i, linear)| {
        let field = |key: &str| format!("{at}.linears.{i}.{key}");
        let mut row = cells![
            plain(field("name"), linear.name),
            number(field("cycles"), linear.cycles, 0),
            number(field("ms"), linear.ms, 4),
        ];
        row.extend(phase.on_cores.iter().enumerate().map(|(j, on)| {
            let alone = on.alone_linears.get(i).map(|part| part.ms);
            html! { (number(format!("{at}.on_cores.{j}.alone_linears.{i}.ms"), alone, 3)) }
        }));
        row
    });
    html! {
        h3 {
            (plain(format!("{at}.name"), &phase.name)) " of " (plain(format!("{at}.tokens"), phase.tokens))
            ", positions before: " (plain(format!("{at}.context"), phase.context))
        } "\n"
        p class="note" { "Linears: " (plain(format!("{at}.source"), &phase.source)) "." } "\n"
        (table(&head, linears))
        @for j in 0..phase.on_cores.len() { (others(phase, at, j)) }
    }
}

/// The operators on core number `j`.
fn others(phase: &Phase, at: &str, j: usize) -> Markup {
    let on = &phase.on_cores[j];
    let at = format!("{at}.on_cores.{j}");
    let rows = on.operators.iter().enumerate().map(|(i, operator)| {
        let field = |key: &str| format!("{at}.operators.{i}.{key}");
        cells![
            plain(field("name"), &operator.name),
            plain(field("in_layer"), operator.in_layer),
            number(field("ops"), operator.ops, 0),
            number(field("bytes"), operator.bytes, 0),
            number(field("ms"), operator.ms, 4),
        ]
    });
    html! {
        details open="open" {
            summary {
                "Others on " (plain(format!("{at}.core"), &on.core)) " (" (plain(format!("{at}.basis"), &on.basis)) ")"
            }
            "\n"
            (table(&["operator", "in every layer", "operations", "bytes", "ms"], rows))
        }
        "\n"
    }
}
