`include "tmv_macros.svh"

/// Two read streams on one AXI read port. The second has priority; the ID tells their beats apart, so the slave may
/// interleave them. Both streams reserve room before they ask, so neither can block the other.
module tmv_read_mux
  import tmv_axi_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_ni,
  /// Streams: address channels in, beats out.
  input  logic  [1:0] ar_valid_i,
  output logic  [1:0] ar_ready_o,
  input  addr_t [1:0] ar_addr_i,
  input  logic  [1:0][7:0] ar_len_i,
  output logic  [1:0] r_valid_o,
  /// The port.
  output logic        ar_valid_o,
  input  logic        ar_ready_i,
  output addr_t       ar_addr_o,
  output logic  [7:0] ar_len_o,
  output logic        ar_id_o,
  input  logic        r_valid_i,
  input  logic        r_id_i
);
  logic take, pick;

  assign take = !ar_valid_o || ar_ready_i;
  assign pick = ar_valid_i[1];
  assign ar_ready_o = {take, take && !pick};
  assign r_valid_o = {r_valid_i && r_id_i, r_valid_i && !r_id_i};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) ar_valid_o <= 1'b0;
    else if (take) ar_valid_o <= |ar_valid_i;
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      ar_addr_o <= pick ? ar_addr_i[1] : ar_addr_i[0];
      ar_len_o  <= pick ? ar_len_i[1] : ar_len_i[0];
      ar_id_o   <= pick;
    end
  end

  `TMV_COVER(BothStreamsAsk, ar_valid_i == '1)
  `TMV_COVER(AddressStalled, ar_valid_o && !ar_ready_i)
endmodule
