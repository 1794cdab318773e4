//! A sweep as a picture: decode speed against LUTs.

use std::collections::BTreeMap;

use plotters::prelude::*;

use super::records::{Point, Sweep};
use crate::error::Error;

const SIZE: (u32, u32) = (960, 600);
/// Colours that can be distinguished without colour vision (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// The picture of `sweep` as an SVG file. Points without LUTs are left out.
///
/// # Errors
/// [`Error::NothingToDraw`] if no point has LUTs.
pub fn svg(sweep: &Sweep) -> Result<String, Error> {
    if sweep.points.iter().all(|p| p.luts.is_none()) {
        return Err(Error::NothingToDraw);
    }
    let mut picture = String::new();
    draw(sweep, &mut picture).map_err(|e| Error::Internal { what: "--svg", why: e.to_string() })?;
    Ok(picture)
}

fn draw(sweep: &Sweep, picture: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let mut series: BTreeMap<String, Vec<(f64, &Point)>> = BTreeMap::new();
    for p in &sweep.points {
        if let Some(luts) = p.luts {
            series.entry(format!("{}, {}", p.board, p.codec)).or_default().push((f64::from(luts), p));
        }
    }
    let most = |of: fn(&(f64, &Point)) -> f64| series.values().flatten().map(of).fold(1.0, f64::max);
    let (luts, speed) = (most(|p| p.0), most(|p| p.1.decode_tokens_per_s));

    let root = SVGBackend::with_string(picture, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("BitLinears of BitNet b1.58-2B-4T, projected: decode speed over LUTs", ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..1.08 * luts, 0.0..1.12 * speed)?;
    chart
        .configure_mesh()
        .x_desc("LUTs (Yosys; hollow: estimated)")
        .y_desc("tokens a second in decode, BitLinears alone")
        .x_label_formatter(&|x| format!("{:.0}k", x / 1e3))
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 14))
        .draw()?;
    for ((name, points), colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let circle = |(luts, p): &(f64, &Point)| {
            let style = if p.luts_measured { colour.filled() } else { colour.stroke_width(2) };
            Circle::new((*luts, p.decode_tokens_per_s), 5, style)
        };
        chart
            .draw_series(points.iter().map(circle))?
            .label(name)
            .legend(|(x, y)| Circle::new((x + 10, y), 5, colour.filled()));
        let front = front(points);
        chart.draw_series(LineSeries::new(
            front.iter().map(|(luts, p)| (*luts, p.decode_tokens_per_s)),
            colour.mix(0.5),
        ))?;
        let label = |(luts, p): &(f64, &Point)| {
            let text = format!("{} x {}, {} v", p.ports, p.port_bits, p.vectors);
            Text::new(
                text,
                (*luts, p.decode_tokens_per_s + 0.035 * speed),
                ("sans-serif", 12).into_font().color(colour),
            )
        };
        chart.draw_series(front.iter().map(label))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 14))
        .draw()?;
    root.present()?;
    Ok(())
}

/// The points that are faster in decode than every smaller point.
fn front<'a>(points: &[(f64, &'a Point)]) -> Vec<(f64, &'a Point)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.decode_tokens_per_s.total_cmp(&a.1.decode_tokens_per_s)));
    let mut best = 0.0;
    sorted.retain(|(_, p)| {
        p.decode_tokens_per_s > 1.001 * best && {
            best = p.decode_tokens_per_s;
            true
        }
    });
    sorted
}
