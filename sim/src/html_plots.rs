//! Pictures of a page: small SVGs, whose labels with numbers carry the path of the field they show.

use crate::html::{Fields, escape};

const WIDTH: f64 = 760.0;
/// Colours told apart without colour vision, too (Okabe and Ito), and readable on light and dark.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9"];
const STYLE: &str = "\
.bg{fill:#fff}.ink{fill:#222}.soft{fill:#666}.grid{stroke:#ccc}.axis{stroke:#555}text{font:13px system-ui,sans-serif}\
@media (prefers-color-scheme:dark){.bg{fill:#16181c}.ink{fill:#e4e4e4}.soft{fill:#aaa}.grid{stroke:#3a3d42}.axis{stroke:#999}}";

/// What the pictures are called.
pub(crate) const NAMES: [&str; 4] = ["operators", "roofline", "amdahl", "ports"];

/// All pictures, by name.
pub(crate) fn all(f: &Fields) -> Vec<(&'static str, String)> {
    NAMES.into_iter().zip([operators(f), roofline(f), amdahl(f), ports(f)]).collect()
}

fn svg(title: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>{title}</title>\
         <style>{STYLE}</style><rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\"/>{body}</svg>"
    )
}

fn text(x: f64, y: f64, class: &str, anchor: &str, content: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{content}</text>")
}

/// A label whose content is a field.
fn field(f: &Fields, x: f64, y: f64, anchor: &str, path: &str, decimals: usize) -> String {
    let content = f.number(path).map_or_else(|| f.string(path), |v| format!("{v:.decimals$}"));
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"ink\" text-anchor=\"{anchor}\" data-field=\"{path}\">{}</text>",
        escape(&content)
    )
}

fn line(from: (f64, f64), to: (f64, f64), more: &str) -> String {
    format!("<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {more}/>", from.0, from.1, to.0, to.1)
}

fn rect(x: f64, y: f64, width: f64, height: f64, colour: &str) -> String {
    let width = width.max(0.0);
    format!("<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>")
}

/// A square of `colour` and what it stands for; returns where the next may begin.
fn legend(out: &mut String, x: f64, y: f64, colour: &str, what: &str) -> f64 {
    *out += &rect(x, y - 10.0, 11.0, 11.0, colour);
    *out += &text(x + 16.0, y, "ink", "start", &escape(what));
    x + 34.0 + 7.2 * what.chars().count() as f64
}

/// A short name for a machine, and its software if the name tells: each up to its first comma.
fn short(name: &str) -> String {
    let parts = name.split(';').take(2).map(|part| part.split(',').next().unwrap_or(part).trim());
    parts.collect::<Vec<_>>().join(", ")
}

/// Two logarithmic axes.
struct Plane {
    x: [f64; 2],
    y: [f64; 2],
    height: f64,
}

impl Plane {
    fn left(&self) -> f64 {
        64.0
    }

    fn bottom(&self) -> f64 {
        self.height - 48.0
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |v: f64, [from, to]: [f64; 2]| (v.max(1e-12) / from).ln() / (to / from).ln();
        let (left, right, top, bottom) = (self.left(), WIDTH - 20.0, 16.0, self.bottom());
        (left + share(x, self.x) * (right - left), bottom - share(y, self.y) * (bottom - top))
    }

    /// Lines at powers of ten, and the axes' names.
    fn grid(&self, x_name: &str, y_name: &str) -> String {
        let mut out = String::new();
        for power in -4..9 {
            let v = 10f64.powi(power);
            if (self.x[0]..=self.x[1]).contains(&v) {
                let (x, _) = self.at(v, self.y[0]);
                out += &line((x, 16.0), (x, self.bottom()), "class=\"grid\"");
                out += &text(x, self.bottom() + 17.0, "soft", "middle", &v.to_string());
            }
            if (self.y[0]..=self.y[1]).contains(&v) {
                let (_, y) = self.at(self.x[0], v);
                out += &line((self.left(), y), (WIDTH - 20.0, y), "class=\"grid\"");
                out += &text(self.left() - 6.0, y + 4.0, "soft", "end", &v.to_string());
            }
        }
        out += &line((self.left(), self.bottom()), (WIDTH - 20.0, self.bottom()), "class=\"axis\"");
        out += &line((self.left(), 16.0), (self.left(), self.bottom()), "class=\"axis\"");
        out += &text((self.left() + WIDTH) / 2.0, self.height - 10.0, "ink", "middle", x_name);
        let middle = self.bottom() / 2.0;
        out + &format!(
            "<text class=\"ink\" text-anchor=\"middle\" transform=\"translate(16 {middle:.1}) rotate(-90)\">{y_name}</text>"
        )
    }

