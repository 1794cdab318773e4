`include "tmv_macros.svh"

/// Two read streams on one AXI read port. Stream 1 has priority. The ID of a beat is the number of its stream, so the
/// slave may interleave the beats of both.
///
/// Throughput one address a cycle, latency one cycle: AR leaves through a register. Beats pass without a register.
/// Combinational: `r_valid_i` and `r_id_i` to `r_valid_o`, `ar_ready_i` to `ar_ready_o`. A stream has room for its
/// beats before it asks, so RREADY is always high and neither stream can block the other.
module tmv_read_mux
  import tmv_axi_pkg::*;
(
  input  logic       clk_i,
  input  logic       rst_ni,
  /// Read address channels of the streams.
  input  logic [1:0] ar_valid_i,
  output logic [1:0] ar_ready_o,
  input  ar_t  [1:0] ar_i,
  /// An address of the stream is here and not at the slave yet.
  output logic [1:0] ar_held_o,
  /// The stream that the beat on the port is for.
  output logic [1:0] r_valid_o,
  /// Read address channel of the port.
  output logic       ar_valid_o,
  input  logic       ar_ready_i,
  output ar_t        ar_o,
  /// Read data channel of the port. Data, response and RLAST go to both streams beside this module.
  input  logic       r_valid_i,
  input  logic       r_id_i
);
  logic take, pick;

  assign take = !ar_valid_o || ar_ready_i;
  assign pick = ar_valid_i[1];
  assign ar_ready_o = {take, take && !pick};
  assign ar_held_o = {ar_valid_o && ar_o.id, ar_valid_o && !ar_o.id};
  assign r_valid_o = {r_valid_i && r_id_i, r_valid_i && !r_id_i};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) ar_valid_o <= 1'b0;
    else if (take) ar_valid_o <= |ar_valid_i;
  end

  always_ff @(posedge clk_i) if (take) ar_o <= pick ? ar_i[1] : ar_i[0];

  `TMV_ASSERT(IdIsStream, !(ar_valid_i[0] && ar_i[0].id) && !(ar_valid_i[1] && !ar_i[1].id))

  `TMV_COVER(BothStreamsAsk, ar_valid_i == '1)
  `TMV_COVER(AddressStalled, ar_valid_o && !ar_ready_i)
endmodule
