//! The operators between the BitLinears, as a simulated core ran them.

use cost::projection::SoftCore;
use program::table::{grouped, table};
use serde::{Deserialize, Serialize};

use crate::head::{self, OutputHead};
use crate::tensor::TensorDifference;
use crate::words::verdict;

/// The operators of layers between their BitLinears, and where they ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nonlinear {
    /// `soft-core` or `vector`.
    pub on: String,
    /// Lanes of the vector unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<usize>,
    /// Name of the core. It runs the operators, or drives the vector unit.
    pub core: String,
    /// Clock of what runs the operators, for times. Cycles are those of a simulation in which core, unit and memory have one clock.
    pub clock_mhz: f64,
    /// Tokens in the cache of keys and values before the run.
    pub context: usize,
    /// Layers that ran.
    #[serde(default = "one")]
    pub layers: usize,
    /// The operators in the order of execution, each the sum of all layers.
    pub operators: Vec<NonlinearRow>,
    /// Cycles of all operators.
    pub cycles: u64,
    /// Milliseconds of all operators.
    pub ms: f64,
    /// Cycles of the BitLinears of these layers beside the vector unit, which reads the same memory. With `cycles`, they
    /// are the time of the layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_cycles: Option<u64>,
    /// A whole token: all layers and the output head, one behind the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenTime>,
    /// Elements compared: those of every tensor of the layer, inputs and accumulators included.
    pub elements: usize,
    /// Elements that differ from golden.
    pub mismatches: usize,
    /// Tensors that differ, with the index of their first element that does.
    pub differences: Vec<TensorDifference>,
    /// The output head, if it ran too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<OutputHead>,
    /// The firmware, and the simulation of the core.
    pub simulation: CoreSimulation,
}

fn one() -> usize {
    1
}

/// The time of a whole token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenTime {
    /// Cycles from the first job of the core to the end of the last one.
    pub cycles: u64,
    /// Milliseconds.
    pub ms: f64,
}

/// An operator on the core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NonlinearRow {
    /// Name of the operator within the layer.
    pub name: String,
    /// Number of tokens.
    pub tokens: usize,
    /// Elements: results; for attention, multiply-accumulates.
    pub elements: usize,
    /// Cycles. The time in which the ternary unit computes products is not among them.
    pub cycles: u64,
    /// Cycles of the vector unit while the ternary unit computed products.
    #[serde(default)]
    pub overlapped_cycles: u64,
    /// `cycles` divided by `elements`.
    pub cycles_per_element: f64,
    /// Milliseconds at the clock of the core.
    pub ms: f64,
    /// Elements of the operator's tensors that differ from golden.
    pub mismatches: usize,
}

/// The firmware, and the simulation of the core.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreSimulation {
    /// Name of the top, if core and units were one model. Otherwise each was a model of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<String>,
    /// Bytes of the firmware.
    pub firmware_bytes: usize,
    /// Seconds that it took to build the firmware, or to find it in the cache.
    pub firmware_s: f64,
    /// Cycles of all layers, with the work for records.
    pub cycles: u64,
    /// Cycles in which the unit was clocked too.
    pub unit_cycles: u64,
    /// Seconds of the simulation; with several layers, some of them run at the same time.
    pub seconds: f64,
}

impl Nonlinear {
    /// The operators as an input of the projection: those of a layer, the mean of all that ran.
    pub fn for_projection(&self) -> SoftCore {
        SoftCore {
            name: self.lanes.map_or(self.core.clone(), |lanes| format!("vector unit of {lanes} lanes, {}", self.core)),
            clock_mhz: self.clock_mhz,
            tokens: self.operators.first().map_or(1, |o| o.tokens),
            context: self.context,
            head: self.head.as_ref().map(|head| head.cycles[2].round() as u64),
            products: self.product_cycles.map(|cycles| cycles / self.layers.max(1) as u64),
            operators: self.operators.iter().map(|o| (o.name.clone(), o.cycles / self.layers.max(1) as u64)).collect(),
        }
    }
}

/// A table with a line for each operator, and the sums.
pub(crate) fn text(n: &Nonlinear) -> String {
    let place = if n.lanes.is_some() { "on the vector unit" } else { "on the core" };
    let mut rows = table(&[place, "elements", "mismatches", "cycles", "an element", "ms"]);
    for o in &n.operators {
        rows.add_row([
            o.name.clone(),
            grouped(o.elements as u64),
            grouped(o.mismatches as u64),
            grouped(o.cycles),
            format!("{:.1}", o.cycles_per_element),
            format!("{:.3}", o.ms),
        ]);
    }
    let total = ["total".into(), String::new(), grouped(n.mismatches as u64), grouped(n.cycles), String::new()];
    rows.add_row(total.into_iter().chain([format!("{:.3}", n.ms)]));
    let s = &n.simulation;
    let beside = n.product_cycles.map_or(String::new(), |products| {
        let all = products + n.cycles;
        format!(
            "Layers: {}, {} cycles, {:.3} ms: {} of BitLinears beside the vector unit, {} of all else\n",
            n.layers,
            grouped(all),
            all as f64 / n.clock_mhz / 1e3,
            grouped(products),
            grouped(n.cycles),
        )
    });
    format!(
        "{rows}\nOn {}{} at {} MHz, {} tokens in the cache: {} elements of all tensors, {}; {:.1} ms. Attention counts \
         multiply-accumulates\n{beside}Simulated {} cycles of {} at {:.2} M cycles/s, {} of them with the unit; firmware of \
         {} bytes\n",
        n.lanes.map_or(String::new(), |lanes| format!("{lanes} lanes, driven by ")),
        n.core,
        n.clock_mhz,
        n.context,
        grouped(n.elements as u64),
        verdict(n.mismatches),
        n.ms,
        grouped(s.cycles),
        s.top.as_deref().unwrap_or("the core"),
        s.cycles as f64 / s.seconds / 1e6,
        grouped(s.unit_cycles),
        grouped(s.firmware_bytes as u64),
    ) + &n.head.as_ref().map_or(String::new(), head::text)
        + &n.token.as_ref().map_or(String::new(), |token| {
            let (cycles, n_layers) = (grouped(token.cycles), n.layers);
            format!(
                "A token: {n_layers} layers and the output head in one simulation, {cycles} cycles, {:.2} ms\n",
                token.ms
            )
        })
}
