`include "tmv_formal.svh"

/// The body of `tmv_popcount` for LUTs equals `$countones`, the body for simulation, for every word.
///
/// The module has no state, so one cycle shows everything.
module tmv_popcount_fv #(
  parameter  int unsigned Width = 64,
  localparam int unsigned CountBits = $clog2(Width + 1)
) (
  input logic [Width-1:0] bits_i
);
  logic [CountBits-1:0] count;

  tmv_popcount #(
    .Width(Width)
  ) u_count (
    .bits_i ('{bits_i}),
    .count_o(count)
  );

  `TMV_ASSERT_COMB(EqualsCountones, count == CountBits'($countones(bits_i)))
  `TMV_COVER_COMB(All, count == CountBits'(Width))
endmodule
