//! `tmv_wrapper.v`: the top behind plain Verilog ports, with one AXI interface for each of its memory ports.
//!
//! IP Integrator does not accept a SystemVerilog top module. The wrapper is generated from the port list of the top,
//! `tmv_unit` or `tmv_system`. A new port of it that the generator does not know is therefore an error here, and not an
//! unconnected pin in a user's design.

use std::fmt::Write as _;

/// The top, as its source declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name of the module.
    pub module: String,
    /// Names of the parameters, with the text of their defaults.
    pub parameters: Vec<(String, String)>,
    ports: Vec<Port>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Port {
    input: bool,
    name: String,
    /// Whether the port has one element for each memory port of its master.
    per_port: bool,
    bits: Bits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Bits {
    Fixed(usize),
    /// As many bits as a beat.
    Beat,
    /// A bit for each byte of a beat.
    Strobes,
}

/// The configuration of the top that a wrapper is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The masters of the memory. The interfaces of the wrapper are numbered in this order.
    pub masters: Vec<Master>,
    /// Width of an AXI port in bits.
    pub port_bits: usize,
    /// Parameters that are fixed in the wrapper's text, because its ports and its attributes depend on them.
    pub fixed: Vec<(String, usize)>,
    /// The other parameters, with their values.
    pub parameters: Vec<(String, usize)>,
}

/// A master of the memory: some of the top's ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// What the names of its ports begin with.
    pub prefix: &'static str,
    /// Number of AXI ports to memory.
    pub ports: usize,
    /// What it does on them at most.
    pub traffic: Traffic,
    /// Whether it writes through a cache that answers before memory has the data, unless writes are strongly ordered.
    pub ordered: bool,
}

/// The most that a master does on its memory ports, as the RTL is built. Vivado assumes two bursts in flight where a
/// design does not say more, and its interconnect then holds the others back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Bursts that a read stream has in flight. Port 0 has two streams if reads have IDs, the other ports have one.
    pub reads: usize,
    /// Bursts that the write stream has in flight.
    pub writes: usize,
    /// Beats of the longest burst.
    pub burst_beats: usize,
}

