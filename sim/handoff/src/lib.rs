//! A hand-off: the folder from which a user with Vivado builds the ternary unit for a board, or a whole system. It has RTL, wrapper, Tcl,
//! constraints, register map, device tree and checksums.
//!
//! The templates are in `constraints/` and are compiled into the program. The RTL is read from the folder that the
//! crate `rtl` finds.
//!
//! | module | contents |
//! | --- | --- |
//! | [`folder`] | the files of a hand-off, and how they are written |
//! | `design` | what it is of: top, files, registers, ports |
//! | [`wrapper`] | `tmv_wrapper.v`, generated from the port list of the top |
//! | `templates`, `data` | texts with placeholders; data of the boards for Vivado and Linux |

mod data;
mod design;
mod error;
pub mod folder;
mod templates;
pub mod wrapper;

pub use design::SystemParts;
pub use error::Error;
pub use folder::Folder;
