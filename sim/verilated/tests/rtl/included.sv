`include "width.svh"
/// Its width comes from an included file.
module included (
    input  logic                clk_i,
    input  logic [`WIDTH-1:0] data_i,
    output logic [`WIDTH-1:0] data_o
);
  always_ff @(posedge clk_i) data_o <= data_i;
endmodule
