//! Data of the boards that Vivado and Linux need: `constraints/boards.toml`.

use std::collections::HashMap;
use std::sync::LazyLock;

use cost::board::Sourced;
use serde::Deserialize;

const BOARD_DATA: &str = include_str!("../../../constraints/boards.toml");

/// Data of the boards that Vivado and Linux need.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    /// The processing systems by name.
    pub(crate) ps: HashMap<String, Ps>,
    pub(crate) board: Vec<BoardData>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ps {
    pub(crate) control: Sourced<u64>,
    pub(crate) spi: Sourced<u32>,
    pub(crate) cells: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoardData {
    pub(crate) name: String,
    pub(crate) ps: String,
    pub(crate) part: Sourced<String>,
    pub(crate) board_part: String,
    #[serde(default)]
    pub(crate) board_connections: String,
    pub(crate) memory: Memory,
}

/// The part of the memory that is reserved for the unit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    pub(crate) base: u64,
    pub(crate) bytes: u64,
}

pub(crate) static DATA: LazyLock<Data> =
    LazyLock::new(|| toml::from_str(BOARD_DATA).expect("constraints/boards.toml is tested"));

/// The names of the boards that have a hand-off, separated by commas.
pub(crate) fn names() -> String {
    DATA.board.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use cost::board::BOARDS;

    use super::*;
    use crate::templates::PS;

    #[test]
    fn the_data_fit_the_boards() {
        for board in BOARDS.iter() {
            let data = DATA.board.iter().find(|b| b.name == board.name);
            let data = data.unwrap_or_else(|| panic!("{}: constraints/boards.toml has no entry", board.name));
            let part = board.part.to_lowercase();
            assert!(data.part.value.starts_with(&part), "{}: {} is no {part}", board.name, data.part.value);
            assert_eq!((data.memory.base % 4096, data.memory.bytes % 4096), (0, 0), "{}: whole pages", board.name);
        }
        assert_eq!(DATA.board.len(), BOARDS.len());
        for data in &DATA.board {
            let kinds = (DATA.ps.contains_key(&data.ps), PS.iter().any(|(name, ..)| *name == data.ps));
            assert_eq!(kinds, (true, true), "{}: processing system {}", data.name, data.ps);
        }
    }
}
