`include "tmv_macros.svh"

/// Rounds the result of division or root to a single. One a cycle, four cycles.
///
/// The significand has its top bit in bit 25 or 24; `more_i` says that bits below it are lost. A result below the
/// smallest normal is shifted right before it is rounded.
module tmv_fp_pack
  import tmv_fp_pkg::*;
(
  input  logic              clk_i,
  input  logic       [25:0] significand_i,
  input  logic              more_i,
  /// Exponent that belongs to bit 25.
  input  logic signed [9:0] exponent_i,
  input  logic              sign_i,
  /// The result is not a number, infinite, zero. At most one of them.
  input  logic              nan_i,
  input  logic              inf_i,
  input  logic              zero_i,
  output f32_t              y_o
);
  // 1: the top bit to bit 24. 2: how far right, for a subnormal. 3: shift. 4: round.
  logic [24:0] top_q, top2_q, lost, low_q;
  logic more_q, more2_q, more3_q, up;
  logic signed [9:0] exponent_q, right;
  logic [4:0] shift2_q;
  logic [7:0] exponent2_q, exponent3_q;
  logic sign_q, nan_q, inf_q, zero_q, sign2_q, nan2_q, inf2_q, zero2_q, sign3_q, nan3_q, inf3_q, zero3_q;
  logic [30:0] rounded;

  assign right = 10'sd1 - exponent_q;
  for (genvar i = 0; i < 25; i++) begin : gen_lost
    assign lost[i] = top2_q[i] && shift2_q > 5'(i);
  end
  assign up      = low_q[0] && (low_q[1] || more3_q);
  // The top bit of the significand adds 1 to the exponent, and so does a carry.
  assign rounded = {exponent3_q, 23'b0} + 31'(low_q[24:1]) + 31'(up);

  always_ff @(posedge clk_i) begin
    top_q       <= significand_i[25] ? significand_i[25:1] : significand_i[24:0];
    more_q      <= more_i || (significand_i[25] && significand_i[0]);
    exponent_q  <= exponent_i - 10'(!significand_i[25]);
    {sign_q, nan_q, inf_q, zero_q} <= {sign_i, nan_i, inf_i, zero_i};

    top2_q      <= top_q;
    more2_q     <= more_q;
    shift2_q    <= exponent_q >= 10'sd1 ? '0 : right[8:5] != '0 ? 5'd31 : right[4:0];
    exponent2_q <= exponent_q >= 10'sd1 ? 8'(exponent_q - 10'sd1) : '0;
    inf2_q      <= inf_q || exponent_q >= 10'sd255;
    {sign2_q, nan2_q, zero2_q} <= {sign_q, nan_q, zero_q};

    low_q       <= top2_q >> shift2_q;
    more3_q     <= more2_q || lost != '0;
    exponent3_q <= exponent2_q;
    {sign3_q, nan3_q, inf3_q, zero3_q} <= {sign2_q, nan2_q, inf2_q, zero2_q};

    y_o <= {sign3_q, rounded};
    if (inf3_q) y_o[30:0] <= {8'hff, 23'b0};
    if (zero3_q) y_o[30:0] <= '0;
    if (nan3_q) y_o <= Nan;
  end
endmodule
