//! Code that the commands of this workspace share.
//!
//! | module | content |
//! | --- | --- |
//! | [`console`] | data and text on standard output, lines for people on standard error, JSON |
//! | [`command_line`] | command lines as text for a shell |
//! | [`target`], [`folder`] | output files and folders, each written completely or not at all |
//! | [`temporary`] | files and folders that are not complete, for a program that ends before their owners |
//! | [`table`] | tables and numbers for a terminal |
//! | [`options`] | options that several commands take |
//! | [`panics`], [`interrupt`] | the end of a command after an internal error; after a signal |
//! | [`pool`] | the threads that compute in parallel |
//! | [`machine`] | memory of this process; name and frequencies of the CPU |

pub mod command_line;
pub mod console;
mod error;
pub mod folder;
pub mod interrupt;
pub mod machine;
pub mod options;
pub mod panics;
pub mod pool;
pub mod table;
pub mod target;
pub mod temporary;

pub use error::{Error, UNWRITTEN};
