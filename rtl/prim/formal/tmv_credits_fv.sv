`include "tmv_formal.svh"

/// `tmv_credits` has one for each telling that was not taken, as long as not more come than it holds.
///
/// Unbounded.
module tmv_credits_fv #(
  parameter int unsigned Bits = 3
) (
  input logic clk_i,
  input logic told_i,
  input logic take_i
);
  typedef logic [Bits+2:0] count_t;

  `TMV_FORMAL_RESET

  logic any;

  tmv_credits #(
    .Bits(Bits)
  ) u_credits (
    .clk_i,
    .rst_ni,
    .told_i,
    .any_o (any),
    .take_i
  );

  // Tellings and takings since the reset, both modulo more than can be left.
  count_t told_q, taken_q, left;

  assign left = told_q - taken_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) {told_q, taken_q} <= '0;
    else begin
      told_q  <= told_q + count_t'(told_i);
      taken_q <= taken_q + count_t'(take_i);
    end
  end

  `TMV_ASSUME(TakesOne, !take_i || any)
  `TMV_ASSUME(HoldsAll, !told_i || take_i || left < count_t'((1 << Bits) - 1))

  `TMV_ASSERT(OneForEachTelling, any == (left != '0))
  `TMV_ASSERT(HelpCount, count_t'(u_credits.count_q) == left)

  `TMV_COVER(Full, left == count_t'((1 << Bits) - 1))
  `TMV_COVER(EmptyAgain, told_q == count_t'(2) && taken_q == count_t'(2))
endmodule