/// An output of an AXI4 master that the top has no pin for, because the value never changes: channel, name, width in
/// bits (`None`: one bit for each byte of a beat), value for beats of the given number of bytes, reason.
type Constant = (&'static str, &'static str, Option<usize>, fn(usize) -> String, &'static str);
const CONSTANTS: &[Constant] = &[
    ("ar", "arid", Some(ID_BITS), |_| format!("{ID_BITS}'d0"), "all reads in order"),
    ("ar", "arsize", Some(3), |bytes| format!("3'd{}", bytes.trailing_zeros()), "beats of full width"),
    ("ar", "arburst", Some(2), |_| "2'b01".into(), "INCR"),
    ("ar", "arlock", Some(1), |_| "1'b0".into(), "no exclusive access"),
    ("ar", "arcache", Some(4), |_| "4'b0011".into(), "modifiable and bufferable, not cached"),
    ("ar", "arprot", Some(3), |_| "3'b000".into(), "data, secure, unprivileged"),
    ("ar", "arqos", Some(4), |_| "4'b0000".into(), "no quality of service"),
    ("aw", "awid", Some(ID_BITS), |_| format!("{ID_BITS}'d0"), "all writes in order"),
    ("aw", "awsize", Some(3), |bytes| format!("3'd{}", bytes.trailing_zeros()), "beats of full width"),
    ("aw", "awburst", Some(2), |_| "2'b01".into(), "INCR"),
    ("aw", "awlock", Some(1), |_| "1'b0".into(), "no exclusive access"),
    (
        "aw",
        "awcache",
        Some(4),
        |_| "4'b0010".into(),
        "modifiable, not cached; memory itself answers, no buffer on the way",
    ),
    ("aw", "awprot", Some(3), |_| "3'b000".into(), "data, secure, unprivileged"),
    ("aw", "awqos", Some(4), |_| "4'b0000".into(), "no quality of service"),
    ("w", "wstrb", None, |bytes| format!("{{{bytes}{{1'b1}}}}"), "whole beats"),
];
/// Inputs of an AXI4 master that the top does not use: channel, name.
const IGNORED: &[(&str, &str)] = &[("r", "rid"), ("b", "bid")];
/// Outputs for measurements in simulation.
const MEASURED: &[&str] = &["pc_o", "events_o"];
/// IDs. The unit has one bit; the wrapper has [`ID_BITS`], with zeros in front.
const IDS: &[&str] = &["arid", "rid", "awid", "bid"];
/// Width of the IDs of an HP port, in bits: UG585 (S_AXI_HP), UG1085 (PL-PS Interface Specifics). With equal widths an
/// interface can be connected to the port itself.
const ID_BITS: usize = 6;

/// The parts of the wrapper's text.
#[derive(Default)]
struct Parts {
    /// Declarations of the wrapper's ports.
    ports: Vec<String>,
    /// Ports of the top, and the expression that each is connected to.
    connections: Vec<(String, String)>,
    /// Assignments to outputs that never change.
    constants: String,
    /// Inputs that the top does not use.
    unused: Vec<String>,
}

/// Reads the parameters and ports of `module` from its source. `addr_bits` is the value of `AddrBits` in the package.
///
/// # Errors
/// A message that quotes the line that is not understood.
pub fn parse(source: &str, module: &str, addr_bits: usize) -> Result<Interface, String> {
    let bare: Vec<&str> = source.lines().map(|line| line.split("//").next().unwrap_or("").trim()).collect();
    let at = |what: &str, from: usize, test: &dyn Fn(&str) -> bool| {
        bare.iter().skip(from).position(|line| test(line)).map(|i| i + from).ok_or(format!("found no {what}"))
    };
    let start = format!("module {module}");
    let begin = at(&start, 0, &|line| line.starts_with(&start))?;
    let header = at(&format!("parameter list of {module}"), begin, &|line| line == "#(")?;
    let middle = at(&format!("port list of {module}"), header, &|line| line == ") (")?;
    let end = at(&format!("end of the port list of {module}"), middle, &|line| line == ");")?;
    let lines = |from: usize, to: usize| bare[from + 1..to].iter().filter(|line| !line.is_empty());

    let mut parameters = Vec::new();
    for line in lines(header, middle) {
        let declared = line.strip_prefix("parameter int unsigned").and_then(|rest| rest.split_once('='));
        let (name, value) = declared.ok_or_else(|| format!("parameter \"{line}\" is not understood"))?;
        parameters.push((name.trim().to_string(), value.trim().trim_end_matches(',').trim().to_string()));
    }
    let ports = lines(middle, end).map(|line| port(line, addr_bits)).collect::<Result<_, _>>()?;
    Ok(Interface { module: module.into(), parameters, ports })
}

fn port(line: &str, addr_bits: usize) -> Result<Port, String> {
    let bad = || format!("port \"{line}\" is not understood");
    let (direction, rest) = line.trim_end_matches(',').split_once(char::is_whitespace).ok_or_else(bad)?;
    let input = match direction {
        "input" => true,
        "output" => false,
        _ => return Err(bad()),
    };
    let mut rest = rest.trim().strip_prefix("logic").ok_or_else(bad)?.trim();
    let mut dimensions = Vec::new();
    while let Some((dimension, behind)) = rest.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let text: String = dimension.split_whitespace().collect();
        dimensions.push(text.strip_suffix(":0").ok_or_else(bad)?.to_string());
        rest = behind.trim();
    }
    let per_port = dimensions.first().is_some_and(|dimension| dimension.ends_with("Ports-1"));
    let bits = match &dimensions[usize::from(per_port)..] {
        [] => Bits::Fixed(1),
        [one] if one == "PortBits-1" => Bits::Beat,
        [one] if one == "PortBits/8-1" => Bits::Strobes,
        [one] if one == "AddrBits-1" => Bits::Fixed(addr_bits),
        [one] => Bits::Fixed(one.parse::<usize>().map_err(|_| bad())? + 1),
        _ => return Err(bad()),
    };
    Ok(Port { input, name: rest.to_string(), per_port, bits })
}

/// The channel of an AXI signal. For example, `arvalid` is on `ar`.
fn channel(signal: &str) -> &'static str {
    ["ar", "aw", "w", "b", "r"].into_iter().find(|channel| signal.starts_with(channel)).unwrap_or("")
}

