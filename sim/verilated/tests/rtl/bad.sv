/// Drops bits without saying so: a warning, which counts as an error.
module bad (
    input  logic       clk_i,
    input  logic [7:0] data_i,
    output logic [3:0] data_o
);
  always_ff @(posedge clk_i) data_o <= data_i;
endmodule
