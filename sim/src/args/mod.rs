//! Options that several commands share.

pub(crate) mod model;
pub(crate) mod numbers;
pub(crate) mod unit;