    fn path(&self, points: &[[f64; 2]], colour: &str, more: &str) -> String {
        let points: Vec<String> = points
            .iter()
            .map(|p| {
                let (x, y) = self.at(p[0], p[1]);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" {more}/>",
            points.join(" ")
        )
    }
}

/// The phase that was simulated.
fn simulated(f: &Fields) -> String {
    let phases = (0..f.len("projection.phases")).map(|i| format!("projection.phases.{i}"));
    phases.into_iter().find(|p| f.get(&format!("{p}.simulated")).as_bool() == Some(true)).unwrap_or_default()
}

/// The linears of a layer, on the unit and on each core.
fn operators(f: &Fields) -> String {
    let phase = simulated(f);
    let (rows, cores) = (f.len(&format!("{phase}.linears")), f.len(&format!("{phase}.on_cores")));
    // The unit and, beside it, measured CPUs and the first model of a core.
    let is_measured = |j: usize| f.get(&format!("{phase}.on_cores.{j}.measured")).as_bool() == Some(true);
    let (measured, modelled) = ((0..cores).filter(|j| is_measured(*j)), (0..cores).find(|j| !is_measured(*j)));
    let beside: Vec<usize> = measured.chain(modelled).take(COLOURS.len() - 1).collect();
    let path = |row: usize, column: usize| match column {
        0 => format!("{phase}.linears.{row}.ms"),
        _ => format!("{phase}.on_cores.{}.alone_linears.{row}.ms", beside[column - 1]),
    };
    let columns = beside.len() + 1;
    let values: Vec<f64> =
        itertools::iproduct!(0..rows, 0..columns).filter_map(|(r, c)| f.number(&path(r, c))).collect();
    let least = values.iter().copied().filter(|v| *v > 0.0).fold(f64::MAX, f64::min);
    let most = values.iter().copied().fold(least, f64::max);
    let (from, to) = (least / 2.0, most * 1.05);
    let (left, right) = (140.0, WIDTH - 70.0);
    let scale = |v: f64| (v.max(from) / from).ln() / (to / from).ln() * (right - left);
    let (bar, gap) = (13.0, 10.0);
    let mut out = String::new();
    let mut top = 12.0;
    for (column, colour) in COLOURS.iter().enumerate().take(columns) {
        let what = if column == 0 {
            "unit, projected".into()
        } else {
            let on = format!("{phase}.on_cores.{}", beside[column - 1]);
            let basis = if is_measured(beside[column - 1]) { "measured" } else { "model, not measured" };
            format!("{}: {basis}", short(&f.string(&format!("{on}.core"))))
        };
        top += 18.0;
        legend(&mut out, left, top, colour, &what);
    }
    top += 14.0;
    for row in 0..rows {
        let y = top + row as f64 * (columns as f64 * bar + gap);
        let name = format!("{phase}.linears.{row}.name");
        out += &field(f, left - 8.0, y + columns as f64 * bar / 2.0 + 4.0, "end", &name, 0);
        for (column, colour) in COLOURS.iter().enumerate().take(columns) {
            let (at, y) = (path(row, column), y + column as f64 * bar);
            let width = scale(f.number(&at).unwrap_or(0.0));
            out += &rect(left, y, width, bar - 2.0, colour);
            out += &field(f, left + width + 5.0, y + 10.0, "start", &at, 3);
        }
    }
    let height = top + rows as f64 * (columns as f64 * bar + gap) + 22.0;
    out += &text(left, height - 8.0, "soft", "start", "milliseconds a call, logarithmic");
    svg("Time of each linear", height, &out)
}

fn roofline(f: &Fields) -> String {
    let r = "projection.roofline";
    let n = |key: &str| f.number(&format!("{r}.{key}")).unwrap_or(1.0);
    let (rate, one, peak) = (n("gb_per_s"), n("peak_gops_one_vector"), n("peak_gops"));
    let core = (n("core.gb_per_s"), n("core.peak_gops"));
    let points: Vec<[f64; 2]> = (0..f.len(&format!("{r}.points")))
        .map(|i| ["ops_per_byte", "gops"].map(|key| n(&format!("points.{i}.{key}"))))
        .collect();
    let least = |k: usize| points.iter().map(|p| p[k]).fold(1.0, f64::min) / 2.0;
    let plane = Plane { x: [least(0), 1000.0], y: [least(1), peak * 2.0], height: 480.0 };
    let mut out = plane.grid("operations a byte", "GOPS");
    let roof = |rate: f64| [[plane.x[0], rate * plane.x[0]], [peak / rate, peak], [plane.x[1], peak]];
    if let (Some(least), Some(most)) =
        (f.number(&format!("{r}.gb_per_s_band.0")), f.number(&format!("{r}.gb_per_s_band.1")))
    {
        for rate in [least, most] {
            out += &plane.path(&roof(rate)[..2], COLOURS[0], "stroke-dasharray=\"2 4\"");
        }
    }
    out += &plane.path(&roof(rate), COLOURS[0], "");
    out += &plane.path(&[[one / rate, one], [plane.x[1], one]], COLOURS[1], "stroke-dasharray=\"8 4\"");
    for (path, y, what, decimals) in [
        ("peak_gops", peak, "GOPS, all lanes, all vectors", 0),
        ("peak_gops_one_vector", one, "GOPS, all lanes, one vector", 0),
    ] {
        let (x, y) = plane.at(plane.x[1], y);
        out += &field(f, x - 190.0, y - 7.0, "end", &format!("{r}.{path}"), decimals);
        out += &text(x - 184.0, y - 7.0, "ink", "start", what);
    }
    let (x, y) = (plane.left() + 52.0, 76.0);
    out += &field(f, x, y, "end", &format!("{r}.gb_per_s"), 2);
    out += &text(x + 6.0, y, "ink", "start", "GB/s to the unit; dotted: least and most seen");
    if !f.get(&format!("{r}.core")).is_null() {
        let (rate, peak) = core;
        let roof = [[plane.x[0], rate * plane.x[0]], [peak / rate, peak], [plane.x[1], peak]];
        out += &plane.path(&roof, COLOURS[3], "");
        let (x, y) = plane.at(plane.x[1], peak);
        out += &field(f, x - 190.0, y - 7.0, "end", &format!("{r}.core.peak_gops"), 1);
        let name = short(&f.string(&format!("{r}.core.name")));
        out += &text(x - 184.0, y - 7.0, "ink", "start", &escape(&format!("GOPS, {name} (model)")));
    }
    let filled = simulated(f);
    let filled = f.string(&format!("{filled}.name"));
    // Names of the operators on the core, those at one place together.
    let mut names: Vec<([f64; 2], Vec<String>)> = Vec::new();
    for (i, point) in points.iter().enumerate() {
        let of = |key: &str| f.string(&format!("{r}.points.{i}.{key}"));
        let (x, y) = plane.at(point[0], point[1]);
        let colour = if of("on") == "unit" { COLOURS[2] } else { COLOURS[3] };
        let fill = if of("phase") == filled { colour } else { "none" };
        out += &format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        );
        if of("on") == "core" && of("phase") == filled {
            match names.iter_mut().find(|(at, _)| (at[1] - y).abs() < 12.0) {
                Some((_, all)) => all.push(of("name")),
                None => names.push(([x, y], vec![of("name")])),
            }
        }
    }
    for ([x, y], names) in names {
        let label = match &names[..] {
            [first, rest @ ..] if rest.len() > 1 => format!("{first} and {} others", rest.len()),
            all => all.join(", "),
        };
        out += &text(x + 10.0, y + 8.0, "soft", "start", &escape(&label));
    }
    svg("Roofline", plane.height, &out)
}

