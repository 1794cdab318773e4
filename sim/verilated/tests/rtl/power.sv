/// State without a reset.
module power (
    input  logic        clk_i,
    input  logic        hold_i,
    output logic [63:0] state_o
);
  logic [63:0] state_q;
  always_ff @(posedge clk_i) if (!hold_i) state_q <= ~state_q;
  assign state_o = state_q;
endmodule
