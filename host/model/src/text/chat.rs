//! The chat template of a checkpoint, and the special tokens that it writes.

use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Value, context};
use serde::Deserialize;

use crate::files::read_optional;
use crate::json::Object;
use crate::{Error, Result, files};

const CONFIG: &str = "tokenizer_config.json";
const ADDED_TOKENS: &str = "added_tokens.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const TEMPLATE_KEY: &str = "chat_template";

/// The published template of BitNet b1.58 2B-4T, for checkpoints without a template.
const DEFAULT_TEMPLATE: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}\
    {% set content = message['role'] | capitalize + ': '+ message['content'] | trim + '<|eot_id|>' %}\
    {% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}\
    {% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";
const DEFAULT_BOS: &str = "<|begin_of_text|>";
const DEFAULT_EOT: &str = "<|eot_id|>";

/// The chat template of a checkpoint with its special tokens.
#[derive(Debug)]
pub(super) struct Chat {
    template: Template,
    bos: Option<String>,
    pub(super) eos: Option<String>,
}

/// A chat template and the file that it comes from.
#[derive(Debug)]
struct Template {
    path: PathBuf,
    key: Option<&'static str>,
    /// `None` if the checkpoint has no template.
    text: Option<String>,
}

impl Chat {
    /// Reads the files of a checkpoint folder that describe chats. The syntax of the template is checked only in
    /// [`render`](Self::render).
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let config_path = folder.join(CONFIG);
        let object = |path: &Path| read_optional(path)?.map(|bytes| Object::parse(path, &bytes)).transpose();
        let config = object(&config_path)?;
        // `transformers` uses the older file only if the configuration does not list the tokens itself.
        let listed = config.as_ref().is_some_and(|config| config.value("added_tokens_decoder").is_some());
        let map = if listed { None } else { object(&folder.join(SPECIAL_TOKENS))? };
        let token = |key: &str| {
            let of = |file: &Option<Object>| file.as_ref().map_or(Ok(None), |file| special_token(file, key));
            Ok::<_, Error>(of(&map)?.or(of(&config)?))
        };
        let (bos, eos) = (token("bos_token")?, token("eos_token")?);

        let beside = folder.join("chat_template.jinja");
        let template = match (read_optional(&beside)?, config) {
            (Some(bytes), _) => Template { text: Some(template(&beside, &bytes)?), path: beside, key: None },
            (None, config) => {
                let text = config.map_or(Ok(None), |config| configured_template(&config))?;
                Template { path: config_path, key: Some(TEMPLATE_KEY), text }
            }
        };
        Ok(Self { template, bos, eos })
    }

    /// Renders the prompt for a chat; `messages` are roles with texts. `known` tells whether the tokenizer has a token.
    pub(super) fn render(
        &self,
        messages: &[(&str, &str)],
        add_generation_prompt: bool,
        known: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let Template { path, key, text } = &self.template;
        let mut bos = self.bos.as_deref();
        if text.is_none() {
            bos = bos.or(Some(DEFAULT_BOS));
            if bos.into_iter().chain([DEFAULT_EOT]).any(|token| !known(token)) {
                return Err(Error::MissingKey { path: path.clone(), key: TEMPLATE_KEY.into() });
            }
        }
        let messages: Vec<Value> =
            messages.iter().map(|(role, content)| context! { role => *role, content => *content }).collect();
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

/// The tokens with their ids that the files beside the tokenizer add: `added_tokens_decoder` in the configuration, else
/// the older file `added_tokens.json`.
pub(super) fn added_tokens(folder: &Path) -> Result<Vec<(String, u32)>> {
    let object = |path: &Path| read_optional(path)?.map(|bytes| Object::parse(path, &bytes)).transpose();
    let listed = object(&folder.join(CONFIG))?.map_or(Ok(None), |config| config.object("added_tokens_decoder"))?;
    if let Some(listed) = listed {
        let token = |id: &str| {
            let token = listed.object(id)?.ok_or_else(|| listed.missing(id))?;
            Ok((token.required("content")?, id.parse().map_err(|_| listed.bad(id, "a token id as the key"))?))
        };
        return listed.keys().map(token).collect();
    }
    let Some(file) = object(&folder.join(ADDED_TOKENS))? else { return Ok(vec![]) };
    file.keys().map(|token| Ok((token.to_owned(), file.required(token)?))).collect()
}

/// The text of a template; an empty file is an empty template.
fn template(path: &Path, bytes: &[u8]) -> Result<String> {
    if bytes.is_empty() { Ok(String::new()) } else { Ok(files::text(path, bytes)?.into()) }
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
