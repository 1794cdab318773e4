`include "tmv_macros.svh"

/// y = a * b of singles, a product a cycle, `MulLatency` cycles. Rounds as `tmv_fp_pkg` says.
///
/// The product of the significands has 48 bits. It is shifted once: left past the zeros of a subnormal operand, no
/// further than the exponent of the result allows, or right for a subnormal result. Softmax needs both.
module tmv_fp_mul
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
  // 1: unpack.
  logic a_low, b_low, a_high, b_high, a_frac, b_frac;
  logic [23:0] a_q, b_q;
  logic [8:0] exp1_q;
  logic [22:0] low1_q;
  logic sign1_q, nan1_q, inf1_q, zero1_q, subnormal1_q;

  assign a_low  = a_i[30:23] == '0;
  assign b_low  = b_i[30:23] == '0;
  assign a_high = a_i[30:23] == '1;
  assign b_high = b_i[30:23] == '1;
  assign a_frac = a_i[22:0] != '0;
  assign b_frac = b_i[22:0] != '0;

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      a_q     <= {!a_low, a_i[22:0]};
      b_q     <= {!b_low, b_i[22:0]};
      // The sum of the exponents and a carry of 1, so that 128 is left to subtract.
      exp1_q  <= 9'(({1'b0, a_i[30:24], a_i[23] || a_low, 1'b1} + {1'b0, b_i[30:24], b_i[23] || b_low, 1'b1}) >> 1);
      sign1_q <= a_i[31] != b_i[31];
      nan1_q  <= (a_high && a_frac) || (b_high && b_frac) || (a_high && b_low && !b_frac)
          || (b_high && a_low && !a_frac);
      inf1_q  <= a_high || b_high;
      zero1_q <= (a_low && !a_frac) || (b_low && !b_frac);
      // Two subnormal operands have a product that is rounded away whatever its shift is.
      subnormal1_q <= a_low || b_low;
      low1_q  <= a_low ? a_i[22:0] : b_i[22:0];
    end
  end

  // 2: multiply, in two pieces that fit DSP blocks; zeros of a subnormal operand.
  logic [4:0] zeros, zeros2_q;
  logic [40:0] low2_q;
  logic [30:0] high2_q;
  logic [8:0] exp2_q;
  logic sign2_q, nan2_q, inf2_q, zero2_q;

  tmv_fp_zeros #(
    .Width(24)
  ) u_zeros (
    .bits_i ({low1_q, 1'b0}),
    .count_o(zeros)
  );

  always_ff @(posedge clk_i) begin
    low2_q   <= a_q * b_q[16:0];
    high2_q  <= a_q * b_q[23:17];
    zeros2_q <= subnormal1_q ? zeros + 5'd1 : '0;
    {exp2_q, sign2_q, nan2_q, inf2_q, zero2_q} <= {exp1_q, sign1_q, nan1_q, inf1_q, zero1_q};
  end

  // 3: the product; where its point goes. `exp3_q` + 1 is the exponent of a product with its top bit set; zero marks a
  // result that is subnormal before it is rounded.
  logic [9:0] above, left, limited;
  logic [47:0] product3_q;
  logic [8:0] exp3_q;
  logic [5:0] shift3_q;
  logic sign3_q, nan3_q, inf3_q, zero3_q;

  assign above   = {1'b0, exp2_q} - 10'd128;
  assign left    = above - 10'(zeros2_q);
  assign limited = above + 10'd32;

  always_ff @(posedge clk_i) begin
    product3_q <= {high2_q + {7'b0, low2_q[40:17]}, low2_q[16:0]};
    exp3_q     <= left[9] ? '0 : left[8:0];
    // 32 is no shift. Less is right, more is left.
    shift3_q   <= !left[9] ? 6'd32 + 6'(zeros2_q) : limited[9] ? '0 : limited[5:0];
    {sign3_q, nan3_q, inf3_q, zero3_q} <= {sign2_q, nan2_q, inf2_q, zero2_q};
  end

  // 4: shift, in three steps of four choices. What is cut off is ORed into the last bit. An infinite result or a NaN is replaced
  // by a product from which the rounding makes it: exponent 254, the first bit set, and for a NaN the second one. A zero gets
  // exponent 0; its product is 0 already.
  logic [40:0] step1;
  logic [28:0] step2;
  logic [25:0] step3, kept4_q;
  logic [2:0] cut;
  logic [7:0] exp4_q;
  logic inf, more4_q, sign4_q, high4_q, low4_q;

  always_comb begin
    unique case (shift3_q[5:4])
      2'd0:    {step1, cut[0]} = {32'b0, product3_q[47:39], |product3_q[38:0]};
      2'd1:    {step1, cut[0]} = {16'b0, product3_q[47:23], |product3_q[22:0]};
      2'd2:    {step1, cut[0]} = {product3_q[47:7], |product3_q[6:0]};
      default: {step1, cut[0]} = {product3_q[31:0], 10'b0};
    endcase
    unique case (shift3_q[3:2])
      2'd0:    {step2, cut[1]} = {step1[40:12], |step1[11:0]};
      2'd1:    {step2, cut[1]} = {step1[36:8], |step1[7:0]};
      2'd2:    {step2, cut[1]} = {step1[32:4], |step1[3:0]};
      default: {step2, cut[1]} = {step1[28:0], 1'b0};
    endcase
    unique case (shift3_q[1:0])
      2'd0:    {step3, cut[2]} = {step2[28:3], |step2[2:0]};
      2'd1:    {step3, cut[2]} = {step2[27:2], |step2[1:0]};
      2'd2:    {step3, cut[2]} = {step2[26:1], step2[0]};
      default: {step3, cut[2]} = {step2[25:0], 1'b0};
    endcase
  end

  assign inf = inf3_q || exp3_q >= 9'd255;

  always_ff @(posedge clk_i) begin
    kept4_q <= inf ? {1'b1, nan3_q, 24'b0} : step3;
    more4_q <= !inf && cut != '0;
    exp4_q  <= inf ? 8'd254 : zero3_q ? '0 : exp3_q[7:0];
    low4_q  <= exp3_q == '0 || zero3_q;
    // The largest exponent overflows if the top bit is set.
    high4_q <= exp3_q == 9'd254 && !inf3_q;
    sign4_q <= sign3_q && !nan3_q;
  end

  // 5: one place further left if the top bit is not set; round.
  logic further, half, rest, up;
  logic [22:0] fraction;

  assign further = !kept4_q[25] && !low4_q;
  assign {fraction, half, rest} = further ? {kept4_q[23:0], more4_q} : {kept4_q[24:1], kept4_q[0] || more4_q};
  assign up       = half && (rest || fraction[0]);

  always_ff @(posedge clk_i) begin
    // The top bit adds 1 to the exponent, and so does a carry.
    y_o <= {sign4_q, {exp4_q, fraction} + {7'b0, kept4_q[25], 23'b0} + 31'(up)};
    if (high4_q && kept4_q[25]) y_o[30:0] <= {8'hff, 23'b0};
  end
`else
  f32_t [MulLatency-1:0] y_q;

  always_ff @(posedge clk_i) begin
    y_q[MulLatency-1:1] <= y_q[MulLatency-2:0];
    if (valid_i) y_q[0] <= product_of(a_i, b_i);
  end

  assign y_o = y_q[MulLatency-1];
`endif
endmodule
