`include "tmv_macros.svh"

/// The seam between the sequencer and its core, for CV32E40P with its FPU: rv32imfc, no caches, single accesses on OBI.
/// It shows what a scalar core with hardware floating point can do.
///
/// CV32E40P itself is not part of this repository: PyPI has its SystemVerilog. It has no input for errors of its buses.
module tmv_core
  import tmv_sys_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_ni,
  /// The core begins at address 0 after this reset; both buses have to be idle then.
  input  logic        core_rst_ni,
  /// External interrupt, a level.
  input  logic        irq_i,
  /// Instructions; only reads.
  output bus_req_t    inst_req_o,
  input  bus_rsp_t    inst_rsp_i,
  /// Data.
  output bus_req_t    data_req_o,
  output logic [31:0] data_wdata_o,
  input  bus_rsp_t    data_rsp_i,
  /// Value of PARAM.CORE.
  output logic [ 3:0] kind_o,
  /// Address of an instruction in the core's second stage, for simulation; zero in synthesis.
  output logic [31:0] pc_o
);
  /// Number of the external interrupt of machine mode.
  localparam int unsigned ExternalIrq = 11;

  logic inst_req, data_req, data_we;
  logic [31:0] inst_addr, data_addr;
  logic [3:0] data_be;

  assign kind_o     = 4'(tmv_sys_reg_pkg::CoreCv32e40p);
  assign inst_req_o = '{valid: inst_req && core_rst_ni, write: 1'b0, addr: inst_addr, len: '0, strb: '1};
  assign data_req_o = '{valid: data_req && core_rst_ni, write: data_we, addr: data_addr, len: '0, strb: data_be};

`ifdef SYNTHESIS
  assign pc_o = '0;
`else
  assign pc_o = u_cv32e40p.core_i.pc_id;
`endif

  cv32e40p_top #(
    .FPU           (1),
    .FPU_ADDMUL_LAT(3),
    .FPU_OTHERS_LAT(1)
  ) u_cv32e40p (
    .clk_i,
    .rst_ni             (rst_ni && core_rst_ni),
    .pulp_clock_en_i    (1'b1),
    .scan_cg_en_i       (1'b0),
    .boot_addr_i        ('0),
    .mtvec_addr_i       ('0),
    .dm_halt_addr_i     ('0),
    .hart_id_i          ('0),
    .dm_exception_addr_i('0),
    .instr_req_o        (inst_req),
    .instr_gnt_i        (inst_rsp_i.ready),
    .instr_rvalid_i     (inst_rsp_i.valid),
    .instr_addr_o       (inst_addr),
    .instr_rdata_i      (inst_rsp_i.rdata),
    .data_req_o         (data_req),
    .data_gnt_i         (data_rsp_i.ready),
    .data_rvalid_i      (data_rsp_i.valid),
    .data_we_o          (data_we),
    .data_be_o          (data_be),
    .data_addr_o        (data_addr),
    .data_wdata_o,
    .data_rdata_i       (data_rsp_i.rdata),
    .irq_i              (32'(irq_i) << ExternalIrq),
    .irq_ack_o          (),
    .irq_id_o           (),
    .debug_req_i        (1'b0),
    .debug_havereset_o  (),
    .debug_running_o    (),
    .debug_halted_o     (),
    .fetch_enable_i     (1'b1),
    .core_sleep_o       ()
  );
endmodule
