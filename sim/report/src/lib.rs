//! Results of runs of the unit: typed records, and their output formats.
//!
//! | module | contents |
//! | --- | --- |
//! | [`records`], [`sections`] | one structure with all results; the settings of the run |
//! | [`totals`], [`project`] | sums over operators; the projection of a token |
//! | [`export`] | the trait of all output formats of a report |
//! | [`text`], [`json`], [`html`] | the formats: text for a terminal, JSON for programs, a page with pictures |
//! | [`head`] | the output head on both units: record and text |
//! | [`nonlinear`] | the operators between the BitLinears on a simulated core: records and text |
//! | [`mismatch`] | differing outputs as text, with the commands to reproduce them |
//! | [`tensor`] | tensors that differ from golden's |
//! | [`shard`], [`merge`], [`journal`] | a part of a run; joining the parts; resuming a killed run |
//! | [`sweep`] | many units: records, text, CSV and a picture |
//! | [`generation`] | generated tokens: records and text |
//! | [`words`] | phrases that several texts use |

mod error;
pub mod export;
pub mod generation;
pub mod head;
pub mod html;
pub mod journal;
pub mod json;
pub mod merge;
pub mod mismatch;
pub mod nonlinear;
pub mod project;
pub mod records;
pub mod sections;
pub mod shard;
pub mod sweep;
pub mod tensor;
pub mod text;
pub mod totals;
pub mod words;

pub use error::Error;
