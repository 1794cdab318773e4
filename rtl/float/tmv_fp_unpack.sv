`include "tmv_macros.svh"

/// Normalises an operand of division or root: a significand with its top bit set, and the exponent that belongs to it,
/// below 1 for a subnormal. One a cycle, two cycles.
module tmv_fp_unpack (
  input  logic              clk_i,
  /// A single without its sign.
  input  logic       [30:0] x_i,
  output logic       [23:0] significand_o,
  output logic signed [9:0] exponent_o,
  output logic              nan_o,
  output logic              inf_o,
  output logic              zero_o
);
  logic low, frac_zero;
  logic [4:0] zeros, zeros_q;
  logic [23:0] significand_q;
  logic [7:0] exponent_q;
  logic low_q, high_q;

  assign low = x_i[30:23] == '0;

  tmv_fp_zeros #(
    .Width(24)
  ) u_zeros (
    .bits_i ({x_i[22:0], 1'b0}),
    .count_o(zeros)
  );

  assign frac_zero = significand_q[22:0] == '0;

  always_ff @(posedge clk_i) begin
    significand_q <= {!low, x_i[22:0]};
    exponent_q    <= {x_i[30:24], x_i[23] || low};
    zeros_q       <= low ? zeros + 5'd1 : '0;
    low_q         <= low;
    high_q        <= x_i[30:23] == '1;
    significand_o <= significand_q << zeros_q;
    exponent_o    <= $signed({2'b0, exponent_q}) - $signed({5'b0, zeros_q});
    zero_o        <= low_q && frac_zero;
    nan_o         <= high_q && !frac_zero;
    inf_o         <= high_q && frac_zero;
  end
endmodule