fn amdahl(f: &Fields) -> String {
    let curves = f.len("projection.amdahl");
    let values = |i: usize| -> Vec<[f64; 2]> {
        let path = format!("projection.amdahl.{i}.points");
        (0..f.len(&path))
            .filter_map(|j| Some([f.number(&format!("{path}.{j}.0"))?, f.number(&format!("{path}.{j}.1"))?]))
            .collect()
    };
    let unit = |i: usize, k: usize| f.number(&format!("projection.amdahl.{i}.unit.{k}")).unwrap_or(1.0);
    let most = |k: usize| {
        (0..curves)
            .flat_map(|i| values(i).into_iter().map(|p| p[k]).chain([unit(i, k)]).collect::<Vec<_>>())
            .fold(10.0, f64::max)
    };
    let plane = Plane { x: [1.0, most(0) * 1.3], y: [1.0, most(1) * 4.0], height: 420.0 };
    let mut out = plane.grid("linears get so many times faster", "all gets so many times faster");
    for (i, colour) in (0..curves).zip(COLOURS.iter().cycle()) {
        out += &plane.path(&values(i), colour, "");
        let limit = f.number(&format!("projection.amdahl.{i}.limit")).unwrap_or(1.0);
        out += &plane.path(&[[plane.x[0], limit], [plane.x[1], limit]], colour, "stroke-dasharray=\"2 5\"");
        let (x, y) = plane.at(unit(i, 0), unit(i, 1));
        out += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" fill=\"{colour}\"/>");
        // Labels stay inside.
        let (dx, anchor) = if x > WIDTH - 90.0 { (-10.0, "end") } else { (10.0, "start") };
        out += &field(f, x + dx, y + 20.0, anchor, &format!("projection.amdahl.{i}.unit.1"), 1);
        let path = format!("projection.amdahl.{i}");
        let what = format!(
            "{}; {}: {}",
            f.string(&format!("{path}.what")),
            short(&f.string(&format!("{path}.baseline"))),
            f.string(&format!("{path}.basis"))
        );
        legend(&mut out, plane.left() + 14.0, 34.0 + 18.0 * i as f64, colour, &what);
    }
    svg("Amdahl's law", plane.height, &out)
}

