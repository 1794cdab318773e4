//! The records of a job, in shared memory.

use core::fmt;

use decoder::{Observer, Step, Values};
use sequencer::head::Chosen;
use sequencer::record::{NAME_BYTES, kind};

use crate::{guard, registers};

/// Writes records into a region.
pub(crate) struct Recorder {
    /// The region.
    pub(crate) memory: &'static mut [u8],
    /// Bytes in use.
    pub(crate) used: usize,
    /// Whether tensors are recorded.
    pub(crate) tensors: bool,
    /// The cycle in which the step in progress began.
    pub(crate) begun: u64,
}

impl Recorder {
    /// A recorder without records.
    pub(crate) fn new(memory: &'static mut [u8], tensors: bool) -> Self {
        let mut recorder = Self { memory, used: 4, tensors, begun: 0 };
        recorder.finish(4);
        recorder
    }

    /// Room for a record with `bytes` bytes of content, behind its two words. A job whose records do not fit panics.
    fn record(&mut self, kind: u32, bytes: usize) -> &mut [u8] {
        let begin = self.used;
        self.used += 8 + bytes;
        assert!(self.used <= self.memory.len(), "the records of a job do not fit in {} bytes", self.memory.len());
        let record = &mut self.memory[begin..self.used];
        record[..4].copy_from_slice(&kind.to_le_bytes());
        record[4..8].copy_from_slice(&(bytes as u32).to_le_bytes());
        &mut record[8..]
    }

    /// Makes the records up to `used` visible.
    fn finish(&mut self, used: usize) {
        self.used = used;
        self.memory[..4].copy_from_slice(&(used as u32 - 4).to_le_bytes());
    }

    /// Records the cycles in which the unit was busy, for each group of linears.
    pub(crate) fn unit(&mut self, busy: &[u64]) {
        words(self.record(kind::UNIT, 4 * busy.len()), busy.iter().map(|cycles| *cycles as u32));
        self.finish(self.used);
    }

    /// Records what the output head chose.
    pub(crate) fn head(&mut self, chosen: Chosen) {
        let Chosen { row, logit, logits } = chosen;
        words(self.record(kind::HEAD, 12), [row, logit, logits].into_iter());
        self.finish(self.used);
    }

    /// Records the text of an error. A text that does not fit is cut.
    pub(crate) fn text(&mut self, text: fmt::Arguments<'_>) {
        let begin = self.used;
        if begin + 8 > self.memory.len() {
            return;
        }
        let mut end = Text { memory: &mut self.memory[begin + 8..], used: 0 };
        // The writer reports no errors.
        let _ = fmt::write(&mut end, text);
        let bytes = end.used.next_multiple_of(4);
        self.memory[begin..begin + 4].copy_from_slice(&kind::TEXT.to_le_bytes());
        self.memory[begin + 4..begin + 8].copy_from_slice(&(bytes as u32).to_le_bytes());
        self.finish(begin + 8 + bytes);
    }
}

/// Text in memory, followed by zeros up to a multiple of four bytes.
struct Text<'a> {
    memory: &'a mut [u8],
    used: usize,
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = (self.memory.len() / 4 * 4).saturating_sub(self.used + 4);
        let text = &text.as_bytes()[..text.len().min(room)];
        self.memory[self.used..self.used + text.len()].copy_from_slice(text);
        self.used += text.len();
        if self.used + 4 <= self.memory.len() {
            self.memory[self.used..self.used + 4].fill(0);
        }
        Ok(())
    }
}

impl Observer for Recorder {
    fn active(&self) -> bool {
        self.tensors
    }

    fn tensor(&mut self, module: &'static str, name: &'static str, _: &[usize], values: Values<'_>) {
        let (kind, count, bytes) = match values {
            Values::F32(values) => (kind::F32, values.len(), 4 * values.len()),
            Values::I8(values) => (kind::I8, values.len(), values.len().next_multiple_of(4)),
            Values::I32(values) => (kind::I32, values.len(), 4 * values.len()),
        };
        let record = self.record(kind, NAME_BYTES + 4 + bytes);
        let (label, data) = record.split_at_mut(NAME_BYTES + 4);
        let dot = if module.is_empty() { "" } else { "." };
        let characters = [module, dot, name].into_iter().flat_map(str::bytes).chain(core::iter::repeat(0));
        label[..NAME_BYTES].iter_mut().zip(characters).for_each(|(byte, character)| *byte = character);
        label[NAME_BYTES..].copy_from_slice(&(count as u32).to_le_bytes());
        match values {
            Values::F32(values) => words(data, values.iter().map(|value| value.to_bits())),
            Values::I32(values) => words(data, values.iter().map(|value| *value as u32)),
            Values::I8(values) => data.iter_mut().zip(values).for_each(|(byte, value)| *byte = *value as u8),
        }
        self.finish(self.used);
    }

    fn begin(&mut self, _: Step) {
        self.begun = registers::cycle();
    }

    fn end(&mut self, step: Step) {
        let cycles = registers::cycle() - self.begun;
        // Linears that read the same input run together here, so every step has an index.
        let index = step.index().unwrap_or(usize::MAX) as u32;
        words(self.record(kind::STEP, 12), [index, cycles as u32, (cycles >> 32) as u32].into_iter());
        self.finish(self.used);
        guard::check_stack();
    }
}

fn words(memory: &mut [u8], words: impl Iterator<Item = u32>) {
    memory.chunks_exact_mut(4).zip(words).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
}
