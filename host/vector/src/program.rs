//! Passes for the operators of a layer.
