/// Round-robin arbiter: grants one of the requests of this cycle, the one after the last granted first.
///
/// Combinational from `req_i` to `grant_o`; every request that stays is granted within `Clients` cycles.
module tmv_round_robin #(
  /// Number of clients, 1 to 8.
  parameter int unsigned Clients = 4
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [Clients-1:0] req_i,
  output logic [Clients-1:0] grant_o
);
  /// Clients behind the last granted one.
  logic [Clients-1:0] mask_q, masked;

  assign masked  = req_i & mask_q;
  assign grant_o = (|masked) ? masked & (~masked + 1'b1) : req_i & (~req_i + 1'b1);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) mask_q <= '0;
    else if (|req_i) mask_q <= ~(grant_o | (grant_o - 1'b1));
  end
endmodule
