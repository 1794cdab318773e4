//! A `sim generate` command after its options are checked and resolved.

use bitnet::config::Linear;
use bitnet::generate::Limits;
use bitnet::sampler::{Sampler, Sampling};
use bitnet::text::{self, Message, Role, Tokenizer};
use cost::setup::Setup;
use report::generation::StopToken;
use report::sections::BuildSection;
use testbench::pool::threads;

use super::args::{DeviceKind, GenerateArgs};
use super::stops::Stops;
use crate::args::unit::check_width;
use crate::failure::Failure;
use crate::source::{Source, check_length};

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
}

impl<'a> Job<'a> {
    /// Checks the options, and opens the files that they name.
    pub(super) fn new(args: &'a GenerateArgs) -> Result<Self, Failure> {
        let setup = args.unit.setup()?;
        let source = Source::open(&args.model)?;
        let tokenizer = args.model.model.as_deref().map(Tokenizer::open).transpose()?.flatten();
        let prompt = prompt(args, &source, tokenizer.as_ref())?;
        let config = source.weights().config();
        check_length(config, prompt.len() + args.tokens)?;
        check_width(&setup, config, &Linear::ALL)?;
        let Stops { tokens: stop_tokens, remarks } = Stops::new(args, &source, tokenizer.as_ref())?;
        let limits = Limits { tokens: args.tokens, stop: stop_tokens.iter().map(|token| token.id).collect() };
        let rtl = match (args.device, rtl::unit_sha256()) {
            // Generation on the CPU alone does not need the RTL.
            (DeviceKind::Golden, Err(_)) => String::new(),
            (_, rtl) => rtl?,
        };
        let jobs = args.unit.jobs.unwrap_or_else(threads);
        let (sampler, build) = (sampler(args)?, BuildSection::new(rtl));
        Ok(Self { args, setup, source, tokenizer, prompt, limits, stop_tokens, remarks, sampler, build, jobs })
    }
}

/// The token ids of the prompt.
fn prompt(args: &GenerateArgs, source: &Source, tokenizer: Option<&Tokenizer>) -> Result<Vec<u32>, Failure> {
    let Some(text) = &args.prompt else { return source.prompt(&args.model.prompt_ids, None) };
    let Some(tokenizer) = tokenizer else {
        return Err(Failure::usage(if text::AVAILABLE {
            "--prompt: the checkpoint has no tokenizer.json; give token ids with --prompt-ids"
        } else {
            "--prompt: this build has no tokenizers; cargo run -p sim --features text -- generate ... \
             has them; or give token ids with --prompt-ids"
        }));
    };
    if args.chat {
        let text = tokenizer.chat(&[Message::new(Role::User, text)], true)?;
        return source.prompt(&tokenizer.encode(&text)?, None);
    }
    let bos = source.weights().config().bos_token_id;
    let ids: Vec<u32> = bos.into_iter().chain(tokenizer.encode(text)?).collect();
    source.prompt(&ids, None)
}

/// The sampler that chooses the next token.
fn sampler(args: &GenerateArgs) -> Result<Sampler, Failure> {
    let Some(temperature) = args.temperature else { return Ok(Sampler::greedy()) };
    let top_p = args.top_p.unwrap_or(1.0);
    Ok(Sampler::seeded(Sampling { temperature, top_k: args.top_k, top_p }, args.model.seed)?)
}
