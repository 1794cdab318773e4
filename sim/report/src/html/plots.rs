//! The pictures of a projection.

use cost::projection::{OnCore, Phase, Projection, RooflinePoint};
use maud::{Markup, PreEscaped, html};

use super::canvas::{Anchor, COLOURS, Plane, WIDTH, bar, dot, label, legend, short, svg, words};
use super::field::{Field, number, plain};

/// The picture called `name`. Empty if there is no such picture.
pub(super) fn plot(name: &str, p: &Projection) -> Markup {
    match name {
        "operators" => operators(p),
        "roofline" => roofline(p),
        "amdahl" => amdahl(p),
        "ports" => ports(p),
        _ => PreEscaped(String::new()),
    }
}

/// The path of the simulated phase, and the phase.
fn simulated(p: &Projection) -> Option<(String, &Phase)> {
    let (i, phase) = p.phases.iter().enumerate().find(|(_, phase)| phase.simulated)?;
    Some((format!("projection.phases.{i}"), phase))
}

/// Columns of the picture of operators: the unit and the cores, each with its name, fields and values.
fn columns<'a>(at: &str, phase: &'a Phase) -> Vec<(String, Vec<Field>, Vec<f64>)> {
    let field = |path: String, ms: f64| number(path, ms, 3);
    let unit = phase.linears.iter().enumerate().map(|(i, l)| field(format!("{at}.linears.{i}.ms"), l.ms));
    let mut all = vec![("unit, projected".to_string(), unit.collect(), phase.linears.iter().map(|l| l.ms).collect())];
    // Measured CPUs, and the first modelled core.
    let numbered = || phase.on_cores.iter().enumerate();
    let measured = numbered().filter(|(_, on)| on.measured);
    let beside = measured.chain(numbered().find(|(_, on)| !on.measured)).take(COLOURS.len() - 1);
    all.extend(beside.map(|(j, on): (usize, &'a OnCore)| {
        let basis = if on.measured { "measured" } else { "model, not measured" };
        let path = |i: usize| format!("{at}.on_cores.{j}.alone_linears.{i}.ms");
        let fields = on.alone_linears.iter().enumerate().map(|(i, part)| field(path(i), part.ms)).collect();
        (format!("{}: {basis}", short(&on.core)), fields, on.alone_linears.iter().map(|part| part.ms).collect())
    }));
    all
}

/// The time of each linear of a layer, on the unit and on each core.
fn operators(p: &Projection) -> Markup {
    let Some((at, phase)) = simulated(p) else { return PreEscaped(String::new()) };
    let columns = columns(&at, phase);
    let values = || columns.iter().flat_map(|(_, _, values)| values.iter().copied());
    let least = values().filter(|v| *v > 0.0).fold(f64::MAX, f64::min);
    let (from, to) = (least / 2.0, values().fold(least, f64::max) * 1.05);
    let (left, right) = (140.0, WIDTH - 70.0);
    let scale = |v: f64| (v.max(from) / from).ln() / (to / from).ln() * (right - left);
    let (height, gap) = (13.0, 10.0);
    let (row_height, top) = (columns.len() as f64 * height + gap, 26.0 + 18.0 * columns.len() as f64);
    let keys = columns.iter().zip(COLOURS).enumerate();
    let body = html! {
        @for (i, ((what, ..), colour)) in keys { (legend(left, 30.0 + 18.0 * i as f64, colour, what).0) }
        @for (row, linear) in phase.linears.iter().enumerate() {
            @let y = top + row as f64 * row_height;
            @let name = plain(format!("{at}.linears.{row}.name"), linear.name);
            (label(left - 8.0, y + columns.len() as f64 * height / 2.0 + 4.0, Anchor::End, &name))
            @for (column, ((_, fields, values), colour)) in columns.iter().zip(COLOURS).enumerate() {
                @let y = y + column as f64 * height;
                @if let (Some(field), Some(value)) = (fields.get(row), values.get(row)) {
                    (bar(left, y, scale(*value), height - 2.0, colour))
                    (label(left + scale(*value) + 5.0, y + 10.0, Anchor::Start, field))
                }
            }
        }
        @let bottom = top + phase.linears.len() as f64 * row_height + 14.0;
        (words(left, bottom, "soft", Anchor::Start, "milliseconds a call, logarithmic"))
    };
    svg("Time of each linear", top + phase.linears.len() as f64 * row_height + 22.0, &body)
}

