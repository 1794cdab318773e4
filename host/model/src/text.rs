//! The tokenizer of a checkpoint, which converts text to token ids and back; and its chat template, which converts
//! messages to the prompt that the model was trained on.
//!
//! A checkpoint folder describes the tokenizer in `tokenizer.json`, and the chat template as a Jinja template in
//! `chat_template.jinja` or in `tokenizer_config.json`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Value, context};
use serde::{Deserialize, Serialize};

use crate::json::Object;
use crate::{Error, Result};

/// Whether this build can load tokenizers: true with the feature `text`.
pub const AVAILABLE: bool = true;

const CONFIG: &str = "tokenizer_config.json";
const TEMPLATE_KEY: &str = "chat_template";

/// The published template of BitNet b1.58 2B-4T, for checkpoints without a template.
const DEFAULT_TEMPLATE: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}\
    {% set content = message['role'] | capitalize + ': '+ message['content'] | trim + '<|eot_id|>' %}\
    {% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}\
    {% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";
const DEFAULT_BOS: &str = "<|begin_of_text|>";
const DEFAULT_EOT: &str = "<|eot_id|>";

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
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    template: Template,
    bos: Option<String>,
    eos: Option<String>,
}

/// A chat template and the file that it comes from.
#[derive(Debug)]
struct Template {
    path: PathBuf,
    key: Option<&'static str>,
    /// `None` if the checkpoint has no template.
    text: Option<String>,
}

impl Tokenizer {
    /// Loads the tokenizer and the chat template of a checkpoint folder; `None` if the folder has no `tokenizer.json`.
    ///
    /// # Errors
    /// A file that cannot be read or used. Each error names the file, and the key if there is one. The syntax of the
    /// chat template is checked only in [`chat`](Self::chat).
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("tokenizer.json");
        let Some(bytes) = read(&path)? else { return Ok(None) };
        // The crate `tokenizers` panics on some truncated JSON, so the syntax is checked first.
        Object::parse(&path, &bytes)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|source| Error::Tokenizer {
            path: path.clone(),
            action: "load this tokenizer",
            source,
        })?;
        // Some files keep truncation and padding settings from training. They must not apply to a prompt.
        inner.with_truncation(None).expect("no truncation is always possible").with_padding(None);

        let config_path = folder.join(CONFIG);
        let config = read(&config_path)?.map(|bytes| Object::parse(&config_path, &bytes)).transpose()?;
        let token = |key| config.as_ref().map_or(Ok(None), |config| special_token(config, key));
        let (bos, eos) = (token("bos_token")?, token("eos_token")?);

        let beside = folder.join("chat_template.jinja");
        let template = match (read(&beside)?, config) {
            (Some(bytes), _) => Template { text: Some(utf8(&beside, bytes)?), path: beside, key: None },
            (None, config) => {
                let text = config.map_or(Ok(None), |config| configured_template(&config))?;
                Template { path: config_path, key: Some(TEMPLATE_KEY), text }
            }
        };
        Ok(Some(Self { path, inner, template, bos, eos }))
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
    /// checkpoint has no template and its tokenizer lacks the special tokens of 2B-4T.
    pub fn chat(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let Template { path, key, text } = &self.template;
        let mut bos = self.bos.as_deref();
        if text.is_none() {
            bos = bos.or(Some(DEFAULT_BOS));
            if bos.into_iter().chain([DEFAULT_EOT]).any(|token| self.inner.token_to_id(token).is_none()) {
                return Err(Error::MissingKey { path: path.clone(), key: TEMPLATE_KEY.into() });
            }
        }
        let messages: Vec<Value> =
            messages.iter().map(|m| context! { role => m.role.name(), content => m.content.as_str() }).collect();
        let or_undefined = |token: Option<&str>| token.map_or(Value::UNDEFINED, Value::from);
        let variables = context! {
            messages,
            add_generation_prompt,
            bos_token => or_undefined(bos),
            eos_token => or_undefined(self.eos.as_deref()),
            // `transformers` always sets the next two variables.
            tools => (),
            documents => (),
        };
        environment()
            .render_named_str(TEMPLATE_KEY, text.as_deref().unwrap_or(DEFAULT_TEMPLATE), variables)
            .map_err(|source| Error::ChatTemplate { path: path.clone(), key: *key, source: source.into() })
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

/// A Jinja environment with the settings of `transformers`.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the default ones"));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message))
    });
    environment
}

/// The bytes of a file; `None` if the file does not exist.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some).map_err(Error::io(path)),
    }
}

fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| Error::io(path)(std::io::Error::new(ErrorKind::InvalidData, e)))
}

/// A special token, stored as a string or as an object with the key `content`.
fn special_token(config: &Object, key: &str) -> Result<Option<String>> {
    match config.value(key) {
        Some(v) if v.is_object() => config.object(key)?.map(|token| token.required("content")).transpose(),
        _ => config.optional(key),
    }
}

/// The chat template of a `tokenizer_config.json`: a string, or the template named `default` in a list.
fn configured_template(config: &Object) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
        template: String,
    }
    match config.value(TEMPLATE_KEY) {
        Some(v) if v.is_array() => {
            let mut templates = config.list::<Named>(TEMPLATE_KEY)?.into_iter();
            let default = templates.find(|t| t.name == "default");
            Ok(Some(default.ok_or_else(|| config.bad(TEMPLATE_KEY, "one template called \"default\""))?.template))
        }
        _ => config.optional(TEMPLATE_KEY),
    }
}
