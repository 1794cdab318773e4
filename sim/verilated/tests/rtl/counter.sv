/// Counts by a step; the canary assertion fails at 77.
module counter #(
    parameter int unsigned Width = 8
) (
    input  logic             clk_i,
    input  logic             rst_ni,
    input  logic [Width-1:0] step_i,
    output logic [Width-1:0] count_o
);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) count_o <= '0;
    else count_o <= count_o + step_i;
  end

  assert property (@(posedge clk_i) disable iff (!rst_ni) count_o != Width'(77))
  else $error("canary, count is %0d", count_o);
endmodule