impl Interface {
    /// The text of the wrapper for `shape`.
    ///
    /// # Errors
    /// A message that names a port or a parameter of the top that the wrapper cannot connect.
    pub fn wrapper(&self, shape: &Shape) -> Result<String, String> {
        let mut parts = Parts::default();
        self.add_clocking(shape, &mut parts)?;
        self.add_control(shape, &mut parts);
        for (master, first) in shape.masters.iter().zip(shape.first_interfaces()) {
            for p in 0..master.ports {
                self.add_memory_port(shape, master, p, first + p, &mut parts)?;
            }
            self.connect_memory_ports(master, first, &mut parts);
        }
        self.add_wires(&mut parts);
        let connected = |port: &Port| parts.connections.iter().any(|(name, _)| *name == port.name);
        if let Some(port) = self.ports.iter().find(|port| !connected(port)) {
            return Err(format!("port {} is of no interface that the wrapper knows", port.name));
        }
        self.text(shape, &parts)
    }

    /// Adds clock, reset and interrupts.
    fn add_clocking(&self, shape: &Shape, parts: &mut Parts) -> Result<(), String> {
        let ports = shape.masters.iter().map(|master| master.ports).sum();
        let memory: Vec<String> = (0..ports).map(interface_name).collect();
        let clock = format!("ASSOCIATED_BUSIF S_AXIL:{}, ASSOCIATED_RESET rst_n", memory.join(":"));
        let clocking = [
            ("clk_i", "clk", "clock", "CLK", clock.as_str()),
            ("rst_ni", "rst_n", "reset", "RST", "POLARITY ACTIVE_LOW"),
        ];
        let interrupts = self.interrupts();
        if !interrupts.contains(&"irq") {
            return Err(format!("{} has no port irq_o", self.module));
        }
        let names: Vec<String> = interrupts.iter().map(|name| format!("{name}_o")).collect();
        let interrupts = names.iter().zip(interrupts);
        let interrupts =
            interrupts.map(|(name, to)| (name.as_str(), to, "interrupt", "INTERRUPT", "SENSITIVITY LEVEL_HIGH"));
        for (name, to, kind, signal, parameter) in clocking.into_iter().chain(interrupts) {
            let port =
                self.ports.iter().find(|p| p.name == name).ok_or(format!("{} has no port {name}", self.module))?;
            let info = format!("xilinx.com:signal:{kind}:1.0 {to} {signal}");
            parts.ports.push(declare(to, port.input, 1, &info, Some(&format!("XIL_INTERFACENAME {to}, {parameter}"))));
            parts.connections.push((name.to_string(), to.to_string()));
        }
        Ok(())
    }

    /// The names of the wrapper's interrupts.
    pub fn interrupts(&self) -> Vec<&str> {
        let names = self.ports.iter().filter(|port| !port.input).filter_map(|port| port.name.strip_suffix("_o"));
        names.filter(|name| name.ends_with("irq")).collect()
    }

    /// Bits of an address on the bus of the registers.
    fn control_bits(&self, shape: &Shape) -> usize {
        self.ports.iter().find(|port| port.name == "s_axil_awaddr").map_or(0, |port| shape.bits(&port.bits))
    }

    /// Ends the wires to another unit, where there is none that listens or tells, and those for measurements.
    fn add_wires(&self, parts: &mut Parts) {
        for name in MEASURED {
            let Some(port) = self.ports.iter().find(|port| port.name == *name) else { continue };
            let Bits::Fixed(bits) = port.bits else { continue };
            let wire = name.trim_end_matches("_o");
            parts.constants += &format!("  wire [{}:0] {wire};  // for measurements in simulation\n", bits - 1);
            parts.connections.push((port.name.clone(), wire.into()));
            parts.unused.push(wire.into());
        }
        let has = |name: &str| self.ports.iter().any(|port| port.name == name);
        if has("tell_o") {
            parts.constants += "  wire tell;  // no other unit listens\n";
            parts.connections.push(("tell_o".into(), "tell".into()));
            parts.unused.push("tell".into());
        }
        if has("told_i") {
            parts.connections.push(("told_i".into(), "1'b0".into()));
        }
    }

