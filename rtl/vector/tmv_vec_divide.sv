`include "tmv_macros.svh"

/// Quotients of two words, and the root of the first element of one. `Lanes` / 8 dividers serve eight lanes each, so a
/// word of quotients takes `DivideSlots` cycles; words come out in order.
module tmv_vec_divide
  import tmv_fp_pkg::*;
  import tmv_vec_pkg::*;
#(
  parameter int unsigned Lanes = 32
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  /// A word, at most one in `DivideSlots` cycles; `root_i`: the root of element 0 of A instead, one at a time.
  input  logic             valid_i,
  input  logic             root_i,
  input  f32_t [Lanes-1:0] a_i,
  input  f32_t [Lanes-1:0] b_i,
  /// A word of results, for a cycle. Of a root, every element has it.
  output logic             valid_o,
  output f32_t [Lanes-1:0] m_o
);
  localparam int unsigned Dividers = Lanes / DivideSlots;

  f32_t [Lanes-1:0] a_q, b_q, m_q;
  logic [$clog2(DivideSlots)-1:0] step_q, back_q;
  logic busy_q, root_q, done_q, root_done;
  logic [DivLatency-1:0] valid_q;
  f32_t [Dividers-1:0] quotients;
  f32_t root;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q  <= 1'b0;
      step_q  <= '0;
      back_q  <= '0;
      valid_q <= '0;
      done_q  <= 1'b0;
      root_q  <= 1'b0;
    end else begin
      if (valid_i && !root_i) busy_q <= 1'b1;
      else if (step_q == '1) busy_q <= 1'b0;
      if (busy_q) step_q <= step_q + 1'b1;
      valid_q <= {valid_q[DivLatency-2:0], busy_q};
      if (valid_q[DivLatency-1]) back_q <= back_q + 1'b1;
      done_q <= valid_q[DivLatency-1] && back_q == '1;
      if (valid_i) root_q <= root_i;
    end
  end

  // The dividers take the lowest lanes; the others move down.
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      a_q <= a_i;
      b_q <= b_i;
    end else if (busy_q) begin
      a_q <= a_q >> (32 * Dividers);
      b_q <= b_q >> (32 * Dividers);
    end
    if (valid_q[DivLatency-1]) m_q <= {quotients, m_q[Lanes-1:Dividers]};
  end

  for (genvar d = 0; d < int'(Dividers); d++) begin : gen_divider
    tmv_fp_div u_div (
      .clk_i,
      .valid_i(busy_q),
      .a_i    (a_q[d]),
      .b_i    (b_q[d]),
      .y_o    (quotients[d])
    );
  end

  tmv_fp_root u_root (
    .clk_i,
    .rst_ni,
    .start_i(valid_i && root_i),
    .a_i    (a_i[0]),
    .done_o (root_done),
    .y_o    (root)
  );

  assign valid_o = done_q || root_done;
  assign m_o     = root_q ? {Lanes{root}} : m_q;

  `TMV_ASSERT(NotTooFast, !(valid_i && busy_q && step_q != '1))
endmodule
