/// Prints, warns, and ends the simulation in three ways.
module talk (
    input logic       clk_i,
    input logic [1:0] act_i
);
  always_ff @(posedge clk_i) begin
    case (act_i)
      2'd1: $display("hello %0d", act_i);
      2'd2: $finish;
      2'd3: $fatal(1, "fatal %0d", act_i);
      default: ;
    endcase
  end
endmodule
