`include "tmv_macros.svh"

/// The core's way to the registers of the units, 4 KiB each: a master of AXI4-Lite, one access at a time, in words. An access that the
/// slave answers with an error is an error of the core's access. No combinational path from bus to bus.
module tmv_core_axil
  import tmv_axi_pkg::*;
  import tmv_sys_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_ni,
  /// The core's bus; reads of one word only.
  input  bus_req_t    req_i,
  input  logic [31:0] wdata_i,
  output bus_rsp_t    rsp_o,
  /// AXI4-Lite bus.
  output logic        m_axil_awvalid,
  input  logic        m_axil_awready,
  output logic [12:0] m_axil_awaddr,
  output logic        m_axil_wvalid,
  input  logic        m_axil_wready,
  output logic [31:0] m_axil_wdata,
  output logic [ 3:0] m_axil_wstrb,
  input  logic        m_axil_bvalid,
  output logic        m_axil_bready,
  input  logic [ 1:0] m_axil_bresp,
  output logic        m_axil_arvalid,
  input  logic        m_axil_arready,
  output logic [12:0] m_axil_araddr,
  input  logic        m_axil_rvalid,
  output logic        m_axil_rready,
  input  logic [31:0] m_axil_rdata,
  input  logic [ 1:0] m_axil_rresp
);
  logic busy_q, valid_q, error_q, take, done;
  logic [31:0] rdata_q;

  assign rsp_o = '{ready: !busy_q, valid: valid_q, error: error_q, rdata: rdata_q};
  assign take  = req_i.valid && !busy_q;
  assign done  = m_axil_bvalid || m_axil_rvalid;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q         <= 1'b0;
      valid_q        <= 1'b0;
      m_axil_awvalid <= 1'b0;
      m_axil_wvalid  <= 1'b0;
      m_axil_arvalid <= 1'b0;
    end else begin
      // The answer goes to the core in the cycle after `done`. The next request is taken after that.
      if (take) busy_q <= 1'b1;
      else if (valid_q) busy_q <= 1'b0;
      valid_q <= busy_q && done;
      if (take && req_i.write) m_axil_awvalid <= 1'b1;
      else if (m_axil_awready) m_axil_awvalid <= 1'b0;
      if (take && req_i.write) m_axil_wvalid <= 1'b1;
      else if (m_axil_wready) m_axil_wvalid <= 1'b0;
      if (take && !req_i.write) m_axil_arvalid <= 1'b1;
      else if (m_axil_arready) m_axil_arvalid <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      m_axil_awaddr <= req_i.addr[12:0];
      m_axil_araddr <= req_i.addr[12:0];
      m_axil_wdata  <= wdata_i;
      m_axil_wstrb  <= req_i.strb;
    end
    if (done) begin
      rdata_q <= m_axil_rdata;
      error_q <= m_axil_bvalid ? m_axil_bresp != RespOkay : m_axil_rresp != RespOkay;
    end
  end

  assign m_axil_bready = 1'b1;
  assign m_axil_rready = 1'b1;

  `TMV_ASSERT(OneWord, !(req_i.valid && req_i.len != '0))
endmodule
