//! JSON objects whose errors name the file and the key.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// One JSON object of a file, and where in the file it is.
pub(crate) struct Object {
    path: PathBuf,
    prefix: String,
    map: Map<String, Value>,
}

impl Object {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &fs::read(path).map_err(Error::io(path))?)
    }

    pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let value = serde_json::from_slice(text).map_err(|source| Error::Json { path: path.into(), source })?;
        Self::new(path, String::new(), value)
    }

    fn new(path: &Path, prefix: String, value: Value) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self { path: path.into(), prefix, map }),
            other => Err(Error::BadKey {
                path: path.into(),
                key: if prefix.is_empty() { "(root)".into() } else { prefix },
                expected: "an object".into(),
                found: brief(&other),
            }),
        }
    }

    fn full(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.into() } else { format!("{}.{key}", self.prefix) }
    }

    /// The value of `key`; absent and `null` are the same.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    pub(crate) fn optional<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.value(key).map(|v| self.convert(self.full(key), v)).transpose()
    }

    pub(crate) fn required<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    /// An array, element by element so that an error says which; absent is empty.
    pub(crate) fn list<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>> {
        let items: Vec<Value> = self.optional(key)?.unwrap_or_default();
        items.iter().enumerate().map(|(i, v)| self.convert(format!("{}[{i}]", self.full(key)), v)).collect()
    }

    pub(crate) fn object(&self, key: &str) -> Result<Option<Self>> {
        self.value(key).map(|v| Self::new(&self.path, self.full(key), v.clone())).transpose()
    }

    fn convert<T: DeserializeOwned>(&self, key: String, value: &Value) -> Result<T> {
        T::deserialize(value).map_err(|source| Error::KeyType { path: self.path.clone(), key, source })
    }

    pub(crate) fn missing(&self, key: &str) -> Error {
        Error::MissingKey { path: self.path.clone(), key: self.full(key) }
    }

    pub(crate) fn bad(&self, key: &str, expected: impl Into<String>) -> Error {
        let found = self.value(key).map_or("nothing".into(), brief);
        Error::BadKey { path: self.path.clone(), key: self.full(key), expected: expected.into(), found }
    }
}

/// The start of a value, short enough for a message.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
