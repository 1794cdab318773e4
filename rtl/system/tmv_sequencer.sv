`include "tmv_macros.svh"

/// A RISC-V core with its memory, its registers and its ways out: it drives a ternary unit, and computes what lies
/// between the unit's products, or lets a vector unit compute it.
///
/// The host writes a program into on-chip memory, lets the core run, and gives it jobs through registers. The core
/// reaches the memory of the system through a window of 1 GiB, on an AXI4 port of its own, and the registers of the
/// unit as a master of AXI4-Lite. The unit's interrupt goes to the core. No combinational path from bus to bus.
///
/// When RUN falls, accesses of the core end in order. The core stays in reset until both buses are idle.
module tmv_sequencer
  import tmv_axi_pkg::*;
  import tmv_sys_pkg::*;
#(
  /// On-chip memory in words of 32 bits, a power of two.
  parameter int unsigned RamWords = 32768,
  /// Width of the memory port in bits: 64 or 128.
  parameter int unsigned PortBits = 128
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  /// Interrupt to the host, a level.
  output logic                  irq_o,
  /// Address of an instruction of the core, for simulation; zero in synthesis.
  output logic [          31:0] pc_o,
  /// Interrupts of the ternary unit and of the vector unit, levels.
  input  logic                  unit_irq_i,
  input  logic                  vector_irq_i,
  /// The host's way to the registers of the sequencer, AXI4-Lite.
  input  logic                  s_axil_awvalid,
  output logic                  s_axil_awready,
  input  logic [          11:0] s_axil_awaddr,
  input  logic                  s_axil_wvalid,
  output logic                  s_axil_wready,
  input  logic [          31:0] s_axil_wdata,
  input  logic [           3:0] s_axil_wstrb,
  output logic                  s_axil_bvalid,
  input  logic                  s_axil_bready,
  output logic [           1:0] s_axil_bresp,
  input  logic                  s_axil_arvalid,
  output logic                  s_axil_arready,
  input  logic [          11:0] s_axil_araddr,
  output logic                  s_axil_rvalid,
  input  logic                  s_axil_rready,
  output logic [          31:0] s_axil_rdata,
  output logic [           1:0] s_axil_rresp,
  /// The core's way to the registers of the units, AXI4-Lite: the ternary unit's from 0 on, the vector unit's from
  /// 0x1000 on. A system without a vector unit answers accesses to it with an error.
  output logic                  m_axil_awvalid,
  input  logic                  m_axil_awready,
  output logic [          12:0] m_axil_awaddr,
  output logic                  m_axil_wvalid,
  input  logic                  m_axil_wready,
  output logic [          31:0] m_axil_wdata,
  output logic [           3:0] m_axil_wstrb,
  input  logic                  m_axil_bvalid,
  output logic                  m_axil_bready,
  input  logic [           1:0] m_axil_bresp,
  output logic                  m_axil_arvalid,
  input  logic                  m_axil_arready,
  output logic [          12:0] m_axil_araddr,
  input  logic                  m_axil_rvalid,
  output logic                  m_axil_rready,
  input  logic [          31:0] m_axil_rdata,
  input  logic [           1:0] m_axil_rresp,
  /// The core's port to memory, AXI4 without IDs.
  output logic                  m_axi_arvalid,
  input  logic                  m_axi_arready,
  output addr_t                 m_axi_araddr,
  output len_t                  m_axi_arlen,
  input  logic                  m_axi_rvalid,
  output logic                  m_axi_rready,
  input  logic [  PortBits-1:0] m_axi_rdata,
  input  logic [           1:0] m_axi_rresp,
  input  logic                  m_axi_rlast,
  output logic                  m_axi_awvalid,
  input  logic                  m_axi_awready,
  output addr_t                 m_axi_awaddr,
  output len_t                  m_axi_awlen,
  output logic                  m_axi_wvalid,
  input  logic                  m_axi_wready,
  output logic [  PortBits-1:0] m_axi_wdata,
  output logic [PortBits/8-1:0] m_axi_wstrb,
  output logic                  m_axi_wlast,
  input  logic                  m_axi_bvalid,
  output logic                  m_axi_bready,
  input  logic [           1:0] m_axi_bresp
);
  // The core.
  logic run, running_q, idle, inst_busy, busy;
  logic [3:0] core_kind;
  logic [31:0] data_wdata;
  bus_req_t inst_req, inst_ram_req, data_req, data_ram_req, ram_req, window_req, unit_req, regs_req;
  bus_rsp_t inst_rsp, inst_ram_rsp, data_rsp, data_ram_rsp, window_rsp, unit_rsp, regs_rsp;

  // The core leaves reset when nothing of a run before is in progress.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) running_q <= 1'b0;
    else running_q <= run && (running_q || !busy);
  end
  // After the core stops, its accesses still end, and its writes to memory arrive.
  assign busy = running_q || !idle || inst_busy;

  tmv_core u_core (
    .clk_i,
    .rst_ni,
    .core_rst_ni(running_q),
    .irq_i      (unit_irq_i || vector_irq_i),
    .inst_req_o (inst_req),
    .inst_rsp_i (inst_rsp),
    .data_req_o (data_req),
    .data_wdata_o(data_wdata),
    .data_rsp_i (data_rsp),
    .kind_o     (core_kind),
    .pc_o
  );

  tmv_core_inst #(
    .RamWords(RamWords)
  ) u_inst (
    .clk_i,
    .rst_ni,
    .req_i    (inst_req),
    .rsp_o    (inst_rsp),
    .busy_o   (inst_busy),
    .ram_req_o(inst_ram_req),
    .ram_rsp_i(inst_ram_rsp)
  );

  // On-chip memory. The host writes it while the core is in reset.
  logic ram_write;
  logic [31:0] ram_addr, ram_data, ram_wdata;

  always_comb begin
    data_ram_req = ram_req;
    ram_wdata    = data_wdata;
    if (ram_write) begin
      data_ram_req = '{valid: 1'b1, write: 1'b1, addr: ram_addr, len: '0, strb: '1};
      ram_wdata    = ram_data;
    end
  end

  tmv_core_ram #(
    .Words(RamWords)
  ) u_ram (
    .clk_i,
    .rst_ni,
    .inst_req_i(inst_ram_req),
    .inst_rsp_o(inst_ram_rsp),
    .data_req_i(data_ram_req),
    .data_wdata_i(ram_wdata),
    .data_rsp_o(data_ram_rsp)
  );

  // Data.
  logic quiet, demux_idle, memory_fault, core_fault;
  logic [31:0] fault_addr;
  logic [9:0] window;

  assign idle = demux_idle && quiet;

  tmv_core_demux #(
    .RamWords(RamWords)
  ) u_demux (
    .clk_i,
    .rst_ni,
    .req_i       (data_req),
    .rsp_o       (data_rsp),
    .quiet_i     (quiet),
    .idle_o      (demux_idle),
    .fault_o     (core_fault),
    .fault_addr_o(fault_addr),
    .ram_req_o   (ram_req),
    .ram_rsp_i   (data_ram_rsp),
    .window_req_o(window_req),
    .window_rsp_i(window_rsp),
    .unit_req_o  (unit_req),
    .unit_rsp_i  (unit_rsp),
    .regs_req_o  (regs_req),
    .regs_rsp_i  (regs_rsp)
  );

  tmv_core_window #(
    .PortBits(PortBits)
  ) u_window (
    .clk_i,
    .rst_ni,
    .req_i        (window_req),
    .wdata_i      (data_wdata),
    .rsp_o        (window_rsp),
    .window_i     (window),
    .quiet_o      (quiet),
    .fault_o      (memory_fault),
    .m_axi_arvalid,
    .m_axi_arready,
    .m_axi_araddr,
    .m_axi_arlen,
    .m_axi_rvalid,
    .m_axi_rready,
    .m_axi_rdata,
    .m_axi_rresp,
    .m_axi_rlast,
    .m_axi_awvalid,
    .m_axi_awready,
    .m_axi_awaddr,
    .m_axi_awlen,
    .m_axi_wvalid,
    .m_axi_wready,
    .m_axi_wdata,
    .m_axi_wstrb,
    .m_axi_wlast,
    .m_axi_bvalid,
    .m_axi_bready,
    .m_axi_bresp
  );

  tmv_core_axil u_axil (
    .clk_i,
    .rst_ni,
    .req_i(unit_req),
    .wdata_i(data_wdata),
    .rsp_o(unit_rsp),
    .m_axil_awvalid,
    .m_axil_awready,
    .m_axil_awaddr,
    .m_axil_wvalid,
    .m_axil_wready,
    .m_axil_wdata,
    .m_axil_wstrb,
    .m_axil_bvalid,
    .m_axil_bready,
    .m_axil_bresp,
    .m_axil_arvalid,
    .m_axil_arready,
    .m_axil_araddr,
    .m_axil_rvalid,
    .m_axil_rready,
    .m_axil_rdata,
    .m_axil_rresp
  );

  // Registers.
  logic write, write_full, read;
  logic [11:0] write_addr, read_addr;
  logic [31:0] write_data, read_data, param;

  always_comb begin
    param = '0;
    param[tmv_sys_reg_pkg::ParamRamWordsLog2Lsb+:5] = 5'($clog2(RamWords));
    param[tmv_sys_reg_pkg::ParamCoreLsb+:4] = core_kind;
    param[tmv_sys_reg_pkg::ParamPortBytesLsb+:5] = 5'(PortBits / 8);
  end

  tmv_axil_slave u_slave (
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
    .write_o     (write),
    .write_full_o(write_full),
    .write_addr_o(write_addr),
    .write_data_o(write_data),
    .read_o      (read),
    .read_addr_o (read_addr),
    .read_data_i (read_data)
  );

  tmv_sys_regs u_regs (
    .clk_i,
    .rst_ni,
    .param_i      (param),
    .write_i      (write),
    .write_full_i (write_full),
    .write_addr_i (write_addr),
    .write_data_i (write_data),
    .read_i       (read),
    .read_addr_i  (read_addr),
    .read_data_o  (read_data),
    .req_i        (regs_req),
    .wdata_i      (data_wdata),
    .rsp_o        (regs_rsp),
    .run_o        (run),
    .busy_i       (busy),
    .window_o     (window),
    .ram_write_o  (ram_write),
    .ram_addr_o   (ram_addr),
    .ram_data_o   (ram_data),
    .unit_irq_i,
    .vector_irq_i,
    .memory_fault_i(memory_fault),
    .core_fault_i (core_fault),
    .fault_addr_i (fault_addr),
    .irq_o
  );

  `TMV_ASSERT(RegistersFollowWrites, !(m_axil_awvalid || m_axil_wvalid || m_axil_arvalid) || quiet)
  `TMV_ASSERT_IF(HostWritesArrive, ram_write, !busy && data_ram_rsp.ready)
endmodule
