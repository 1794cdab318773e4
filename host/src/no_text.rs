//! In place of text to tokens and back, which this build leaves out: feature `text`.

use std::convert::Infallible;
use std::path::Path;

use crate::Result;

/// Whether this build has tokenizers.
pub const AVAILABLE: bool = false;

/// Who says something in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one who asks.
    User,
}

/// Something said in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message;

impl Message {
    /// A message.
    pub fn new(_: Role, _: impl Into<String>) -> Self {
        Self
    }
}

/// A tokenizer, of which there is none in this build.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer(Infallible);

/// A decoder, of which there is none in this build.
#[derive(Clone, Copy, Debug)]
pub struct TextStream<'a>(Infallible, std::marker::PhantomData<&'a ()>);

impl Tokenizer {
    /// None, whatever is in the folder.
    ///
    /// # Errors
    /// Never.
    pub fn open(_: &Path) -> Result<Option<Self>> {
        Ok(None)
    }

    /// Never called.
    ///
    /// # Errors
    /// Never.
    pub fn encode(&self, _: &str) -> Result<Vec<u32>> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// Never.
    pub fn decode(&self, _: &[u32]) -> Result<String> {
        match self.0 {}
    }

    /// Never called.
    pub fn stream(&self) -> TextStream<'_> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// Never.
    pub fn chat(&self, _: &[Message], _: bool) -> Result<String> {
        match self.0 {}
    }
}

impl TextStream<'_> {
    /// Never called.
    ///
    /// # Errors
    /// Never.
    pub fn push(&mut self, _: u32) -> Result<String> {
        match self.0 {}
    }

    /// Never called.
    ///
    /// # Errors
    /// Never.
    pub fn finish(self) -> Result<String> {
        match self.0 {}
    }
}
