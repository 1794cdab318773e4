`include "tmv_macros.svh"

/// Scratchpad: words of a single for each lane. Two words are read and one is written a cycle, so it is held twice.
///
/// A read takes two cycles. A word that is read in the cycle of its writing has no meaning. The content at power-up is
/// not defined. Each lane has memories of its own, because a single element can be written too.
module tmv_vec_scratch
  import tmv_fp_pkg::*;
#(
  parameter  int unsigned Lanes = 32,
  /// Words, a power of two.
  parameter  int unsigned Words = 1024,
  localparam int unsigned WordBits = $clog2(Words)
) (
  input  logic                clk_i,
  input  logic                x_read_i,
  input  logic [WordBits-1:0] x_addr_i,
  output f32_t [Lanes-1:0]    x_o,
  input  logic                y_read_i,
  input  logic [WordBits-1:0] y_addr_i,
  output f32_t [Lanes-1:0]    y_o,
  /// A bit for each lane.
  input  logic [Lanes-1:0]    write_i,
  input  logic [WordBits-1:0] write_addr_i,
  input  f32_t [Lanes-1:0]    write_data_i
);
  logic x_read_q, y_read_q;

  always_ff @(posedge clk_i) begin
    x_read_q <= x_read_i;
    y_read_q <= y_read_i;
  end

  for (genvar l = 0; l < int'(Lanes); l++) begin : gen_lane
    f32_t x_copy[Words];
    f32_t y_copy[Words];
    f32_t x_q, y_q;

    always_ff @(posedge clk_i) begin
      if (write_i[l]) x_copy[write_addr_i] <= write_data_i[l];
      if (x_read_i) x_q <= x_copy[x_addr_i];
      if (x_read_q) x_o[l] <= x_q;
    end

    always_ff @(posedge clk_i) begin
      if (write_i[l]) y_copy[write_addr_i] <= write_data_i[l];
      if (y_read_i) y_q <= y_copy[y_addr_i];
      if (y_read_q) y_o[l] <= y_q;
    end
  end

  `TMV_REQUIRE(words, Words >= 2 && (1 << WordBits) == Words, "tmv_vec_scratch: Words must be a power of two")
endmodule
