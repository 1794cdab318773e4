`include "tmv_macros.svh"

/// Counts what the other unit tells. Each wait of this unit takes one.
///
/// A count that is full stays full: a unit that is told and never waits does no harm. No combinational path.
module tmv_credits #(
  /// Bits of the count.
  parameter int unsigned Bits = 8
) (
  input  logic clk_i,
  input  logic rst_ni,
  /// The other unit tells, for a cycle.
  input  logic told_i,
  /// The count is not zero; it is taken down by one. `take_i` needs `any_o`.
  output logic any_o,
  input  logic take_i
);
  logic [Bits-1:0] count_q;

  assign any_o = count_q != '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) count_q <= '0;
    else if (told_i && !take_i && count_q != '1) count_q <= count_q + 1'b1;
    else if (take_i && !told_i) count_q <= count_q - 1'b1;
  end

  `TMV_ASSERT_IF(TakesWhatIsThere, take_i, any_o)
  `TMV_COVER(ToldWhileTaken, told_i && take_i)
  `TMV_COVER(ToldTooOften, told_i && !take_i && count_q == '1)
endmodule