    /// Adds the AXI4-Lite interface. Its ports have the top's names.
    fn add_control(&self, shape: &Shape, parts: &mut Parts) {
        // `tmv_axil_slave` and `tmv_sys_switch` take one read and one write at a time.
        let mine: Vec<&str> = self.ports.iter().filter_map(|port| port.name.strip_prefix("s_axil_")).collect();
        let text = format!(
            "XIL_INTERFACENAME S_AXIL, PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH {}, ID_WIDTH 0, \
             READ_WRITE_MODE READ_WRITE, {}, MAX_BURST_LENGTH 1, SUPPORTS_NARROW_BURST 0, NUM_READ_OUTSTANDING 1, \
             NUM_READ_THREADS 1, NUM_WRITE_OUTSTANDING 1, NUM_WRITE_THREADS 1",
            self.control_bits(shape),
            optional_signals(&|signal| mine.contains(&signal))
        );
        let mut first = Some(text.as_str());
        for port in &self.ports {
            let Some(signal) = port.name.strip_prefix("s_axil_") else { continue };
            let info = format!("xilinx.com:interface:aximm:1.0 S_AXIL {}", signal.to_uppercase());
            parts.ports.push(declare(&port.name, port.input, shape.bits(&port.bits), &info, first.take()));
            parts.connections.push((port.name.clone(), port.name.clone()));
        }
    }

    /// Adds port `of_master` of a master as AXI4 interface `p`: its pins, constants for outputs without a pin, and ignored
    /// inputs.
    fn add_memory_port(
        &self,
        shape: &Shape,
        master: &Master,
        of_master: usize,
        p: usize,
        parts: &mut Parts,
    ) -> Result<(), String> {
        let name = interface_name(p);
        // Only port 0 of a master has write channels.
        let of_port = |port: &&Port| master.has(port) && (port.per_port || of_master == 0);
        let mine: Vec<&Port> = self.ports.iter().filter(of_port).collect();
        let mut first = Some(interface_parameter(shape, master, &name, &mine)?);
        let mut add = |signal: &str, input: bool, bits: usize| {
            let info = format!("xilinx.com:interface:aximm:1.0 {name} {}", signal.to_uppercase());
            parts.ports.push(declare(&format!("m_axi_{p}_{signal}"), input, bits, &info, first.take().as_deref()));
        };
        for channel_name in ["ar", "r", "aw", "w", "b"] {
            let pins = mine.iter().map(|port| (&port.name[master.prefix.len()..], *port));
            let pins: Vec<(&str, &Port)> = pins.filter(|(signal, _)| channel(signal) == channel_name).collect();
            if pins.is_empty() {
                continue;
            }
            for (signal, port) in &pins {
                let id = IDS.contains(signal);
                add(signal, port.input, if id { ID_BITS } else { shape.bits(&port.bits) });
                // The part of an ID that the top does not have.
                let rest = format!("m_axi_{p}_{signal}[{}:1]", ID_BITS - 1);
                match (id, port.input) {
                    (true, true) => parts.unused.push(rest),
                    (true, false) => parts.constants += &format!("  assign {rest} = {}'d0;\n", ID_BITS - 1),
                    _ => {}
                }
            }
            // If the top gets a pin for the signal, the pin replaces the constant.
            let missing = |signal: &str| pins.iter().all(|(pin, _)| *pin != signal);
            for (_, signal, bits, value, why) in CONSTANTS.iter().filter(|c| c.0 == channel_name && missing(c.1)) {
                add(signal, false, bits.unwrap_or(shape.port_bits / 8));
                let (value, why) = match (*signal, master.ordered) {
                    ("awcache", true) => ("4'b0000".into(), "strongly ordered: the cache on the way does not answer"),
                    _ => (value(shape.port_bits / 8), *why),
                };
                parts.constants += &format!("  assign m_axi_{p}_{signal} = {value};  // {why}\n");
            }
            for (_, signal) in IGNORED.iter().filter(|c| c.0 == channel_name && missing(c.1)) {
                add(signal, true, if IDS.contains(signal) { ID_BITS } else { 1 });
                parts.unused.push(format!("m_axi_{p}_{signal}"));
            }
        }
        Ok(())
    }

    /// Connects each packed port of a master to the ports of its interfaces, of which `first` is the first one.
    fn connect_memory_ports(&self, master: &Master, first: usize, parts: &mut Parts) {
        for port in self.ports.iter().filter(|port| master.has(port)) {
            let signal = &port.name[master.prefix.len()..];
            let bit = if IDS.contains(&signal) { "[0]" } else { "" };
            let pieces: Vec<String> = match port.per_port {
                // The highest element comes first.
                true => (first..first + master.ports).rev().map(|p| format!("m_axi_{p}_{signal}{bit}")).collect(),
                false => vec![format!("m_axi_{first}_{signal}{bit}")],
            };
            parts.connections.push((port.name.clone(), concatenated(&pieces)));
        }
    }

