/// Number of ones in a word. Combinational.
///
/// Two bodies with the same function: `$countones` for simulation, where it becomes one machine instruction a word,
/// and 6:3 compressors for synthesis, where each output bit of a compressor is one LUT6. `TMV_POPCOUNT_LUT` selects
/// the second in simulation too; the regression runs both.
module tmv_popcount #(
  /// Bits to count, up to 96.
  parameter  int unsigned Width = 64,
  /// Bits of the count.
  localparam int unsigned CountBits = $clog2(Width + 1)
) (
  input  logic [    Width-1:0] bits_i,
  output logic [CountBits-1:0] count_o
);
`ifdef SYNTHESIS
  `define TMV_POPCOUNT_LUT
`endif
`ifdef TMV_POPCOUNT_LUT
  /// First level: groups of six bits. Second level: the groups' counts, bit by bit, six at a time.
  localparam int unsigned Groups = (Width + 5) / 6;
  localparam int unsigned Columns = (Groups + 5) / 6;

  logic [6*Groups-1:0] padded;
  logic [6*Columns-1:0] column[3];

  /// 6:3 compressor: the number of ones among six bits.
  function automatic logic [2:0] compress(logic [5:0] b);
    logic [1:0] low, high;
    low  = {(b[0] & b[1]) | (b[0] & b[2]) | (b[1] & b[2]), b[0] ^ b[1] ^ b[2]};
    high = {(b[3] & b[4]) | (b[3] & b[5]) | (b[4] & b[5]), b[3] ^ b[4] ^ b[5]};
    return {1'b0, low} + {1'b0, high};
  endfunction

  assign padded = (6 * Groups)'(bits_i);

  always_comb begin
    logic [CountBits-1:0] sum;
    for (int unsigned w = 0; w < 3; w++) column[w] = '0;
    for (int unsigned g = 0; g < Groups; g++) begin
      logic [2:0] ones;
      ones = compress(padded[6*g+:6]);
      for (int unsigned w = 0; w < 3; w++) column[w][g] = ones[w];
    end
    sum = '0;
    for (int unsigned w = 0; w < 3; w++) begin
      for (int unsigned c = 0; c < Columns; c++) sum += CountBits'(compress(column[w][6*c+:6])) << w;
    end
    count_o = sum;
  end
`else
  assign count_o = CountBits'($countones(bits_i));
`endif
endmodule
