//! What an observer sees of a layer: its steps, and its tensors.

use crate::shape::{Linear, Norm};

/// A step of a layer. Steps do not overlap, and together they are all of the layer's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An RMS norm.
    Norm(Norm),
    /// The quantiser of the linears that read the same input, by the first of them.
    Quantise(Linear),
    /// The integer products of the linears that read the same input, by the first of them.
    Products(Linear),
    /// Accumulators of a linear to values of the compute type.
    Rescale(Linear),
    /// The rotation of queries and keys.
    Rope,
    /// The attention. Before it, keys and values go into the cache.
    Attention,
    /// The residual addition after the attention.
    AttentionResidual,
    /// Squared ReLU of the gate.
    Relu2,
    /// The product of gate and up.
    Product,
    /// The residual addition after the MLP.
    MlpResidual,
}

impl Step {
    /// All steps of a layer in the order of execution, if linears that read the same input run together.
    pub const ALL: [Self; 25] = [
        Self::Norm(Norm::Input),
        Self::Quantise(Linear::Q),
        Self::Products(Linear::Q),
        Self::Rescale(Linear::Q),
        Self::Rescale(Linear::K),
        Self::Rescale(Linear::V),
        Self::Rope,
        Self::Attention,
        Self::Norm(Norm::AttnSub),
        Self::Quantise(Linear::O),
        Self::Products(Linear::O),
        Self::Rescale(Linear::O),
        Self::AttentionResidual,
        Self::Norm(Norm::PostAttention),
        Self::Quantise(Linear::Gate),
        Self::Products(Linear::Gate),
        Self::Rescale(Linear::Gate),
        Self::Rescale(Linear::Up),
        Self::Relu2,
        Self::Product,
        Self::Norm(Norm::FfnSub),
        Self::Quantise(Linear::Down),
        Self::Products(Linear::Down),
        Self::Rescale(Linear::Down),
        Self::MlpResidual,
    ];

    /// Index in [`ALL`](Self::ALL); `None` for a step that only occurs when linears run one by one.
    pub fn index(self) -> Option<usize> {
        Self::ALL.iter().position(|step| *step == self)
    }

    /// The operator to which the step belongs, as a module of the model: such as `self_attn.q_proj`.
    pub fn operator(self) -> &'static str {
        match self {
            Self::Norm(norm) => norm.name(),
            Self::Quantise(linear) | Self::Products(linear) | Self::Rescale(linear) => linear.name(),
            Self::Rope | Self::Attention => "self_attn.attention",
            Self::AttentionResidual => "self_attn.residual",
            Self::Relu2 => "mlp.act_fn",
            Self::Product => "mlp.product",
            Self::MlpResidual => "mlp.residual",
        }
    }
}

/// The elements of a tensor, row-major.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// Activations in the compute type, or scales.
    F32(&'a [f32]),
    /// Quantised activations.
    I8(&'a [i8]),
    /// Accumulators.
    I32(&'a [i32]),
}

/// Receives the steps and the tensors of a layer as soon as they are computed.
pub trait Observer {
    /// False if the observer needs no tensors. The layer then skips the work that is only needed to show them.
    fn active(&self) -> bool;

    /// Called with each tensor: the module of the layer to which it belongs, its name there, its shape, its elements.
    /// The module is empty for the layer itself. Linears have the tensors `in`, `x_q`, `x_scale`, `acc`, `w_scale` and
    /// `out`; norms have `in` and `out`.
    fn tensor(&mut self, module: &'static str, name: &'static str, shape: &[usize], values: Values<'_>);

    /// True if linears that read the same input run one by one, and each quantises its input itself. Other software
    /// runs a linear like this. It is not the fastest way.
    fn one_by_one(&self) -> bool {
        false
    }

    /// Called before a step.
    fn begin(&mut self, _step: Step) {}

    /// Called after a step.
    fn end(&mut self, _step: Step) {}
}

/// An observer that ignores everything.
impl Observer for () {
    fn active(&self) -> bool {
        false
    }

    fn tensor(&mut self, _: &'static str, _: &'static str, _: &[usize], _: Values<'_>) {}
}
