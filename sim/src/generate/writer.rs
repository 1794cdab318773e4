//! Output of tokens on the terminal during the generation.

use bitnet::text::{TextStream, Tokenizer};
use program::console::show;

use crate::failure::Failure;

/// Prints each token immediately: as text if there is a tokenizer, otherwise as an id.
pub(super) struct Writer<'a> {
    tokenizer: Option<&'a Tokenizer>,
    stream: Option<TextStream<'a>>,
    any: bool,
    quiet: bool,
}

impl<'a> Writer<'a> {
    /// Creates a writer. It prints nothing if `quiet`.
    pub(super) fn new(tokenizer: Option<&'a Tokenizer>, quiet: bool) -> Self {
        Self { tokenizer, stream: None, any: false, quiet }
    }

    /// Prints the next token.
    pub(super) fn token(&mut self, id: u32) -> Result<(), Failure> {
        let text = match self.tokenizer {
            Some(tokenizer) => self.stream.get_or_insert_with(|| tokenizer.stream()).push(id)?,
            None if self.any => format!(" {id}"),
            None => id.to_string(),
        };
        self.any = true;
        self.show(&text);
        Ok(())
    }

    /// Prints the rest of the text, and ends the output.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        let rest = self.stream.take().map(|stream| stream.finish()).transpose()?.unwrap_or_default();
        if self.any {
            self.show(&(rest + "\n\n"));
        }
        Ok(())
    }

    fn show(&self, text: &str) {
        if !self.quiet {
            show(text);
        }
    }
}
