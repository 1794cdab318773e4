//! A hand-off: the folder from which a user with Vivado builds the unit for a board. It has RTL, wrapper, Tcl,
//! constraints, register map, device tree and checksums.
//!
//! The templates are in `constraints/` and are compiled into the program. The RTL is read from the folder that the
//! crate `rtl` finds.
//!
//! | module | contents |
//! | --- | --- |
//! | [`folder`] | the files of a hand-off, and how they are written |
//! | [`wrapper`] | `tmv_wrapper.v`, generated from the port list of `tmv_unit` |
//! | `templates`, `data` | texts with placeholders; data of the boards for Vivado and Linux |

mod data;
mod error;
pub mod folder;
mod templates;
pub mod wrapper;

pub use error::Error;
pub use folder::Folder;
