`include "tmv_macros.svh"

/// Number of ones among six bits: a 6:3 compressor of three LUT6. Combinational.
///
/// Open synthesis (Yosys) keeps this module whole. Without `TMV_WHOLE` it optimises across compressors, and a tree of
/// them becomes larger and deeper.
`TMV_WHOLE module tmv_compress (
  /// Bits to count.
  input  logic [5:0] bits_i,
  /// Number of ones.
  output logic [2:0] count_o
);
  /* verilator coverage_off */

  /// Number of ones among three bits: a full adder.
  function automatic logic [1:0] add3(logic [2:0] b);
    return {(b[0] & b[1]) | (b[0] & b[2]) | (b[1] & b[2]), ^b};
  endfunction

  logic [1:0] low, high;

  assign low     = add3(bits_i[2:0]);
  assign high    = add3(bits_i[5:3]);
  assign count_o = {add3({low[1], high[1], low[0] & high[0]}), low[0] ^ high[0]};
endmodule
