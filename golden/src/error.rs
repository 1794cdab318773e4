//! What can be wrong with data that comes from outside.
//!
//! One enum for the crate, each variant with what was expected, what was found and where. By hand
//! and not derived, so that it also builds without `std`.

use alloc::string::String;
use core::fmt;

/// Why data could not be used. Rows and columns count from zero.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// A buffer does not have the length its shape asks for.
    Length {
        /// Which buffer, with its unit.
        what: &'static str,
        /// Length asked for; for output buffers the least one.
        expected: usize,
        /// Length found.
        got: usize,
    },
    /// A weight other than -1, 0 and +1.
    NotTernary {
        /// Row of the weight.
        row: usize,
        /// Column of the weight.
        col: usize,
        /// The value found.
        got: i8,
    },
    /// The packed form needs four equal quarters of rows.
    PackedRows {
        /// Rows of the matrix.
        rows: usize,
    },
    /// Code 3 in a packed byte, which stands for no weight.
    PackedCode {
        /// Row of the weight in the unpacked matrix; its byte is in packed row `row % (rows / 4)`.
        row: usize,
        /// Column of the weight and of its byte.
        col: usize,
    },
    /// A port width the codec does not know.
    PortBytes {
        /// Bytes per beat found; 8 and 16 exist.
        got: usize,
    },
    /// Row blocks would overlap.
    BlockStride {
        /// Bytes of one block, the least stride.
        expected: usize,
        /// Stride found, in bytes.
        got: usize,
    },
    /// `neg` without `nz` in a weight image.
    ImageCode {
        /// Row of the weight.
        row: usize,
        /// Column of the weight.
        col: usize,
    },
    /// A weight that is not zero where an image is padded.
    ImagePadding {
        /// Row of the weight; past the matrix if it lies in a padding row.
        row: usize,
        /// Column of the weight; past the matrix if it lies in a row's padding.
        col: usize,
    },
    /// A master weight that is infinite or not a number.
    NotFinite {
        /// Row of the weight.
        row: usize,
        /// Column of the weight.
        col: usize,
        /// The value found.
        got: f32,
    },
    /// No codec of that name.
    UnknownCodec {
        /// The name found.
        got: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { what, expected, got } => write!(f, "{what}: expected {expected}, got {got}"),
            Self::NotTernary { row, col, got } => {
                write!(f, "weight at row {row}, column {col}: expected -1, 0 or 1, got {got}")
            }
            Self::PackedRows { rows } => {
                write!(f, "packed weights: expected a number of rows divisible by 4, got {rows}")
            }
            Self::PackedCode { row, col } => {
                write!(f, "packed weight at row {row}, column {col}: expected code 0, 1 or 2, got 3")
            }
            Self::PortBytes { got } => write!(f, "port width: expected 8 or 16 bytes, got {got}"),
            Self::BlockStride { expected, got } => {
                write!(f, "row block stride: expected at least {expected} bytes, got {got}")
            }
            Self::ImageCode { row, col } => {
                write!(f, "weight image at row {row}, column {col}: expected 0, +1 or -1, got neg without nz")
            }
            Self::ImagePadding { row, col } => {
                write!(f, "weight image at row {row}, column {col}: expected zero padding, got a weight")
            }
            Self::NotFinite { row, col, got } => {
                write!(f, "weight at row {row}, column {col}: expected a finite value, got {got}")
            }
            Self::UnknownCodec { got } => write!(f, "codec: expected 2bit or base3, got {got:?}"),
        }
    }
}

impl core::error::Error for Error {}

/// `Ok` if `got` is what `what` must measure.
pub(crate) fn check_len(what: &'static str, expected: usize, got: usize) -> Result<(), Error> {
    if expected == got { Ok(()) } else { Err(Error::Length { what, expected, got }) }
}
