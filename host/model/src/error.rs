//! Errors of this crate. A message names the file, the tensor or the key, the expected and the found value.

use std::path::{Path, PathBuf};

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of a ternary back end, which [`Error::Backend`] contains unchanged.
pub type BackendError = Box<dyn std::error::Error + Send + Sync>;

/// The cause of an [`Error`]: an input file, the request, or the back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A file of a checkpoint or a profile is missing, damaged or of another kind.
    InputFile,
    /// The request does not fit this model, or its output cannot be written.
    Usage,
    /// The device, the simulator or the link to it failed.
    Backend,
}

/// An error of this crate. The message says where it is, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("{}: cannot read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file or folder cannot be written.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The output path exists and is not an empty folder.
    #[error("{}: exists and is not an empty folder; name another folder or remove it", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A tensor has values that the requested form cannot hold.
    #[error("tensor \"{tensor}\" cannot be exported: {reason}")]
    NotExportable {
        /// Full name of the tensor.
        tensor: String,
        /// The value that does not fit, and the supported values.
        reason: String,
    },
    /// The folder holds no weights.
    #[error(
        "{}: no model.safetensors and no model.safetensors.index.json; expected the folder of a Hugging Face checkpoint",
        folder.display()
    )]
    NoWeights {
        /// The folder that was opened.
        folder: PathBuf,
    },
    /// A link has no target.
    #[error("{}: a link to {}, which does not exist; is the download complete?", path.display(), target.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// The missing file.
        target: PathBuf,
    },
    /// A file or a folder is of another kind than its name or the request says.
    #[error("{}: {found}; {advice}", path.display())]
    OtherContent {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What the user can do.
        advice: String,
    },
    /// The model is of another family.
    #[error(
        "{}: key \"model_type\": expected \"bitnet\", found \"{found}\": the models that work are \
         microsoft/bitnet-b1.58-2B-4T, microsoft/bitnet-b1.58-2B-4T-bf16 and others of this architecture; ternary \
         models of other families, such as Llama and Falcon, need other arithmetic", path.display()
    )]
    UnsupportedModel {
        /// The configuration.
        path: PathBuf,
        /// The family in the configuration.
        found: String,
    },
    /// The folder has an adapter, which changes the weights.
    #[error("{}: an adapter is not supported; merge it into the weights, or remove it", path.display())]
    Adapter {
        /// The file that describes the adapter.
        path: PathBuf,
    },
    /// The file is not JSON.
    #[error("{}: not valid JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The syntax error, with line and column.
        source: serde_json::Error,
    },
    /// A JSON file lacks a key.
    #[error("{}: the required key \"{key}\" is missing", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key with its path from the root, such as `quantization_config.linear_class`.
        key: String,
    },
    /// The value of a JSON key is not supported.
    #[error("{}: key \"{key}\": expected {expected}, found {found}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// The key with its path from the root, such as `quantization_config.linear_class`.
        key: String,
        /// The supported values.
        expected: String,
        /// The value in the file.
        found: String,
    },
    /// The value of a JSON key has the wrong type or lacks a field.
    #[error("{}: key \"{key}\": {source}", path.display())]
    KeyType {
        /// The file.
        path: PathBuf,
        /// The key with its path from the root, such as `quantization_config.linear_class`.
        key: String,
        /// What does not fit in the value.
        source: serde_json::Error,
    },
    /// The file is not a complete safetensors file.
    #[error("{}: not a complete safetensors file ({bytes} bytes): {reason}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// Size of the file in bytes.
        bytes: usize,
        /// What is wrong with the header.
        reason: String,
    },
    /// A tensor is not in the file that should hold it.
    #[error("{}: tensor \"{tensor}\" is missing", path.display())]
    MissingTensor {
        /// The file that should hold it.
        path: PathBuf,
        /// Full name of the tensor.
        tensor: String,
    },
    /// A tensor does not have the dtype or the shape that the model needs.
    #[error("{}: tensor \"{tensor}\": expected {expected}, found {found}", path.display())]
    TensorMismatch {
        /// The file.
        path: PathBuf,
        /// Full name of the tensor.
        tensor: String,
        /// Dtype and shape that the configuration requires.
        expected: String,
        /// Dtype and shape in the header.
        found: String,
    },
    /// A tensor holds an invalid element.
    #[error("{}: tensor \"{tensor}\": {reason}", path.display())]
    BadTensor {
        /// The file.
        path: PathBuf,
        /// Full name of the tensor.
        tensor: String,
        /// Which element is invalid, and why.
        reason: String,
    },
    /// No linear of a decoder layer has this name.
    #[error("no operator is called \"{name}\"{}; operators are {known}", hint(suggestion))]
    UnknownOperator {
        /// The requested name.
        name: String,
        /// The nearest name, if one is similar enough.
        suggestion: Option<&'static str>,
        /// All operator names.
        known: String,
    },
    /// The model does not have the requested layer.
    #[error("layer {layer} is out of range: the model has layers 0 to {}", layers - 1)]
    LayerOutOfRange {
        /// The requested layer.
        layer: usize,
        /// Number of layers of the model.
        layers: usize,
    },
    /// A token id is not in the vocabulary.
    #[error("token {id} at position {position} is out of range: the vocabulary has ids 0 to {}", vocab - 1)]
    TokenOutOfRange {
        /// The token id.
        id: u32,
        /// Index of the token in the sequence.
        position: usize,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// A sequence is empty or longer than the model allows.
    #[error("{tokens} tokens: expected 1 to {max}")]
    SequenceLength {
        /// Length of the sequence in tokens, including those in the cache.
        tokens: usize,
        /// `max_position_embeddings`.
        max: usize,
    },
    /// A tensor handed in by the caller has the wrong shape.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Name of the tensor.
        what: String,
        /// The required shape.
        expected: Vec<usize>,
        /// The given shape.
        found: Vec<usize>,
    },
    /// The input of an operator contains an infinity or a NaN, which only damaged weights cause.
    #[error("layer {layer}, {operator}: the activations are not finite; are the weights of this model intact?")]
    NotFinite {
        /// The decoder layer.
        layer: usize,
        /// The operator whose input was to be quantised.
        operator: &'static str,
    },
    /// A tokenizer cannot be loaded, or fails on a text or on token ids.
    #[error("{}: cannot {action}: {source}", path.display())]
    Tokenizer {
        /// The `tokenizer.json`.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// The error of the tokenizer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A chat template is broken or refuses the messages.
    #[error("{}{}: cannot render the chat template: {source}", path.display(), in_key(key))]
    ChatTemplate {
        /// The file.
        path: PathBuf,
        /// The key that holds the template, if the file is JSON.
        key: Option<&'static str>,
        /// What is wrong, and in which line of the template.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting of the sampler is out of its range.
    #[error("{setting}: expected {expected}, found {found}")]
    BadSetting {
        /// Name of the setting.
        setting: &'static str,
        /// The allowed range.
        expected: &'static str,
        /// The given value.
        found: String,
    },
    /// A logit is NaN or an infinity, which only damaged weights cause.
    #[error("logit {index} is {value}; are the weights of this model intact?")]
    BadLogit {
        /// The token id that the logit belongs to.
        index: usize,
        /// Value of the logit.
        value: f32,
    },
    /// The back end that computes the ternary products failed.
    #[error("layer {layer}, {operators}: {source}")]
    Backend {
        /// The decoder layer.
        layer: usize,
        /// The operators of the request, comma-separated.
        operators: String,
        /// The error of the back end.
        source: BackendError,
    },
}

impl Error {
    /// The cause of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. }
            | Self::NoWeights { .. }
            | Self::DanglingLink { .. }
            | Self::OtherContent { .. }
            | Self::UnsupportedModel { .. }
            | Self::Adapter { .. }
            | Self::Json { .. }
            | Self::MissingKey { .. }
            | Self::BadKey { .. }
            | Self::KeyType { .. }
            | Self::NotSafetensors { .. }
            | Self::MissingTensor { .. }
            | Self::TensorMismatch { .. }
            | Self::BadTensor { .. }
            | Self::Tokenizer { .. }
            | Self::ChatTemplate { .. }
            | Self::BadLogit { .. }
            | Self::NotFinite { .. } => ErrorKind::InputFile,
            Self::Write { .. }
            | Self::Occupied { .. }
            | Self::NotExportable { .. }
            | Self::UnknownOperator { .. }
            | Self::LayerOutOfRange { .. }
            | Self::TokenOutOfRange { .. }
            | Self::SequenceLength { .. }
            | Self::BadSetting { .. }
            | Self::Shape { .. } => ErrorKind::Usage,
            Self::Backend { .. } => ErrorKind::Backend,
        }
    }

    /// True if an input file caused the error, and not the request or the back end.
    pub fn is_input_file(&self) -> bool {
        self.kind() == ErrorKind::InputFile
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| match std::fs::read_link(path) {
            Ok(target) if source.kind() == std::io::ErrorKind::NotFound => {
                Self::DanglingLink { path: path.into(), target: path.parent().unwrap_or(path).join(target) }
            }
            _ => Self::Io { path: path.into(), source },
        }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Write { path: path.into(), source }
    }
}

fn in_key(key: &Option<&str>) -> String {
    key.map_or(String::new(), |k| format!(": key \"{k}\""))
}

fn hint(suggestion: &Option<&str>) -> String {
    suggestion.map_or(String::new(), |s| format!(" (did you mean {s}?)"))
}
