//! The folder for Vivado: it is complete and correct, and its scripts detect errors. The tests do not run Vivado
//! itself; `constraints/check` has stubs of its commands.
#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod trials;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use assert_cmd::cargo::cargo_bin;
use cost::board::BOARDS;
use golden::Codec;
use handoff::Folder;
use libtest_mimic::{Arguments, Trial};
use program::folder::NewFolder;
use roxmltree::{Document, Node};
use sha2::{Digest, Sha256};
use soft_core::core::Core;
use tempfile::TempDir;
use tmv::regs;
use verilated::Builder;

/// One board of each kind of processing system.
const KINDS: [&str; 2] = ["kv260", "pynq-z2"];

fn folder(board: &str) -> Folder {
    Folder::new(board, Codec::WeightsBase3, None, None).unwrap_or_else(|failure| panic!("{}", failure))
}

/// Writes the folder for a board to a temporary place. Returns the guard of that place and the path of the folder.
fn written(board: &str) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("handoff");
    let out = NewFolder::new("--out", &path).unwrap_or_else(|failure| panic!("{}", failure));
    folder(board).write(out).unwrap_or_else(|failure| panic!("{}", failure));
    (parent, path)
}

fn text(folder: &Folder, name: &str) -> String {
    String::from_utf8(folder.files[name].clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn has_program(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// A test that needs some programs.
fn trial(name: &str, needs: &[&str], body: fn()) -> Trial {
    let missing = needs.iter().find(|tool| !has_program(tool));
    trials::trial(name, missing.map(|tool| (*tool).to_owned()), body)
}

/// The same for a test of a whole system, whose firmware is built.
fn of_system(name: &str, needs: &[&str], body: fn()) -> Trial {
    match trials::missing_target(Core::VexRiscv) {
        None => trial(name, needs, body),
        missing => trials::trial(name, missing, body),
    }
}

fn main() -> ExitCode {
    let trials = vec![
        trial("every_board_gets_a_whole_folder", &[], every_board_gets_a_whole_folder),
        trial("mistakes_are_told", &[], mistakes_are_told),
        trial("every_script_runs_against_the_stubs", &["tclsh"], every_script_runs_against_the_stubs),
        trial("the_stubs_notice_what_is_wrong", &["tclsh"], the_stubs_notice_what_is_wrong),
        trial("a_build_that_failed_says_so", &["tclsh"], a_build_that_failed_says_so),
        trial("a_missed_clock_leaves_a_slower_bitstream", &["tclsh"], a_missed_clock_leaves_a_slower_bitstream),
        trial("the_xsa_has_a_bitstream_only_from_a_run", &["tclsh"], the_xsa_has_a_bitstream_only_from_a_run),
        trial("every_name_of_a_folder_is_taken", &["tclsh"], every_name_of_a_folder_is_taken),
        trial("the_firmware_is_whole", &["tclsh", "sh"], the_firmware_is_whole),
        trial("the_wrapper_is_clean_and_is_the_boards_unit", &[], the_wrapper_is_clean_and_is_the_boards_unit),
        trial("a_broken_wrapper_is_not_clean", &[], a_broken_wrapper_is_not_clean),
        trial("parameters_have_parentheses", &[], parameters_have_parentheses),
        trial("the_register_map_is_the_drivers", &[], the_register_map_is_the_drivers),
        trial("the_ip_xact_component_is_well_formed", &[], the_ip_xact_component_is_well_formed),
        trial("the_core_file_lists_every_file", &[], the_core_file_lists_every_file),
        trial("the_overlays_compile_and_apply", &["dtc"], the_overlays_compile_and_apply),
        trial("the_c_header_is_the_drivers", &["cc"], the_c_header_is_the_drivers),
        of_system("a_whole_system_is_built", &["tclsh", "dtc", "cc"], a_whole_system_is_built),
        of_system("mistakes_in_a_system_are_noticed", &["tclsh"], mistakes_in_a_system_are_noticed),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn sim(arguments: &[&str]) -> Output {
    Command::new(cargo_bin("sim")).args(arguments).output().unwrap()
}

/// Every file below `folder`: its name with `/`, and its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().into(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn every_board_gets_a_whole_folder() {
    let parent = tempfile::tempdir().unwrap();
    let repository = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    for board in BOARDS.iter() {
        let out = parent.path().join(&board.name);
        let output = sim(&["handoff", "--board", &board.name, "--out", out.to_str().unwrap()]);
        assert!(output.status.success(), "{}: {}", board.name, said(&output));
        let mut found = files(&out);

        let sums = String::from_utf8(found.remove("SHA256SUMS").unwrap()).unwrap();
        let expected: Vec<String> =
            found.iter().map(|(name, content)| format!("{}  {name}", hex::encode(Sha256::digest(content)))).collect();
        assert_eq!(sums.lines().collect::<Vec<_>>(), expected, "{}", board.name);

        for (name, content) in &found {
            let text = String::from_utf8_lossy(content);
            assert!(!text.contains(repository.to_str().unwrap()), "{}: {name} names this machine", board.name);
            let marker = text
                .split('@')
                .skip(1)
                .step_by(2)
                .find(|word| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
            assert_eq!(marker, None, "{}: {name} has a placeholder that was not filled", board.name);
        }
        let list = fs::read_to_string(rtl::dir().join("ternary/tmv_files.f")).unwrap();
        for path in list.lines().filter(|l| l.ends_with(".sv")) {
            let name = path.rsplit('/').next().unwrap();
            assert_eq!(found[&format!("rtl/{name}")], fs::read(rtl::dir().join(path)).unwrap(), "{path}");
        }
        let readme = String::from_utf8_lossy(&found["README.md"]).into_owned();
        assert!(readme.contains("was run in Vivado") && readme.contains("Not checked"), "the README is honest");
        for name in
            found.keys().filter(|name| !name.contains('/') && !name.starts_with("LICENSE") && *name != "README.md")
        {
            assert!(readme.contains(name.as_str()), "README.md does not mention {name}");
        }
    }
    assert_eq!(fs::read_dir(&parent).unwrap().count(), BOARDS.len(), "nothing else is left behind");
}

fn mistakes_are_told() {
    let parent = tempfile::tempdir().unwrap();
    let path = |name: &str| parent.path().join(name).to_str().unwrap().to_string();
    let fails = |arguments: &[&str], code: i32, parts: &[&str]| {
        let output = sim(arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "{arguments:?}: {part} is not in: {said}"));
    };
    fails(&["handoff", "--board", "arty", "--out", &path("a")], 2, &["arty", "kv260", "zedboard", "pynq-z2"]);
    fails(&["handoff"], 2, &["--out"]);
    fs::create_dir(path("full")).unwrap();
    fs::write(path("full") + "/mine", "mine").unwrap();
    fails(&["handoff", "--out", &path("full")], 2, &["full", "not empty"]);
    fails(&["handoff", "--out", &(path("full") + "/mine")], 2, &["not a folder"]);
    fails(&["handoff", "--out", "/dev/null/such"], 2, &["/dev/null/such", "cannot write"]);
    assert_eq!(fs::read_to_string(path("full") + "/mine").unwrap(), "mine");
    assert_eq!(fs::read_dir(&parent).unwrap().count(), 1, "nothing half-written");

    fs::create_dir(path("empty")).unwrap();
    assert!(
        sim(&["handoff", "--board", "ZEDBOARD", "--out", &path("empty")]).status.success(),
        "an empty folder is fine"
    );
    assert!(sim(&["handoff", "--board", "help"]).status.success());

    // Missing RTL, and RTL that the generator of the wrapper does not understand.
    let with_rtl = |rtl: &str| {
        Command::new(cargo_bin("sim")).env("TMV_RTL_DIR", rtl).args(["handoff", "--out", &path("y")]).output().unwrap()
    };
    let missing = with_rtl(&path("none"));
    assert_eq!((missing.status.code(), said(&missing).contains("tmv_files.f")), (Some(3), true), "{}", said(&missing));
    for room in ["prim", "axi", "ternary"] {
        let copy = Path::new(&path("rtl")).join(room);
        fs::create_dir_all(&copy).unwrap();
        let files = fs::read_dir(rtl::dir().join(room)).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file());
        files.for_each(|file| _ = fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap());
    }
    let unit = path("rtl") + "/ternary/tmv_unit.sv";
    let source = fs::read_to_string(&unit).unwrap();
    // What the attributes of the wrapper say is read from the RTL.
    for (file, from, to, parts) in [
        (
            "ternary/tmv_unit.sv",
            "Outstanding = 8",
            "Outstanding = 4",
            ["NUM_READ_OUTSTANDING 8, NUM_READ_THREADS 2", ".Outstanding(4)"],
        ),
        (
            "ternary/tmv_writer.sv",
            "Outstanding = 8",
            "Outstanding = 2",
            ["NUM_WRITE_OUTSTANDING 2, NUM_WRITE", ".Outstanding(8)"],
        ),
        ("axi/tmv_axi_pkg.sv", "BurstBeats = 16", "BurstBeats = 8", ["MAX_BURST_LENGTH 8,", ".Outstanding(8)"]),
    ] {
        let file = Path::new(&path("rtl")).join(file);
        let source = fs::read_to_string(&file).unwrap();
        assert!(source.contains(from), "{}: {from}", file.display());
        fs::write(&file, source.replace(from, to)).unwrap();
        let out = path("changed");
        let output = Command::new(cargo_bin("sim"))
            .env("TMV_RTL_DIR", path("rtl"))
            .args(["handoff", "--out", &out])
            .output()
            .unwrap();
        assert!(output.status.success(), "{to}: {}", said(&output));
        let wrapper = fs::read_to_string(Path::new(&out).join("rtl/tmv_wrapper.v")).unwrap();
        parts.iter().for_each(|part| assert!(wrapper.contains(part), "{to}: {part} is not in the wrapper"));
        fs::remove_dir_all(&out).unwrap();
        fs::write(&file, source).unwrap();
    }
    fs::write(
        &unit,
        source.replacen(
            "output logic                             irq_o",
            "output logic debug_o,\n  output logic irq_o",
            1,
        ),
    )
    .unwrap();
    let strange = with_rtl(&path("rtl"));
    assert_eq!((strange.status.code(), said(&strange).contains("debug_o")), (Some(3), true), "{}", said(&strange));
}

/// Runs a script under `tclsh`, with the stubs.
fn tcl(folder: &Path, script: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new("tclsh");
    command.current_dir(folder).arg("check/run.tcl").args(script).envs(environment.iter().copied());
    command.output().unwrap()
}

fn every_script_runs_against_the_stubs() {
    for board in BOARDS.iter() {
        let (_parent, path) = written(&board.name);
        for (script, calls) in [
            (
                &["build.tcl", "ooc"][..],
                &[
                    "read_verilog",
                    "read_xdc",
                    "synth_design",
                    "create_clock",
                    "route_design",
                    "report_utilization",
                    "report_timing_summary",
                    "report_cdc",
                    "report_drc",
                    "get_timing_paths",
                ][..],
            ),
            (
                &["build.tcl", "system"],
                &[
                    "ipx::package_project",
                    "create_bd_design",
                    "validate_bd_design",
                    "synth_design",
                    "report_cdc",
                    "write_bitstream",
                    "write_hw_platform",
                ],
            ),
            (&["build.tcl", "project"], &["launch_runs", "open_run", "report_timing_summary", "write_hw_platform"]),
            (&["package_ip.tcl"], &["ipx::package_project", "ipx::save_core"]),
            (&["block_design.tcl"], &["create_bd_cell", "assign_bd_address", "save_bd_design"]),
        ] {
            let output = tcl(&path, script, &[]);
            let said = said(&output);
            assert!(output.status.success(), "{}: {script:?}: {said}", board.name);
            for call in calls {
                assert!(said.lines().any(|line| line.starts_with(call)), "{}: {script:?}: no {call}", board.name);
            }
        }
        for name in ["tmv.bit", "tmv.xsa", "tmv.hwh", "reports/summary.txt", "reports/cdc.rpt", "reports/drc.rpt"] {
            assert!(path.join("build/system").join(name).is_file(), "{}: no {name}", board.name);
        }
        // As many ports are connected as the unit has, and each of them to memory.
        let calls = said(&tcl(&path, &["block_design.tcl"], &[]));
        // UltraScale+: the HP port itself. Zynq-7000: a converter to AXI3.
        let connected = |port: usize| {
            let to = match board.family.port_bits {
                128 => format!("ps/S_AXI_HP{port}_FPD"),
                _ => format!("memory_{port}/S00_AXI"),
            };
            calls.lines().any(|line| line == format!("connect_bd_intf_net tmv_0/M_AXI_{port} {to}"))
        };
        assert!((0..board.family.ports.value).all(connected) && !connected(board.family.ports.value), "{}", board.name);
    }
}

/// A fault to plant: file, text, its replacement, script to run, part of the expected message.
type Fault = (&'static str, &'static str, &'static str, &'static [&'static str], &'static str);

fn the_stubs_notice_what_is_wrong() {
    let (ooc, system): (&[&str], &[&str]) = (&["build.tcl", "ooc"], &["build.tcl", "system"]);
    let faults: &[Fault] = &[
        // Ports of the unit and of the wrapper.
        ("rtl/tmv_unit.sv", "s_axil_wstrb,", "s_axil_strobe,", ooc, "no port s_axil_wstrb"),
        ("rtl/tmv_unit.sv", "s_axil_wstrb,", "s_axil_strobe,", system, "no port s_axil_wstrb"),
        (
            "rtl/tmv_unit.sv",
            "parameter int unsigned Groups",
            "parameter int unsigned Turns",
            ooc,
            "no parameter Groups",
        ),
        ("rtl/tmv_wrapper.v", "    .irq_o(irq),\n", "", ooc, "irq_o of tmv_unit is not connected"),
        ("rtl/tmv_wrapper.v", "M_AXI_1 ARVALID", "M_AXI_1 ARVALIDX", system, "M_AXI_1 has no ARVALID"),
        ("rtl/tmv_wrapper.v", "M_AXI_1 ARREADY", "M_AXI_2 ARREADY", system, "M_AXI_2 has two ports for ARREADY"),
        ("rtl/tmv_wrapper.v", "input  wire clk,", "input  wire clock,", ooc, "no port clk"),
        ("rtl/tmv_wrapper.v", "input  wire clk,", "input  wire clock,", system, "no pin clk"),
        ("rtl/tmv_wrapper.v", "S_AXIL:M_AXI_0:", "S_AXIL:", system, "and there is M_AXI_0"),
        ("rtl/tmv_wrapper.v", "[11:0] s_axil_araddr", "[10:0] s_axil_araddr", ooc, "has 11 bits"),
        ("rtl/tmv_wrapper.v", "module tmv_wrapper", "module wrapper", ooc, "no module tmv_wrapper"),
        // Files.
        ("rtl/tmv_files.f", "tmv_fifo.sv", "tmv_queue.sv", ooc, "tmv_queue.sv is missing"),
        ("rtl/tmv_unit.sv", "tmv_macros.svh", "tmv_macro.svh", ooc, "includes tmv_macro.svh"),
        ("build.tcl", "tmv.xdc", "unit.xdc", ooc, "no such file"),
        // Constraints.
        ("tmv.xdc", "get_ports clk", "get_ports clk_i", ooc, "no port clk_i"),
        ("tmv.xdc", "get_ports clk", "get_ports rst_n", ooc, "is on rst_n"),
        ("tmv.xdc", "create_clock", "#create_clock", ooc, "0 clocks"),
        ("tmv.xdc", "create_clock", "create_klock", ooc, "create_klock"),
        // Commands and their options.
        ("build.tcl", "    route_design", "    rout_design", ooc, "no stub for the command rout_design"),
        ("build.tcl", "-details", "-detail", ooc, "no option -detail"),
        (
            "build.tcl",
            "    synth_design -top tmv_design_wrapper",
            "    synth_design -top system",
            system,
            "no module system",
        ),
        // Parameters, cells, pins, interfaces, addresses.
        ("board.tcl", "{Vectors ", "{Vector ", system, "no parameter Vector"),
        ("board.tcl", " hp3}", "}", system, "tmv_0/M_AXI_3 is not connected"),
        ("board.tcl", "port_bits ", "port_bits 32;#", system, " and 32"),
        ("block_design.tcl", "tmv_0/$interrupts]", "tmv_0/interrupt]", system, "no pin interrupt"),
        (
            "block_design.tcl",
            "connect_bd_net [get_bd_pins tmv_0/$interrupts]",
            "list [get_bd_pins tmv_0/$interrupts]",
            system,
            "goes nowhere",
        ),
        ("block_design.tcl", "{tmv_0/rst_n control_0/aresetn}", "tmv_0/rst_n", system, "aresetn is not driven"),
        // Without this, what Vivado gives: a second slave interface, a checkpoint for each IP.
        ("block_design.tcl", "CONFIG.NUM_SI 1 ", "", system, "S01_AXI is not connected"),
        ("build.tcl", "set_property synth_checkpoint_mode None", "list", system, "black boxes"),
        ("block_design.tcl", "    tmv::set_board\n", "", system, "the project has no board"),
        // Types of files.
        ("package_ip.tcl", "    tmv::mark_headers\n", "", system, "expected Verilog Header"),
        ("build.tcl", "    tmv::mark_headers\n", "", ooc, "expected Verilog Header"),
        ("package_ip.tcl", "[tmv::header_files] [tmv", "[tmv", system, "no file tmv_macros.svh in the project"),
        ("build.tcl", "concat [tmv::header_files] ", "concat ", ooc, "no file tmv_macros.svh in the project"),
        (
            "build.tcl",
            "read_verilog -sv [tmv::unit_files]",
            "read_verilog [tmv::unit_files]",
            ooc,
            "expected SystemVerilog",
        ),
        ("package_ip.tcl", "include_dirs [list $rtl]", "include_dirs {}", system, "missing in the include folders"),
        // Attributes of the interfaces.
        ("rtl/tmv_wrapper.v", "NUM_READ_OUTSTANDING 8,", "NUM_READS 8,", system, "has no NUM_READ_OUTSTANDING"),
        ("rtl/tmv_wrapper.v", "HAS_CACHE 1", "HAS_CACHE 0", ooc, "has HAS_CACHE 0"),
        ("rtl/tmv_wrapper.v", "HAS_REGION 0", "HAS_REGION 1", ooc, "has HAS_REGION 1"),
        ("rtl/tmv_wrapper.v", "[5:0] m_axi_1_arid", "[3:0] m_axi_1_arid", system, "expected 6"),
        ("rtl/tmv_wrapper.v", "ID_WIDTH 6", "ID_WIDTH 7", ooc, "expected 7"),
        ("block_design.tcl", "tmv_0/M_AXI_$p", "tmv_0/M_AXI$p", system, "no interface M_AXI0"),
        ("block_design.tcl", "$name/M00_AXI", "$name/M01_AXI", system, "no interface M01_AXI"),
        ("block_design.tcl", "segments $port", "segments hp0", system, "is given"),
        ("block_design.tcl", "*DDR*", "*QSPI*", system, "exclude_bd_addr_seg: that is the memory"),
        ("block_design.tcl", "CONFIG.NUM_SI", "CONFIG.NUM_SLAVES", system, "NUM_SLAVES is not known"),
        ("block_design.tcl", "ip:smartconnect", "ip:smart_connect", system, "no stub for the IP"),
        ("ps.tcl", "{ return ps/", "{ return cpu/", system, "no cell cpu"),
        ("ps.tcl", "_DATA_WIDTH $port_bits", "_DATA_WIDTH 32", system, " and 32"),
        ("package_ip.tcl", "top tmv_wrapper", "top tmv_unit", system, "the top is tmv_unit"),
    ];
    // Faults of one kind of processing system.
    let ultrascale: &[Fault] = &[
        ("ps.tcl", "CONFIG.PSU__USE__M_AXI_GP1 0 \\\n", "\\\n", system, "maxihpm1_fpd_aclk is not driven"),
        ("ps.tcl", "CONFIG.PSU__USE__IRQ0 1", "CONFIG.PSU__USE__IRQ0 0", system, "no pin pl_ps_irq0"),
        ("block_design.tcl", "lappend clocked [tmv::ps_pin memory_clock $port]", "", system, "saxihp"),
    ];
    let zynq: &[Fault] = &[
        ("ps.tcl", "return 0\n", "return 1\n", system, "protocol AXI3 and AXI4"),
        ("ps.tcl", "CONFIG.PCW_USE_FABRIC_INTERRUPT 1", "CONFIG.PCW_USE_FABRIC_INTERRUPT 0", system, "no pin IRQ_F2P"),
        ("block_design.tcl", "lappend reset memory_$p/aresetn", "", system, "aresetn is not driven"),
    ];
    for (board, only) in KINDS.into_iter().zip([ultrascale, zynq]) {
        for fault in faults.iter().chain(only) {
            let (_parent, path) = written(board);
            is_noticed(board, &path, fault);
        }
    }
}

/// Plants a fault in a folder, sees that its script notices it and makes no bitstream, and takes the fault out again.
fn is_noticed(board: &str, path: &Path, (name, from, to, script, message): &Fault) {
    let source = fs::read_to_string(path.join(name)).unwrap();
    assert!(source.contains(from), "{board}: {name} does not say {from}");
    fs::write(path.join(name), source.replace(from, to)).unwrap();
    let output = tcl(path, script, &[]);
    let (said, fault) = (said(&output), format!("{board}: {from} as {to} in {name}"));
    assert_eq!(output.status.code(), Some(1), "{fault} was not noticed: {said}");
    assert!(!message.is_empty() && said.contains(message), "{fault}: {message} is not in: {said}");
    assert!(!path.join("build/system/tmv.bit").exists(), "{fault}: there is a bitstream");
    fs::write(path.join(name), source).unwrap();
}

fn a_build_that_failed_says_so() {
    let (_parent, path) = written("kv260");
    for mode in ["ooc", "system", "project"] {
        let output = tcl(&path, &["build.tcl", mode], &[("TMV_STUB_HEADERS", "0")]);
        let packaged = mode != "ooc";
        assert_eq!(output.status.success(), !packaged, "{mode}: {}", said(&output));
        assert_eq!(said(&output).contains("left tmv_macros.svh out"), packaged, "{mode}: {}", said(&output));
        for (variable, value, message) in [
            ("TMV_STUB_HOLD", "-0.2", "timing is not met: hold -0.2 ns"),
            ("TMV_STUB_SETUP", "none", "no setup path is constrained"),
            ("TMV_STUB_SETUP", "", "has no slack"),
            ("TMV_STUB_SETUP", "inf", "has no slack"),
            ("TMV_STUB_TIMING", "Timing constraints are not met.", "timing is not met"),
            ("TMV_STUB_VERSION", "2019.1", "TMV_IGNORE_VIVADO_VERSION=1"),
        ] {
            let output = tcl(&path, &["build.tcl", mode], &[(variable, value)]);
            let said = said(&output);
            assert_eq!(output.status.code(), Some(1), "{mode}, {variable}={value}: {said}");
            assert!(said.contains(message), "{mode}, {variable}={value}: {message} is not in: {said}");
            let bitstreams: Vec<String> = files(&path).into_keys().filter(|name| name.ends_with(".bit")).collect();
            assert!(bitstreams.is_empty(), "{mode}, {variable}={value}: {bitstreams:?}, and timing is missed");
        }
    }
    let old = [("TMV_STUB_VERSION", "2019.1"), ("TMV_IGNORE_VIVADO_VERSION", "1")];
    assert!(tcl(&path, &["build.tcl", "ooc"], &old).status.success(), "the override lets an old version pass");
    for (version, warned) in [("2022.1", false), ("2024.2.1", false), ("2025.1", true), ("2031.2.1", true)] {
        let output = tcl(&path, &["build.tcl", "ooc"], &[("TMV_STUB_VERSION", version)]);
        assert!(output.status.success(), "{version}: {}", said(&output));
        assert_eq!(said(&output).contains("is newer than 2024.2"), warned, "{version}: {}", said(&output));
    }
    let boards = said(&tcl(&path, &["build.tcl", "system"], &[("TMV_STUB_BOARDS", "0")]));
    assert!(boards.contains("no board files for kv260") && boards.contains("TMV_BOARD_PART"), "{boards}");
    let named = [("TMV_STUB_BOARDS", "0"), ("TMV_BOARD_PART", "xilinx.com:kv260_som:part0:1.2")];
    let named = said(&tcl(&path, &["build.tcl", "system"], &named));
    assert!(named.contains("set_property board_part xilinx.com:kv260_som:part0:1.2"), "{named}");
    let carrier = said(&tcl(&path, &["build.tcl", "system"], &[("TMV_BOARD_CONNECTIONS", "som carrier:2.0")]));
    assert!(carrier.contains("set_property board_connections {som carrier:2.0}"), "{carrier}");
    for script in [&["build.tcl"][..], &["build.tcl", "fast"]] {
        let output = tcl(&path, script, &[]);
        assert!(output.status.code() == Some(1) && said(&output).contains("usage"), "{}", said(&output));
    }
}

/// A missed clock leaves a bitstream for a slower clock, with an overlay that sets it, and nothing for the faster one.
fn a_missed_clock_leaves_a_slower_bitstream() {
    // The clock that the processing system gives, a slack, and the next clock of its PLL that the design meets.
    for (board, slack, reached, place, rate) in [
        ("kv260", "-0.001", "214.24", "at_187_mhz", 187_500_000),
        ("kv260", "-1.2", "170.45", "at_166_mhz", 166_670_000),
        ("pynq-z2", "-0.5", "133.33", "at_125_mhz", 125_010_000),
    ] {
        let (_parent, path) = written(board);
        for mode in ["ooc", "system", "project"] {
            let output = tcl(&path, &["build.tcl", mode], &[("TMV_STUB_SETUP", slack)]);
            let said = said(&output);
            assert_eq!(output.status.code(), Some(1), "{board}, {mode}: {said}");
            assert!(said.contains("timing is not met at "), "{board}, {mode}: {said}");
            let build = path.join("build").join(mode);
            let claims: Vec<String> = files(&build)
                .into_keys()
                .filter(|name| [".bit", ".xsa", "tmv.hwh", ".dtso"].iter().any(|end| name.ends_with(end)))
                .collect();
            if mode == "ooc" {
                assert!(claims.is_empty() && said.contains("the unit alone reaches"), "{board}: {claims:?}, {said}");
                continue;
            }
            assert!(said.contains(&format!("the design reaches {reached} MHz")), "{board}, {mode}: {said}");
            assert_eq!(claims, [format!("{place}/tmv.bit"), format!("{place}/tmv.dtso")], "{board}, {mode}: {said}");
            let overlay = fs::read_to_string(build.join(place).join("tmv.dtso")).unwrap();
            assert!(overlay.contains(&format!("assigned-clock-rates = <{rate}>;")), "{board}: {overlay}");
        }
    }
    // No clock of the PLL is slow enough.
    let (_parent, path) = written("kv260");
    let output = tcl(&path, &["build.tcl", "system"], &[("TMV_STUB_SETUP", "-100")]);
    assert!(output.status.code() == Some(1) && said(&output).contains("has no such clock"), "{}", said(&output));
    assert!(files(&path).keys().all(|name| !name.ends_with(".bit")));
}

/// The hardware description does not depend on a run: without one, Vivado cannot put the bitstream into it.
fn the_xsa_has_a_bitstream_only_from_a_run() {
    let (_parent, path) = written("kv260");
    let xsa = |mode: &str| {
        let calls = said(&tcl(&path, &["build.tcl", mode], &[]));
        let line = calls.lines().find(|line| line.starts_with("write_hw_platform"));
        line.unwrap_or_else(|| panic!("{calls}")).contains("include_bit")
    };
    assert_eq!((xsa("system"), xsa("project")), (false, true));
    let build = fs::read_to_string(path.join("build.tcl")).unwrap();
    fs::write(path.join("build.tcl"), build.replace("$folder {}", "$folder -include_bit")).unwrap();
    let output = tcl(&path, &["build.tcl", "system"], &[]);
    assert_eq!((output.status.code(), said(&output).contains("Unable to get BIT file")), (Some(1), true));
}

/// Vivado's lists and Tcl's substitutions take every name of a folder as it is.
fn every_name_of_a_folder_is_taken() {
    for board in KINDS {
        for name in [
            "a b", " a  b ", "b[exit]", "c{d", "e}f", "$g", "${h}", "i;j", "k\"l", "#m", "n'o", "-p", "*", "q?r", "~s",
            "ä",
        ] {
            let parent = tempfile::tempdir().unwrap();
            let path = parent.path().join(name).join(name);
            fs::create_dir(parent.path().join(name)).unwrap();
            let out = NewFolder::new("--out", &path).unwrap_or_else(|failure| panic!("{}", failure));
            folder(board).write(out).unwrap_or_else(|failure| panic!("{}", failure));
            let scripts: &[&[&str]] = &[
                &["build.tcl", "ooc"],
                &["build.tcl", "system"],
                &["build.tcl", "project"],
                &["package_ip.tcl"],
                &["block_design.tcl"],
            ];
            for script in scripts {
                let output = tcl(&path, script, &[]);
                assert!(output.status.success(), "{board}, {name:?}: {script:?}: {}", said(&output));
            }
            // From another folder, and with a clock that is missed.
            let mut elsewhere = Command::new("tclsh");
            elsewhere.current_dir("/").arg(path.join("check/run.tcl")).arg(path.join("build.tcl")).arg("system");
            let output = elsewhere.env("TMV_STUB_SETUP", "-0.5").output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{board}, {name:?}: {}", said(&output));
            assert!(files(&path).keys().any(|file| file.ends_with("_mhz/tmv.bit")), "{name:?}: {}", said(&output));
        }
    }
}

/// Beside a bitstream is what Linux needs to load it.
fn the_firmware_is_whole() {
    for (board, arch, bif, rate) in [
        ("kv260", "zynqmp", "[destination_device = pl] tmv.bit", 214_290_000),
        ("pynq-z2", "zynq", "tmv.bit", 142_860_000),
    ] {
        let (parent, path) = written(board);
        let build = |bootgen: &str| {
            let tools = parent.path().join("tools");
            fs::create_dir_all(&tools).unwrap();
            fs::write(tools.join("bootgen"), format!("#!/bin/sh\n{bootgen}\n")).unwrap();
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(tools.join("bootgen"), permissions).unwrap();
            let search = std::env::var("PATH").unwrap();
            let output = tcl(
                &path,
                &["build.tcl", "system"],
                &[("PATH", &if bootgen.is_empty() { search } else { format!("{}:{search}", tools.display()) })],
            );
            assert!(output.status.success(), "{board}: {}", said(&output));
            said(&output)
        };
        // bootgen is asked for what UG1283 says, and names its output after the bitstream.
        let said = build("echo noise >&2; cp tmv.bit tmv.bit.bin; echo \"$@\" >arguments");
        assert!(!said.contains("WARNING"), "{board}: {said}");
        let read = |name: &str| fs::read_to_string(path.join("build/system").join(name)).unwrap();
        assert_eq!(read("arguments").trim(), format!("-arch {arch} -image tmv.bif -process_bitstream bin -w"));
        assert_eq!(read("tmv.bit.bin"), read("tmv.bit"));
        let bif: Vec<String> = ["all:", "{", bif, "}"].map(String::from).to_vec();
        assert_eq!(read("tmv.bif").lines().map(str::trim).collect::<Vec<_>>(), bif);
        let shell: serde_json::Value = serde_json::from_str(&read("shell.json")).unwrap();
        assert_eq!(shell["shell_type"], "XRT_FLAT");
        // Just above a clock of the PLL, so that Linux takes this one.
        assert!(read("tmv.dtso").contains(&format!("assigned-clock-rates = <{rate}>;")), "{board}");
        assert!(read("tmv.dtso").contains("firmware-name = \"tmv.bit.bin\";"), "{board}");
        // A bitstream without bootgen is no failure, but it is told.
        assert!(build("echo broken; exit 1").contains("bootgen made no tmv.bit.bin"), "{board}");
        if !has_program("bootgen") {
            assert!(build("").contains("there is no bootgen in PATH"), "{board}");
        }
    }
}

/// The warnings and errors of Verilator's lint for the wrapper and all modules below it; empty if there are none.
fn lint(folder: &Path) -> String {
    let verilator = Builder::new().find_verilator(&mut |step| eprintln!("{step}")).unwrap();
    let mut command = Command::new(verilator.program());
    if verilator.program().ends_with("bin/verilator_bin") {
        command.env("VERILATOR_ROOT", verilator.program().ancestors().nth(2).unwrap());
    }
    // The wrapper is read as Verilog 2001, the unit as SystemVerilog.
    command.args(["--lint-only", "-Wall", "--assert", "+1364-2001ext+v", "--top-module", "tmv_wrapper"]);
    command.arg(format!("-I{}", folder.join("rtl").display()));
    for waiver in ["verilator", "vector", "sequencer", "system"] {
        command.arg(rtl::dir().join(format!("lint/{waiver}_waiver.vlt")));
    }
    let list = fs::read_to_string(folder.join("rtl/tmv_files.f")).unwrap();
    command.args(list.lines().filter(|line| !line.starts_with("//")).map(|line| folder.join("rtl").join(line)));
    let output = command.arg(folder.join("rtl/tmv_wrapper.v")).output().unwrap();
    let said = said(&output);
    if output.status.success() && !said.contains("%Warning") { String::new() } else { said }
}

fn the_wrapper_is_clean_and_is_the_boards_unit() {
    for board in BOARDS.iter() {
        let (_parent, path) = written(&board.name);
        assert_eq!(lint(&path), "", "{}", board.name);
        let wrapper = fs::read_to_string(path.join("rtl/tmv_wrapper.v")).unwrap();
        let (vectors, groups) = (board.vectors, board.groups);
        for part in [
            format!("parameter integer Vectors = {vectors},"),
            format!("parameter integer Groups = {groups},"),
            "parameter integer Codec = 1,".into(),
            format!(".Ports({}),", board.family.ports.value),
            format!(".PortBits({}),", board.family.port_bits),
            ".Vectors(Vectors),".into(),
            ".Groups(Groups),".into(),
            ".Codec(Codec),".into(),
        ] {
            assert!(wrapper.contains(&part), "{}: {part} is not in the wrapper", board.name);
        }
        let settings = fs::read_to_string(path.join("board.tcl")).unwrap();
        assert!(settings.contains(&format!("{{Vectors {vectors} Groups {groups} Codec 1 ")), "{settings}");
        // A clock that decoding makes full use of, not the one that projections assume.
        let clock = if board.family.port_bits == 128 { 215.0 } else { board.clock_mhz.value };
        assert!(settings.contains(&format!("clock_mhz {clock}\n")), "{settings}");
        let xdc = fs::read_to_string(path.join("tmv.xdc")).unwrap();
        assert!(xdc.contains(&format!("-period {:.3} ", 1e3 / clock)), "{xdc}");
    }
    // The traffic is that of the RTL: two read streams on port 0, one on the others.
    let wrapper = text(&folder("kv260"), "rtl/tmv_wrapper.v");
    for part in [
        "XIL_INTERFACENAME M_AXI_0, PROTOCOL AXI4, DATA_WIDTH 128, ADDR_WIDTH 40, ID_WIDTH 6, READ_WRITE_MODE READ_WRITE",
        "MAX_BURST_LENGTH 16, SUPPORTS_NARROW_BURST 0, NUM_READ_OUTSTANDING 16, NUM_READ_THREADS 2, \
         NUM_WRITE_OUTSTANDING 8, NUM_WRITE_THREADS 1\"",
        "MAX_BURST_LENGTH 16, SUPPORTS_NARROW_BURST 0, NUM_READ_OUTSTANDING 8, NUM_READ_THREADS 1\"",
        "MAX_BURST_LENGTH 1, SUPPORTS_NARROW_BURST 0, NUM_READ_OUTSTANDING 1, NUM_READ_THREADS 1, \
         NUM_WRITE_OUTSTANDING 1, NUM_WRITE_THREADS 1\"",
        "assign m_axi_3_arid[5:1] = 5'd0;",
        ".Outstanding(8),",
    ] {
        assert!(wrapper.contains(part), "{part} is not in the wrapper");
    }
    let two_bit = Folder::new("kv260", Codec::Weights2b, Some(300.0), None).unwrap_or_else(|f| panic!("{}", f));
    assert!(text(&two_bit, "rtl/tmv_wrapper.v").contains("parameter integer Codec = 0,"));
    assert!(text(&two_bit, "tmv.xdc").contains("-period 3.333 "));
}

/// The lint is active.
fn a_broken_wrapper_is_not_clean() {
    let (_parent, path) = written("pynq-z2");
    let wrapper = path.join("rtl/tmv_wrapper.v");
    let source = fs::read_to_string(&wrapper).unwrap();
    for (from, to) in [
        (".rst_ni(rst_n)", ".rst_n(rst_n)"),
        ("[63:0] m_axi_2_rdata", "[62:0] m_axi_2_rdata"),
        ("module tmv_wrapper", "module tmv_wrapper import tmv_pkg::*;"),
    ] {
        assert!(source.contains(from));
        fs::write(&wrapper, source.replacen(from, to, 1)).unwrap();
        assert_ne!(lint(&path), "", "{from} as {to}");
    }
}

/// Other front ends require parentheses for parameters, but Verilator does not.
fn parameters_have_parentheses() {
    for (name, content) in folder("kv260").files.iter().filter(|(name, _)| name.ends_with(".sv")) {
        for (i, line) in String::from_utf8_lossy(content).lines().enumerate() {
            let word = line.trim().trim_end_matches(',');
            let short = word.strip_prefix('.').is_some_and(|w| {
                w.starts_with(|c: char| c.is_ascii_uppercase()) && w.chars().all(|c| c.is_ascii_alphanumeric())
            });
            assert!(!short, "{name}:{}: {word} is not SystemVerilog: write {word}(...)", i + 1);
        }
    }
}

fn the_register_map_is_the_drivers() {
    let folder = folder("kv260");
    assert_eq!(text(&folder, "registers/tmv_regs.rs"), include_str!("../../host/tmv/src/regs.rs"));

    let json: serde_json::Value = serde_json::from_slice(&folder.files["registers/tmv_regs.json"]).unwrap();
    assert_eq!(json["hash"], regs::MAP_HASH_VALUE);
    let found = json["registers"].as_array().unwrap();
    let found: Vec<(&str, u64, &str)> = found
        .iter()
        .map(|r| (r["name"].as_str().unwrap(), r["offset"].as_u64().unwrap(), r["access"].as_str().unwrap()))
        .collect();
    assert_eq!(found, regs::REGISTERS.iter().map(|r| (r.0, u64::from(r.1), r.2)).collect::<Vec<_>>());
    assert_eq!(json["errors"].as_array().unwrap().len(), regs::ERRORS.len());
}

/// The values of the C header equal those of the driver. The C compiler checks them.
fn the_c_header_is_the_drivers() {
    let mut program = String::from("#include \"tmv_regs.h\"\n");
    let mut equal = |name: &str, value: u64| program += &format!("_Static_assert({name} == {value}u, \"{name}\");\n");
    equal("TMV_MAP_HASH_VALUE", regs::MAP_HASH_VALUE.into());
    equal("TMV_MAP_VERSION", regs::MAP_VERSION.into());
    regs::REGISTERS.iter().for_each(|(name, offset, _)| equal(&format!("TMV_{name}"), (*offset).into()));
    regs::ERRORS.iter().for_each(|(code, name, _)| equal(&format!("TMV_ERR_{name}"), (*code).into()));
    equal("TMV_PORT_BEATS_STRIDE", regs::PORT_BEATS_STRIDE.into());
    equal("TMV_PARAM0_VECTORS", regs::PARAM0_VECTORS.into());
    equal("TMV_PARAM0_PORT_BYTES", regs::PARAM0_PORT_BYTES.into());
    equal("TMV_PARAM0_PORT_BYTES_SHIFT", regs::PARAM0_PORT_BYTES.trailing_zeros().into());
    equal("TMV_DESC_TAG", regs::DESC_TAG as u64);
    let (_parent, path) = written("kv260");
    let compile = |program: &str| {
        fs::write(path.join("registers/check.c"), program).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "registers/check.c"]);
        cc.current_dir(&path).output().unwrap()
    };
    let output = compile(&program);
    assert!(output.status.success(), "{}", said(&output));
    let wrong = compile(&(program + "_Static_assert(TMV_RING_TAIL == 0u, \"wrong\");\n"));
    assert!(!wrong.status.success(), "the assertions are alive");
}

/// The folder of a whole system for a board.
fn written_system(board: &str) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a system");
    let output = sim(&["handoff", "--system", "--board", board, "--out", path.to_str().unwrap()]);
    assert!(output.status.success(), "{board}: {}", said(&output));
    (parent, path)
}

/// Every script runs, each memory port has a port of the processing system, and each interrupt a line of it; wrapper and RTL
/// lint clean; overlays and headers compile; and all of it is listed.
fn a_whole_system_is_built() {
    for (board, ports) in [
        ("kv260", &["HP0_FPD", "HP1_FPD", "HP2_FPD", "HP3_FPD", "HPC0_FPD", "HPC1_FPD", "LPD"][..]),
        ("pynq-z2", &["HP0", "HP1", "HP2", "HP3", "ACP", "GP0"]),
    ] {
        let (_parent, path) = written_system(board);
        let calls = said(&tcl(&path, &["block_design.tcl"], &[]));
        for (port, name) in ports.iter().enumerate() {
            let through = [format!("tmv_0/M_AXI_{port}"), format!("memory_{port}/M00_AXI")];
            let found =
                through.iter().any(|from| calls.contains(&format!("connect_bd_intf_net {from} ps/S_AXI_{name}\n")));
            assert!(found, "{board}: M_AXI_{port} to {name}: {calls}");
        }
        for (line, name) in ["irq", "ternary_irq", "vector_irq"].iter().enumerate() {
            assert!(
                calls.contains(&format!("connect_bd_net tmv_0/{name} interrupts_0/In{line}\n")),
                "{board}: {calls}"
            );
        }
        for script in [&["build.tcl", "ooc"][..], &["build.tcl", "system"], &["build.tcl", "project"]] {
            let output = tcl(&path, script, &[]);
            assert!(output.status.success(), "{board}: {script:?}: {}", said(&output));
        }
        assert_eq!(lint(&path), "", "{board}");

        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(&path).output().unwrap();
            assert!(output.status.success() && said(&output).is_empty(), "{board}: {program}: {}", said(&output));
        };
        for overlay in ["tmv_boot", "tmv"] {
            let (from, to) = (format!("{overlay}.dtso"), format!("{overlay}.dtbo"));
            run("dtc", &["-@", "-Wno-avoid_unnecessary_addr_size", "-I", "dts", "-O", "dtb", "-o", &to, &from]);
        }
        // A node for each interrupt: the driver for user space takes the first one of a node.
        let overlay = fs::read_to_string(path.join("tmv.dtso")).unwrap();
        let settings = fs::read_to_string(path.join("board.tcl")).unwrap();
        let base = settings.lines().find_map(|line| line.trim().strip_prefix("variable control_base 0x")).unwrap();
        let (base, first) = (u64::from_str_radix(base, 16).unwrap(), if board == "kv260" { 89 } else { 29 });
        for (name, offset, line) in [("tmv", 0, 1), ("tmv_vec", 0x1000, 2), ("tmv_seq", 0x2000, 0)] {
            let begin = format!("{name}: {name}@{:x} {{", base + offset);
            let node = overlay.split(&begin).nth(1).unwrap_or_else(|| panic!("{overlay}"));
            let node = node.split("};").next().unwrap();
            assert!(node.contains(&format!("interrupts = <0 {} 4>;", first + line)), "{board}: {name}: {node}");
        }
        let mut program =
            String::from("#include \"tmv_regs.h\"\n#include \"tmv_vec_regs.h\"\n#include \"tmv_seq_regs.h\"\n");
        for (name, value) in [
            ("TMV_MAP_HASH_VALUE", regs::MAP_HASH_VALUE),
            ("TMV_VEC_MAP_HASH_VALUE", vector::regs::MAP_HASH_VALUE),
            ("TMV_SEQ_MAP_HASH_VALUE", sequencer::regs::MAP_HASH_VALUE),
            ("TMV_SEQ_JOB", sequencer::regs::JOB),
            ("TMV_VEC_RING_TAIL", vector::regs::RING_TAIL),
        ] {
            program += &format!("_Static_assert({name} == {value}u, \"{name}\");\n");
        }
        fs::write(path.join("registers/check.c"), program).unwrap();
        run("cc", &["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "registers/check.c"]);

        let component = fs::read_to_string(path.join("registers/tmv_wrapper.xml")).unwrap();
        let document = Document::parse(&component).unwrap();
        let blocks = document.descendants().filter(|node| node.tag_name().name() == "baseAddress");
        assert_eq!(blocks.map(|node| number(node.text().unwrap())).collect::<Vec<_>>(), [0, 0x1000, 0x2000]);
        let list = fs::read_to_string(path.join("rtl/tmv_files.f")).unwrap();
        let core = fs::read_to_string(path.join("tmv.core")).unwrap();
        for name in list.lines().filter(|line| !line.starts_with("//")) {
            assert!(
                path.join("rtl").join(name).is_file() && core.contains(&format!("- rtl/{name}")),
                "{board}: {name}"
            );
            assert!(component.contains(&format!("../rtl/{name}<")), "{board}: {name} in the component");
        }
        let firmware = fs::read(path.join("firmware/tmv_firmware.bin")).unwrap();
        assert!(firmware.len() > 10_000 && firmware.len() % 4 == 0, "{board}: {} bytes", firmware.len());
        let licence = fs::read_to_string(path.join("LICENSE-core")).unwrap();
        assert!(licence.contains("MIT") || licence.contains("Permission is hereby granted"), "{licence}");
    }
}

fn mistakes_in_a_system_are_noticed() {
    let system: &[&str] = &["build.tcl", "system"];
    let faults: &[Fault] = &[
        ("board.tcl", "hpc1 lpd", "hpc1 hpc1", system, "is connected already"),
        ("board.tcl", "hpc0 hpc1", "hpc0 hpc2", system, "has no port hpc2"),
        ("board.tcl", "hpc1 lpd", "hpc1", system, "tmv_0/M_AXI_6 is not connected"),
        ("board.tcl", "irq ternary_irq vector_irq", "irq ternary_irq", system, "tmv_0/vector_irq goes nowhere"),
        ("board.tcl", "irq ternary_irq vector_irq", "irq ternary_irq core_irq", system, "has no pin core_irq"),
        ("block_design.tcl", "[llength $interrupts]]", "4]", system, "interrupts_0/In3 is not driven"),
        ("block_design.tcl", "get_bd_pins interrupts_0/dout", "get_bd_pins tmv_0/irq", system, "goes nowhere"),
        ("ps.tcl", "return {6 S_AXI_LPD", "return {5 S_AXI_LPD", system, "has no interface S_AXI_LPD"),
        ("board.tcl", "control_range 16K", "control_range 4K", system, "16384 bytes"),
        ("board.tcl", "control_base 0xa", "control_base 0x4", system, "does not lead to 0x4"),
        (
            "block_design.tcl",
            "foreach interrupt $interrupts",
            "foreach interrupt [lreverse $interrupts]",
            system,
            "is not irq",
        ),
        ("rtl/tmv_files.f", "VexRiscv_Full.v\n", "", system, "an instance of VexRiscv,"),
        ("rtl/tmv_files.f", "tmv_vec_unit.sv\n", "", system, "an instance of tmv_vec_unit,"),
        ("rtl/tmv_files.f", "tmv_fp_mul.sv\n", "", &["build.tcl", "ooc"], "an instance of tmv_fp_mul,"),
        ("rtl/tmv_files.f", "VexRiscv_Full.v", "VexRiscv_Lite.v", system, "VexRiscv_Lite.v is missing"),
        ("rtl/tmv_system.sv", "vector_irq_o,", "vector_interrupt_o,", system, "no port vector_irq_o"),
        ("rtl/tmv_wrapper.v", "[13:0] s_axil_araddr", "[11:0] s_axil_araddr", system, "has 12 bits"),
    ];
    let (_parent, path) = written_system("kv260");
    faults.iter().for_each(|fault| is_noticed("kv260", &path, fault));
    assert!(tcl(&path, system, &[]).status.success(), "without a mistake");
    let files = fs::read_dir(path.join("rtl")).unwrap().map(|entry| entry.unwrap().file_name());
    let modules: Vec<_> = files.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(modules.iter().all(|name| !name.starts_with("tmv_design")), "the name of the block design");
}

/// Parses a number in the notation of IP-XACT.
fn number(text: &str) -> u32 {
    text.strip_prefix("'h").map_or_else(|| text.parse().unwrap(), |digits| u32::from_str_radix(digits, 16).unwrap())
}

/// Children must be in the order of the schema (IEEE 1685-2014, memoryMap.xsd).
fn in_order(node: Node<'_, '_>, order: &[&str]) {
    let mut last = 0;
    for child in node.children().filter(Node::is_element) {
        let name = child.tag_name().name();
        let at = order.iter().position(|known| *known == name);
        let at = at.unwrap_or_else(|| panic!("{} has no {name}", node.tag_name().name()));
        assert!(at >= last, "{}: {name} comes too late", node.tag_name().name());
        last = at;
    }
}

fn the_ip_xact_component_is_well_formed() {
    let folder = folder("zedboard");
    let xml = text(&folder, "registers/tmv_wrapper.xml");
    let document = Document::parse(&xml).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().namespace(), Some("http://www.accellera.org/XMLSchema/IPXACT/1685-2014"));
    in_order(root, &["vendor", "library", "name", "version", "busInterfaces", "memoryMaps", "fileSets", "description"]);
    let content = |node: Node<'_, '_>, name: &str| {
        let child = node.children().find(|c| c.tag_name().name() == name);
        child.and_then(|c| c.text()).unwrap_or_else(|| panic!("no {name}")).to_string()
    };
    let all = |name: &str| document.descendants().filter(|n| n.tag_name().name() == name).collect::<Vec<_>>();
    for node in all("addressBlock") {
        let order = ["name", "description", "baseAddress", "range", "width", "usage", "register", "registerFile"];
        in_order(node, &order);
    }
    for node in all("registerFile") {
        in_order(node, &["name", "dim", "addressOffset", "range", "register"]);
    }
    let mut found = Vec::new();
    for node in all("register") {
        in_order(node, &["name", "description", "addressOffset", "size", "volatile", "access", "field"]);
        let mut used = 0u64;
        for field in node.children().filter(|c| c.tag_name().name() == "field") {
            in_order(field, &["name", "description", "bitOffset", "bitWidth", "access", "modifiedWriteValue"]);
            let mask = ((1u64 << number(&content(field, "bitWidth"))) - 1) << number(&content(field, "bitOffset"));
            assert_eq!((used & mask, mask >> 32), (0, 0), "{}: fields overlap", content(node, "name"));
            used |= mask;
        }
        assert_ne!(used, 0, "{} has no field", content(node, "name"));
        let parent = node.parent().unwrap();
        let base =
            if parent.tag_name().name() == "registerFile" { number(&content(parent, "addressOffset")) } else { 0 };
        found.push((content(node, "name"), base + number(&content(node, "addressOffset"))));
    }
    found.sort_by_key(|(_, offset)| *offset);
    let mut expected: Vec<(String, u32)> = regs::REGISTERS.iter().map(|r| (r.0.to_string(), r.1)).collect();
    expected.sort_by_key(|(_, offset)| *offset);
    assert_eq!(found, expected);
    let listed: Vec<String> = all("file").iter().map(|file| content(*file, "name").replace("../", "")).collect();
    assert!(listed.iter().all(|name| folder.files.contains_key(name)), "{listed:?}");
    let is_source = |name: &&String| [".sv", ".v", ".svh"].iter().any(|end| name.ends_with(end));
    assert_eq!(listed.len(), folder.files.keys().filter(is_source).count());
    for file in all("file") {
        in_order(file, &["name", "fileType", "isIncludeFile"]);
        let header = file.children().any(|child| child.tag_name().name() == "isIncludeFile");
        assert_eq!(header, content(file, "name").ends_with(".svh"), "{}", content(file, "name"));
    }

    // The schema cannot be distributed here. To check against it, set the variable to the path of its index.xsd.
    if let Some(schema) = std::env::var_os("TMV_IPXACT_SCHEMA") {
        let (_parent, path) = written("zedboard");
        let mut xmllint = Command::new("xmllint");
        xmllint.arg("--noout").arg("--schema").arg(schema).arg(path.join("registers/tmv_wrapper.xml"));
        let output = xmllint.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    } else {
        eprintln!(
            "TMV_IPXACT_SCHEMA names no index.xsd of IEEE 1685-2014: the order of elements was checked, not the schema"
        );
    }
}

fn the_core_file_lists_every_file() {
    for board in KINDS {
        let folder = folder(board);
        let core = text(&folder, "tmv.core");
        assert!(core.starts_with("CAPI=2:\n"));
        let listed: Vec<&str> = core
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- "))
            .map(|entry| entry.split(':').next().unwrap())
            .collect();
        for line in core.lines().filter(|line| line.contains(".svh")) {
            assert!(line.contains("is_include_file: true"), "{board}: {line}");
        }
        let is_source = |name: &&String| [".sv", ".v", ".svh", ".xdc"].iter().any(|end| name.ends_with(end));
        for name in folder.files.keys().filter(is_source) {
            assert_eq!(listed.iter().filter(|l| *l == name).count(), 1, "{board}: {name} in tmv.core");
        }
        for name in listed {
            assert!(folder.files.contains_key(name), "{board}: tmv.core lists {name}");
        }
        // The sources have the same order as in the file list of the unit.
        let order: Vec<&str> = core.lines().filter_map(|l| l.trim().strip_prefix("- rtl/")).collect();
        let order: Vec<&str> = order.into_iter().filter(|name| name.ends_with(".sv")).collect();
        let list = text(&folder, "rtl/tmv_files.f");
        assert_eq!(order, list.lines().filter(|l| l.ends_with(".sv")).collect::<Vec<_>>());
    }
}

/// The part of a board's device tree that the overlay refers to.
fn base_tree(cells: usize, labels: [&str; 2]) -> String {
    let [controller, clocks] = labels;
    let cells = format!("#address-cells = <{cells}>; #size-cells = <{cells}>;");
    format!(
        "/dts-v1/;\n/ {{ {cells}\n {controller}: controller {{ interrupt-controller; #interrupt-cells = <3>; }};\n \
         {clocks}: clocks {{ #clock-cells = <1>; }};\n zynqmp_reset: resets {{ #reset-cells = <1>; }};\n \
         fpga_full: fpga {{ }};\n amba: axi {{ {cells} ranges; \
         compatible = \"simple-bus\"; }};\n}};\n"
    )
}

fn the_overlays_compile_and_apply() {
    for board in BOARDS.iter() {
        let (_parent, path) = written(&board.name);
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(&path).output().unwrap();
            assert!(output.status.success(), "{}: {program}: {}", board.name, said(&output));
            said(&output)
        };
        // The overlay must repeat the #address-cells and #size-cells of the root node, which it cannot see. dtc would
        // warn about them.
        let but = "-Wno-avoid_unnecessary_addr_size";
        for (source, output) in [("tmv_boot.dtso", "tmv_boot.dtbo"), ("tmv.dtso", "tmv.dtbo")] {
            let warnings = run("dtc", &["-@", but, "-I", "dts", "-O", "dtb", "-o", output, source]);
            assert_eq!(warnings, "", "{}: {source}", board.name);
        }
        let (cells, labels) = match board.family.port_bits {
            128 => (2, ["gic", "zynqmp_clk"]),
            _ => (1, ["intc", "clkc"]),
        };
        fs::write(path.join("base.dts"), base_tree(cells, labels)).unwrap();
        run("dtc", &["-@", "-q", "-I", "dts", "-O", "dtb", "-o", "base.dtb", "base.dts"]);
        // At run time there is no memory if none was set aside at boot.
        run("fdtoverlay", &["-i", "base.dtb", "-o", "booted.dtb", "tmv_boot.dtbo"]);
        let alone = ["-i", "base.dtb", "-o", "whole.dtb", "tmv.dtbo"];
        let alone = Command::new("fdtoverlay").args(alone).current_dir(&path).output().unwrap();
        assert!(!alone.status.success(), "{}: tmv.dtso applies without its memory", board.name);
        run("fdtoverlay", &["-i", "booted.dtb", "-o", "whole.dtb", "tmv.dtbo"]);
        let booted = run("dtc", &["-q", "-I", "dtb", "-O", "dts", "booted.dtb"]);
        assert!(booted.contains("reusable;") && !booted.contains("no-map"), "{}: Device memory: {booted}", board.name);
        assert!(!booted.contains("firmware-name"), "{}: a bitstream at boot: {booted}", board.name);
        let whole = run("dtc", &["-q", "-I", "dtb", "-O", "dts", "whole.dtb"]);
        let settings = fs::read_to_string(path.join("board.tcl")).unwrap();
        let control = settings.lines().find_map(|l| l.trim().strip_prefix("variable control_base 0x")).unwrap();
        for part in [
            format!("tmv@{control}"),
            "reserved-memory".into(),
            "interrupts = <0x00".into(),
            "firmware-name = \"tmv.bit.bin\"".into(),
            "compatible = \"ikwzm,u-dma-buf\"".into(),
            "memory-region".into(),
        ] {
            assert!(whole.contains(&part), "{}: {part} is not in {whole}", board.name);
        }
    }
}
