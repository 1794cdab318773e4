//! The tokens that end a generation, and the files that name them.

use bitnet::generation_config::{self, GenerationConfig};
use bitnet::text::Tokenizer;
use report::generation::StopToken;

use super::args::GenerateArgs;
use crate::failure::Failure;
use crate::source::Source;

/// The tokens that end the generation, and remarks for the user.
#[derive(Default)]
pub(super) struct Stops {
    pub(super) tokens: Vec<StopToken>,
    pub(super) remarks: Vec<String>,
}

impl Stops {
    /// The tokens that end a text by `config.json` and `generation_config.json`, and by the tokenizer if the prompt is
    /// a chat. There are none with `--ignore-eos`.
    pub(super) fn new(args: &GenerateArgs, source: &Source, tokenizer: Option<&Tokenizer>) -> Result<Self, Failure> {
        let mut stops = Self::default();
        let settings = source.folder().map_or(Ok(None), GenerationConfig::load);
        let settings = match settings {
            Err(error) if args.ignore_eos => {
                stops.remarks.push(format!("{error}; not needed, because --ignore-eos is given"));
                None
            }
            other => other?,
        };
        let settings = settings.unwrap_or_default();
        if !settings.unused.is_empty() {
            stops.remarks.push(format!(
                "{}: keys not used: {}; --temperature, --top-k and --top-p choose how tokens are sampled",
                generation_config::FILE,
                settings.unused.join(", ")
            ));
        }
        if args.ignore_eos {
            return Ok(stops);
        }
        let model = if source.folder().is_some() { "config.json" } else { "BitNet b1.58-2B-4T" };
        stops.add(&source.weights().config().eos_token_ids, model);
        stops.add(&settings.eos_token_ids, generation_config::FILE);
        if let Some(tokenizer) = tokenizer.filter(|_| args.chat) {
            stops.add(&tokenizer.turn_ends()?, "the end of a turn in a chat");
        }
        Ok(stops)
    }

    fn add(&mut self, ids: &[u32], from: &str) {
        for &id in ids {
            match self.tokens.iter_mut().find(|token| token.id == id) {
                Some(token) if token.from.iter().any(|place| place == from) => {}
                Some(token) => token.from.push(from.into()),
                None => self.tokens.push(StopToken { id, from: vec![from.into()] }),
            }
        }
    }
}
