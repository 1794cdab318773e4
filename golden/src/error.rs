//! Errors in data that comes from outside the crate.
//!
//! One enum for the crate. Each variant holds the expected value, the found value and the place. `Display` and
//! `Error` are written by hand, not derived, so that the enum also builds without `std`.

use alloc::string::String;
use core::fmt;

/// The reason why data cannot be used. Rows and columns count from zero.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The length of a buffer does not fit its shape.
    Length {
        /// The buffer, with the unit of its length.
        what: &'static str,
        /// Required length; for a weight image, the minimum length.
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
    /// The number of rows is not divisible by 4, as the packed form requires.
    PackedRows {
        /// Rows of the matrix.
        rows: usize,
    },
    /// Code 3 in a packed byte, which is not a weight.
    PackedCode {
        /// Row of the weight in the unpacked matrix; its byte is in packed row `row % (rows / 4)`.
        row: usize,
        /// Column of the weight and of its byte.
        col: usize,
    },
    /// A port width that the codec does not support.
    PortBytes {
        /// Bytes per beat found. The codec supports 8 and 16.
        got: usize,
    },
    /// Row blocks would overlap.
    BlockStride {
        /// Bytes of one block, which is the minimum stride.
        expected: usize,
        /// Stride found, in bytes.
        got: usize,
    },
    /// A weight in a weight image has the `neg` bit without the `nz` bit, or an invalid base-3 byte starts at this
    /// weight.
    ImageCode {
        /// Row of the weight.
        row: usize,
        /// Column of the weight.
        col: usize,
    },
    /// The padding of a weight image holds a weight that is not zero.
    ImagePadding {
        /// Row of the weight. It is past the matrix if the weight lies in a padding row.
        row: usize,
        /// Column of the weight. It is past the matrix if the weight lies in the padding of a row.
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
    /// No codec has this name.
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
                write!(
                    f,
                    "weight image at row {row}, column {col}: expected 0, +1 or -1, got a code that stands for none"
                )
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

/// Returns `Ok` if the length `got` of the buffer `what` is `expected`.
pub(crate) fn check_len(what: &'static str, expected: usize, got: usize) -> Result<(), Error> {
    if expected == got { Ok(()) } else { Err(Error::Length { what, expected, got }) }
}
