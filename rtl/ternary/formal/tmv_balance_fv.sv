`include "tmv_formal.svh"

/// `tmv_balance` lets the ports take a block that had the fewest a cycle before, and a port that takes one has at most two
/// more than any other.
///
/// Unbounded. A port holds up to `PortBlocks` blocks, and takes one only if it may.
module tmv_balance_fv
  import tmv_pkg::*;
#(
  parameter int unsigned Ports = 4
) (
  input logic             clk_i,
  input logic [Ports-1:0] grant_i,
  input logic [Ports-1:0] done_i
);
  typedef logic [$clog2(PortBlocks)+2:0] count_t;

  `TMV_FORMAL_RESET

  logic [Ports-1:0] may;

  tmv_balance #(
    .Ports(Ports)
  ) u_balance (
    .clk_i,
    .rst_ni,
    .grant_i,
    .done_i,
    .may_o(may)
  );

  // Blocks of each port, now and a cycle before; whether there was a cycle before since the reset.
  count_t [Ports-1:0] left_q, before_q;
  logic past_q;

  always_ff @(posedge clk_i) begin
    past_q   <= rst_ni;
    before_q <= left_q;
    for (int unsigned p = 0; p < Ports; p++) left_q[p] <= left_q[p] + count_t'(grant_i[p]) - count_t'(done_i[p]);
    if (!rst_ni) {past_q, before_q, left_q} <= '0;
  end

  `TMV_ASSERT(NoneInTheFirstCycle, past_q || may == '0)
  `TMV_ASSERT(OneAtLeast, !past_q || may != '0)

  for (genvar p = 0; p < int'(Ports); p++) begin : gen_port
    logic fewest, close;

    always_comb begin
      {fewest, close} = '1;
      for (int unsigned other = 0; other < Ports; other++) begin
        if (before_q[other] < before_q[p]) fewest = 1'b0;
        if (left_q[p] > left_q[other] + count_t'(2)) close = 1'b0;
      end
    end

    `TMV_ASSUME(TakesIfItMay, !grant_i[p] || (may[p] && left_q[p] < count_t'(PortBlocks)))
    `TMV_ASSUME(DoneWithWhatItHas, !done_i[p] || left_q[p] != '0)

    `TMV_ASSERT(TheFewest, !past_q || may[p] == fewest)
    `TMV_ASSERT(AtMostTwoMore, !grant_i[p] || close)
    `TMV_ASSERT(HelpCount, count_t'(u_balance.blocks_q[p]) == left_q[p] && left_q[p] <= count_t'(PortBlocks))
    `TMV_ASSERT(HelpBefore, !past_q || (left_q[p] <= before_q[p] + count_t'(1) && before_q[p] <= left_q[p] + count_t'(1)))
  end

  `TMV_COVER(OneIsAhead, grant_i[0] && left_q[0] == left_q[1] + count_t'(2))
  `TMV_COVER(OnlyOneMay, may == Ports'(1))
endmodule
