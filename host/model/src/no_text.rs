//! Replaces the module `text` in builds without the feature `text`, which cannot load tokenizers.

use std::convert::Infallible;
use std::path::Path;

use crate::Result;

/// Whether this build can load tokenizers: false without the feature `text`.
pub const AVAILABLE: bool = false;

/// The author of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The human user.
    User,
}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message;

impl Message {
    /// A message.
    pub fn new(_: Role, _: impl Into<String>) -> Self {
        Self
    }
}

/// A tokenizer. In this build, no value of this type exists.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer(Infallible);

/// A decoder for tokens that arrive one by one. In this build, no value of this type exists.
#[derive(Clone, Copy, Debug)]
pub struct TextStream<'a>(Infallible, std::marker::PhantomData<&'a ()>);

impl Tokenizer {
    /// Always `None`, because this build cannot load tokenizers.
    ///
    /// # Errors
    /// Never.
    pub fn open(_: &Path) -> Result<Option<Self>> {
        Ok(None)
    }

    /// Cannot be called: no value of this type exists.
    ///
    /// # Errors
    /// Never.
    pub fn encode(&self, _: &str) -> Result<Vec<u32>> {
        match self.0 {}
    }

    /// Cannot be called: no value of this type exists.
    pub fn remarks(&self) -> Vec<String> {
        match self.0 {}
    }

    /// Cannot be called: no value of this type exists.
    ///
    /// # Errors
    /// Never.
    pub fn prompt_start(&self) -> Result<Vec<u32>> {
        match self.0 {}
    }

    /// Cannot be called: no value of this type exists.
    ///
    /// # Errors
    /// Never.
    pub fn decode(&self, _: &[u32]) -> Result<String> {
        match self.0 {}
    }

    /// Cannot be called: no value of this type exists.
    pub fn stream(&self) -> TextStream<'_> {
        match self.0 {}
    }

    /// Cannot be called: no value of this type exists.
    ///
    /// # Errors
    /// Never.
    pub fn turn_ends(&self) -> Result<Vec<u32>> {
        match self.0 {}
    }

    /// Cannot be called: no value of this type exists.
    ///
    /// # Errors
    /// Never.
    pub fn chat(&self, _: &[Message], _: bool) -> Result<String> {
        match self.0 {}
    }
}

impl TextStream<'_> {
    /// Cannot be called: no value of this type exists.
    ///
    /// # Errors
    /// Never.
    pub fn push(&mut self, _: u32) -> Result<String> {
        match self.0 {}
    }

    /// Cannot be called: no value of this type exists.
    ///
    /// # Errors
    /// Never.
    pub fn finish(self) -> Result<String> {
        match self.0 {}
    }
}
