//! The dimensions of a model, read from `config.json`, and the names of its operators.

use std::path::Path;

use decoder::Shape;
pub use decoder::{Linear, Norm};
use golden::attention::Heads;
use strsim::levenshtein;

use crate::config_keys;
use crate::json::Object;
use crate::{Error, Result};

/// The largest accepted dimension. It is well above the dimensions of any model, and so low that the product of two
/// dimensions does not overflow and an accumulator of `127 * in_features` fits an `i32`.
const MAX_DIM: usize = 1 << 24;

/// How the checkpoint stores the weights of the linears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightForm {
    /// Float masters, quantised to ternary weights when they are loaded (`quantization_mode: online`).
    Online,
    /// Two bits per weight, with a scale tensor (`quantization_mode: offline`).
    Offline,
}

/// The architecture of a BitNet model.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP: outputs of the gate and up projections, inputs of the down projection.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key heads, and of value heads; each serves `num_attention_heads / num_key_value_heads` query heads.
    pub num_key_value_heads: usize,
    /// Number of token ids, which is the number of rows of the embedding.
    pub vocab_size: usize,
    /// Length of the longest sequence in tokens, including those in the cache.
    pub max_position_embeddings: usize,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// The number that an RMS norm adds to the mean square before it takes the root.
    pub rms_norm_eps: f32,
    /// True if the embedding is also the output head; otherwise the checkpoint has `lm_head.weight`.
    pub tie_word_embeddings: bool,
    /// First token of every prompt.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a generation. A `generation_config.json` may name more.
    pub eos_token_ids: Vec<u32>,
    /// How the weights of the linears are stored.
    pub weights: WeightForm,
}

impl From<&ModelConfig> for Shape {
    fn from(config: &ModelConfig) -> Self {
        let heads = Heads { query: config.num_attention_heads, kv: config.num_key_value_heads, dim: config.head_dim() };
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        Self { hidden, intermediate, heads, eps: config.rms_norm_eps }
    }
}

impl ModelConfig {
    /// The configuration of BitNet b1.58-2B-4T.
    pub fn bitnet_2b_4t() -> Self {
        Self {
            hidden_size: 2560,
            intermediate_size: 6912,
            num_hidden_layers: 30,
            num_attention_heads: 20,
            num_key_value_heads: 5,
            vocab_size: 128_256,
            max_position_embeddings: 4096,
            rope_theta: 500_000.0,
            rms_norm_eps: 1e-5,
            tie_word_embeddings: true,
            bos_token_id: Some(128_000),
            eos_token_ids: vec![128_001, 128_009],
            weights: WeightForm::Online,
        }
    }

