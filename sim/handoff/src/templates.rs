//! The texts of a hand-off that are compiled into the program, and how their placeholders are filled.

use std::collections::BTreeMap;

/// Files that are the same for every board: name in the folder, text.
pub(crate) const PLAIN: &[(&str, &str)] = &[
    ("common.tcl", include_str!("../../../constraints/vivado/common.tcl")),
    ("package_ip.tcl", include_str!("../../../constraints/vivado/package_ip.tcl")),
    ("block_design.tcl", include_str!("../../../constraints/vivado/block_design.tcl")),
    ("build.tcl", include_str!("../../../constraints/vivado/build.tcl")),
    ("firmware.tcl", include_str!("../../../constraints/vivado/firmware.tcl")),
    ("shell.json", include_str!("../../../constraints/linux/shell.json")),
    ("check/run.tcl", include_str!("../../../constraints/check/run.tcl")),
    ("check/stubs.tcl", include_str!("../../../constraints/check/stubs.tcl")),
    ("registers/tmv_regs.rs", include_str!("../../../host/tmv/src/regs.rs")),
    ("LICENSE-MIT", include_str!("../../../LICENSE-MIT")),
    ("LICENSE-APACHE", include_str!("../../../LICENSE-APACHE")),
    ("NOTICE", include_str!("../../../NOTICE")),
];

/// Templates with placeholders `@NAME@`: name in the folder, text.
pub(crate) const TEMPLATES: &[(&str, &str)] = &[
    ("board.tcl", include_str!("../../../constraints/vivado/board.tcl")),
    ("tmv.xdc", include_str!("../../../constraints/vivado/tmv.xdc")),
    ("tmv.core", include_str!("../../../constraints/fusesoc/tmv.core")),
    ("tmv.bif", include_str!("../../../constraints/linux/tmv.bif")),
    ("README.md", include_str!("../../../constraints/README.handoff.md")),
];

/// What the README says of a whole system.
pub(crate) const SYSTEM: &str = include_str!("../../../constraints/README.system.md");

/// The texts for a processing system.
pub(crate) struct PsTexts {
    /// Its name in the data.
    pub(crate) name: &'static str,
    /// Its Tcl.
    pub(crate) tcl: &'static str,
    /// Templates of its device-tree overlays: the one for boot, the one for run time.
    pub(crate) overlays: [(&'static str, &'static str); 2],
}

/// The texts for each processing system.
pub(crate) const PS: &[PsTexts] = &[
    PsTexts {
        name: "zynqmp",
        tcl: include_str!("../../../constraints/vivado/ps_zynqmp.tcl"),
        overlays: [
            ("tmv_boot.dtso", include_str!("../../../constraints/linux/tmv_boot_zynqmp.dtso")),
            ("tmv.dtso", include_str!("../../../constraints/linux/tmv_zynqmp.dtso")),
        ],
    },
    PsTexts {
        name: "zynq",
        tcl: include_str!("../../../constraints/vivado/ps_zynq.tcl"),
        overlays: [
            ("tmv_boot.dtso", include_str!("../../../constraints/linux/tmv_boot_zynq.dtso")),
            ("tmv.dtso", include_str!("../../../constraints/linux/tmv_zynq.dtso")),
        ],
    },
];

/// Replaces every placeholder `@NAME@` by the value of `NAME`.
pub(crate) fn fill(template: &str, values: &BTreeMap<&str, String>) -> String {
    values.iter().fold(template.to_string(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}
