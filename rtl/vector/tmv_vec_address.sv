/// Address of an operand in a nest of loops: base + sum of iteration * stride. Follows `tmv_vec_loops` step by step.
module tmv_vec_address
  import tmv_vec_pkg::*;
(
  input  logic               clk_i,
  input  logic               start_i,
  input  count_t             base_i,
  input  count_t [Loops-1:0] strides_i,
  input  logic               step_i,
  /// The loop that a step advances, one-hot.
  input  logic   [Loops-1:0] level_i,
  output count_t             addr_o
);
  // Element i: the address at the begin of loop i + 1.
  count_t [Loops-1:0] at_q;
  count_t next;

  assign addr_o = at_q[Loops-1];

  always_comb begin
    next = '0;
    for (int unsigned i = 0; i < Loops; i++) if (level_i[i]) next |= at_q[i] + strides_i[i];
  end

  for (genvar i = 0; i < int'(Loops); i++) begin : gen_level
    always_ff @(posedge clk_i) begin
      if (start_i) at_q[i] <= base_i;
      else if (step_i && |(level_i & Loops'((2 << i) - 1))) at_q[i] <= next;
    end
  end
endmodule
