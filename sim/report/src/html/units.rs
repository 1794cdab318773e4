//! The operators between the BitLinears, as a simulated core or vector unit ran them: table and picture.

use maud::{Markup, html};

use super::canvas::{Anchor, COLOURS, WIDTH, bar, label, legend, svg, words};
use super::field::{cells, number, plain, table};
use crate::nonlinear::Nonlinear;

/// The section.
pub(super) fn section(n: &Nonlinear) -> Markup {
    let head = ["operator", "elements", "mismatches", "cycles", "cycles beside products", "ms"];
    let rows = n.operators.iter().enumerate().map(|(i, o)| {
        let at = |key: &str| format!("nonlinear.operators.{i}.{key}");
        cells![
            plain(at("name"), &o.name),
            plain(at("elements"), o.elements),
            plain(at("mismatches"), o.mismatches),
            plain(at("cycles"), o.cycles),
            plain(at("overlapped_cycles"), o.overlapped_cycles),
            number(at("ms"), o.ms, 3),
        ]
    });
    html! {
        h2 { "Every operator between the BitLinears, simulated" } "\n"
        p {
            "On: " (plain("nonlinear.on", &n.on)) ", core " (plain("nonlinear.core", &n.core))
            @if let Some(lanes) = n.lanes { ", " (plain("nonlinear.lanes", lanes)) " lanes" }
            ", " (number("nonlinear.clock_mhz", n.clock_mhz, 0)) " MHz; " (plain("nonlinear.context", n.context))
            " tokens in the cache. " (plain("nonlinear.elements", n.elements)) " elements of "
            (plain("nonlinear.layers", n.layers)) " layers compared with golden, "
            (plain("nonlinear.mismatches", n.mismatches)) " mismatches."
        } "\n"
        (parts(n))
        figure {
            (picture(n))
            figcaption {
                "Cycles of each operator, all layers together: while the ternary unit computes products, and while it has none."
            }
        } "\n"
        (table(&head, rows))
    }
}

/// The parts of the layers, and of a token.
fn parts(n: &Nonlinear) -> Markup {
    html! {
        @if let Some(products) = n.product_cycles {
            p {
                "The layers take " (plain("nonlinear.product_cycles", products))
                " cycles of BitLinears beside the vector unit, and " (plain("nonlinear.cycles", n.cycles)) " of all else."
                @if let Some((token, head)) = n.token.as_ref().zip(n.head.as_ref()) {
                    " With the output head, " (number("nonlinear.head.ms", head.ms, 2)) " ms, a token takes "
                    (number("nonlinear.token.ms", token.ms, 2)) " ms: "
                    (plain("nonlinear.token.cycles", token.cycles)) " cycles in one simulation."
                }
            } "\n"
        }
    }
}

/// The cycles of each operator, beside products and alone.
pub(super) fn picture(n: &Nonlinear) -> Markup {
    const ROW: f64 = 18.0;
    let shown = n.operators.iter().enumerate().filter(|(_, o)| o.cycles + o.overlapped_cycles > 0);
    let shown: Vec<_> = shown.collect();
    let most = n.operators.iter().map(|o| o.cycles + o.overlapped_cycles).max().unwrap_or(0).max(1) as f64;
    let (left, right, top) = (210.0, WIDTH - 90.0, 44.0);
    let bottom = top + shown.len() as f64 * ROW;
    let scale = |cycles: u64| cycles as f64 / most * (right - left);
    let (beside, alone) = (COLOURS[5], COLOURS[0]);
    let (first, next) = legend(left, 24.0, beside, "beside products");
    let body = html! {
        (first) (legend(next, 24.0, alone, "alone").0)
        @for (row, (i, o)) in shown.iter().enumerate() {
            @let y = top + row as f64 * ROW;
            @let at = |key: &str| format!("nonlinear.operators.{i}.{key}");
            @let hidden = scale(o.overlapped_cycles);
            (label(left - 8.0, y + 11.0, Anchor::End, &plain(at("name"), &o.name)))
            (bar(left, y, hidden, ROW - 5.0, beside))
            (bar(left + hidden, y, scale(o.cycles), ROW - 5.0, alone))
            (label(left + hidden + scale(o.cycles) + 5.0, y + 11.0, Anchor::Start, &plain(at("cycles"), o.cycles)))
        }
        (words(left, bottom + 14.0, "soft", Anchor::Start, "cycles; the number is that alone"))
    };
    svg("Operators between the BitLinears", bottom + 24.0, &body)
}