/// Each operator below its roofline.
fn roofline(p: &Projection) -> Markup {
    let r = &p.roofline;
    let (rate, one, peak) = (r.gb_per_s, r.peak_gops_one_vector, r.peak_gops);
    let least = |of: fn(&RooflinePoint) -> f64| r.points.iter().map(of).fold(1.0, f64::min) / 2.0;
    let plane = Plane { x: [least(|p| p.ops_per_byte), 1000.0], y: [least(|p| p.gops), peak * 2.0], height: 480.0 };
    let roof = |rate: f64, peak: f64| [[plane.x[0], rate * plane.x[0]], [peak / rate, peak], [plane.x[1], peak]];
    // The number at the right end of a roofline, and its description.
    let named = |gops: f64, field: Field, what: &str| {
        let (x, y) = plane.at(plane.x[1], gops);
        html! { (label(x - 190.0, y - 7.0, Anchor::End, &field)) (words(x - 184.0, y - 7.0, "ink", Anchor::Start, what)) }
    };
    let (gops, single) =
        (number("projection.roofline.peak_gops", peak, 0), number("projection.roofline.peak_gops_one_vector", one, 0));
    let (x, y) = (Plane::LEFT + 52.0, 76.0);
    let body = html! {
        (plane.grid("operations a byte", "GOPS"))
        @for rate in r.gb_per_s_band.into_iter().flatten() {
            (plane.path(&roof(rate, peak)[..2], COLOURS[0], Some("2 4")))
        }
        (plane.path(&roof(rate, peak), COLOURS[0], None))
        (plane.path(&[[one / rate, one], [plane.x[1], one]], COLOURS[1], Some("8 4")))
        (named(peak, gops, "GOPS, all lanes, all vectors"))
        (named(one, single, "GOPS, all lanes, one vector"))
        (label(x, y, Anchor::End, &number("projection.roofline.gb_per_s", rate, 2)))
        (words(x + 6.0, y, "ink", Anchor::Start, "GB/s to the unit; dotted: least and most seen"))
        @if let Some(core) = &r.core {
            (plane.path(&roof(core.gb_per_s, core.peak_gops), COLOURS[3], None))
            @let field = number("projection.roofline.core.peak_gops", core.peak_gops, 1);
            (named(core.peak_gops, field, &format!("GOPS, {} (model)", short(&core.name))))
        }
        (points(p, &plane))
    };
    svg("Roofline", plane.height, &body)
}

/// The operators on the plane, with the names of the operators on the core.
fn points(p: &Projection, plane: &Plane) -> Markup {
    let filled = simulated(p).map_or("", |(_, phase)| phase.name.as_str());
    // Operators at the same height share one text.
    let mut names: Vec<([f64; 2], Vec<&str>)> = Vec::new();
    for point in p.roofline.points.iter().filter(|point| point.on == "core" && point.phase == filled) {
        let (x, y) = plane.at(point.ops_per_byte, point.gops);
        match names.iter_mut().find(|(at, _)| (at[1] - y).abs() < 12.0) {
            Some((_, all)) => all.push(&point.name),
            None => names.push(([x, y], vec![&point.name])),
        }
    }
    let joined = |names: &[&str]| match names {
        [first, rest @ ..] if rest.len() > 1 => format!("{first} and {} others", rest.len()),
        all => all.join(", "),
    };
    html! {
        @for point in &p.roofline.points {
            @let (x, y) = plane.at(point.ops_per_byte, point.gops);
            @let colour = if point.on == "unit" { COLOURS[2] } else { COLOURS[3] };
            (dot(x, y, 5, if point.phase == filled { colour } else { "none" }, colour))
        }
        @for ([x, y], names) in &names { (words(x + 10.0, y + 8.0, "soft", Anchor::Start, &joined(names))) }
    }
}

