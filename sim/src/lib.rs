//! The TMV unit under Verilator, with a memory model of the Zynq around it.

pub mod device;
pub mod memory;
pub mod unit;
