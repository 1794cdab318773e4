//! The order of codes, and what a kernel is.

/// Rows of a group.
pub(super) const ROWS: usize = 32;
/// Lines of 64 columns.
pub(super) const LINES: usize = 4;
/// Classes of columns: codes of a byte.
pub(super) const CLASSES: usize = 4;
/// Lines of a group that a kernel multiplies with all tokens of a tile before it goes on: 1,280 columns, so that codes
/// (10 KB) and activations (15 KB) stay in the nearest cache.
pub(super) const CHUNK: usize = 80;
/// The most tokens of a tile: two lines and twelve tokens have 24 accumulators, which fill the registers of AVX-512
/// beside codes, masks and activations.
pub(super) const TILE: usize = 12;

/// Half a line: 16 columns of half the rows of a group, in one register of AVX-512 and one line of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Half(pub [u32; ROWS / 2]);

/// A line of a group.
pub type Line = [Half; 2];

/// The accumulators of a group for one token.
pub(super) type Sums = [i32; ROWS];

/// The products of codes and activations with one set of instructions. The functions add the sums of codes times
/// activations to the last argument. Lines are those of whole groups, and words are the packed activations of one tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// For tests.
    #[allow(dead_code)]
    pub(super) name: &'static str,
    /// One group, and as many tokens as there are elements of the last argument.
    pub(super) group: fn(&[Line], &[u32], &mut [Sums]),
    /// One token, and as many groups as there are elements of the last argument.
    pub(super) token: fn(&[Line], &[u32], &mut [Sums]),
}

/// The chunks of a tile of `tokens` tokens: lines, and words of the shape `[class, line, token]`.
pub(super) fn chunks<'a>(
    lines: &'a [Line],
    words: &'a [u32],
    tokens: usize,
) -> impl Iterator<Item = (&'a [Line], &'a [u32])> {
    lines.chunks(CHUNK).zip(words.chunks(CHUNK * CLASSES * tokens))
}
