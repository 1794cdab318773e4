//! A sweep as text for a terminal.

use program::table::{grouped, table};

use super::records::Sweep;

/// The table of units and the table of samples.
pub fn text(sweep: &Sweep) -> String {
    let prefill = format!("prefill {} tok/s", sweep.prefill_tokens);
    let mut points = table(&[
        "board",
        "ports",
        "vectors",
        "codec",
        "MHz",
        "memory GB/s",
        "MB a token",
        "decode tok/s",
        &prefill,
        "LUTs",
        "of device",
        "front",
    ]);
    for p in &sweep.points {
        points.add_row([
            p.board.clone(),
            format!("{} x {}", p.ports, p.port_bits),
            format!("{} x {}", p.vectors, p.groups),
            p.codec.clone(),
            p.clock_mhz.to_string(),
            p.reader_gb_per_s.map_or("-".into(), |gb| format!("{gb:.2}")),
            format!("{:.1}", p.weight_bytes as f64 / 1e6),
            format!("{:.2}", p.decode_tokens_per_s),
            format!("{:.1}", p.prefill_tokens_per_s),
            p.luts.map_or("-".into(), |luts| {
                (if p.luts_measured { "" } else { "~" }).to_string() + &grouped(luts.into())
            }),
            p.lut_share.map_or("-".into(), |share| format!("{:.1}%", 100.0 * share)),
            if p.pareto { "*" } else { "" }.into(),
        ]);
    }
    let mut out = format!("{}, BitLinears of all layers\n{points}\n", sweep.model);
    out += "front: nothing on the same board has fewer LUTs and is as fast, or is faster with as many\n";
    if !sweep.samples.is_empty() {
        let mut samples = table(&["simulated", "tokens", "mismatches", "cycles a layer", "by formula", "error"]);
        for s in &sweep.samples {
            samples.add_row([
                s.unit.clone(),
                s.tokens.to_string(),
                s.mismatches.to_string(),
                grouped(s.cycles),
                grouped(s.predicted_cycles),
                format!("{:+.2}%", 100.0 * s.error),
            ]);
        }
        out += &format!("\n{samples}\n");
    }
    out += "\nAssumptions\n";
    sweep.assumptions.iter().for_each(|line| out += &format!("- {line}\n"));
    out + &sweep.status + "\n"
}
