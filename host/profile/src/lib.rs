//! The cost of BitNet on a CPU, as data.
//!
//! | module | content |
//! | --- | --- |
//! | [`report`] | the file format of a profile, and the built-in profile |
//! | [`mod@measure`] | measuring a profile on this machine |
//! | [`tables`] | a profile as tables; several profiles merged and compared |

mod error;
pub mod measure;
pub mod report;
pub mod tables;

pub use error::{Error, Result};
