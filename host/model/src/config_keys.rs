//! The keys of a `config.json` beside those that [`ModelConfig`](crate::config::ModelConfig) holds.
//!
//! A key that would change the arithmetic is refused, unless its value asks for the arithmetic of BitNet b1.58. A key
//! that is known to have no effect is ignored. Any other key is unknown; the caller tells the user about it.
//! `docs/checkpoints.md` has the reasons.

use serde_json::Value;

use crate::Result;
use crate::json::Object;

/// Keys that are read elsewhere.
const READ: &[&str] = &[
    "attention_bias",
    "bos_token_id",
    "eos_token_id",
    "head_dim",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "quantization_config",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "tie_word_embeddings",
    "vocab_size",
];

/// Keys that do not change what a model computes: names, settings of training, of loading and of the library. The
/// dtypes are among them, because an option of the command chooses the arithmetic.
const WITHOUT_EFFECT: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_implementation",
    "auto_map",
    "dtype",
    "gradient_checkpointing",
    "id2label",
    "initializer_range",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "return_dict",
    "torch_dtype",
    "transformers_version",
    "unk_token_id",
    "use_cache",
];

/// The values that leave the arithmetic as it is.
#[derive(Clone, Copy)]
enum Neutral {
    /// `false`, 0, or nothing in a list or an object.
    Off,
    /// This number.
    Number(f64),
    /// A list of `full_attention`, one for each layer.
    FullAttention,
    /// A number of at least `max_position_embeddings`.
    AllPositions,
}

/// Keys of other models that change the arithmetic, with the values that do not.
const ARITHMETIC: &[(&str, Neutral)] = &[
    ("alibi", Neutral::Off),
    ("attention_chunk_size", Neutral::AllPositions),
    ("attention_multiplier", Neutral::Off),
    ("attn_logit_softcapping", Neutral::Off),
    ("bias", Neutral::Off),
    ("embedding_multiplier", Neutral::Number(1.0)),
    ("final_logit_softcapping", Neutral::Off),
    ("input_bits", Neutral::Number(8.0)),
    ("layer_types", Neutral::FullAttention),
    ("logit_scale", Neutral::Number(1.0)),
    ("logits_scaling", Neutral::Number(1.0)),
    ("mlp_bias", Neutral::Off),
    ("new_decoder_architecture", Neutral::Off),
    ("no_rope_layers", Neutral::Off),
    ("num_experts", Neutral::Off),
    ("num_local_experts", Neutral::Off),
    ("parallel_attn", Neutral::Off),
    ("partial_rotary_factor", Neutral::Number(1.0)),
    ("pretraining_tp", Neutral::Number(1.0)),
    ("qk_layernorm", Neutral::Off),
    ("residual_multiplier", Neutral::Number(1.0)),
    ("rotary_pct", Neutral::Number(1.0)),
    ("scale_embedding", Neutral::Off),
    ("sliding_window", Neutral::AllPositions),
    ("use_bias", Neutral::Off),
    ("use_qk_norm", Neutral::Off),
    ("use_sliding_window", Neutral::Off),
    ("weight_bits", Neutral::Number(1.0)),
];

/// Keys of `quantization_config` that are read elsewhere, or that have no effect without another key.
const QUANTIZATION: &[&str] = &[
    "linear_class",
    "modules_to_not_convert",
    "offline_quantization",
    "quant_method",
    "quantization_mode",
    "rms_norm_eps",
    "use_rms_norm",
];

/// Refuses keys that would change the arithmetic.
pub(crate) fn check(file: &Object) -> Result<()> {
    for (key, neutral) in ARITHMETIC {
        let Some(value) = file.value(key) else { continue };
        let (fits, expected) = match neutral {
            Neutral::Off => (is_off(value), "null or false".into()),
            Neutral::Number(number) => (value.as_f64() == Some(*number), number.to_string()),
            Neutral::FullAttention => (is_full_attention(value), "\"full_attention\" for each layer".into()),
            Neutral::AllPositions => {
                let positions = file.required::<u64>("max_position_embeddings")?;
                let fits = value.as_u64().is_some_and(|window| window >= positions);
                (fits, format!("null, or max_position_embeddings = {positions} or more"))
            }
        };
        if !fits {
            return Err(file.bad(key, format!("{expected}: other arithmetic is not supported")));
        }
    }
    Ok(())
}

/// The keys that are neither used nor known to have no effect.
pub(crate) fn unknown(file: &Object) -> Result<Vec<String>> {
    let known = |key: &str| {
        READ.contains(&key) || WITHOUT_EFFECT.contains(&key) || ARITHMETIC.iter().any(|(name, _)| *name == key)
    };
    let present = |key: &&str| file.value(key).is_some() && !known(key);
    let mut unknown: Vec<String> = file.keys().filter(present).map(Into::into).collect();
    if let Some(quant) = file.object("quantization_config")? {
        let others = quant.keys().filter(|key| quant.value(key).is_some() && !QUANTIZATION.contains(key));
        unknown.extend(others.map(|key| format!("quantization_config.{key}")));
    }
    Ok(unknown)
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn is_full_attention(value: &Value) -> bool {
    value.as_array().is_some_and(|types| types.iter().all(|name| name == "full_attention"))
}
