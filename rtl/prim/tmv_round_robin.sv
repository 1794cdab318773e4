`include "tmv_macros.svh"

/// Round-robin arbiter: grants one of the requests of this cycle, the one after the last granted first.
///
/// Combinational from `req_i` and, late, from `enable_i` to `grant_o`; every request that stays is granted within
/// `Clients` enabled cycles.
module tmv_round_robin #(
  /// Number of clients, at least 1.
  parameter int unsigned Clients = 4
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  /// Without it nobody is granted, and the order stays.
  input  logic               enable_i,
  input  logic [Clients-1:0] req_i,
  output logic [Clients-1:0] grant_o
);
  /// Clients behind the last granted one.
  logic [Clients-1:0] mask_q, masked, first;

  /// All clients above the lowest one. Without `x & -x`, which synthesis turns into a carry chain.
  function automatic logic [Clients-1:0] above(logic [Clients-1:0] bits);
    above = bits << 1;
    for (int unsigned i = 1; i < Clients; i *= 2) above |= above << i;
  endfunction

  assign masked  = req_i & mask_q;
  assign first   = (|masked) ? masked & ~above(masked) : req_i & ~above(req_i);
  assign grant_o = enable_i ? first : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) mask_q <= '0;
    else if (enable_i && |req_i) mask_q <= above(first);
  end

  `TMV_REQUIRE(clients, Clients >= 1, "tmv_round_robin: there must be a client")
endmodule
