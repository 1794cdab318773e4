`include "tmv_macros.svh"

/// y = a / b of singles, a quotient a cycle, `DivLatency` cycles. Rounds as `tmv_fp_pkg` says.
///
/// Non-restoring division, two bits of the quotient a stage.
module tmv_fp_div
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
  localparam int unsigned Stages = 13;

  /// What goes along beside the remainder.
  typedef struct packed {
    logic signed [9:0] exponent;
    logic              sign;
    logic              nan;
    logic              inf;
    logic              zero;
  } side_t;

  logic [23:0] a_significand, b_significand;
  logic signed [9:0] a_exponent, b_exponent;
  logic a_nan, a_inf, a_zero, b_nan, b_inf, b_zero;
  logic [1:0] sign_q;

  // Two cycles.
  tmv_fp_unpack u_unpack_a (
    .clk_i,
    .x_i          (a_i[30:0]),
    .significand_o(a_significand),
    .exponent_o   (a_exponent),
    .nan_o        (a_nan),
    .inf_o        (a_inf),
    .zero_o       (a_zero)
  );
  tmv_fp_unpack u_unpack_b (
    .clk_i,
    .x_i          (b_i[30:0]),
    .significand_o(b_significand),
    .exponent_o   (b_exponent),
    .nan_o        (b_nan),
    .inf_o        (b_inf),
    .zero_o       (b_zero)
  );

  always_ff @(posedge clk_i) sign_q <= {sign_q[0], a_i[31] != b_i[31]};

  // The partial remainder in two's complement. A bit of the quotient is one where it is not negative; the divisor is
  // then subtracted from twice the remainder, and else added.
  logic [25:0] remainder_q[Stages+1], quotient_q[Stages+1];
  logic [23:0] divisor_q[Stages+1];
  side_t side_q[Stages+1];

  always_ff @(posedge clk_i) begin
    remainder_q[0] <= {2'b0, a_significand} - {2'b0, b_significand};
    quotient_q[0]  <= '0;
    divisor_q[0]   <= b_significand;
    side_q[0]      <= '{
      exponent: a_exponent - b_exponent + 10'sd127,
      sign: sign_q[1],
      nan: a_nan || b_nan || (a_zero && b_zero) || (a_inf && b_inf),
      inf: (a_inf && !b_inf && !b_nan) || (b_zero && !a_zero && !a_nan),
      zero: (a_zero && !b_zero && !b_nan) || (b_inf && !a_inf && !a_nan)
    };
  end

  for (genvar i = 0; i < int'(Stages); i++) begin : gen_stage
    logic [25:0] middle, last;
    logic [1:0] bits;

    assign bits[1] = !remainder_q[i][25];
    assign middle  = {remainder_q[i][24:0], 1'b0} + ({26{bits[1]}} ^ {2'b0, divisor_q[i]}) + 26'(bits[1]);
    assign bits[0] = !middle[25];
    assign last    = {middle[24:0], 1'b0} + ({26{bits[0]}} ^ {2'b0, divisor_q[i]}) + 26'(bits[0]);

    always_ff @(posedge clk_i) begin
      remainder_q[i+1] <= last;
      quotient_q[i+1]  <= {quotient_q[i][23:0], bits};
      divisor_q[i+1]   <= divisor_q[i];
      side_q[i+1]      <= side_q[i];
    end
  end

  // A negative remainder is one divisor too low.
  logic [25:0] rest_q, final_q;
  side_t last_q;

  always_ff @(posedge clk_i) begin
    rest_q  <= remainder_q[Stages][25] ? remainder_q[Stages] + {2'b0, divisor_q[Stages]} : remainder_q[Stages];
    final_q <= quotient_q[Stages];
    last_q  <= side_q[Stages];
  end

  tmv_fp_pack u_pack (
    .clk_i,
    .significand_i(final_q),
    .more_i       (rest_q != '0),
    .exponent_i   (last_q.exponent),
    .sign_i       (last_q.sign),
    .nan_i        (last_q.nan),
    .inf_i        (last_q.inf),
    .zero_i       (last_q.zero),
    .y_o
  );
`else
  f32_t [DivLatency-1:0] y_q;

  always_ff @(posedge clk_i) begin
    y_q[DivLatency-1:1] <= y_q[DivLatency-2:0];
    if (valid_i) y_q[0] <= quotient_of(a_i, b_i);
  end

  assign y_o = y_q[DivLatency-1];
`endif
endmodule
