//! The model and the prompt that the options of a command select.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bitnet::checkpoint::Checkpoint;
use bitnet::config::{ModelConfig, WeightForm};
use bitnet::gates::Gates;
use bitnet::inspect::Inspected;
use bitnet::synthetic::Synthetic;
use bitnet::weight_cache::{Event, WeightCache};
use bitnet::weights::WeightSource;
use program::console::tell;
use report::sections::ModelSection;

use crate::args::model::ModelArgs;
use crate::failure::Failure;

/// Default number of tokens: the number in the CPU profile's forward pass.
pub(crate) const DEFAULT_TOKENS: usize = cpu_profile::report::TOKENS;

/// The source of the weights.
pub(crate) enum Source {
    /// Synthetic weights from a seed.
    Synthetic(Synthetic),
    /// A checkpoint folder with ternary weights.
    Checkpoint(Inspected<Box<Checkpoint>>),
    /// A checkpoint folder with master weights. They are made ternary once and then cached.
    Masters(Inspected<Box<WeightCache<'static>>>),
}

impl Source {
    /// Opens the source that `args` select.
    pub(crate) fn open(args: &ModelArgs) -> Result<Self, Failure> {
        let Some(folder) = &args.model else {
            let gates = args.gate_share.unwrap_or(Gates::Published);
            return Ok(Self::Synthetic(Synthetic::with_gates(ModelConfig::bitnet_2b_4t(), args.seed, gates)));
        };
        let checkpoint = Checkpoint::open(folder)?;
        checkpoint.remarks().iter().for_each(|remark| tell(format_args!("remark: {remark}")));
        if checkpoint.config().weights == WeightForm::Offline {
            return Ok(Self::Checkpoint(Inspected::new(Box::new(checkpoint))));
        }
        let told = AtomicBool::new(false);
        let on_event = move |event: &Event| match event {
            Event::Hit { .. } => {}
            Event::Miss { .. } => {
                if !told.swap(true, Ordering::Relaxed) {
                    tell("making the master weights ternary (only at the first use of this checkpoint)");
                }
            }
            // The cache is damaged or unusable. Its content is made again.
            event => tell(event),
        };
        let cached = WeightCache::new(checkpoint, &toolchain::cache::cache_dir(), on_event)?;
        Ok(Self::Masters(Inspected::new(Box::new(cached))))
    }

    /// The weights of the source.
    pub(crate) fn weights(&self) -> &dyn WeightSource {
        match self {
            Self::Synthetic(synthetic) => synthetic,
            Self::Checkpoint(checkpoint) => checkpoint,
            Self::Masters(cached) => cached,
        }
    }

    /// The checkpoint; `None` for synthetic weights.
    fn checkpoint(&self) -> Option<&Checkpoint> {
        match self {
            Self::Synthetic(_) => None,
            Self::Checkpoint(checkpoint) => Some(checkpoint.source()),
            Self::Masters(cached) => Some(cached.source().checkpoint()),
        }
    }

    /// The folder of the checkpoint; `None` for synthetic weights.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.checkpoint().map(Checkpoint::folder)
    }

    /// What the report says about the files of the model, a sentence each: the remarks that [`open`](Self::open) has
    /// told, and the remark on weights.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let told = self.checkpoint().map_or(&[][..], Checkpoint::remarks);
        told.iter().cloned().chain(self.finding()).collect()
    }

    /// A remark on weights, among those that were loaded, that no trained model has.
    fn finding(&self) -> Option<String> {
        match self {
            Self::Synthetic(_) => None,
            Self::Checkpoint(checkpoint) => checkpoint.finding(),
            Self::Masters(cached) => cached.finding(),
        }
    }

    /// Tells the user about weights that no trained model has. Call it after the weights were loaded.
    pub(crate) fn tell_finding(&self) {
        self.finding().into_iter().for_each(|finding| tell(format_args!("remark: {finding}")));
    }

    /// A description of the weights for the user.
    pub(crate) fn announcement(&self) -> String {
        let about = self.weights().describe();
        match self {
            Self::Synthetic(_) => {
                format!("no --model, so the dimensions of BitNet b1.58-2B-4T are used: {about}")
            }
            _ => about,
        }
    }

    /// The token ids of the prompt: `given`, or `tokens` synthetic ids if no prompt was given. Checks that all ids are
    /// in the vocabulary.
    pub(crate) fn prompt(&self, given: Option<&[u32]>, tokens: Option<usize>) -> Result<Vec<u32>, Failure> {
        let config = self.weights().config();
        let ids = match (given, tokens) {
            (None, tokens) => config.synthetic_prompt(tokens.unwrap_or(DEFAULT_TOKENS)),
            (Some(ids), Some(tokens)) if ids.len() != tokens => {
                let ids = ids.len();
                let message =
                    format!("--prompt-ids has {ids} ids, expected {tokens} (--tokens and --context); omit --tokens");
                return Err(Failure::usage(message));
            }
            (Some(ids), _) => ids.to_vec(),
        };
        config.check_tokens(&ids)?;
        check_length(config, ids.len())?;
        Ok(ids)
    }

    /// The model section of a report on a forward pass of `tokens` tokens.
    pub(crate) fn section(
        &self,
        args: &ModelArgs,
        layer: Option<usize>,
        tokens: usize,
        ids: Option<&[u32]>,
    ) -> ModelSection {
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
            context: 0,
            dtype: args.dtype.name().into(),
        }
    }
}

/// Checks that a forward pass of `tokens` tokens fits the model.
pub(crate) fn check_length(config: &ModelConfig, tokens: usize) -> Result<(), Failure> {
    let max = config.max_position_embeddings;
    if (1..=max).contains(&tokens) {
        Ok(())
    } else {
        Err(Failure::usage(format!("{tokens} tokens: the model supports 1 to {max}")))
    }
}
