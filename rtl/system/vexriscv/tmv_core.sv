`include "tmv_macros.svh"

/// The seam between the sequencer and its core, for VexRiscv: rv32im with caches of 4 KiB for instructions and data, and
/// bursts of a line on Wishbone. Addresses from 0x8000_0000 on are not cached. The data cache writes through.
///
/// This core ignores errors of its buses: instructions that do not exist read as zero, which is no instruction.
/// VexRiscv itself is not part of this repository: PyPI has its Verilog.
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
  /// Address of an instruction in the core's last stage, for simulation; zero in synthesis.
  output logic [31:0] pc_o
);
  /// CTI of Wishbone: more transfers with ascending addresses follow. Then the transfer begins a line.
  localparam logic [2:0] CtiAscending = 3'b010;

  logic [1:0] cyc, stb, we, ack, err;
  logic [1:0][29:0] adr;
  logic [1:0][ 3:0] sel;
  logic [1:0][ 2:0] cti;
  logic [1:0] taken_q;
  bus_req_t [1:0] req;
  bus_rsp_t [1:0] rsp;

  assign {data_req_o, inst_req_o} = req;
  assign rsp    = {data_rsp_i, inst_rsp_i};
  assign kind_o = 4'(tmv_sys_reg_pkg::CoreVexriscv);

  for (genvar i = 0; i < 2; i++) begin : gen_bus
    // The core shows one transfer after the other. The first one of a burst makes the request for all of it.
    logic active;
    logic [2:0] left_q;

    assign active = cyc[i] && stb[i] && core_rst_ni;
    assign req[i] = '{
            valid: active && !taken_q[i],
            write: we[i],
            addr: {adr[i], 2'b00},
            len: cti[i] == CtiAscending ? 3'(LineWords - 1) : '0,
            strb: sel[i]
        };
    assign ack[i] = taken_q[i] && rsp[i].valid;
    assign err[i] = taken_q[i] && rsp[i].valid && rsp[i].error;

    always_ff @(posedge clk_i) begin
      if (!rst_ni || !core_rst_ni) taken_q[i] <= 1'b0;
      else if (req[i].valid && rsp[i].ready) taken_q[i] <= 1'b1;
      else if (ack[i] && left_q == '0) taken_q[i] <= 1'b0;
    end

    always_ff @(posedge clk_i) begin
      if (req[i].valid && rsp[i].ready) left_q <= req[i].len;
      else if (ack[i]) left_q <= left_q - 3'd1;
    end
  end

`ifdef SYNTHESIS
  assign pc_o = '0;
`else
  assign pc_o = u_vexriscv.lastStagePc;
`endif

  VexRiscv u_vexriscv (
    .clk(clk_i),
    .reset(!core_rst_ni),
    .externalResetVector(32'b0),
    .timerInterrupt(1'b0),
    .softwareInterrupt(1'b0),
    .externalInterruptArray({31'b0, irq_i}),
    .iBusWishbone_CYC(cyc[0]),
    .iBusWishbone_STB(stb[0]),
    .iBusWishbone_ACK(ack[0]),
    .iBusWishbone_WE(we[0]),
    .iBusWishbone_ADR(adr[0]),
    .iBusWishbone_DAT_MISO(rsp[0].rdata),
    .iBusWishbone_DAT_MOSI(),
    .iBusWishbone_SEL(sel[0]),
    .iBusWishbone_ERR(err[0]),
    .iBusWishbone_CTI(cti[0]),
    .iBusWishbone_BTE(),
    .dBusWishbone_CYC(cyc[1]),
    .dBusWishbone_STB(stb[1]),
    .dBusWishbone_ACK(ack[1]),
    .dBusWishbone_WE(we[1]),
    .dBusWishbone_ADR(adr[1]),
    .dBusWishbone_DAT_MISO(rsp[1].rdata),
    .dBusWishbone_DAT_MOSI(data_wdata_o),
    .dBusWishbone_SEL(sel[1]),
    .dBusWishbone_ERR(err[1]),
    .dBusWishbone_CTI(cti[1]),
    .dBusWishbone_BTE()
  );
endmodule
