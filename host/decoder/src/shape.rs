//! The dimensions of a layer, and the names of its linears and norms.

use core::fmt;
use core::str::FromStr;

use golden::attention::Heads;

/// The dimensions of a decoder layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Width of the residual stream: `heads.query * heads.dim`.
    pub hidden: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// The heads of the attention.
    pub heads: Heads,
    /// The number that an RMS norm adds to the mean square before it takes the root.
    pub eps: f32,
}

impl From<&Self> for Shape {
    fn from(shape: &Self) -> Self {
        *shape
    }
}

/// One of the seven ternary linears of a layer.
///
/// ```
/// use decoder::Linear;
///
/// assert_eq!("gate_proj".parse(), Ok(Linear::Gate));
/// assert_eq!(Linear::Gate.name(), "mlp.gate_proj");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(into = "&'static str", try_from = "alloc::string::String"))]
pub enum Linear {
    /// `self_attn.q_proj`
    Q,
    /// `self_attn.k_proj`
    K,
    /// `self_attn.v_proj`
    V,
    /// `self_attn.o_proj`
    O,
    /// `mlp.gate_proj`
    Gate,
    /// `mlp.up_proj`
    Up,
    /// `mlp.down_proj`
    Down,
}

impl Linear {
    /// All seven linears in the order of execution.
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// The groups of linears that read the same input, in the order of execution.
    pub const GROUPS: [&[Self]; 4] = [&[Self::Q, Self::K, Self::V], &[Self::O], &[Self::Gate, Self::Up], &[Self::Down]];

    /// The name within a layer, as in a checkpoint, such as `self_attn.q_proj`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q => "self_attn.q_proj",
            Self::K => "self_attn.k_proj",
            Self::V => "self_attn.v_proj",
            Self::O => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// The name without `self_attn.` or `mlp.`, such as `q_proj`.
    pub fn short_name(self) -> &'static str {
        self.name().rsplit('.').next().unwrap_or_default()
    }

    /// Number of inputs: columns of the weight matrix.
    pub fn in_features(self, shape: impl Into<Shape>) -> usize {
        let shape = shape.into();
        if self == Self::Down { shape.intermediate } else { shape.hidden }
    }

    /// Number of outputs: rows of the weight matrix.
    pub fn out_features(self, shape: impl Into<Shape>) -> usize {
        let shape = shape.into();
        match self {
            Self::Q | Self::O | Self::Down => shape.hidden,
            Self::K | Self::V => shape.heads.kv * shape.heads.dim,
            Self::Gate | Self::Up => shape.intermediate,
        }
    }

    /// Index in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Linear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Linear> for &'static str {
    fn from(linear: Linear) -> Self {
        linear.name()
    }
}

/// No linear has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no linear has this name")]
pub struct UnknownLinear;

#[cfg(feature = "serde")]
impl TryFrom<alloc::string::String> for Linear {
    type Error = UnknownLinear;

    fn try_from(name: alloc::string::String) -> Result<Self, UnknownLinear> {
        name.parse()
    }
}

impl FromStr for Linear {
    type Err = UnknownLinear;

    /// Parses a full or a short name: `self_attn.q_proj` or `q_proj`.
    fn from_str(name: &str) -> Result<Self, UnknownLinear> {
        Self::ALL.into_iter().find(|l| l.name() == name || l.short_name() == name).ok_or(UnknownLinear)
    }
}

/// One of the four RMS norms of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// `input_layernorm`, before the attention.
    Input,
    /// `self_attn.attn_sub_norm`, before `o_proj`.
    AttnSub,
    /// `post_attention_layernorm`, before the MLP.
    PostAttention,
    /// `mlp.ffn_sub_norm`, before `down_proj`.
    FfnSub,
}

impl Norm {
    /// All four norms in the order of execution.
    pub const ALL: [Self; 4] = [Self::Input, Self::AttnSub, Self::PostAttention, Self::FfnSub];

    /// The name within a layer, as in a checkpoint, such as `self_attn.attn_sub_norm`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input_layernorm",
            Self::AttnSub => "self_attn.attn_sub_norm",
            Self::PostAttention => "post_attention_layernorm",
            Self::FfnSub => "mlp.ffn_sub_norm",
        }
    }

    /// Width of the rows that the norm normalises.
    pub fn width(self, shape: impl Into<Shape>) -> usize {
        let shape = shape.into();
        if self == Self::FfnSub { shape.intermediate } else { shape.hidden }
    }

    /// Index in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }
}
