//! A token on one system, without a stop: all layers on both units, and the output head behind them.

use std::time::Instant;

use vector::VectorConfig;

use crate::error::Error;
use crate::firmware::Firmware;
use crate::head::{self, HeadOutput, HeadWeights};
use crate::layer::{LayerInput, Layout, Output};
use crate::system::System;
use crate::whole;

/// What came out.
#[derive(Clone, Debug)]
pub struct TokenOutput {
    /// What came out of the layers.
    pub layers: Output,
    /// What came out of the output head.
    pub head: HeadOutput,
    /// Seconds of simulation: of the layers, and of the head.
    pub seconds: [f64; 2],
}

/// Runs all layers, one behind the other, and the output head: `stream` is the residual stream that enters the first layer,
/// `[tokens, hidden]`. The head reads the stream of the last token where the layers left it. `margin` is a number of
/// standard deviations.
///
/// # Errors
/// If something does not fit, or if the core does not complete it.
pub fn run(
    system: &mut System,
    firmware: &Firmware,
    unit: &VectorConfig,
    stream: &[f32],
    layers: &[LayerInput<'_>],
    (head, margin): (&HeadWeights, f32),
) -> Result<TokenOutput, Error> {
    let tokens = stream.len() / head.cols();
    let matrices = layers.iter().flat_map(|layer| whole::matrices(layer, tokens)).chain([head.matrix()]);
    let (mut layout, weights) = Layout::with_matrices(system, matrices)?;
    let (ternary, weights) = weights.split_last().expect("the head has a matrix");
    let loaded = whole::load(&mut layout, unit, stream, layers, weights, false)?;
    let last = loaded.stream() + (4 * (tokens - 1) * head.cols()) as u64;
    let head = head::load_in(&mut layout, head, ternary, unit, margin, last)?;
    let started = Instant::now();
    let layers = loaded.run(system, firmware)?;
    let layers_s = started.elapsed().as_secs_f64();
    let head = head.choose(system, firmware)?;
    Ok(TokenOutput { layers, head, seconds: [layers_s, started.elapsed().as_secs_f64() - layers_s] })
}