    /// Reads a `config.json`.
    ///
    /// # Errors
    /// The file cannot be read, a key is missing, or the model is not supported. The error names the file and the key.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_object(&Object::read(path)?)
    }

    /// Parses the text of a `config.json`. `path` is only used in error messages.
    ///
    /// # Errors
    /// A key is missing, or the model is not supported. The error names the file and the key.
    pub fn parse(path: &Path, json: &str) -> Result<Self> {
        Self::from_object(&Object::parse(path, json.as_bytes())?)
    }

    pub(crate) fn from_object(file: &Object) -> Result<Self> {
        let family: String = file.required("model_type")?;
        if family != "bitnet" {
            return Err(Error::UnsupportedModel { path: file.path().into(), found: family });
        }
        if file.required::<String>("hidden_act")? != "relu2" {
            return Err(file.bad("hidden_act", "\"relu2\""));
        }
        if file.optional("attention_bias")?.unwrap_or(false) {
            return Err(file.bad("attention_bias", "false: biases are not supported"));
        }
        config_keys::check(file)?;
        let dim = |key: &str| {
            let value = file.required::<usize>(key)?;
            if (1..=MAX_DIM).contains(&value) { Ok(value) } else { Err(file.bad(key, format!("1 to {MAX_DIM}"))) }
        };
        let config = Self {
            hidden_size: dim("hidden_size")?,
            intermediate_size: dim("intermediate_size")?,
            num_hidden_layers: dim("num_hidden_layers")?,
            num_attention_heads: dim("num_attention_heads")?,
            num_key_value_heads: dim("num_key_value_heads")?,
            vocab_size: dim("vocab_size")?,
            max_position_embeddings: dim("max_position_embeddings")?,
            rope_theta: rope_theta(file)?,
            rms_norm_eps: positive(file, "rms_norm_eps")?,
            // The reference implementation also treats an absent key as untied.
            tie_word_embeddings: file.optional("tie_word_embeddings")?.unwrap_or(false),
            bos_token_id: file.optional("bos_token_id")?,
            eos_token_ids: file.one_or_more("eos_token_id")?,
            weights: weight_form(file)?,
        };
        let Self { hidden_size, num_attention_heads, num_key_value_heads, .. } = config;
        if !hidden_size.is_multiple_of(num_attention_heads) || !config.head_dim().is_multiple_of(2) {
            let expected = format!("a divisor of hidden_size = {hidden_size} that leaves heads of even width");
            return Err(file.bad("num_attention_heads", expected));
        }
        if !num_attention_heads.is_multiple_of(num_key_value_heads) {
            return Err(
                file.bad("num_key_value_heads", format!("a divisor of num_attention_heads = {num_attention_heads}"))
            );
        }
        if file.optional("head_dim")?.is_some_and(|d: usize| d != config.head_dim()) {
            return Err(file.bad("head_dim", format!("hidden_size / num_attention_heads = {}", config.head_dim())));
        }
        if config.weights == WeightForm::Offline {
            for linear in Linear::ALL {
                if !linear.out_features(&config).is_multiple_of(4) {
                    let key = match linear {
                        Linear::Gate | Linear::Up => "intermediate_size",
                        Linear::K | Linear::V => "num_key_value_heads",
                        Linear::Q | Linear::O | Linear::Down => "hidden_size",
                    };
                    return Err(file.bad(key, format!("packed {linear} to have a multiple of 4 outputs")));
                }
            }
        }
        Ok(config)
    }

    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Width of all key heads together, and of all value heads together.
    pub fn kv_dim(&self) -> usize {
        self.num_key_value_heads * self.head_dim()
    }

    /// Number of ternary weights of one decoder layer.
    pub fn weights_per_layer(&self) -> usize {
        Linear::ALL.iter().map(|l| l.in_features(self) * l.out_features(self)).sum()
    }

    /// A prompt for runs without a given prompt: BOS (or token 0), then ids in steps of 997, modulo the size of the
    /// vocabulary.
    pub fn synthetic_prompt(&self, tokens: usize) -> Vec<u32> {
        let vocab = self.vocab_size as u64;
        let first = u64::from(self.bos_token_id.unwrap_or(0)) % vocab;
        (0..tokens as u64).map(|i| ((first + 997 * i) % vocab) as u32).collect()
    }

    /// Returns `layer` if the model has this layer.
    ///
    /// # Errors
    /// [`Error::LayerOutOfRange`] otherwise.
    pub fn check_layer(&self, layer: usize) -> Result<usize> {
        let layers = self.num_hidden_layers;
        if layer < layers { Ok(layer) } else { Err(Error::LayerOutOfRange { layer, layers }) }
    }

    /// Checks that all ids are in the vocabulary, and that their number is a valid length of a sequence.
    ///
    /// # Errors
    /// [`Error::SequenceLength`], [`Error::TokenOutOfRange`].
    pub fn check_tokens(&self, ids: &[u32]) -> Result<()> {
        self.check_length(ids.len())?;
        match ids.iter().position(|&id| id as usize >= self.vocab_size) {
            None => Ok(()),
            Some(position) => Err(Error::TokenOutOfRange { id: ids[position], position, vocab: self.vocab_size }),
        }
    }

    /// Checks that a sequence of `tokens` tokens is neither empty nor too long.
    ///
    /// # Errors
    /// [`Error::SequenceLength`] otherwise.
    pub fn check_length(&self, tokens: usize) -> Result<()> {
        let max = self.max_position_embeddings;
        if (1..=max).contains(&tokens) { Ok(()) } else { Err(Error::SequenceLength { tokens, max }) }
    }
}

fn positive(object: &Object, key: &str) -> Result<f32> {
    let value = object.required::<f64>(key)? as f32;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(object.bad(key, "a positive number")) }
}

