//! Shapes of the pictures: small SVGs that are readable on light and dark backgrounds.

use maud::{Markup, PreEscaped, html};

use super::field::Field;

/// Width of every picture.
pub(super) const WIDTH: f64 = 760.0;
/// Colours that can be distinguished without colour vision (Okabe and Ito) and are readable on light and dark
/// backgrounds.
pub(super) const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9"];
const STYLE: &str = "\
.bg{fill:#fff}.ink{fill:#222}.soft{fill:#666}.grid{stroke:#ccc}.axis{stroke:#555}text{font:13px system-ui,sans-serif}\
@media (prefers-color-scheme:dark){.bg{fill:#16181c}.ink{fill:#e4e4e4}.soft{fill:#aaa}.grid{stroke:#3a3d42}.axis{stroke:#999}}";

/// The position of a text relative to its coordinates.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A coordinate, rounded to a tenth.
fn at(value: f64) -> String {
    format!("{value:.1}")
}

/// A whole picture.
pub(super) fn svg(title: &str, height: f64, body: &Markup) -> Markup {
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (height) } role="img" {
            title { (title) }
            style { (PreEscaped(STYLE)) }
            rect class="bg" width=(WIDTH) height=(height) {}
            (body)
        }
    }
}

/// A text. `class` gives its colour: `ink` or `soft`.
pub(super) fn words(x: f64, y: f64, class: &str, anchor: Anchor, content: &str) -> Markup {
    html! { text x=(at(x)) y=(at(y)) class=(class) text-anchor=(anchor.name()) { (content) } }
}

/// A label whose content is a value of the report.
pub(super) fn label(x: f64, y: f64, anchor: Anchor, field: &Field) -> Markup {
    html! {
        text x=(at(x)) y=(at(y)) class="ink" text-anchor=(anchor.name()) data-field=(field.path()) { (field.text()) }
    }
}

/// A filled rectangle.
pub(super) fn bar(x: f64, y: f64, width: f64, height: f64, colour: &str) -> Markup {
    html! { rect x=(at(x)) y=(at(y)) width=(at(width.max(0.0))) height=(at(height)) fill=(colour) {} }
}

/// A dot. It is filled if `fill` is `colour`, and hollow if `fill` is `none`.
pub(super) fn dot(x: f64, y: f64, radius: u32, fill: &str, colour: &str) -> Markup {
    html! { circle cx=(at(x)) cy=(at(y)) r=(radius) fill=(fill) stroke=(colour) stroke-width="2" {} }
}

/// An entry of a legend: a square of `colour` and the text `what`. Also returns the x at which the next entry may
/// begin.
pub(super) fn legend(x: f64, y: f64, colour: &str, what: &str) -> (Markup, f64) {
    let markup = html! { (bar(x, y - 10.0, 11.0, 11.0, colour)) (words(x + 16.0, y, "ink", Anchor::Start, what)) };
    (markup, x + 34.0 + 7.2 * what.chars().count() as f64)
}

/// A short name for a machine and, if `name` contains it, its software: each up to its first comma.
pub(super) fn short(name: &str) -> String {
    let parts = name.split(';').take(2).map(|part| part.split(',').next().unwrap_or(part).trim());
    parts.collect::<Vec<_>>().join(", ")
}

/// A plane with two logarithmic axes.
pub(super) struct Plane {
    pub(super) x: [f64; 2],
    pub(super) y: [f64; 2],
    pub(super) height: f64,
}

impl Plane {
    pub(super) const LEFT: f64 = 64.0;
    const TOP: f64 = 16.0;
    const RIGHT: f64 = WIDTH - 20.0;

    fn bottom(&self) -> f64 {
        self.height - 48.0
    }

    /// The position of a point in the picture.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |v: f64, [from, to]: [f64; 2]| (v.max(1e-12) / from).ln() / (to / from).ln();
        let (width, height) = (Self::RIGHT - Self::LEFT, self.bottom() - Self::TOP);
        (Self::LEFT + share(x, self.x) * width, self.bottom() - share(y, self.y) * height)
    }

    /// Grid lines at powers of ten, and the axes with their names.
    pub(super) fn grid(&self, x_name: &str, y_name: &str) -> Markup {
        let powers = || (-4..9).map(|power| 10f64.powi(power));
        let xs = powers().filter(|v| (self.x[0]..=self.x[1]).contains(v)).map(|v| (v, self.at(v, self.y[0]).0));
        let ys = powers().filter(|v| (self.y[0]..=self.y[1]).contains(v)).map(|v| (v, self.at(self.x[0], v).1));
        let (bottom, middle) = (self.bottom(), self.bottom() / 2.0);
        html! {
            @for (v, x) in xs {
                (line((x, Self::TOP), (x, bottom), "grid"))
                (words(x, bottom + 17.0, "soft", Anchor::Middle, &v.to_string()))
            }
            @for (v, y) in ys {
                (line((Self::LEFT, y), (Self::RIGHT, y), "grid"))
                (words(Self::LEFT - 6.0, y + 4.0, "soft", Anchor::End, &v.to_string()))
            }
            (line((Self::LEFT, bottom), (Self::RIGHT, bottom), "axis"))
            (line((Self::LEFT, Self::TOP), (Self::LEFT, bottom), "axis"))
            (words((Self::LEFT + WIDTH) / 2.0, self.height - 10.0, "ink", Anchor::Middle, x_name))
            text class="ink" text-anchor="middle" transform={ "translate(16 " (at(middle)) ") rotate(-90)" } { (y_name) }
        }
    }

    /// A line through `points`. `dashes` is a dash pattern as in SVG.
    pub(super) fn path(&self, points: &[[f64; 2]], colour: &str, dashes: Option<&str>) -> Markup {
        let places = points.iter().map(|p| {
            let (x, y) = self.at(p[0], p[1]);
            format!("{x:.1},{y:.1}")
        });
        let points = places.collect::<Vec<_>>().join(" ");
        html! {
            polyline points=(points) fill="none" stroke=(colour) stroke-width="2" stroke-dasharray=[dashes] {}
        }
    }
}

fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Markup {
    html! { line x1=(at(from.0)) y1=(at(from.1)) x2=(at(to.0)) y2=(at(to.1)) class=(class) {} }
}
