//! `sim boards`: the boards, with the source of each figure.

use cost::board::BOARDS;
use program::console::print;

use crate::failure::{Exit, Failure};

/// Runs the command.
pub(crate) fn run() -> Result<Exit, Failure> {
    let mut text = String::new();
    for (i, board) in BOARDS.iter().enumerate() {
        let default = if i == 0 { ", the default" } else { "" };
        text += &format!(
            "{}: {}, unit with {} vectors x {} groups{default}\n",
            board.name, board.part, board.vectors, board.groups
        );
        board.sources().iter().for_each(|line| text += &format!("  {line}\n"));
    }
    print(&(text + "The memory model and how well it agrees with measurements: docs/memory-model.md\n"))?;
    Ok(Exit::Ok)
}