fn ports(f: &Fields) -> String {
    let keys = [
        ("busy", "busy", COLOURS[2]),
        ("stall_weights", "weights", COLOURS[1]),
        ("stall_activations", "activations", COLOURS[0]),
        ("stall_results", "results", COLOURS[3]),
        ("other", "start and end", "#999"),
    ];
    let (left, right) = (64.0, WIDTH - 20.0);
    let mut out = String::new();
    let mut x = left;
    for (_, what, colour) in keys {
        x = legend(&mut out, x, 22.0, colour, what);
    }
    let ports = f.len("projection.ports");
    for port in 0..ports {
        let value = |key: &str| f.number(&format!("projection.ports.{port}.{key}")).unwrap_or(0.0);
        let all: f64 = keys.iter().map(|(key, ..)| value(key)).sum();
        let y = 38.0 + 30.0 * port as f64;
        out += &text(left - 28.0, y + 15.0, "ink", "end", "port");
        out += &field(f, left - 12.0, y + 15.0, "end", &format!("projection.ports.{port}.port"), 0);
        let mut x = left;
        for (key, _, colour) in keys {
            let width = value(key) / all.max(1.0) * (right - left);
            out += &rect(x, y, width, 22.0, colour);
            x += width;
        }
    }
    svg("What the ports did", 48.0 + 30.0 * ports as f64, &out)
}
