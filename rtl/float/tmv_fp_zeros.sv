`include "tmv_macros.svh"

/// Number of zeros before the first one of a word, from the top; `Width` of 4 to 32, a multiple of 4. Combinational.
/// The count of a word of zeros has no meaning. Groups of four bits: a priority chain would be longer.
module tmv_fp_zeros #(
  parameter int unsigned Width = 28
) (
  input  logic [Width-1:0] bits_i,
  output logic [      4:0] count_o
);
  logic [6:0] any;
  logic [7:0][1:0] place;

  always_comb begin
    for (int unsigned g = 0; g < 8; g++) begin
      automatic logic [3:0] group = (4 * g < Width) ? 4'(bits_i >> (Width - 4 - 4 * g)) : '0;
      if (g < 7) any[g] = group != '0;
      place[g] = group[3] ? 2'd0 : group[2] ? 2'd1 : group[1] ? 2'd2 : 2'd3;
    end
    count_o[4:2] = any[0] ? 3'd0 : any[1] ? 3'd1 : any[2] ? 3'd2 : any[3] ? 3'd3
        : any[4] ? 3'd4 : any[5] ? 3'd5 : any[6] ? 3'd6 : 3'd7;
    count_o[1:0] = place[count_o[4:2]];
  end

  `TMV_REQUIRE(width, Width >= 4 && Width <= 32 && Width % 4 == 0, "tmv_fp_zeros: Width must be 4 to 32, whole groups")
endmodule