/// Reads the base of the rotary embeddings: the key `rope_theta`, or the object `rope_parameters` of newer files, or
/// `rope_scaling` of older ones. A base in the object goes before the key. Only rotary embeddings without scaling are
/// supported.
fn rope_theta(file: &Object) -> Result<f32> {
    let (newer, older) = (file.object("rope_parameters")?, file.object("rope_scaling")?);
    if newer.is_some() && older.is_some() {
        return Err(file.bad("rope_scaling", "null beside rope_parameters"));
    }
    let Some(rope) = newer.or(older) else {
        return positive(file, "rope_theta");
    };
    for key in rope.keys() {
        let expected = match key {
            "rope_theta" => continue,
            "rope_type" | "type" if rope.value(key).is_none_or(|name| name == "default") => continue,
            "rope_type" | "type" => "\"default\"",
            "partial_rotary_factor" if rope.value(key).is_none_or(|part| part.as_f64() == Some(1.0)) => continue,
            "partial_rotary_factor" => "1",
            _ if rope.value(key).is_none() => continue,
            _ => "nothing",
        };
        return Err(rope.bad(key, format!("{expected}: scaled or partial rotary embeddings are not supported")));
    }
    positive(if rope.value("rope_theta").is_some() { &rope } else { file }, "rope_theta")
}

/// Reads the form of the weights. Only the class `autobitlinear` is supported: in the older class `bitlinear` the
/// scale is a divisor and not a factor.
fn weight_form(file: &Object) -> Result<WeightForm> {
    const KEY: &str = "quantization_config";
    let Some(quant) = file.object(KEY)? else {
        return Err(file.bad(KEY, "a BitNet quantization (without it the weights are those of a dense model)"));
    };
    if quant.optional("quant_method")?.is_some_and(|m: String| m != "bitnet") {
        return Err(quant.bad("quant_method", "\"bitnet\""));
    }
    if quant.optional("use_rms_norm")?.unwrap_or(false) {
        return Err(quant.bad("use_rms_norm", "false: a norm inside each linear is not supported"));
    }
    all_linears_are_ternary(&quant)?;
    let legacy: Option<bool> = quant.optional("offline_quantization")?;
    let named = legacy.is_none() || quant.value("linear_class").is_some();
    if named && quant.required::<String>("linear_class")? != "autobitlinear" {
        return Err(quant.bad("linear_class", "\"autobitlinear\" (other classes scale their weights differently)"));
    }
    if let (None, Some(offline)) = (quant.value("quantization_mode"), legacy) {
        return Ok(if offline { WeightForm::Offline } else { WeightForm::Online });
    }
    match quant.required::<String>("quantization_mode")?.as_str() {
        "online" => Ok(WeightForm::Online),
        "offline" => Ok(WeightForm::Offline),
        _ => Err(quant.bad("quantization_mode", "\"online\" or \"offline\"")),
    }
}

/// Checks that the linears of the layers are ternary, and that the output head is not. `transformers` leaves exactly
/// the head as it is if there is no list; a list takes the place of this default.
fn all_linears_are_ternary(quant: &Object) -> Result<()> {
    const KEY: &str = "modules_to_not_convert";
    let dense: Option<Vec<String>> = quant.optional(KEY)?;
    let outside = |name: &String| ["lm_head", "embed_tokens", "model.embed_tokens"].contains(&name.as_str());
    if dense.is_none_or(|names| names.iter().all(outside) && names.iter().any(|name| name == "lm_head")) {
        return Ok(());
    }
    let expected = "null or [\"lm_head\"]: a layer with linears that are not ternary, or a ternary output head, is not \
                    supported";
    Err(quant.bad(KEY, expected))
}

