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

  /// A word shifted right, and whether a bit of it is lost.
  function automatic logic [26:0] cut_right(logic [25:0] word, logic [4:0] places);
    return {word >> places, (word & ~(26'h3ff_ffff << places)) != '0};
  endfunction

  // 2: align, in two steps of four choices; the third step, of one place, is part of the addition.
  logic [25:0] lesser, step1, step2, step2_q;
  logic [1:0] lost;
  logic further2_q, lost2_q;
  logic [23:0] large_q;
  logic [7:0] exp2_q;
  logic [4:0] room2_q;
  logic sign2_q, subtract2_q, nan2_q, inf2_q;

  assign lesser = {small_normal_q, small_q, 2'b0};

  assign {step1, lost[0]} = cut_right(lesser, {shift_q[4:3], 3'b0});
  assign {step2, lost[1]} = cut_right(step1, {2'b0, shift_q[2:1], 1'b0});

  always_ff @(posedge clk_i) begin
    step2_q     <= step2;
    further2_q  <= shift_q[0];
    lost2_q     <= lost != '0;
    large_q     <= {big_q[30:23] != '0, big_q[22:0]};
    exp2_q      <= {big_q[30:24], big_q[23] || big_q[30:23] == '0};
    // How far a difference may be shifted left: its exponent, which becomes no smaller than 1, minus 1.
    room2_q     <= big_q[30:28] != '0 ? 5'd31 : {big_q[27:24], big_q[23] || big_q[30:23] == '0};
    sign2_q     <= big_q[31];
    subtract2_q <= subtract_q;
    nan2_q      <= big_q[30:23] == '1 && (big_q[22:0] != '0 || (both_inf_q && subtract_q));
    inf2_q      <= big_q[30:23] == '1;
  end

  // 3: add. The last of the three bits below is the OR of all that is lost.
  logic [26:0] aligned;
  logic [27:0] sum3_q;
  logic [7:0] exp3_q;
  logic [4:0] room3_q;
  logic sign3_q, subtract3_q, nan3_q, inf3_q;

  assign aligned = further2_q ? {1'b0, step2_q[25:1], step2_q[0] || lost2_q} : {step2_q, lost2_q};

  always_ff @(posedge clk_i) begin
    sum3_q <= {1'b0, large_q, 3'b0} + ({28{subtract2_q}} ^ {1'b0, aligned}) + 28'(subtract2_q);
    {exp3_q, room3_q}                       <= {exp2_q, room2_q};
    {sign3_q, subtract3_q, nan3_q, inf3_q} <= {sign2_q, subtract2_q, nan2_q, inf2_q};
  end

  // 4: zeros before the first one. An infinite result or a NaN is replaced by a sum from which the rounding makes it: exponent
  // 254, the first bit set, and for a NaN the second one.
  logic [27:0] sum4_q;
  logic [4:0] zeros, zeros4_q, room4_q;
  logic [7:0] exp4_q;
  logic inf, sign4_q, zero4_q;

  tmv_fp_zeros #(
    .Width(28)
  ) u_zeros (
    .bits_i (sum3_q),
    .count_o(zeros)
  );

  assign inf = inf3_q || (exp3_q == 8'd254 && sum3_q[27]);

  always_ff @(posedge clk_i) begin
    sum4_q   <= inf ? {1'b1, nan3_q, 26'b0} : sum3_q;
    zeros4_q <= inf ? '0 : zeros;
    room4_q  <= room3_q;
    exp4_q   <= inf ? 8'd254 : exp3_q;
    // x - x is +0. Like signs keep theirs.
    sign4_q  <= sign3_q && !(sum3_q == '0 && subtract3_q) && !nan3_q;
    zero4_q  <= sum3_q == '0 && !inf3_q;
  end

  // 5: shift to the left, up to the first one, and no further than the exponent allows.
  logic [27:0] shifted;
  logic [4:0] left;
  logic [23:0] kept5_q;
  logic [7:0] exp5_q;
  logic up5_q, sign5_q;

  assign left    = (zeros4_q > room4_q) ? room4_q : zeros4_q;
  assign shifted = sum4_q << left;

  always_ff @(posedge clk_i) begin
    kept5_q <= shifted[27:4];
    up5_q   <= shifted[3] && (shifted[4] || shifted[2:0] != '0);
    exp5_q  <= zero4_q ? '0 : exp4_q - 8'(left);
    sign5_q <= sign4_q;
  end

  // 6: round. The first one of the significand adds 1 to the exponent, and so does a carry.
  always_ff @(posedge clk_i) y_o <= {sign5_q, {exp5_q, 23'b0} + 31'(kept5_q) + 31'(up5_q)};
`else
  f32_t [AddLatency-1:0] y_q;

  always_ff @(posedge clk_i) begin
    y_q[AddLatency-1:1] <= y_q[AddLatency-2:0];
    if (valid_i) y_q[0] <= sum_of(a_i, b_i);
  end

  assign y_o = y_q[AddLatency-1];
`endif
endmodule
