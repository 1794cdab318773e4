//! What can go wrong in the host, in the words of the person who has to fix it.

use std::path::{Path, PathBuf};

/// The result of everything in this crate that reads a file or runs a layer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error a ternary back end reports; carried through unchanged in [`Error::Backend`].
pub type BackendError = Box<dyn std::error::Error + Send + Sync>;

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file of a checkpoint or a profile is missing, damaged or of another kind.
    InputFile,
    /// The request makes no sense for this model.
    Usage,
    /// The device, the simulator or the link to it failed.
    Backend,
}

/// An error of the host crate: what, where, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("{}: cannot read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason of the operating system.
        source: std::io::Error,
    },
    /// The file system refused to write.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The reason of the operating system.
        source: std::io::Error,
    },
    /// What a command was asked to write cannot be written.
    #[error("{what}: cannot write: {reason}")]
    Output {
        /// The option and its file, or standard output.
        what: String,
        /// The reason of the operating system.
        reason: std::io::ErrorKind,
    },
    /// A profile report that does not go with the others.
    #[error("{}: not a report to put beside the others: {reason}", path.display())]
    ForeignReport {
        /// The file.
        path: PathBuf,
        /// What was expected, and found.
        reason: String,
    },
    /// A folder to be written is there already.
    #[error("{}: exists and is not an empty folder; name another folder or remove it", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A tensor has values that the form asked for cannot hold.
    #[error("tensor \"{tensor}\" cannot be exported: {reason}")]
    NotExportable {
        /// Its full name.
        tensor: String,
        /// Which value, and what would have been fine.
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
    /// The file is not JSON.
    #[error("{}: not valid JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line and column.
        source: serde_json::Error,
    },
    /// A JSON file lacks a key.
    #[error("{}: the required key \"{key}\" is missing", path.display())]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key, dotted from the root.
        key: String,
    },
    /// A JSON key holds something the host cannot use.
    #[error("{}: key \"{key}\": expected {expected}, found {found}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// The key, dotted from the root.
        key: String,
        /// What would have been fine.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A JSON key holds a value of the wrong type or lacks a part.
    #[error("{}: key \"{key}\": {source}", path.display())]
    KeyType {
        /// The file.
        path: PathBuf,
        /// The key, dotted from the root.
        key: String,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The file is not a complete safetensors file.
    #[error("{}: not a complete safetensors file ({bytes} bytes): {reason}", path.display())]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
        /// What the header check says.
        reason: String,
    },
    /// A tensor is not in the file that should hold it.
    #[error("{}: tensor \"{tensor}\" is missing", path.display())]
    MissingTensor {
        /// The file that should hold it.
        path: PathBuf,
        /// Its full name.
        tensor: String,
    },
    /// A tensor has another dtype or shape than the model needs.
    #[error("{}: tensor \"{tensor}\": expected {expected}, found {found}", path.display())]
    TensorMismatch {
        /// The file.
        path: PathBuf,
        /// Its full name.
        tensor: String,
        /// Dtype and shape the configuration asks for.
        expected: String,
        /// Dtype and shape in the header.
        found: String,
    },
    /// The bytes of a tensor are not what its header promises.
    #[error("{}: tensor \"{tensor}\": {reason}", path.display())]
    BadTensor {
        /// The file.
        path: PathBuf,
        /// Its full name.
        tensor: String,
        /// What is wrong with which element.
        reason: String,
    },
    /// No linear of a decoder layer has this name.
    #[error("no operator is called \"{name}\"{}; operators are {known}", hint(suggestion))]
    UnknownOperator {
        /// What was asked for.
        name: String,
        /// The nearest name, if one is near.
        suggestion: Option<&'static str>,
        /// All names.
        known: String,
    },
    /// The model has fewer layers.
    #[error("layer {layer} is out of range: the model has layers 0 to {}", layers - 1)]
    LayerOutOfRange {
        /// What was asked for.
        layer: usize,
        /// Layers of the model.
        layers: usize,
    },
    /// A token id is not in the vocabulary.
    #[error("token {id} at position {position} is out of range: the vocabulary has ids 0 to {}", vocab - 1)]
    TokenOutOfRange {
        /// The id.
        id: u32,
        /// Its place in the prompt.
        position: usize,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// A sequence is empty or longer than the model allows.
    #[error("{tokens} tokens: expected 1 to {max}")]
    SequenceLength {
        /// Tokens including those in the cache.
        tokens: usize,
        /// `max_position_embeddings`.
        max: usize,
    },
    /// A tensor handed in by the caller has the wrong shape.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Which tensor.
        what: String,
        /// Needed.
        expected: Vec<usize>,
        /// Given.
        found: Vec<usize>,
    },
    /// The activations of an operator hold an infinity or a NaN, which only damaged weights bring about.
    #[error("layer {layer}, {operator}: the activations are not finite; are the weights of this model intact?")]
    NotFinite {
        /// The decoder layer.
        layer: usize,
        /// The operator that was to quantise them.
        operator: &'static str,
    },
    /// A `tokenizer.json` cannot be used, or cannot be used for this text.
    #[error("{}: cannot {action}: {source}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the tokenizer says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A chat template is broken or refuses the messages.
    #[error("{}{}: cannot render the chat template: {source}", path.display(), in_key(key))]
    ChatTemplate {
        /// The file.
        path: PathBuf,
        /// The key that holds it, if the file is JSON.
        key: Option<&'static str>,
        /// What is wrong, and in which line of the template.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting of the sampler is out of its range.
    #[error("{setting}: expected {expected}, found {found}")]
    BadSetting {
        /// Its name.
        setting: &'static str,
        /// The range.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// The logits are no distribution, which only damaged weights bring about.
    #[error("logit {index} is {value}; are the weights of this model intact?")]
    BadLogit {
        /// The token it belongs to.
        index: usize,
        /// Its value: NaN or an infinity.
        value: f32,
    },
    /// The back end that computes the ternary products failed.
    #[error("layer {layer}, {operators}: {source}")]
    Backend {
        /// The decoder layer.
        layer: usize,
        /// The operators of the request, comma-separated.
        operators: String,
        /// What the back end says.
        source: BackendError,
    },
}

impl Error {
    /// Whose fault this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. }
            | Self::NoWeights { .. }
            | Self::Json { .. }
            | Self::MissingKey { .. }
            | Self::BadKey { .. }
            | Self::KeyType { .. }
            | Self::NotSafetensors { .. }
            | Self::MissingTensor { .. }
            | Self::TensorMismatch { .. }
            | Self::BadTensor { .. }
            | Self::ForeignReport { .. }
            | Self::Tokenizer { .. }
            | Self::ChatTemplate { .. }
            | Self::BadLogit { .. }
            | Self::NotFinite { .. } => ErrorKind::InputFile,
            Self::Write { .. }
            | Self::Output { .. }
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

    /// True if a file is to blame rather than the request or the device.
    pub fn is_input_file(&self) -> bool {
        self.kind() == ErrorKind::InputFile
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.into(), source }
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