    fn text(&self, shape: &Shape, parts: &Parts) -> Result<String, String> {
        let (Parts { ports, connections, constants, unused }, module) = (parts, &self.module);
        for (name, _) in &self.parameters {
            let fixed = shape.fixed.iter().any(|(known, _)| known == name);
            if !fixed && shape.parameters.iter().all(|(known, _)| known != name) {
                return Err(format!("parameter {name} has no value"));
            }
        }
        let header: Vec<String> =
            shape.parameters.iter().map(|(name, value)| format!("  parameter integer {name} = {value}")).collect();
        let mut values: Vec<_> = shape.fixed.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect();
        values.retain(|(name, _)| self.parameters.iter().any(|(known, _)| known == name));
        values.extend(shape.parameters.iter().map(|(name, _)| (name.as_str(), name.clone())));
        let values: Vec<String> = values.iter().map(|(name, value)| format!("    .{name}({value})")).collect();
        let connections: Vec<String> = connections.iter().map(|(name, to)| format!("    .{name}({to})")).collect();
        let unused = match &unused[..] {
            [] => String::new(),
            _ => format!("\n  wire unused = &{{1'b0, {}}};\n", unused.join(", ")),
        };
        Ok(format!(
            "// Made by `sim handoff` from the port list of {module}.sv; do not edit.\n\
             //\n\
             // The top behind plain Verilog (2001) ports, for IP Integrator: AXI4-Lite S_AXIL, {} x AXI4 of {} bits, clock,\n\
             // reset, interrupt. No logic. Fixed in this text: how many ports there are, how wide they are, and how many\n\
             // bursts they have in flight.\n\
             // The clock has no FREQ_HZ: it takes the frequency of the clock that it is connected to.\n\
             `default_nettype none\n\n\
             module tmv_wrapper #(\n{}\n) (\n{}\n);\n\n{constants}{unused}\n  {module} #(\n{}\n  ) u_top (\n{}\n  );\n\n\
             endmodule\n\n`default_nettype wire\n",
            shape.masters.iter().map(|master| master.ports).sum::<usize>(),
            shape.port_bits,
            header.join(",\n"),
            ports.join(",\n"),
            values.join(",\n"),
            connections.join(",\n"),
        ))
    }
}

/// The name of the interface of memory port `p`.
pub(crate) fn interface_name(p: usize) -> String {
    format!("M_AXI_{p}")
}

/// The interface parameters that Vivado needs for a memory interface with the pins `mine`. The names are those of the
/// bus definition aximm (UG994, UG1118).
fn interface_parameter(shape: &Shape, master: &Master, name: &str, mine: &[&Port]) -> Result<String, String> {
    let pins: Vec<&str> = mine.iter().map(|port| &port.name[master.prefix.len()..]).collect();
    let on_channel = |name: &str| pins.iter().any(|pin| channel(pin) == name);
    let constant = |signal: &str| CONSTANTS.iter().any(|c| c.1 == signal && on_channel(c.0));
    let address = mine.iter().zip(&pins).find(|(_, pin)| **pin == "araddr");
    let address = address.ok_or_else(|| format!("there is no {}araddr", master.prefix))?.0;
    let Traffic { reads, writes, burst_beats } = master.traffic;
    // The port of a unit that writes also has the stream for descriptors, which has an ID of its own.
    let streams = if on_channel("aw") && pins.contains(&"arid") { 2 } else { 1 };
    let mut text = format!(
        "XIL_INTERFACENAME {name}, PROTOCOL AXI4, DATA_WIDTH {}, ADDR_WIDTH {}, ID_WIDTH {ID_BITS}, READ_WRITE_MODE {}, \
         {}, MAX_BURST_LENGTH {burst_beats}, SUPPORTS_NARROW_BURST 0, NUM_READ_OUTSTANDING {}, NUM_READ_THREADS {streams}",
        shape.port_bits,
        shape.bits(&address.bits),
        if on_channel("aw") { "READ_WRITE" } else { "READ_ONLY" },
        optional_signals(&|signal| pins.contains(&signal) || constant(signal)),
        reads * streams,
    );
    if on_channel("aw") {
        write!(text, ", NUM_WRITE_OUTSTANDING {writes}, NUM_WRITE_THREADS 1").expect("to a string");
    }
    Ok(text)
}