/// The total speed-up if only the linears get faster.
fn amdahl(p: &Projection) -> Markup {
    let most = |k: usize| {
        let values = p.amdahl.iter().flat_map(|curve| curve.points.iter().chain([&curve.unit]).map(move |v| v[k]));
        values.fold(10.0, f64::max)
    };
    let least = p.amdahl.iter().filter_map(|curve| curve.soft_core).map(|[_, all]| all).fold(1.0, f64::min);
    let plane =
        Plane { x: [1.0, most(0) * 1.3], y: [least / 2f64.powi((least < 1.0).into()), most(1) * 4.0], height: 420.0 };
    let curves = p.amdahl.iter().zip(COLOURS.iter().cycle()).enumerate();
    let body = html! {
        (plane.grid("linears get so many times faster", "all gets so many times faster"))
        @for (i, (curve, colour)) in curves {
            (plane.path(&curve.points, colour, None))
            (plane.path(&[[plane.x[0], curve.limit], [plane.x[1], curve.limit]], colour, Some("2 5")))
            @let (x, y) = plane.at(curve.unit[0], curve.unit[1]);
            (dot(x, y, 5, colour, colour))
            // Labels near the right edge are placed to the left, inside the picture.
            @let (dx, anchor) = if x > WIDTH - 90.0 { (-10.0, Anchor::End) } else { (10.0, Anchor::Start) };
            (label(x + dx, y + 20.0, anchor, &number(format!("projection.amdahl.{i}.unit.1"), curve.unit[1], 1)))
            @if let Some([linears, all]) = curve.soft_core {
                @let (x, y) = plane.at(linears, all);
                (dot(x, y, 5, "none", colour))
                @let (dx, anchor) = if x > WIDTH - 240.0 { (-10.0, Anchor::End) } else { (10.0, Anchor::Start) };
                (words(x + dx, y + 4.0, "soft", anchor, "with the rest on the soft core"))
                (label(x + dx, y + 20.0, anchor, &number(format!("projection.amdahl.{i}.soft_core.1"), all, 3)))
            }
            @let what = format!("{}; {}: {}", curve.what, short(&curve.baseline), curve.basis);
            (legend(Plane::LEFT + 14.0, 34.0 + 18.0 * i as f64, colour, &what).0)
        }
    };
    svg("Amdahl's law", plane.height, &body)
}

/// The cycles of each port, by activity.
fn ports(p: &Projection) -> Markup {
    let (left, right) = (64.0, WIDTH - 20.0);
    let colours = [COLOURS[2], COLOURS[1], COLOURS[0], COLOURS[3], "#999"];
    let mut x = left;
    let mut keys = Vec::new();
    for (what, colour) in ["busy", "weights", "activations", "results", "start and end"].into_iter().zip(colours) {
        let (markup, next) = legend(x, 22.0, colour, what);
        keys.push(markup);
        x = next;
    }
    let body = html! {
        @for key in keys { (key) }
        @for (i, port) in p.ports.iter().enumerate() {
            @let y = 38.0 + 30.0 * i as f64;
            (words(left - 28.0, y + 15.0, "ink", Anchor::End, "port"))
            (label(left - 12.0, y + 15.0, Anchor::End, &plain(format!("projection.ports.{i}.port"), port.port)))
            @let cycles =
                [port.busy, port.stall_weights, port.stall_activations, port.stall_results, port.other].map(|c| c as f64);
            @let all = cycles.iter().sum::<f64>().max(1.0);
            @for (k, (cycles_of, colour)) in cycles.iter().zip(colours).enumerate() {
                @let before = cycles[..k].iter().sum::<f64>();
                (bar(left + before / all * (right - left), y, cycles_of / all * (right - left), 22.0, colour))
            }
        }
    };
    svg("What the ports did", 48.0 + 30.0 * p.ports.len() as f64, &body)
}
