`include "tmv_macros.svh"

/// Round-robin arbiter: grants one request a cycle. The search begins behind the client that was granted last.
///
/// Combinational from `req_i` and `enable_i` to `grant_o`; `enable_i` meets one gate only, so it may come late. A
/// request that stays is granted within `Clients` enabled cycles. Does not remember requests.
module tmv_round_robin #(
  /// Number of clients, at least 1.
  parameter int unsigned Clients = 4
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  /// Without `enable_i` there is no grant, and the order stays.
  input  logic               enable_i,
  /// A bit for each client.
  input  logic [Clients-1:0] req_i,
  output logic [Clients-1:0] grant_o
);
  // `mask_q`: clients above the one that was granted last.
  logic [Clients-1:0] mask_q, masked, first;

  /// All bits above the lowest set bit. Shifts, because synthesis turns `x & -x` into a carry chain.
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
