`include "tmv_macros.svh"

/// AXI4-Lite slave in front of a register file: one write and one read at a time, each independent of the other.
///
/// The slave performs a write when address and data have both arrived. It answers OKAY to every access: an error on a
/// stray register access stops Linux on Arm with a panic. A register file that refuses an access has to remember it.
/// BVALID comes two cycles after address and data, RVALID three cycles after the address. No combinational path from
/// bus to bus: only RDATA follows an input, that of the register file.
module tmv_axil_slave
  import tmv_axi_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_ni,
  /// AXI4-Lite bus.
  input  logic        s_axil_awvalid,
  output logic        s_axil_awready,
  input  logic [11:0] s_axil_awaddr,
  input  logic        s_axil_wvalid,
  output logic        s_axil_wready,
  input  logic [31:0] s_axil_wdata,
  input  logic [ 3:0] s_axil_wstrb,
  output logic        s_axil_bvalid,
  input  logic        s_axil_bready,
  output logic [ 1:0] s_axil_bresp,
  input  logic        s_axil_arvalid,
  output logic        s_axil_arready,
  input  logic [11:0] s_axil_araddr,
  output logic        s_axil_rvalid,
  input  logic        s_axil_rready,
  output logic [31:0] s_axil_rdata,
  output logic [ 1:0] s_axil_rresp,
  /// Write to the register file, for one cycle. `write_full_o`: all strobes are set.
  output logic        write_o,
  output logic        write_full_o,
  output logic [11:0] write_addr_o,
  output logic [31:0] write_data_o,
  /// Read of the register file, for one cycle. The answer comes within two cycles and stays.
  output logic        read_o,
  output logic [11:0] read_addr_o,
  input  logic [31:0] read_data_i
);
  // Writes: the slave holds address and data until it has both.
  logic aw_held_q, w_held_q;

  assign s_axil_awready = !aw_held_q;
  assign s_axil_wready  = !w_held_q;
  assign s_axil_bresp   = RespOkay;
  assign write_o        = aw_held_q && w_held_q && !s_axil_bvalid;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_held_q     <= 1'b0;
      w_held_q      <= 1'b0;
      s_axil_bvalid <= 1'b0;
    end else begin
      if (s_axil_awvalid && s_axil_awready) aw_held_q <= 1'b1;
      else if (write_o) aw_held_q <= 1'b0;
      if (s_axil_wvalid && s_axil_wready) w_held_q <= 1'b1;
      else if (write_o) w_held_q <= 1'b0;
      if (write_o) s_axil_bvalid <= 1'b1;
      else if (s_axil_bready) s_axil_bvalid <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (s_axil_awready) write_addr_o <= s_axil_awaddr;
    if (s_axil_wready) begin
      write_data_o <= s_axil_wdata;
      write_full_o <= &s_axil_wstrb;
    end
  end

  // Reads.
  logic read_q;

  assign s_axil_arready = !read_o && !read_q && !s_axil_rvalid;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      read_o        <= 1'b0;
      read_q        <= 1'b0;
      s_axil_rvalid <= 1'b0;
    end else begin
      read_o <= s_axil_arvalid && s_axil_arready;
      read_q <= read_o;
      if (read_q) s_axil_rvalid <= 1'b1;
      else if (s_axil_rready) s_axil_rvalid <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) if (s_axil_arready) read_addr_o <= s_axil_araddr;

  assign s_axil_rdata = read_data_i;
  assign s_axil_rresp = RespOkay;

  `TMV_COVER(AddressFirst, aw_held_q && !w_held_q)
  `TMV_COVER(DataFirst, w_held_q && !aw_held_q)
  `TMV_COVER(PartialStrobes, write_o && !write_full_o)
  `TMV_COVER(ReadBesideWrite, write_o && read_o)
  `TMV_COVER(AnswerWaits, s_axil_rvalid && !s_axil_rready)
endmodule
