//! JSON objects whose errors name the file and the key.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Error, Result, files};

/// A JSON object, with its file and its place in the file for error messages.
pub struct Object {
    path: PathBuf,
    prefix: String,
    map: Map<String, Value>,
}

impl Object {
    /// Reads a file that consists of one JSON object.
    ///
    /// # Errors
    /// The file cannot be read, or is not a JSON object.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &fs::read(path).map_err(Error::io(path))?)
    }

    /// Parses a text that consists of one JSON object. `path` is only used in error messages.
    ///
    /// # Errors
    /// The text is not a JSON object, or not the content that the file should have.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let text = files::text(path, text)?;
        let value = serde_json::from_str(text).map_err(|source| Error::Json { path: path.into(), source })?;
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

    /// The value of `key`; `None` if the key is absent or `null`.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// All keys of the object.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// The value of `key`; `None` if the key is absent or `null`.
    ///
    /// # Errors
    /// The value has the wrong type.
    pub fn optional<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.value(key).map(|v| self.convert(self.full(key), v)).transpose()
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// The key is absent or `null`, or its value has the wrong type.
    pub fn required<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    /// The array at `key`; empty if the key is absent or `null`. Elements are converted one by one, so that an error
    /// names the index.
    ///
    /// # Errors
    /// The value is not an array, or an element has the wrong type.
    pub fn list<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>> {
        let items: Vec<Value> = self.optional(key)?.unwrap_or_default();
        items.iter().enumerate().map(|(i, v)| self.convert(format!("{}[{i}]", self.full(key)), v)).collect()
    }

    /// The values of `key`, which is one value or an array; empty if the key is absent or `null`.
    ///
    /// # Errors
    /// A value has the wrong type.
    pub fn one_or_more<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>> {
        match self.value(key) {
            Some(value) if value.is_array() => self.list(key),
            _ => Ok(self.optional(key)?.into_iter().collect()),
        }
    }

    /// The object at `key`; `None` if the key is absent or `null`.
    ///
    /// # Errors
    /// The value is not an object.
    pub fn object(&self, key: &str) -> Result<Option<Self>> {
        self.value(key).map(|v| Self::new(&self.path, self.full(key), v.clone())).transpose()
    }

    fn convert<T: DeserializeOwned>(&self, key: String, value: &Value) -> Result<T> {
        T::deserialize(value).map_err(|source| Error::KeyType { path: self.path.clone(), key, source })
    }

    /// The file of the object.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The error for a missing key.
    pub fn missing(&self, key: &str) -> Error {
        Error::MissingKey { path: self.path.clone(), key: self.full(key) }
    }

    /// The error for a key whose value is not `expected`.
    pub fn bad(&self, key: &str, expected: impl Into<String>) -> Error {
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
