/// Test top: the cells of `rtl/float` side by side, all with the same operands. Simulation only.
module tmv_float_tb
  import tmv_fp_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic valid_i,
  input  f32_t a_i,
  input  f32_t b_i,
  output f32_t add_o,
  output f32_t mul_o,
  output f32_t div_o,
  output f32_t from_int_o,
  output f32_t bf16_o,
  input  logic root_start_i,
  output logic root_done_o,
  output f32_t root_o
);
  tmv_fp_add u_add (
    .clk_i,
    .valid_i,
    .a_i,
    .b_i,
    .y_o(add_o)
  );
  tmv_fp_mul u_mul (
    .clk_i,
    .valid_i,
    .a_i,
    .b_i,
    .y_o(mul_o)
  );
  tmv_fp_div u_div (
    .clk_i,
    .valid_i,
    .a_i,
    .b_i,
    .y_o(div_o)
  );
  tmv_fp_from_int u_from_int (
    .clk_i,
    .a_i,
    .y_o(from_int_o)
  );
  tmv_fp_root u_root (
    .clk_i,
    .rst_ni,
    .start_i(root_start_i),
    .a_i,
    .done_o (root_done_o),
    .y_o    (root_o)
  );

  assign bf16_o = round_bf16(a_i, 1'b1);
endmodule
