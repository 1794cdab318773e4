//! The settings in `generation_config.json`. Only the tokens that end a text are used.

use std::path::Path;

use crate::Result;
use crate::files::read_optional;
use crate::json::Object;

/// The name of the file.
pub const FILE: &str = "generation_config.json";

/// The key with the tokens that end a text.
const EOS: &str = "eos_token_id";
/// Keys that change no generated token, or that `config.json` decides.
const WITHOUT_EFFECT: [&str; 6] = [
    "_from_model_config",
    "transformers_version",
    "bos_token_id",
    "pad_token_id",
    "use_cache",
    "return_dict_in_generate",
];

/// The settings of a checkpoint for the generation of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenerationConfig {
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
    /// Keys that could change the generated tokens, and that this program does not use.
    pub unused: Vec<String>,
}

impl GenerationConfig {
    /// Reads the `generation_config.json` of a checkpoint folder; `None` if the folder has none.
    ///
    /// # Errors
    /// The file cannot be read, is not JSON, or names no token ids. The error names the file and the key.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let Some(bytes) = read_optional(&path)? else { return Ok(None) };
        let file = Object::parse(&path, &bytes)?;
        let used = |key: &&str| *key == EOS || WITHOUT_EFFECT.contains(key) || file.value(key).is_none();
        let unused = file.keys().filter(|key| !used(key)).map(Into::into).collect();
        Ok(Some(Self { eos_token_ids: file.one_or_more(EOS)?, unused }))
    }
}
