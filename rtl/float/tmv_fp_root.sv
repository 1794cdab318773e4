`include "tmv_macros.svh"

/// y = square root of a single, one at a time: a bit of the root a cycle. Rounds as `tmv_fp_pkg` says.
///
/// `start_i` takes an operand; the result is there when `done_o` is high for a cycle, 33 cycles later, and stays until
/// the next start. A start before that has no meaning.
module tmv_fp_root
  import tmv_fp_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic start_i,
  input  f32_t a_i,
  output logic done_o,
  output f32_t y_o
);
  localparam int unsigned Bits = 26;

  logic [23:0] significand;
  logic signed [9:0] exponent;
  logic nan, inf, zero, odd;
  logic [1:0] sign_q, start_q;

  tmv_fp_unpack u_unpack (
    .clk_i,
    .x_i          (a_i[30:0]),
    .significand_o(significand),
    .exponent_o   (exponent),
    .nan_o        (nan),
    .inf_o        (inf),
    .zero_o       (zero)
  );

  // The exponent without its bias is odd: one place of the significand goes to it.
  assign odd = !exponent[0];

  // Two bits of the operand a step; a bit of the root is one where the remainder holds 4 * root + 1.
  logic [25:0] operand_q, root_q;
  logic [27:0] remainder_q;
  logic [29:0] next, less;
  logic signed [9:0] exponent_q;
  logic root_sign_q, nan_q, inf_q, zero_q, busy_q;
  logic [4:0] step_q;
  logic [4:0] finish_q;

  assign next = {remainder_q, operand_q[25:24]};
  assign less = next - {2'b0, root_q, 2'b01};

  always_ff @(posedge clk_i) begin
    sign_q <= {sign_q[0], a_i[31]};
    if (start_q[1]) begin
      operand_q   <= odd ? {1'b0, significand, 1'b0} << 1 : {1'b0, significand, 1'b0};
      remainder_q <= '0;
      root_q      <= '0;
      step_q      <= '0;
      exponent_q  <= (exponent + 10'sd127 - 10'(odd)) >>> 1;
      root_sign_q <= sign_q[1] && zero;
      nan_q       <= nan || (sign_q[1] && !zero);
      inf_q       <= inf && !sign_q[1];
      zero_q      <= zero;
    end else if (busy_q) begin
      remainder_q <= less[29] ? next[27:0] : less[27:0];
      root_q      <= {root_q[24:0], !less[29]};
      operand_q   <= {operand_q[23:0], 2'b0};
      step_q      <= step_q + 5'd1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      start_q  <= '0;
      busy_q   <= 1'b0;
      finish_q <= '0;
    end else begin
      start_q  <= {start_q[0], start_i};
      finish_q <= {finish_q[3:0], busy_q && step_q == 5'(Bits - 1)};
      if (start_q[1]) busy_q <= 1'b1;
      else if (step_q == 5'(Bits - 1)) busy_q <= 1'b0;
    end
  end

  tmv_fp_pack u_pack (
    .clk_i,
    .significand_i(root_q),
    .more_i       (remainder_q != '0),
    .exponent_i   (exponent_q),
    .sign_i       (root_sign_q),
    .nan_i        (nan_q),
    .inf_i        (inf_q),
    .zero_i       (zero_q),
    .y_o
  );

  assign done_o = finish_q[4];
endmodule
