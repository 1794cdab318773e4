//! The tokenizer of a checkpoint, which converts text to token ids and back; and its chat template, which converts
//! messages to the prompt that the model was trained on.
//!
//! A checkpoint folder describes the tokenizer in `tokenizer.json`, and the chat template as a Jinja template in
//! `chat_template.jinja` or in `tokenizer_config.json`.

mod chat;

use std::path::{Path, PathBuf};

use chat::Chat;
use serde::{Deserialize, Serialize};

use crate::files::read_optional;
use crate::json::Object;
use crate::surplus::counted;
use crate::{Error, Result};

/// Whether this build can load tokenizers: true with the feature `text`.
pub const AVAILABLE: bool = true;

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that precede the conversation.
    System,
    /// The human user.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The name that chat templates use: `system`, `user` or `assistant`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The author of the message.
    pub role: Role,
    /// The text of the message.
    pub content: String,
}

impl Message {
    /// A message of this author with this text.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// The tokenizer and the chat template of a checkpoint.
///
/// ```
/// use bitnet::text::{Message, Role, Tokenizer};
/// # let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/tiny-tokenizer"));
/// let tokenizer = Tokenizer::open(folder)?.expect("the folder has a tokenizer.json");
/// let prompt = tokenizer.chat(&[Message::new(Role::User, "How are you?")], true)?;
/// assert_eq!(prompt, "<|begin_of_text|>User: How are you?<|eot_id|>Assistant: ");
/// let ids = tokenizer.encode(&prompt)?;
/// assert_eq!(ids[0], 318);
/// assert_eq!(tokenizer.decode(&ids)?, prompt);
/// # Ok::<(), bitnet::Error>(())
/// ```
#[derive(Debug)]
pub struct Tokenizer {
    folder: PathBuf,
    path: PathBuf,
    inner: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Loads the tokenizer of a checkpoint folder; `None` if the folder has no `tokenizer.json`. The files for chats
    /// are read only when [`chat`](Self::chat) needs them.
    ///
    /// # Errors
    /// A `tokenizer.json` that cannot be read or used.
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("tokenizer.json");
        let Some(bytes) = read_optional(&path)? else { return Ok(None) };
        // The crate `tokenizers` panics on some truncated JSON, so the syntax is checked first.
        Object::parse(&path, &bytes)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|source| Error::Tokenizer {
            path: path.clone(),
            action: "load this tokenizer",
            source,
        })?;
        // Some files keep truncation and padding settings from training. They must not apply to a prompt.
        inner.with_truncation(None).expect("no truncation is always possible").with_padding(None);
        Ok(Some(Self { folder: folder.into(), path, inner }))
    }

    /// Converts `text` to token ids. A special token that is written out in the text, such as `<|eot_id|>`, becomes
    /// its id; no special token is added.
    ///
    /// A model may have fewer ids than its tokenizer: see [`check_tokens`](crate::config::ModelConfig::check_tokens).
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the tokenizer fails on this text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(self.failed("encode this text"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// What the files beside `tokenizer.json` say about tokens and what is not used, a sentence each: tokens that
    /// `tokenizer.json` lacks or has under another id, and files that cannot be read.
    pub fn remarks(&self) -> Vec<String> {
        let added = match chat::added_tokens(&self.folder) {
            Ok(added) => added,
            Err(error) => return vec![format!("{error}; its tokens are not used")],
        };
        let other = |(token, id): &(String, u32)| self.inner.token_to_id(token) != Some(*id);
        let unused: Vec<String> =
            added.into_iter().filter(other).map(|(token, id)| format!("{token} ({id})")).collect();
        let remark = |names| format!("{}; tokenizer.json has no such tokens", counted("token", names));
        if unused.is_empty() { vec![] } else { vec![remark(&unused)] }
    }

    /// The special tokens with which the tokenizer itself would begin a prompt.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the tokenizer fails.
    pub fn prompt_start(&self) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast("", true).map_err(self.failed("encode an empty text"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Converts `ids` to text, with special tokens written out. Bytes that are not UTF-8 become U+FFFD. An id without
    /// a token gives no text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the tokenizer fails on these ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(self.failed("decode these tokens"))
    }

    /// A decoder for tokens that arrive one by one.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream { tokenizer: self, ids: Vec::new(), shown: 0, context: 0 }
    }

    /// Renders the prompt for a chat. Special tokens are written out in it, so it can be passed to
    /// [`encode`](Self::encode).
    ///
    /// With `add_generation_prompt`, the prompt ends with the words after which the model writes its answer. A
    /// checkpoint without a template gets the template of BitNet b1.58 2B-4T. Its prompt is `<|begin_of_text|>`, then
    /// for each message `User: ` (or `System: `, `Assistant: `), the content without surrounding white space, and
    /// `<|eot_id|>`. The words before the answer are `Assistant: `.
    ///
    /// # Errors
    /// [`Error::ChatTemplate`] if the template is broken or refuses the messages. [`Error::MissingKey`] if the
    /// checkpoint has no template and its tokenizer lacks the special tokens of 2B-4T. A file with the template or
    /// the special tokens that cannot be read or used; the error names the file, and the key if there is one.
    pub fn chat(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let messages: Vec<_> = messages.iter().map(|m| (m.role.name(), m.content.as_str())).collect();
        Chat::open(&self.folder)?.render(&messages, add_generation_prompt, |token| self.knows(token))
    }

    /// The tokens that end the answer of the model in a chat: the tokenizer's `eos_token`, and the special token that
    /// the chat template writes behind the words of an assistant.
    ///
    /// # Errors
    /// The errors of [`encode`](Self::encode), and a file with the template or the special tokens that cannot be read
    /// or used.
    pub fn turn_ends(&self) -> Result<Vec<u32>> {
        const WORDS: &str = "0123456789";
        let chat = Chat::open(&self.folder)?;
        let mut ends: Vec<u32> = chat.eos.iter().filter_map(|token| self.inner.token_to_id(token)).collect();
        let turns = [Role::User, Role::Assistant].map(|role| (role.name(), WORDS));
        // A template that refuses these turns does not show how an answer ends.
        let text = chat.render(&turns, false, |token| self.knows(token)).unwrap_or_default();
        if let Some((_, behind)) = text.rsplit_once(WORDS) {
            let added = self.inner.get_added_tokens_decoder();
            let special = |id: &u32| added.get(id).is_some_and(|token| token.special);
            ends.extend(self.encode(behind)?.into_iter().find(special).filter(|id| !ends.contains(id)));
        }
        Ok(ends)
    }

    fn knows(&self, token: &str) -> bool {
        self.inner.token_to_id(token).is_some()
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(tokenizers::Error) -> Error {
        move |source| Error::Tokenizer { path: self.path.clone(), action, source }
    }
}

/// Decodes tokens that arrive one by one; made by [`Tokenizer::stream`]. A character is returned when its last byte
/// has arrived.
#[derive(Clone, Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// The most recent tokens.
    ids: Vec<u32>,
    /// Bytes of the text of `ids` that have been returned.
    shown: usize,
    /// Number of tokens at the start of `ids` whose text has been returned. They are kept only because some decoders
    /// need the previous token.
    context: usize,
}

impl TextStream<'_> {
    /// Adds one token and returns the text that it completes. The text is empty in the middle of a character.
    ///
    /// # Errors
    /// The errors of [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids)?;
        // Only the last replacement character can still become another character.
        let complete = text.strip_suffix(char::REPLACEMENT_CHARACTER).unwrap_or(&text);
        let new = self.take(complete);
        if complete.len() == text.len() {
            self.ids.drain(..self.context);
            self.context = self.ids.len();
            self.shown = self.tokenizer.decode(&self.ids)?.len();
        }
        Ok(new)
    }

    /// Returns the rest of the text after the last token: bytes of an incomplete character, as U+FFFD.
    ///
    /// # Errors
    /// The errors of [`Tokenizer::decode`].
    pub fn finish(mut self) -> Result<String> {
        let text = self.tokenizer.decode(&self.ids)?;
        Ok(self.take(&text))
    }

    /// The part of `text` that has not been returned yet.
    fn take(&mut self, text: &str) -> String {
        let new = text.get(self.shown..).unwrap_or_default().to_owned();
        self.shown += new.len();
        new
    }
}
