`include "tmv_macros.svh"

/// Says which ports may take another block, so that all of them end at the same time.
///
/// A port that gets its weights faster than the others asks for more blocks. That is right as long as all engines wait for
/// weights. But with weights in its queue, a port computes one beat a cycle, however fast memory is: then it would have
/// the most blocks, and end last. So only ports with the fewest blocks may take one.
///
/// The answer is a cycle late. One port at least may take a block. No combinational path from an input to an output.
module tmv_balance
  import tmv_pkg::*;
#(
  /// Ports, at least 1.
  parameter int unsigned Ports = 4
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  /// A port takes a block; a port is done with one.
  input  logic [Ports-1:0] grant_i,
  input  logic [Ports-1:0] done_i,
  /// Ports that may take a block.
  output logic [Ports-1:0] may_o
);
  /// Blocks of a port: those in its queue, and the one at work.
  typedef logic [$clog2(PortBlocks):0] count_t;

  count_t [Ports-1:0] blocks_q;

  always_ff @(posedge clk_i) begin
    for (int unsigned p = 0; p < Ports; p++) begin
      may_o[p] <= 1'b1;
      for (int unsigned other = 0; other < Ports; other++) if (blocks_q[other] < blocks_q[p]) may_o[p] <= 1'b0;
      if (grant_i[p] != done_i[p]) blocks_q[p] <= grant_i[p] ? blocks_q[p] + 1'b1 : blocks_q[p] - 1'b1;
    end
    if (!rst_ni) {may_o, blocks_q} <= '0;
  end

  `TMV_COVER(Balanced, may_o != '1)
endmodule
