`include "tmv_macros.svh"

/// The single nearest to an int32, one a cycle, `FromIntLatency` cycles.
module tmv_fp_from_int
  import tmv_fp_pkg::*;
(
  input  logic               clk_i,
  input  logic signed [31:0] a_i,
  output f32_t               y_o
);
  // 1: magnitude. 2: its zeros. 3: shift them out. 4: round.
  logic [31:0] magnitude_q, magnitude2_q, shifted_q;
  logic [4:0] zeros, zeros2_q, zeros3_q;
  logic sign_q, sign2_q, sign3_q, up;

  tmv_fp_zeros #(
    .Width(32)
  ) u_zeros (
    .bits_i (magnitude_q),
    .count_o(zeros)
  );

  assign up = shifted_q[7] && (shifted_q[8] || shifted_q[6:0] != '0);

  always_ff @(posedge clk_i) begin
    magnitude_q  <= a_i[31] ? -a_i : a_i;
    sign_q       <= a_i[31];
    magnitude2_q <= magnitude_q;
    zeros2_q     <= zeros;
    sign2_q      <= sign_q;
    shifted_q    <= magnitude2_q << zeros2_q;
    zeros3_q     <= zeros2_q;
    sign3_q      <= sign2_q;
    // The top bit of a magnitude adds 1 to the exponent. Without one, the magnitude is zero.
    y_o          <= shifted_q[31] ? {sign3_q, {8'd158 - 8'(zeros3_q), shifted_q[30:8]} + 31'(up)} : '0;
  end
endmodule
