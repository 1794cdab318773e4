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
  /// A word, which stays for `DivideSlots` cycles; `root_i`: the root of element 0 of A instead, one at a time.
  input  logic             valid_i,
  input  logic             root_i,
  input  f32_t [Lanes-1:0] a_i,
  input  f32_t [Lanes-1:0] b_i,
  /// A word of results, for a cycle. Of a root, every element has it.
  output logic             valid_o,
  output f32_t [Lanes-1:0] m_o
);
  localparam int unsigned Dividers = Lanes / DivideSlots;

  f32_t [Lanes-1:0] m_q;
  f32_t [Dividers-1:0] a_q, b_q, quotients;
  logic [$clog2(DivideSlots)-1:0] step_q, back_q;
  logic busy, busy_q, root_q, done_q, root_done, fill, fill_q, shift;
  logic [DivLatency:0] valid_q;
  f32_t root;

  // A root fills its word as quotients do.
  assign busy  = (valid_i && !root_i) || busy_q;
  assign fill  = root_done || fill_q;
  assign shift = valid_q[DivLatency] || fill;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q  <= 1'b0;
      step_q  <= '0;
      back_q  <= '0;
      valid_q <= '0;
      fill_q  <= 1'b0;
      done_q  <= 1'b0;
      root_q  <= 1'b0;
    end else begin
      busy_q <= busy && step_q != '1;
      if (busy) step_q <= step_q + 1'b1;
      valid_q <= {valid_q[DivLatency-1:0], busy};
      fill_q  <= fill && back_q != '1;
      if (shift) back_q <= back_q + 1'b1;
      done_q <= shift && back_q == '1;
      if (valid_i) root_q <= root_i;
    end
  end

  // The dividers take the lowest lanes first.
  always_ff @(posedge clk_i) begin
    if (busy) begin
      a_q <= a_i[32'(step_q)*Dividers+:Dividers];
      b_q <= b_i[32'(step_q)*Dividers+:Dividers];
    end
    if (shift) m_q <= {root_q ? {Dividers{root}} : quotients, m_q[Lanes-1:Dividers]};
  end

  for (genvar d = 0; d < int'(Dividers); d++) begin : gen_divider
    tmv_fp_div u_div (
      .clk_i,
      .valid_i(valid_q[0]),
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

  assign valid_o = done_q;
  assign m_o     = m_q;

  `TMV_ASSERT(NotTooFast, !(valid_i && busy_q))
endmodule
