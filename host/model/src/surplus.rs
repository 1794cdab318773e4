//! Tensors and files of a checkpoint folder that the model does not use.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::config::{Linear, ModelConfig, Norm, WeightForm};
use crate::files::present;
use crate::names::{EMBEDDING, FINAL_NORM, HEAD, INDEX, SINGLE, linear_name, norm_name, scale_name};
use crate::{Error, Result};

/// Number of names that a remark lists.
const LISTED: usize = 20;
/// The file by which `transformers` recognises an adapter.
const ADAPTER: &str = "adapter_config.json";

/// Names of all tensors that the model uses.
pub(crate) fn needed(config: &ModelConfig) -> HashSet<String> {
    let mut names = HashSet::from([EMBEDDING.to_owned(), FINAL_NORM.to_owned()]);
    if !config.tie_word_embeddings {
        names.insert(HEAD.to_owned());
    }
    for layer in 0..config.num_hidden_layers {
        names.extend(Norm::ALL.map(|norm| norm_name(layer, norm)));
        names.extend(Linear::ALL.map(|linear| linear_name(layer, linear)));
        if config.weights == WeightForm::Offline {
            names.extend(Linear::ALL.map(|linear| scale_name(layer, linear)));
        }
    }
    names
}

/// The reason why a model with the unused tensor `name` computes other values than this program would.
pub(crate) fn changes_arithmetic(name: &str, config: &ModelConfig) -> Option<&'static str> {
    let in_layer = name
        .strip_prefix("model.layers.")
        .and_then(|rest| rest.split_once('.'))
        .filter(|(layer, _)| layer.parse::<usize>().is_ok_and(|layer| layer < config.num_hidden_layers));
    let used =
        in_layer.is_some() || ["lm_head.", "model.norm.", "model.embed_tokens."].iter().any(|m| name.starts_with(m));
    if used && name.ends_with(".bias") {
        return Some("biases are not supported");
    }
    in_layer.filter(|(_, rest)| rest.contains("norm")).map(|_| "BitNet b1.58 has no such norm; it is not supported")
}

/// Refuses an adapter. Returns a remark on weight files in `folder` that are not among `used`.
pub(crate) fn files(folder: &Path, used: &[&OsStr]) -> Result<Option<String>> {
    let adapter = folder.join(ADAPTER);
    if present(&adapter) {
        return Err(Error::Adapter { path: adapter });
    }
    let entries = fs::read_dir(folder).map_err(Error::io(folder))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let single = used.contains(&OsStr::new(SINGLE));
    let stray = |name: &String| {
        let weights = name.starts_with("model") && name.ends_with(".safetensors") && !used.contains(&OsStr::new(name));
        weights || (single && name == INDEX)
    };
    let mut stray: Vec<String> = names.filter(stray).collect();
    stray.sort();
    let by = if single { SINGLE } else { INDEX };
    Ok((!stray.is_empty()).then(|| format!("{}; {by} decides which weights are read", counted("file", &stray))))
}

/// `2 tensors not used: a, b`.
pub(crate) fn counted(what: &str, names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    let more = names.len().saturating_sub(LISTED);
    let listed = names[..names.len() - more].join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} {what}{plural} not used: {listed}{more}", names.len())
}
