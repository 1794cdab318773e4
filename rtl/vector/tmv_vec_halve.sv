`include "tmv_macros.svh"

/// Half of the sums: takes `Terms` singles in successive cycles, gives x[i] + x[i + Terms / 2] in as many cycles as there
/// are sums, `AddLatency` cycles after the second summand.
module tmv_vec_halve
  import tmv_fp_pkg::*;
#(
  /// A power of two, at least 2.
  parameter int unsigned Terms = 4
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  f32_t x_i,
  output logic valid_o,
  output f32_t y_o
);
  localparam int unsigned Half = Terms / 2;

  f32_t [Half-1:0] first_q;
  logic [$clog2(Terms)-1:0] term_q;
  logic [AddLatency-1:0] valid_q;
  logic add;

  assign add = valid_i && term_q[$clog2(Terms)-1];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      term_q  <= '0;
      valid_q <= '0;
    end else begin
      if (valid_i) term_q <= term_q + 1'b1;
      valid_q <= {valid_q[AddLatency-2:0], add};
    end
  end

  if (Half == 1) begin : gen_one
    always_ff @(posedge clk_i) if (valid_i) first_q <= x_i;
  end else begin : gen_many
    always_ff @(posedge clk_i) if (valid_i) first_q <= {first_q[Half-2:0], x_i};
  end

  tmv_fp_add u_add (
    .clk_i,
    .valid_i(add),
    .a_i    (first_q[Half-1]),
    .b_i    (x_i),
    .y_o
  );

  assign valid_o = valid_q[AddLatency-1];

  `TMV_REQUIRE(terms, Terms >= 2 && (1 << $clog2(Terms)) == Terms, "tmv_vec_halve: Terms must be a power of two")
endmodule