/// Parses the full or the short name of a linear: `self_attn.q_proj` or `q_proj`.
///
/// ```
/// use bitnet::config::{Linear, parse_linear};
///
/// assert_eq!(parse_linear("gate_proj")?, Linear::Gate);
/// # Ok::<(), bitnet::Error>(())
/// ```
///
/// # Errors
/// [`Error::UnknownOperator`], with the name that may have been meant.
pub fn parse_linear(name: &str) -> Result<Linear> {
    name.parse().map_err(|_| {
        let last = name.rsplit('.').next().unwrap_or(name).to_lowercase();
        let near = |l: &Linear| {
            levenshtein(&last, l.short_name()).min(levenshtein(&last, l.short_name().trim_end_matches("_proj")))
        };
        let suggestion = Linear::ALL.into_iter().min_by_key(near).filter(|l| near(l) <= 2.min(last.len() / 2));
        Error::UnknownOperator {
            name: name.into(),
            suggestion: suggestion.map(Linear::name),
            known: Linear::ALL.map(Linear::name).join(", "),
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::{Value, json};

    fn published() -> Value {
        json!({
            "model_type": "bitnet", "hidden_act": "relu2", "hidden_size": 2560, "intermediate_size": 6912,
            "num_hidden_layers": 30, "num_attention_heads": 20, "num_key_value_heads": 5, "vocab_size": 128256,
            "max_position_embeddings": 4096, "rope_theta": 500000.0, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
            "bos_token_id": 128000, "eos_token_id": [128001, 128009], "torch_dtype": "bfloat16",
            "quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"}
        })
    }

    /// The published configuration with `changes` merged in. A key that is `null` counts as absent.
    fn with(changes: Value) -> Result<ModelConfig> {
        let mut config = published();
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        ModelConfig::parse(Path::new("config.json"), &config.to_string())
    }

    #[test]
    fn the_published_model() {
        let config = with(json!({})).unwrap();
        assert_eq!(config, ModelConfig::bitnet_2b_4t());
        assert_eq!((config.head_dim(), config.kv_dim(), config.weights_per_layer()), (128, 640, 69_468_160));
        let shapes = Linear::ALL.map(|l| (l.in_features(&config), l.out_features(&config)));
        let (h, i) = (2560, 6912);
        assert_eq!(shapes, [(h, h), (h, 640), (h, 640), (h, h), (h, i), (h, i), (i, h)]);
        assert_eq!(Linear::GROUPS.concat(), Linear::ALL);
    }

    #[test]
    fn older_and_newer_spellings() {
        let same = ModelConfig::bitnet_2b_4t();
        let rope = json!({"rope_theta": null, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}});
        assert_eq!(with(rope).unwrap(), same);
        for rope in [
            json!({"rope_scaling": {"type": "default", "rope_theta": 5e5}, "rope_theta": 1e4}),
            json!({"rope_scaling": {"rope_type": "default"}}),
            json!({"rope_parameters": {"rope_theta": 5e5, "partial_rotary_factor": 1.0, "factor": null}}),
        ] {
            assert_eq!(with(rope).unwrap(), same);
        }
        // An option of the command chooses the arithmetic.
        for dtype in [json!(null), json!("float16"), json!(3)] {
            assert_eq!(with(json!({"torch_dtype": dtype, "dtype": dtype})).unwrap(), same);
        }
        assert_eq!(with(json!({"eos_token_id": 3})).unwrap().eos_token_ids, [3]);
        assert!(!with(json!({"tie_word_embeddings": null})).unwrap().tie_word_embeddings);
        for (quant, form) in [
            (json!({"quant_method": "bitnet", "offline_quantization": true}), WeightForm::Offline),
            (json!({"linear_class": "autobitlinear", "offline_quantization": false}), WeightForm::Online),
            (json!({"linear_class": "autobitlinear", "quantization_mode": "offline"}), WeightForm::Offline),
            (json!({"offline_quantization": true, "modules_to_not_convert": ["lm_head"]}), WeightForm::Offline),
        ] {
            assert_eq!(with(json!({"quantization_config": quant})).unwrap().weights, form);
        }
    }

    #[test]
    fn models_that_are_refused() {
        for (changes, message) in [
            (
                json!({"model_type": "llama"}),
                "key \"model_type\": expected \"bitnet\", found \"llama\": the models that work are \
                 microsoft/bitnet-b1.58-2B-4T, microsoft/bitnet-b1.58-2B-4T-bf16 and others of this architecture",
            ),
            (json!({"hidden_act": "silu"}), "key \"hidden_act\": expected \"relu2\""),
            (json!({"num_attention_heads": 21}), "num_attention_heads\": expected a divisor of hidden_size = 2560"),
            (json!({"num_attention_heads": 512}), "num_attention_heads\": expected a divisor"),
            (
                json!({"num_key_value_heads": 6}),
                "num_key_value_heads\": expected a divisor of num_attention_heads = 20",
            ),
            (json!({"hidden_size": 0}), "key \"hidden_size\": expected 1 to 16777216, found 0"),
            (json!({"vocab_size": -1}), "key \"vocab_size\": invalid value"),
            (json!({"vocab_size": 1e300}), "key \"vocab_size\": invalid type"),
            (json!({"intermediate_size": 1u64 << 60}), "expected 1 to 16777216"),
            (json!({"head_dim": 64}), "hidden_size / num_attention_heads = 128, found 64"),
            (json!({"attention_bias": true}), "biases are not supported"),
            (json!({"rope_theta": -1}), "expected a positive number, found -1"),
            (json!({"rms_norm_eps": 1e-60}), "key \"rms_norm_eps\": expected a positive number"),
            (json!({"rope_scaling": {"factor": 2}}), "rope_scaling"),
            (json!({"rope_parameters": {"rope_type": "yarn"}}), "key \"rope_parameters.rope_type\""),
            (json!({"rope_scaling": {"type": "linear"}}), "key \"rope_scaling.type\": expected \"default\": scaled"),
            (
                json!({"rope_scaling": {}, "rope_parameters": {}}),
                "\"rope_scaling\": expected null beside rope_parameters",
            ),
            (json!({"rope_parameters": {"rope_theta": 0}}), "key \"rope_parameters.rope_theta\": expected a positive"),
            (
                json!({"rope_parameters": {"rope_theta": 5e5, "partial_rotary_factor": 0.5}}),
                "key \"rope_parameters.partial_rotary_factor\": expected 1: scaled or partial",
            ),
            (
                json!({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}),
                "key \"rope_parameters.full_attention\": expected nothing: scaled",
            ),
            (json!({"quantization_config": null}), "those of a dense model), found nothing"),
            (json!({"quantization_config": 3}), "key \"quantization_config\": expected an object, found 3"),
            (
                json!({"quantization_config": {"quant_method": "gptq"}}),
                "\"quantization_config.quant_method\": expected \"bitnet\"",
            ),
            (
                json!({"quantization_config": {"linear_class": "bitlinear"}}),
                "expected \"autobitlinear\" (other classes",
            ),
            (
                json!({"quantization_config": {"linear_class": "bitlinear", "offline_quantization": true}}),
                "expected \"autobitlinear\"",
            ),
            (
                json!({"quantization_config": {"linear_class": "autobitlinear", "quantization_mode": "both"}}),
                "expected \"online\" or \"offline\", found \"both\"",
            ),
            (json!({"quantization_config": {"use_rms_norm": true}}), "a norm inside each linear"),
            (
                json!({"quantization_config": {"modules_to_not_convert": ["k_proj"], "offline_quantization": true}}),
                "\"quantization_config.modules_to_not_convert\": expected null or [\"lm_head\"]: a layer with linears \
                 that are not ternary, or a ternary output head, is not supported, found [\"k_proj\"]",
            ),
            // Without an entry for the head, `transformers` makes the head ternary.
            (json!({"quantization_config": {"modules_to_not_convert": []}}), "modules_to_not_convert\": expected null"),
            (json!({"mlp_bias": true}), "key \"mlp_bias\": expected null or false: other arithmetic is not supported"),
            (json!({"sliding_window": 1024}), "expected null, or max_position_embeddings = 4096 or more: other"),
            (json!({"layer_types": ["full_attention", "sliding_attention"]}), "\"full_attention\" for each layer"),
            (json!({"partial_rotary_factor": 0.5}), "key \"partial_rotary_factor\": expected 1: other arithmetic"),
            (json!({"final_logit_softcapping": 30.0}), "key \"final_logit_softcapping\": expected null or false"),
            (
                json!({"intermediate_size": 6910, "quantization_config": {"offline_quantization": true}}),
                "packed mlp.gate_proj to have a multiple of 4 outputs, found 6910",
            ),
        ] {
            let error = with(changes.clone()).expect_err(&changes.to_string());
            assert!(error.is_input_file());
            let text = error.to_string();
            assert!(text.starts_with("config.json: ") && text.contains(message), "{changes}: {text}");
        }
    }

    #[test]
    fn operators_by_name() {
        for l in Linear::ALL {
            assert_eq!(l.name().parse::<Linear>().unwrap(), l);
            assert_eq!(l.short_name().parse::<Linear>().unwrap(), l);
            assert_eq!(Linear::ALL[l.index()], l);
        }
        let message = |name: &str| parse_linear(name).unwrap_err().to_string();
        for (wrong, right) in [
            ("gate-proj", "mlp.gate_proj"),
            ("gate", "mlp.gate_proj"),
            ("mlp.dwon_proj", "mlp.down_proj"),
            ("self_attn.gate_proj", "mlp.gate_proj"),
            ("Q_PROJ", "self_attn.q_proj"),
        ] {
            assert!(
                message(wrong).contains(&format!("\"{wrong}\" (did you mean {right}?); operators are")),
                "{}",
                message(wrong)
            );
        }
        for nonsense in ["", "input_layernorm", "lm_head", "x"] {
            assert!(
                message(nonsense).starts_with(&format!("no operator is called \"{nonsense}\"; ")),
                "{}",
                message(nonsense)
            );
        }
    }
}
