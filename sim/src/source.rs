//! The model and the prompt that a command's options ask for.

use std::sync::atomic::{AtomicBool, Ordering};

use host::checkpoint::Checkpoint;
use host::config::{ModelConfig, WeightForm};
use host::synthetic::Synthetic;
use host::weight_cache::{Event, WeightCache};
use host::weights::WeightSource;

use crate::cli::ModelArgs;
use crate::exit::Failure;
use crate::report::ModelSection;

/// Tokens of the CPU profile's forward pass.
pub const DEFAULT_TOKENS: usize = host::profile::TOKENS;

/// Where the weights come from.
pub enum Source {
    /// A seed.
    Synthetic(Synthetic),
    /// A folder with weights that are ternary.
    Checkpoint(Box<Checkpoint>),
    /// A folder with masters, which are made ternary once and then kept.
    Masters(Box<WeightCache<'static>>),
}

impl Source {
    /// What `args` ask for.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint.
    pub fn open(args: &ModelArgs) -> Result<Self, Failure> {
        let Some(folder) = &args.model else {
            return Ok(Self::Synthetic(Synthetic::new(ModelConfig::bitnet_2b_4t(), args.seed)));
        };
        let checkpoint = Checkpoint::open(folder)?;
        if checkpoint.config().weights == WeightForm::Offline {
            return Ok(Self::Checkpoint(Box::new(checkpoint)));
        }
        let told = AtomicBool::new(false);
        let tell = move |event: &Event| match event {
            Event::Hit { .. } => {}
            Event::Miss { .. } => {
                if !told.swap(true, Ordering::Relaxed) {
                    eprintln!("making masters ternary (first use of this checkpoint)");
                }
            }
            // What is wrong with the cache; it is made again.
            event => eprintln!("{event}"),
        };
        Ok(Self::Masters(Box::new(WeightCache::new(checkpoint, &verilated::cache_dir(), tell)?)))
    }

    /// The weights.
    pub fn weights(&self) -> &dyn WeightSource {
        match self {
            Self::Synthetic(synthetic) => synthetic,
            Self::Checkpoint(checkpoint) => checkpoint.as_ref(),
            Self::Masters(cached) => cached.as_ref(),
        }
    }

    /// What the weights are, for people.
    pub fn announcement(&self) -> String {
        let about = self.weights().describe();
        match self {
            Self::Synthetic(_) => {
                format!("no --model, so weights are invented at the dimensions of BitNet b1.58-2B-4T ({about})")
            }
            _ => about,
        }
    }

    /// The prompt that was given, or `tokens` made up, all of them in the vocabulary.
    ///
    /// # Errors
    /// Usage errors: ids out of range, `tokens` that disagree with the ids, too long a prompt.
    pub fn prompt(&self, given: &[u32], tokens: Option<usize>) -> Result<Vec<u32>, Failure> {
        let config = self.weights().config();
        let ids = match (given.len(), tokens) {
            (0, tokens) => config.invented_prompt(tokens.unwrap_or(DEFAULT_TOKENS)),
            (ids, Some(tokens)) if ids != tokens => {
                let message = format!("--tokens {tokens} and --prompt-ids with {ids} ids disagree; leave --tokens out");
                return Err(Failure::usage(message));
            }
            _ => given.to_vec(),
        };
        config.check_tokens(&ids)?;
        check_length(config, ids.len())?;
        Ok(ids)
    }

    /// The model, for a report of `tokens` tokens.
    pub fn section(&self, args: &ModelArgs, layer: Option<usize>, tokens: usize, ids: Option<&[u32]>) -> ModelSection {
        let c = self.weights().config();
        let (source, name) = match self {
            Self::Synthetic(_) => ("synthetic", "dimensions of BitNet b1.58-2B-4T".into()),
            _ => ("checkpoint", args.model.as_deref().unwrap_or("".as_ref()).display().to_string()),
        };
        ModelSection {
            source: source.into(),
            name,
            description: self.weights().describe(),
            hidden_size: c.hidden_size,
            intermediate_size: c.intermediate_size,
            num_hidden_layers: c.num_hidden_layers,
            num_attention_heads: c.num_attention_heads,
            num_key_value_heads: c.num_key_value_heads,
            layer,
            tokens,
            prompt_ids: ids.map(<[u32]>::to_vec),
            dtype: args.dtype.name().into(),
        }
    }
}

/// `tokens` fit the model.
///
/// # Errors
/// A usage error.
pub fn check_length(config: &ModelConfig, tokens: usize) -> Result<(), Failure> {
    let max = config.max_position_embeddings;
    if (1..=max).contains(&tokens) {
        Ok(())
    } else {
        Err(Failure::usage(format!("{tokens} tokens: the model takes 1 to {max}")))
    }
}
