`include "tmv_macros.svh"

/// y = a + b of singles, a sum a cycle, `AddLatency` cycles. Rounds as `tmv_fp_pkg` says.
///
/// The larger magnitude keeps its place, the other one is shifted right. Three bits below the result's are enough: what
/// is shifted out beyond them is ORed into the last one. A difference of close magnitudes is shifted left again, no
/// further than the smallest exponent allows: so a subnormal result needs no case of its own.
module tmv_fp_add
  import tmv_fp_pkg::*;
(
  input  logic clk_i,
  /// Operands are valid. Without it the result has no meaning.
  input  logic valid_i,
  input  f32_t a_i,
  input  f32_t b_i,
  output f32_t y_o
);
`ifdef TMV_LUT_BODIES
  // 1: order by magnitude; distance of the exponents. The exponent of a subnormal is that of the smallest normal.
  logic swap, small_normal, both_inf, subtract;
  logic [7:0] a_exp, b_exp, distance;
  f32_t big_q;
  logic [22:0] small_q;
  logic [4:0] shift_q;
  logic small_normal_q, both_inf_q, subtract_q;

  assign swap     = b_i[30:0] > a_i[30:0];
  assign a_exp    = {a_i[30:24], a_i[23] || a_i[30:23] == '0};
  assign b_exp    = {b_i[30:24], b_i[23] || b_i[30:23] == '0};
  assign distance = swap ? b_exp - a_exp : a_exp - b_exp;
  assign small_normal = swap ? a_i[30:23] != '0 : b_i[30:23] != '0;
  assign both_inf = a_i[30:23] == '1 && b_i[30:23] == '1;
  assign subtract = a_i[31] != b_i[31];

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      big_q          <= swap ? b_i : a_i;
      small_q        <= swap ? a_i[22:0] : b_i[22:0];
      shift_q        <= distance[7:5] != '0 ? 5'd31 : distance[4:0];
      small_normal_q <= small_normal;
      both_inf_q     <= both_inf;
      subtract_q     <= subtract;
    end
  end

  // 2: align. The last of the three bits below is the OR of all that is lost.
  logic [23:0] lesser, lost;
  logic [26:0] aligned_q;
  logic [23:0] large_q;
  logic [7:0] exp2_q;
  logic [4:0] room2_q;
  logic sign2_q, subtract2_q, nan2_q, inf2_q;

  assign lesser = {small_normal_q, small_q};
  for (genvar i = 0; i < 24; i++) begin : gen_lost
    assign lost[i] = lesser[i] && shift_q > 5'(i + 2);
  end

  always_ff @(posedge clk_i) begin
    aligned_q   <= {26'({lesser, 2'b0} >> shift_q), |lost};
    large_q     <= {big_q[30:23] != '0, big_q[22:0]};
    exp2_q      <= {big_q[30:24], big_q[23] || big_q[30:23] == '0};
    // How far a difference may be shifted left: its exponent, which becomes no smaller than 1, minus 1.
    room2_q     <= big_q[30:28] != '0 ? 5'd31 : {big_q[27:24], big_q[23] || big_q[30:23] == '0};
    sign2_q     <= big_q[31];
    subtract2_q <= subtract_q;
    nan2_q      <= big_q[30:23] == '1 && (big_q[22:0] != '0 || (both_inf_q && subtract_q));
    inf2_q      <= big_q[30:23] == '1;
  end

  // 3: add.
  logic [27:0] sum3_q;
  logic [7:0] exp3_q;
  logic [4:0] room3_q;
  logic sign3_q, subtract3_q, nan3_q, inf3_q;

  always_ff @(posedge clk_i) begin
    sum3_q <= {1'b0, large_q, 3'b0} + ({28{subtract2_q}} ^ {1'b0, aligned_q}) + 28'(subtract2_q);
    {exp3_q, room3_q}                       <= {exp2_q, room2_q};
    {sign3_q, subtract3_q, nan3_q, inf3_q} <= {sign2_q, subtract2_q, nan2_q, inf2_q};
  end

  // 4: how far left: up to the first one, or up to the mark that the exponent sets.
  logic [27:0] marked, sum4_q;
  logic [4:0] zeros, left4_q;
  logic [7:0] exp4_q;
  logic sign4_q, nan4_q, inf4_q, zero4_q;

  for (genvar i = 0; i < 28; i++) begin : gen_mark
    assign marked[i] = sum3_q[i] || room3_q == 5'(27 - i);
  end

  tmv_fp_zeros #(
    .Width(28)
  ) u_zeros (
    .bits_i (marked),
    .count_o(zeros)
  );

  always_ff @(posedge clk_i) begin
    sum4_q  <= sum3_q;
    left4_q <= zeros;
    exp4_q  <= exp3_q;
    // x - x is +0. Like signs keep theirs.
    sign4_q <= sign3_q && !(sum3_q == '0 && subtract3_q);
    nan4_q  <= nan3_q;
    inf4_q  <= inf3_q || (exp3_q == 8'd254 && sum3_q[27]);
    zero4_q <= sum3_q == '0;
  end

  // 5: shift.
  logic [27:0] shifted;
  logic [23:0] kept5_q;
  logic [7:0] exp5_q;
  logic up5_q, sign5_q, nan5_q, inf5_q, zero5_q;

  assign shifted = sum4_q << left4_q;

  always_ff @(posedge clk_i) begin
    kept5_q <= shifted[27:4];
    up5_q   <= shifted[3] && (shifted[4] || shifted[2:0] != '0);
    exp5_q  <= exp4_q - 8'(left4_q);
    {sign5_q, nan5_q, inf5_q, zero5_q} <= {sign4_q, nan4_q, inf4_q, zero4_q};
  end

  // 6: round. The first one of the significand adds 1 to the exponent, and so does a carry.
  logic [30:0] rounded;

  assign rounded = {exp5_q, 23'b0} + 31'(kept5_q) + 31'(up5_q);

  always_ff @(posedge clk_i) begin
    y_o <= {sign5_q, rounded};
    if (zero5_q) y_o[30:0] <= '0;
    if (inf5_q) y_o[30:0] <= {8'hff, 23'b0};
    if (nan5_q) y_o <= Nan;
  end
`else
  f32_t [AddLatency-1:0] y_q;

  always_ff @(posedge clk_i) begin
    y_q[AddLatency-1:1] <= y_q[AddLatency-2:0];
    if (valid_i) y_q[0] <= sum_of(a_i, b_i);
  end

  assign y_o = y_q[AddLatency-1];
`endif
endmodule
