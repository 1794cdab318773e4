/// A 512-bit word and its complement, a 70-bit one, and a count of ones of each storage size.
module wide (
    input  logic         clk_i,
    input  logic [511:0] word_i,
    input  logic [ 69:0] odd_i,
    output logic [511:0] word_o,
    output logic [ 69:0] odd_o,
    output logic [  9:0] ones_o,
    output logic [  6:0] ones64_o,
    output logic [  5:0] ones32_o
);
  always_ff @(posedge clk_i) begin
    word_o   <= ~word_i;
    odd_o    <= odd_i;
    ones_o   <= 10'($countones(word_i));
    ones64_o <= 7'($countones(word_i[63:0]));
    ones32_o <= 6'($countones(word_i[31:0]));
  end
endmodule
