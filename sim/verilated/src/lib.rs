//! Safe bindings to Verilated models that are built on demand.
