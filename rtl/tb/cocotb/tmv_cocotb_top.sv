/// `tmv_unit` with two 64-bit ports behind names that cocotbext-axi finds: `s_axil_*`, `m_axi_hp0_*`, `m_axi_hp1_*`.
/// Adds the AXI4 signals that never change, like the wrapper for Vivado. No logic.
module tmv_cocotb_top
  import tmv_axi_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Weight codec: 0 = 2-bit planes, 1 = base 3.
  parameter int unsigned Codec = CodecWeights2b
) (
  input  logic                clk_i,
  input  logic                rst_ni,
  output logic                irq_o,
  input  logic                s_axil_awvalid,
  output logic                s_axil_awready,
  input  logic [        11:0] s_axil_awaddr,
  input  logic                s_axil_wvalid,
  output logic                s_axil_wready,
  input  logic [        31:0] s_axil_wdata,
  input  logic [         3:0] s_axil_wstrb,
  output logic                s_axil_bvalid,
  input  logic                s_axil_bready,
  output logic [         1:0] s_axil_bresp,
  input  logic                s_axil_arvalid,
  output logic                s_axil_arready,
  input  logic [        11:0] s_axil_araddr,
  output logic                s_axil_rvalid,
  input  logic                s_axil_rready,
  output logic [        31:0] s_axil_rdata,
  output logic [         1:0] s_axil_rresp,
  output logic                m_axi_hp0_arvalid,
  input  logic                m_axi_hp0_arready,
  output logic [AddrBits-1:0] m_axi_hp0_araddr,
  output logic [         7:0] m_axi_hp0_arlen,
  output logic [         2:0] m_axi_hp0_arsize,
  output logic [         1:0] m_axi_hp0_arburst,
  output logic [         0:0] m_axi_hp0_arid,
  input  logic                m_axi_hp0_rvalid,
  output logic                m_axi_hp0_rready,
  input  logic [        63:0] m_axi_hp0_rdata,
  input  logic [         1:0] m_axi_hp0_rresp,
  input  logic                m_axi_hp0_rlast,
  input  logic [         0:0] m_axi_hp0_rid,
  output logic                m_axi_hp0_awvalid,
  input  logic                m_axi_hp0_awready,
  output logic [AddrBits-1:0] m_axi_hp0_awaddr,
  output logic [         7:0] m_axi_hp0_awlen,
  output logic [         2:0] m_axi_hp0_awsize,
  output logic [         1:0] m_axi_hp0_awburst,
  output logic [         0:0] m_axi_hp0_awid,
  output logic                m_axi_hp0_wvalid,
  input  logic                m_axi_hp0_wready,
  output logic [        63:0] m_axi_hp0_wdata,
  output logic [         7:0] m_axi_hp0_wstrb,
  output logic                m_axi_hp0_wlast,
  input  logic                m_axi_hp0_bvalid,
  output logic                m_axi_hp0_bready,
  input  logic [         1:0] m_axi_hp0_bresp,
  input  logic [         0:0] m_axi_hp0_bid,
  output logic                m_axi_hp1_arvalid,
  input  logic                m_axi_hp1_arready,
  output logic [AddrBits-1:0] m_axi_hp1_araddr,
  output logic [         7:0] m_axi_hp1_arlen,
  output logic [         2:0] m_axi_hp1_arsize,
  output logic [         1:0] m_axi_hp1_arburst,
  output logic [         0:0] m_axi_hp1_arid,
  input  logic                m_axi_hp1_rvalid,
  output logic                m_axi_hp1_rready,
  input  logic [        63:0] m_axi_hp1_rdata,
  input  logic [         1:0] m_axi_hp1_rresp,
  input  logic                m_axi_hp1_rlast,
  input  logic [         0:0] m_axi_hp1_rid
);
  assign {m_axi_hp0_arsize, m_axi_hp0_awsize, m_axi_hp1_arsize} = {3{3'd3}};
  assign {m_axi_hp0_arburst, m_axi_hp0_awburst, m_axi_hp1_arburst} = {3{2'b01}};
  assign m_axi_hp0_awid = 1'b0;
  assign m_axi_hp0_wstrb = '1;

  tmv_unit #(
    .Ports   (2),
    .PortBits(64),
    .Vectors (2),
    .Codec   (Codec)
  ) u_unit (
    .tell_o       (),
    .told_i       (1'b0),
    .m_axi_arvalid({m_axi_hp1_arvalid, m_axi_hp0_arvalid}),
    .m_axi_arready({m_axi_hp1_arready, m_axi_hp0_arready}),
    .m_axi_araddr ({m_axi_hp1_araddr, m_axi_hp0_araddr}),
    .m_axi_arlen  ({m_axi_hp1_arlen, m_axi_hp0_arlen}),
    .m_axi_arid   ({m_axi_hp1_arid, m_axi_hp0_arid}),
    .m_axi_rvalid ({m_axi_hp1_rvalid, m_axi_hp0_rvalid}),
    .m_axi_rready ({m_axi_hp1_rready, m_axi_hp0_rready}),
    .m_axi_rdata  ({m_axi_hp1_rdata, m_axi_hp0_rdata}),
    .m_axi_rresp  ({m_axi_hp1_rresp, m_axi_hp0_rresp}),
    .m_axi_rlast  ({m_axi_hp1_rlast, m_axi_hp0_rlast}),
    .m_axi_rid    ({m_axi_hp1_rid, m_axi_hp0_rid}),
    .m_axi_awvalid(m_axi_hp0_awvalid),
    .m_axi_awready(m_axi_hp0_awready),
    .m_axi_awaddr (m_axi_hp0_awaddr),
    .m_axi_awlen  (m_axi_hp0_awlen),
    .m_axi_wvalid (m_axi_hp0_wvalid),
    .m_axi_wready (m_axi_hp0_wready),
    .m_axi_wdata  (m_axi_hp0_wdata),
    .m_axi_wlast  (m_axi_hp0_wlast),
    .m_axi_bvalid (m_axi_hp0_bvalid),
    .m_axi_bready (m_axi_hp0_bready),
    .m_axi_bresp  (m_axi_hp0_bresp),
    .*
  );
endmodule
