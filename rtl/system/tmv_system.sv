`include "tmv_macros.svh"

/// A ternary unit, a vector unit and a sequencer that drives both. With a memory they compute all layers of a token and the
/// output head.
///
/// The host reaches the registers of all three on one AXI4-Lite bus of 16 KiB (`tmv_sys_switch`): the ternary unit's from 0 on,
/// the vector unit's from 0x1000 on, the sequencer's from 0x2000 on. It gives jobs to the sequencer, or drives the units itself.
/// The units tell each other by wires. One clock. No combinational path from an input to an output.
module tmv_system
  import tmv_axi_pkg::*;
#(
  /// AXI read ports of the ternary unit, 1 to 8.
  parameter int unsigned Ports = 4,
  /// Bits of a beat of all ports: 64 (Zynq-7000) or 128 (UltraScale+).
  parameter int unsigned PortBits = 128,
  /// Parameters of `tmv_unit`, which has their meaning.
  parameter int unsigned Vectors = 4,
  parameter int unsigned Groups = 1,
  parameter int unsigned Codec = 1,
  parameter int unsigned BankWords = tmv_reg_pkg::DefaultBankWords,
  parameter int unsigned Columns = 1,
  parameter int unsigned UltraRam = 0,
  parameter int unsigned FifoBeats = 0,
  parameter int unsigned Outstanding = 8,
  /// Parameters of `tmv_vec_unit`, which has their meaning.
  parameter int unsigned Lanes = 32,
  parameter int unsigned VectorPorts = 2,
  parameter int unsigned Words = 1024,
  parameter int unsigned Accs = 64,
  /// On-chip memory of the core in words of 32 bits, a power of two.
  parameter int unsigned RamWords = 32768
) (
  input  logic clk_i,
  /// Synchronous, active low.
  input  logic rst_ni,
  /// Interrupts of the sequencer, the ternary unit and the vector unit; levels. The core has those of the units too.
  output logic irq_o,
  output logic ternary_irq_o,
  output logic vector_irq_o,
  /// Address of an instruction of the core, for simulation; zero in synthesis.
  output logic [31:0] pc_o,
  /// What happens in this cycle, for measurements. Bit 0: the core rings the doorbell of the ternary unit; 1: that of the vector
  /// unit; 2: the vector unit has completed an instruction; 3: it tells the ternary unit; 4: the ternary unit tells it.
  output logic [ 4:0] events_o,
  /// The host's way to all registers, AXI4-Lite.
  input  logic        s_axil_awvalid,
  output logic        s_axil_awready,
  input  logic [13:0] s_axil_awaddr,
  input  logic        s_axil_wvalid,
  output logic        s_axil_wready,
  input  logic [31:0] s_axil_wdata,
  input  logic [3:0]  s_axil_wstrb,
  output logic        s_axil_bvalid,
  input  logic        s_axil_bready,
  output logic [1:0]  s_axil_bresp,
  input  logic        s_axil_arvalid,
  output logic        s_axil_arready,
  input  logic [13:0] s_axil_araddr,
  output logic        s_axil_rvalid,
  input  logic        s_axil_rready,
  output logic [31:0] s_axil_rdata,
  output logic [1:0]  s_axil_rresp,
  /// Memory ports of the ternary unit, as `tmv_unit` describes them.
  output logic [Ports-1:0]               m_axi_ternary_arvalid,
  input  logic [Ports-1:0]               m_axi_ternary_arready,
  output logic [Ports-1:0][AddrBits-1:0] m_axi_ternary_araddr,
  output logic [Ports-1:0][7:0]          m_axi_ternary_arlen,
  output logic [Ports-1:0]               m_axi_ternary_arid,
  input  logic [Ports-1:0]               m_axi_ternary_rvalid,
  output logic [Ports-1:0]               m_axi_ternary_rready,
  input  logic [Ports-1:0][PortBits-1:0] m_axi_ternary_rdata,
  input  logic [Ports-1:0][1:0]          m_axi_ternary_rresp,
  input  logic [Ports-1:0]               m_axi_ternary_rlast,
  input  logic [Ports-1:0]               m_axi_ternary_rid,
  output logic                           m_axi_ternary_awvalid,
  input  logic                           m_axi_ternary_awready,
  output logic [AddrBits-1:0]            m_axi_ternary_awaddr,
  output logic [7:0]                     m_axi_ternary_awlen,
  output logic                           m_axi_ternary_wvalid,
  input  logic                           m_axi_ternary_wready,
  output logic [PortBits-1:0]            m_axi_ternary_wdata,
  output logic                           m_axi_ternary_wlast,
  input  logic                           m_axi_ternary_bvalid,
  output logic                           m_axi_ternary_bready,
  input  logic [1:0]                     m_axi_ternary_bresp,
  /// Memory ports of the vector unit, as `tmv_vec_unit` describes them.
  output logic [VectorPorts-1:0]               m_axi_vector_arvalid,
  input  logic [VectorPorts-1:0]               m_axi_vector_arready,
  output logic [VectorPorts-1:0][AddrBits-1:0] m_axi_vector_araddr,
  output logic [VectorPorts-1:0][7:0]          m_axi_vector_arlen,
  output logic [VectorPorts-1:0]               m_axi_vector_arid,
  input  logic [VectorPorts-1:0]               m_axi_vector_rvalid,
  output logic [VectorPorts-1:0]               m_axi_vector_rready,
  input  logic [VectorPorts-1:0][PortBits-1:0] m_axi_vector_rdata,
  input  logic [VectorPorts-1:0][1:0]          m_axi_vector_rresp,
  input  logic [VectorPorts-1:0]               m_axi_vector_rlast,
  input  logic [VectorPorts-1:0]               m_axi_vector_rid,
  output logic                                 m_axi_vector_awvalid,
  input  logic                                 m_axi_vector_awready,
  output logic [AddrBits-1:0]                  m_axi_vector_awaddr,
  output logic [7:0]                           m_axi_vector_awlen,
  output logic                                 m_axi_vector_wvalid,
  input  logic                                 m_axi_vector_wready,
  output logic [PortBits-1:0]                  m_axi_vector_wdata,
  output logic                                 m_axi_vector_wlast,
  input  logic                                 m_axi_vector_bvalid,
  output logic                                 m_axi_vector_bready,
  input  logic [1:0]                           m_axi_vector_bresp,
  /// Memory port of the core, as `tmv_sequencer` describes it.
  output logic                  m_axi_core_arvalid,
  input  logic                  m_axi_core_arready,
  output logic [AddrBits-1:0]   m_axi_core_araddr,
  output logic [7:0]            m_axi_core_arlen,
  input  logic                  m_axi_core_rvalid,
  output logic                  m_axi_core_rready,
  input  logic [PortBits-1:0]   m_axi_core_rdata,
  input  logic [1:0]            m_axi_core_rresp,
  input  logic                  m_axi_core_rlast,
  output logic                  m_axi_core_awvalid,
  input  logic                  m_axi_core_awready,
  output logic [AddrBits-1:0]   m_axi_core_awaddr,
  output logic [7:0]            m_axi_core_awlen,
  output logic                  m_axi_core_wvalid,
  input  logic                  m_axi_core_wready,
  output logic [PortBits-1:0]   m_axi_core_wdata,
  output logic [PortBits/8-1:0] m_axi_core_wstrb,
  output logic                  m_axi_core_wlast,
  input  logic                  m_axi_core_bvalid,
  output logic                  m_axi_core_bready,
  input  logic [1:0]            m_axi_core_bresp
);
  // Registers: the core's way, and the ways to the ternary unit, the vector unit and the sequencer.
  logic core_axil_awvalid;
  logic core_axil_awready;
  logic [12:0] core_axil_awaddr;
  logic core_axil_wvalid;
  logic core_axil_wready;
  logic [31:0] core_axil_wdata;
  logic [3:0] core_axil_wstrb;
  logic core_axil_bvalid;
  logic core_axil_bready;
  logic [1:0] core_axil_bresp;
  logic core_axil_arvalid;
  logic core_axil_arready;
  logic [12:0] core_axil_araddr;
  logic core_axil_rvalid;
  logic core_axil_rready;
  logic [31:0] core_axil_rdata;
  logic [1:0] core_axil_rresp;
  logic [2:0] unit_axil_awvalid;
  logic [2:0] unit_axil_awready;
  logic [2:0][11:0] unit_axil_awaddr;
  logic [2:0] unit_axil_wvalid;
  logic [2:0] unit_axil_wready;
  logic [2:0][31:0] unit_axil_wdata;
  logic [2:0][3:0] unit_axil_wstrb;
  logic [2:0] unit_axil_bvalid;
  logic [2:0] unit_axil_bready;
  logic [2:0][1:0] unit_axil_bresp;
  logic [2:0] unit_axil_arvalid;
  logic [2:0] unit_axil_arready;
  logic [2:0][11:0] unit_axil_araddr;
  logic [2:0] unit_axil_rvalid;
  logic [2:0] unit_axil_rready;
  logic [2:0][31:0] unit_axil_rdata;
  logic [2:0][1:0] unit_axil_rresp;

  // The wires by which the units tell each other.
  logic ternary_tells, vector_tells, instruction_done, doorbell;

  assign doorbell = core_axil_awvalid && core_axil_awready && core_axil_awaddr[11:0] == tmv_reg_pkg::RingTailOffset;
  assign events_o = {ternary_tells, vector_tells, instruction_done, doorbell && core_axil_awaddr[12], doorbell && !core_axil_awaddr[12]};

  tmv_sys_switch u_switch (
    .clk_i,
    .rst_ni,
    .s_axil_awvalid,
    .s_axil_awready,
    .s_axil_awaddr,
    .s_axil_wvalid,
    .s_axil_wready,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_bvalid,
    .s_axil_bready,
    .s_axil_bresp,
    .s_axil_arvalid,
    .s_axil_arready,
    .s_axil_araddr,
    .s_axil_rvalid,
    .s_axil_rready,
    .s_axil_rdata,
    .s_axil_rresp,
    .c_axil_awvalid(core_axil_awvalid),
    .c_axil_awready(core_axil_awready),
    .c_axil_awaddr(core_axil_awaddr),
    .c_axil_wvalid(core_axil_wvalid),
    .c_axil_wready(core_axil_wready),
    .c_axil_wdata(core_axil_wdata),
    .c_axil_wstrb(core_axil_wstrb),
    .c_axil_bvalid(core_axil_bvalid),
    .c_axil_bready(core_axil_bready),
    .c_axil_bresp(core_axil_bresp),
    .c_axil_arvalid(core_axil_arvalid),
    .c_axil_arready(core_axil_arready),
    .c_axil_araddr(core_axil_araddr),
    .c_axil_rvalid(core_axil_rvalid),
    .c_axil_rready(core_axil_rready),
    .c_axil_rdata(core_axil_rdata),
    .c_axil_rresp(core_axil_rresp),
    .m_axil_awvalid(unit_axil_awvalid),
    .m_axil_awready(unit_axil_awready),
    .m_axil_awaddr(unit_axil_awaddr),
    .m_axil_wvalid(unit_axil_wvalid),
    .m_axil_wready(unit_axil_wready),
    .m_axil_wdata(unit_axil_wdata),
    .m_axil_wstrb(unit_axil_wstrb),
    .m_axil_bvalid(unit_axil_bvalid),
    .m_axil_bready(unit_axil_bready),
    .m_axil_bresp(unit_axil_bresp),
    .m_axil_arvalid(unit_axil_arvalid),
    .m_axil_arready(unit_axil_arready),
    .m_axil_araddr(unit_axil_araddr),
    .m_axil_rvalid(unit_axil_rvalid),
    .m_axil_rready(unit_axil_rready),
    .m_axil_rdata(unit_axil_rdata),
    .m_axil_rresp(unit_axil_rresp)
  );

  tmv_unit #(
    .Ports(Ports),
    .PortBits(PortBits),
    .Vectors(Vectors),
    .Groups(Groups),
    .Codec(Codec),
    .BankWords(BankWords),
    .Columns(Columns),
    .UltraRam(UltraRam),
    .FifoBeats(FifoBeats),
    .Outstanding(Outstanding)
  ) u_ternary (
    .clk_i,
    .rst_ni,
    .irq_o(ternary_irq_o),
    .tell_o(ternary_tells),
    .told_i(vector_tells),
    .s_axil_awvalid(unit_axil_awvalid[0]),
    .s_axil_awready(unit_axil_awready[0]),
    .s_axil_awaddr(unit_axil_awaddr[0]),
    .s_axil_wvalid(unit_axil_wvalid[0]),
    .s_axil_wready(unit_axil_wready[0]),
    .s_axil_wdata(unit_axil_wdata[0]),
    .s_axil_wstrb(unit_axil_wstrb[0]),
    .s_axil_bvalid(unit_axil_bvalid[0]),
    .s_axil_bready(unit_axil_bready[0]),
    .s_axil_bresp(unit_axil_bresp[0]),
    .s_axil_arvalid(unit_axil_arvalid[0]),
    .s_axil_arready(unit_axil_arready[0]),
    .s_axil_araddr(unit_axil_araddr[0]),
    .s_axil_rvalid(unit_axil_rvalid[0]),
    .s_axil_rready(unit_axil_rready[0]),
    .s_axil_rdata(unit_axil_rdata[0]),
    .s_axil_rresp(unit_axil_rresp[0]),
    .m_axi_arvalid(m_axi_ternary_arvalid),
    .m_axi_arready(m_axi_ternary_arready),
    .m_axi_araddr(m_axi_ternary_araddr),
    .m_axi_arlen(m_axi_ternary_arlen),
    .m_axi_arid(m_axi_ternary_arid),
    .m_axi_rvalid(m_axi_ternary_rvalid),
    .m_axi_rready(m_axi_ternary_rready),
    .m_axi_rdata(m_axi_ternary_rdata),
    .m_axi_rresp(m_axi_ternary_rresp),
    .m_axi_rlast(m_axi_ternary_rlast),
    .m_axi_rid(m_axi_ternary_rid),
    .m_axi_awvalid(m_axi_ternary_awvalid),
    .m_axi_awready(m_axi_ternary_awready),
    .m_axi_awaddr(m_axi_ternary_awaddr),
    .m_axi_awlen(m_axi_ternary_awlen),
    .m_axi_wvalid(m_axi_ternary_wvalid),
    .m_axi_wready(m_axi_ternary_wready),
    .m_axi_wdata(m_axi_ternary_wdata),
    .m_axi_wlast(m_axi_ternary_wlast),
    .m_axi_bvalid(m_axi_ternary_bvalid),
    .m_axi_bready(m_axi_ternary_bready),
    .m_axi_bresp(m_axi_ternary_bresp)
  );

  tmv_vec_unit #(
    .Lanes(Lanes),
    .Ports(VectorPorts),
    .PortBits(PortBits),
    .Words(Words),
    .Accs(Accs),
    .Outstanding(Outstanding)
  ) u_vector (
    .clk_i,
    .rst_ni,
    .irq_o(vector_irq_o),
    .busy_o(),
    .instr_done_o(instruction_done),
    .tell_o(vector_tells),
    .told_i(ternary_tells),
    .waits_o(),
    .s_axil_awvalid(unit_axil_awvalid[1]),
    .s_axil_awready(unit_axil_awready[1]),
    .s_axil_awaddr(unit_axil_awaddr[1]),
    .s_axil_wvalid(unit_axil_wvalid[1]),
    .s_axil_wready(unit_axil_wready[1]),
    .s_axil_wdata(unit_axil_wdata[1]),
    .s_axil_wstrb(unit_axil_wstrb[1]),
    .s_axil_bvalid(unit_axil_bvalid[1]),
    .s_axil_bready(unit_axil_bready[1]),
    .s_axil_bresp(unit_axil_bresp[1]),
    .s_axil_arvalid(unit_axil_arvalid[1]),
    .s_axil_arready(unit_axil_arready[1]),
    .s_axil_araddr(unit_axil_araddr[1]),
    .s_axil_rvalid(unit_axil_rvalid[1]),
    .s_axil_rready(unit_axil_rready[1]),
    .s_axil_rdata(unit_axil_rdata[1]),
    .s_axil_rresp(unit_axil_rresp[1]),
    .m_axi_arvalid(m_axi_vector_arvalid),
    .m_axi_arready(m_axi_vector_arready),
    .m_axi_araddr(m_axi_vector_araddr),
    .m_axi_arlen(m_axi_vector_arlen),
    .m_axi_arid(m_axi_vector_arid),
    .m_axi_rvalid(m_axi_vector_rvalid),
    .m_axi_rready(m_axi_vector_rready),
    .m_axi_rdata(m_axi_vector_rdata),
    .m_axi_rresp(m_axi_vector_rresp),
    .m_axi_rlast(m_axi_vector_rlast),
    .m_axi_rid(m_axi_vector_rid),
    .m_axi_awvalid(m_axi_vector_awvalid),
    .m_axi_awready(m_axi_vector_awready),
    .m_axi_awaddr(m_axi_vector_awaddr),
    .m_axi_awlen(m_axi_vector_awlen),
    .m_axi_wvalid(m_axi_vector_wvalid),
    .m_axi_wready(m_axi_vector_wready),
    .m_axi_wdata(m_axi_vector_wdata),
    .m_axi_wlast(m_axi_vector_wlast),
    .m_axi_bvalid(m_axi_vector_bvalid),
    .m_axi_bready(m_axi_vector_bready),
    .m_axi_bresp(m_axi_vector_bresp)
  );

  tmv_sequencer #(
    .RamWords(RamWords),
    .PortBits(PortBits)
  ) u_sequencer (
    .clk_i,
    .rst_ni,
    .irq_o,
    .pc_o,
    .unit_irq_i(ternary_irq_o),
    .vector_irq_i(vector_irq_o),
    .s_axil_awvalid(unit_axil_awvalid[2]),
    .s_axil_awready(unit_axil_awready[2]),
    .s_axil_awaddr(unit_axil_awaddr[2]),
    .s_axil_wvalid(unit_axil_wvalid[2]),
    .s_axil_wready(unit_axil_wready[2]),
    .s_axil_wdata(unit_axil_wdata[2]),
    .s_axil_wstrb(unit_axil_wstrb[2]),
    .s_axil_bvalid(unit_axil_bvalid[2]),
    .s_axil_bready(unit_axil_bready[2]),
    .s_axil_bresp(unit_axil_bresp[2]),
    .s_axil_arvalid(unit_axil_arvalid[2]),
    .s_axil_arready(unit_axil_arready[2]),
    .s_axil_araddr(unit_axil_araddr[2]),
    .s_axil_rvalid(unit_axil_rvalid[2]),
    .s_axil_rready(unit_axil_rready[2]),
    .s_axil_rdata(unit_axil_rdata[2]),
    .s_axil_rresp(unit_axil_rresp[2]),
    .m_axil_awvalid(core_axil_awvalid),
    .m_axil_awready(core_axil_awready),
    .m_axil_awaddr(core_axil_awaddr),
    .m_axil_wvalid(core_axil_wvalid),
    .m_axil_wready(core_axil_wready),
    .m_axil_wdata(core_axil_wdata),
    .m_axil_wstrb(core_axil_wstrb),
    .m_axil_bvalid(core_axil_bvalid),
    .m_axil_bready(core_axil_bready),
    .m_axil_bresp(core_axil_bresp),
    .m_axil_arvalid(core_axil_arvalid),
    .m_axil_arready(core_axil_arready),
    .m_axil_araddr(core_axil_araddr),
    .m_axil_rvalid(core_axil_rvalid),
    .m_axil_rready(core_axil_rready),
    .m_axil_rdata(core_axil_rdata),
    .m_axil_rresp(core_axil_rresp),
    .m_axi_arvalid(m_axi_core_arvalid),
    .m_axi_arready(m_axi_core_arready),
    .m_axi_araddr(m_axi_core_araddr),
    .m_axi_arlen(m_axi_core_arlen),
    .m_axi_rvalid(m_axi_core_rvalid),
    .m_axi_rready(m_axi_core_rready),
    .m_axi_rdata(m_axi_core_rdata),
    .m_axi_rresp(m_axi_core_rresp),
    .m_axi_rlast(m_axi_core_rlast),
    .m_axi_awvalid(m_axi_core_awvalid),
    .m_axi_awready(m_axi_core_awready),
    .m_axi_awaddr(m_axi_core_awaddr),
    .m_axi_awlen(m_axi_core_awlen),
    .m_axi_wvalid(m_axi_core_wvalid),
    .m_axi_wready(m_axi_core_wready),
    .m_axi_wdata(m_axi_core_wdata),
    .m_axi_wstrb(m_axi_core_wstrb),
    .m_axi_wlast(m_axi_core_wlast),
    .m_axi_bvalid(m_axi_core_bvalid),
    .m_axi_bready(m_axi_core_bready),
    .m_axi_bresp(m_axi_core_bresp)
  );
endmodule
