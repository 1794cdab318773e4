`include "tmv_macros.svh"

/// Folds 32 partial sums in golden's order: x[i] + x[i + 16], then + 8, + 4, + 2, + 1.
///
/// A tree of `Lanes` / 4 inputs takes the partial sums in steps, those first that belong together: step c has
/// x[c + Steps * j], so the tree does the first levels and singles leave it one a cycle. Stages that halve a row of
/// singles do the other levels. A fold each `Steps` cycles: 4 with 32 lanes, 16 with 8. The partial sums of a fold come
/// in 32 / `Lanes` words.
module tmv_vec_fold
  import tmv_fp_pkg::*;
  import tmv_vec_pkg::*;
#(
  parameter int unsigned Lanes = 32
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  /// Words of partial sums.
  input  logic             valid_i,
  output logic             ready_o,
  input  f32_t [Lanes-1:0] word_i,
  /// A sum, for a cycle.
  output logic             valid_o,
  output f32_t             sum_o,
  /// No partial sum is here.
  output logic             idle_o
);
  localparam int unsigned Words = Partials / Lanes;
  /// Inputs of the tree, its levels, its steps.
  localparam int unsigned Inputs = Lanes / 4;
  localparam int unsigned Levels = $clog2(Inputs);
  localparam int unsigned Steps = Partials / Inputs;
  localparam int unsigned StepBits = $clog2(Steps);

  f32_t [Inputs-1:0] inputs;
  logic [StepBits-1:0] step_q;
  logic busy_q, full;

  if (Words == 1) begin : gen_whole
    // The word stays at the input during its steps.
    f32_t [Inputs-1:0] inputs_q;

    assign ready_o = step_q == StepBits'(Steps - 1);
    assign full    = valid_i && step_q == '0;
    assign inputs  = inputs_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        busy_q <= 1'b0;
        step_q <= '0;
      end else begin
        busy_q <= valid_i;
        if (valid_i) step_q <= step_q + 1'b1;
      end
      if (valid_i) for (int unsigned j = 0; j < Inputs; j++) inputs_q[j] <= word_i[j*Steps+32'(step_q)];
    end
  end else begin : gen_parts
    f32_t [Partials-1:0] partials_q;
    logic [$clog2(Words)-1:0] word_q;
    logic take;

    // The last step makes room, and words may come in before it when all are there.
    assign ready_o = !busy_q || step_q == StepBits'(Steps - 1);
    assign take    = valid_i && ready_o;
    assign full    = take && word_q == '1;
    for (genvar j = 0; j < int'(Inputs); j++) begin : gen_input
      assign inputs[j] = partials_q[j*Steps];
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        word_q <= '0;
        busy_q <= 1'b0;
        step_q <= '0;
      end else begin
        if (take) word_q <= word_q + 1'b1;
        if (full) busy_q <= 1'b1;
        else if (step_q == StepBits'(Steps - 1)) busy_q <= 1'b0;
        if (busy_q) step_q <= step_q + 1'b1;
      end
      // Each input of the tree has a row of its own, which moves down.
      if (take) partials_q <= {word_i, partials_q[Partials-1:Lanes]};
      else if (busy_q) begin
        for (int unsigned j = 0; j < Inputs; j++) begin
          for (int unsigned c = 0; c < Steps - 1; c++) partials_q[j*Steps+c] <= partials_q[j*Steps+c+1];
        end
      end
    end
  end

  // The tree. Level i has Inputs / 2^i nodes; the first half of a level meets the second half.
  f32_t [Inputs-1:0] nodes[Levels+1];
  logic [Levels:0] node_valid;

  assign nodes[0]      = inputs;
  assign node_valid[0] = busy_q;

  for (genvar i = 0; i < int'(Levels); i++) begin : gen_level
    localparam int unsigned Half = Inputs >> (i + 1);
    logic [AddLatency-1:0] valid_q;

    for (genvar j = 0; j < int'(Inputs); j++) begin : gen_node
      if (j < int'(Half)) begin : gen_add
        tmv_fp_add u_add (
          .clk_i,
          .valid_i(node_valid[i]),
          .a_i    (nodes[i][j]),
          .b_i    (nodes[i][j+Half]),
          .y_o    (nodes[i+1][j])
        );
      end else begin : gen_none
        assign nodes[i+1][j] = '0;
      end
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) valid_q <= '0;
      else valid_q <= {valid_q[AddLatency-2:0], node_valid[i]};
    end
    assign node_valid[i+1] = valid_q[AddLatency-1];
  end

  // The singles: `Steps` of them, halved until one is left.
  f32_t [StepBits:0] rows;
  logic [StepBits:0] row_valid;

  assign rows[0]      = nodes[Levels][0];
  assign row_valid[0] = node_valid[Levels];

  for (genvar i = 0; i < int'(StepBits); i++) begin : gen_halve
    tmv_vec_halve #(
      .Terms(Steps >> i)
    ) u_halve (
      .clk_i,
      .rst_ni,
      .valid_i(row_valid[i]),
      .x_i    (rows[i]),
      .valid_o(row_valid[i+1]),
      .y_o    (rows[i+1])
    );
  end

  assign valid_o = row_valid[StepBits];
  assign sum_o   = rows[StepBits];

  // Folds that have begun and have not ended.
  logic [5:0] open_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) open_q <= '0;
    else open_q <= open_q + 6'(full) - 6'(valid_o);
  end

  assign idle_o = open_q == '0;

  `TMV_REQUIRE(lanes, Lanes == 8 || Lanes == 16 || Lanes == 32, "tmv_vec_fold: Lanes must be 8, 16 or 32")
endmodule