/// The parameters that say which optional signals an interface has. `has` tells whether it has a signal.
fn optional_signals(has: &dyn Fn(&str) -> bool) -> String {
    let either = |name: &str| has(&format!("ar{name}")) || has(&format!("aw{name}"));
    let mut flags: Vec<(&str, bool)> =
        ["burst", "lock", "prot", "cache", "qos", "region"].map(|name| (name, either(name))).to_vec();
    flags.extend(["wstrb", "bresp", "rresp"].map(|name| (name, has(name))));
    let flags = flags.iter().map(|(name, there)| format!("HAS_{} {}", name.to_uppercase(), u8::from(*there)));
    flags.collect::<Vec<_>>().join(", ")
}

impl Master {
    fn has(&self, port: &Port) -> bool {
        port.name.starts_with(self.prefix)
    }
}

impl Shape {
    /// The number of the first interface of each master, the one that also writes.
    pub fn first_interfaces(&self) -> impl Iterator<Item = usize> {
        self.masters.iter().scan(0, |next, master| Some(std::mem::replace(next, *next + master.ports)))
    }

    fn bits(&self, bits: &Bits) -> usize {
        match bits {
            Bits::Fixed(bits) => *bits,
            Bits::Beat => self.port_bits,
            Bits::Strobes => self.port_bits / 8,
        }
    }
}

fn concatenated(parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        _ => format!("{{{}}}", parts.join(", ")),
    }
}

fn declare(name: &str, input: bool, bits: usize, info: &str, parameter: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(parameter) = parameter {
        writeln!(text, "  (* X_INTERFACE_PARAMETER = \"{parameter}\" *)").expect("to a string");
    }
    let range = if bits > 1 { format!("[{}:0] ", bits - 1) } else { String::new() };
    let direction = if input { "input " } else { "output" };
    write!(text, "  (* X_INTERFACE_INFO = \"{info}\" *)\n  {direction} wire {range}{name}").expect("to a string");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "module tmv_unit\n  import tmv_pkg::*;\n#(\n  /// AXI read ports.\n  parameter int unsigned Ports = 4,\n  \
        parameter int unsigned PortBits = 128,\n  parameter int unsigned Vectors = 4\n) (\n  input  logic clk_i,\n  \
        input logic rst_ni,\n  output logic irq_o,\n  input logic [ 11:0] s_axil_araddr,\n  \
        output logic [   Ports-1:0][AddrBits-1:0] m_axi_araddr,\n  input logic [Ports-1:0][PortBits-1:0] m_axi_rdata\n);\n";

    fn shape() -> Shape {
        let traffic = Traffic { reads: 8, writes: 4, burst_beats: 16 };
        Shape {
            masters: vec![Master { prefix: "m_axi_", ports: 2, traffic, ordered: false }],
            port_bits: 64,
            fixed: vec![("Ports".into(), 2), ("PortBits".into(), 64)],
            parameters: vec![("Vectors".into(), 2)],
        }
    }

    #[test]
    fn ports_are_split() {
        let text =
            parse(UNIT, "tmv_unit", 40).and_then(|unit| unit.wrapper(&shape())).expect("this unit is understood");
        for part in [
            "output wire [39:0] m_axi_1_araddr",
            "input  wire [63:0] m_axi_0_rdata",
            ".m_axi_araddr({m_axi_1_araddr, m_axi_0_araddr})",
            "assign m_axi_1_arsize = 3'd3;",
            "READ_ONLY",
            "input  wire [11:0] s_axil_araddr",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_an_error() {
        let wrap = |text: &str| {
            parse(text, "tmv_unit", 40).and_then(|unit| unit.wrapper(&shape())).expect_err("not understood")
        };
        assert!(wrap(&UNIT.replace("irq_o", "irq_x")).contains("irq_o"));
        assert!(
            wrap(&UNIT.replace("input logic rst_ni", "input logic rst_ni,\n  input logic debug_i")).contains("debug_i")
        );
        assert!(wrap(&UNIT.replace("Vectors", "Depth")).contains("Depth"));
        assert!(wrap(&UNIT.replace("[ 11:0]", "[X-1:0]")).contains("s_axil_araddr"));
        assert!(wrap("module other").contains("tmv_unit"));
    }
}
