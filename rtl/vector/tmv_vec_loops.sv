/// Counters of a nest of four loops. `level_o` tells which loop the next step advances; inner loops then begin anew.
/// A step a cycle. The counts stay during a pass.
module tmv_vec_loops
  import tmv_vec_pkg::*;
(
  input  logic                 clk_i,
  /// Begin of a pass: all counters become zero.
  input  logic                 start_i,
  input  count_t [Loops-1:0]   counts_i,
  input  logic                 step_i,
  /// The loop that the next step advances, one-hot; none after the last iteration.
  output logic   [Loops-1:0]   level_o,
  /// Loop i and all loops within it are in their last iteration; in their first.
  output logic   [Loops-1:0]   last_o,
  output logic   [Loops-1:0]   first_o,
  /// Loop i is in its last iteration; in its first.
  output logic   [Loops-1:0]   end_o,
  output logic   [Loops-1:0]   begin_o
);
  count_t [Loops-1:0] left_q;

  for (genvar i = 0; i < int'(Loops); i++) begin : gen_loop
    assign last_o[i]  = &end_o[Loops-1:i];
    assign first_o[i] = &begin_o[Loops-1:i];
    if (i == int'(Loops) - 1) begin : gen_inner
      assign level_o[i] = !end_o[i];
    end else begin : gen_outer
      assign level_o[i] = !end_o[i] && last_o[i+1];
    end

    always_ff @(posedge clk_i) begin
      if (start_i || (step_i && |(level_o & Loops'((1 << i) - 1)))) begin
        left_q[i]  <= counts_i[i];
        end_o[i]   <= counts_i[i] == count_t'(1);
        begin_o[i] <= 1'b1;
      end else if (step_i && level_o[i]) begin
        left_q[i]  <= left_q[i] - 1'b1;
        end_o[i]   <= left_q[i] == count_t'(2);
        begin_o[i] <= 1'b0;
      end
    end
  end
endmodule
