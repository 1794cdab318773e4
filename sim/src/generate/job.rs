//! A `sim generate` command after its options are checked and resolved.

use bitnet::bos;
use bitnet::config::Linear;
use bitnet::generate::Limits;
use bitnet::sampler::{Sampler, Sampling};
use bitnet::skip::Skips;
use bitnet::text::{self, Message, Role, Tokenizer};
use cost::setup::Setup;
use report::generation::StopToken;
use report::sections::BuildSection;
use testbench::pool::threads;
use vector::VectorConfig;

use super::args::{DeviceKind, GenerateArgs, HeadKind};
use super::stops::Stops;
use crate::args::unit::check_width;
use crate::failure::Failure;
use crate::head::MARGIN;
use crate::source::{Source, check_length};
use crate::system::vector_config;

/// A `sim generate` command after its options are checked and resolved.
pub(super) struct Job<'a> {
    pub(super) args: &'a GenerateArgs,
    pub(super) setup: Setup,
    pub(super) source: Source,
    pub(super) tokenizer: Option<Tokenizer>,
    pub(super) prompt: Vec<u32>,
    pub(super) limits: Limits,
    /// The tokens of the limits, with the files that name them.
    pub(super) stop_tokens: Vec<StopToken>,
    /// What the user has to know about the files that only a generation reads.
    pub(super) remarks: Vec<String>,
    pub(super) sampler: Sampler,
    pub(super) build: BuildSection,
    pub(super) jobs: usize,
    /// What the unit skips.
    pub(super) skips: Skips,
    /// The vector unit that chooses tokens, if one does.
    pub(super) vector: Option<VectorConfig>,
}

impl<'a> Job<'a> {
    /// Checks the options, and opens the files that they name.
    pub(super) fn new(args: &'a GenerateArgs) -> Result<Self, Failure> {
        let setup = args.unit.setup()?;
        let source = Source::open(&args.model)?;
        let mut remarks = vec![];
        let tokenizer = tokenizer(args, &source, &mut remarks)?;
        let prompt = prompt(args, &source, tokenizer.as_ref(), &mut remarks)?;
        let config = source.weights().config();
        check_length(config, prompt.len() + args.tokens)?;
        check_width(&setup, config, &Linear::ALL)?;
        let stops = Stops::new(args, &source, tokenizer.as_ref())?;
        remarks.extend(stops.remarks);
        let stop_tokens = stops.tokens;
        let limits = Limits { tokens: args.tokens, stop: stop_tokens.iter().map(|token| token.id).collect() };
        if args.skip.demanded() && args.device == DeviceKind::Golden {
            return Err(Failure::usage("--skip-zeros: the unit skips weights, and --device golden uses no unit"));
        }
        let on_units = args.head == HeadKind::Units;
        if matches!(args.head, HeadKind::Units | HeadKind::Screened) && args.temperature.is_some() {
            let head = if on_units { "units" } else { "screened" };
            return Err(Failure::usage(format!(
                "--temperature: sampling needs all logits, and --head {head} computes few of them"
            )));
        }
        if !on_units && (args.lanes.is_some() || args.head_margin != MARGIN) {
            return Err(Failure::usage("--lanes and --head-margin belong to --head units"));
        }
        let skips = args.skip.skips(true, config)?;
        let vector = on_units.then(|| vector_config(&setup, args.lanes)).transpose()?;
        let rtl = match (args.device, rtl::unit_sha256()) {
            // Generation on the CPU alone does not need the RTL.
            (DeviceKind::Golden, Err(_)) if !on_units => String::new(),
            (_, rtl) => rtl?,
        };
        let jobs = args.unit.jobs.unwrap_or_else(threads);
        let (sampler, build) = (sampler(args)?, BuildSection::new(rtl));
        Ok(Self {
            args,
            setup,
            source,
            tokenizer,
            prompt,
            limits,
            stop_tokens,
            remarks,
            sampler,
            build,
            jobs,
            skips,
            vector,
        })
    }
}

/// The tokenizer of the checkpoint, if it has one. Only a text needs it: for token ids, a tokenizer that cannot be used
/// is no more than a remark.
fn tokenizer(args: &GenerateArgs, source: &Source, remarks: &mut Vec<String>) -> Result<Option<Tokenizer>, Failure> {
    match source.folder().map_or(Ok(None), Tokenizer::open) {
        Err(error) if args.prompt.is_none() => {
            remarks.push(format!("{error}; tokens are shown as ids"));
            Ok(None)
        }
        other => Ok(other?),
    }
}

/// The token ids of the prompt.
fn prompt(
    args: &GenerateArgs,
    source: &Source,
    tokenizer: Option<&Tokenizer>,
    remarks: &mut Vec<String>,
) -> Result<Vec<u32>, Failure> {
    let Some(text) = &args.prompt else { return source.prompt(args.model.prompt_ids.as_deref(), None) };
    let Some(tokenizer) = tokenizer else {
        return Err(Failure::usage(if text::AVAILABLE {
            "--prompt: the checkpoint has no tokenizer.json; give token ids with --prompt-ids"
        } else {
            "--prompt: this build has no tokenizers; cargo run -p sim --features text -- generate ... \
             has them; or give token ids with --prompt-ids"
        }));
    };
    remarks.extend(tokenizer.remarks());
    let first = source.weights().config().bos_token_id;
    let ids = if args.chat {
        let text = tokenizer.chat(&[Message::new(Role::User, text)], true)?;
        bos::without_repeated(first, &tokenizer.encode(&text)?)
    } else {
        let (own, used) = (tokenizer.prompt_start()?, Vec::from_iter(first));
        if own != used {
            remarks.push(format!(
                "tokenizer.json begins a prompt with the tokens {own:?}, not used; bos_token_id of config.json: \
                 {used:?}"
            ));
        }
        bos::with_first(first, &tokenizer.encode(text)?)
    };
    if ids.is_empty() {
        return Err(Failure::usage(if args.chat {
            "--chat: the chat template makes no text of this prompt"
        } else {
            "--prompt: the text is empty, and the model has no BOS token; give a text, or token ids with --prompt-ids"
        }));
    }
    source.prompt(Some(&ids), None)
}

/// The sampler that chooses the next token.
fn sampler(args: &GenerateArgs) -> Result<Sampler, Failure> {
    let Some(temperature) = args.temperature else { return Ok(Sampler::greedy()) };
    let top_p = args.top_p.unwrap_or(1.0);
    Ok(Sampler::seeded(Sampling { temperature, top_k: args.top_k, top_p }, args.model.seed)?)
}
