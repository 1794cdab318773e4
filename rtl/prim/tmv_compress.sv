/// Number of ones among six bits: a 6:3 compressor, three LUT6. Combinational.
///
/// A module of its own so that synthesis leaves it whole: taken apart and put together again, trees of compressors
/// come out larger and deeper.
(* keep_hierarchy = "yes" *)
module tmv_compress (
  input  logic [5:0] bits_i,
  output logic [2:0] count_o
);
  /* verilator coverage_off */

  /// Ones among three bits: a full adder.
  function automatic logic [1:0] add3(logic [2:0] b);
    return {(b[0] & b[1]) | (b[0] & b[2]) | (b[1] & b[2]), ^b};
  endfunction

  logic [1:0] low, high;

  assign low     = add3(bits_i[2:0]);
  assign high    = add3(bits_i[5:3]);
  assign count_o = {add3({low[1], high[1], low[0] & high[0]}), low[0] ^ high[0]};
endmodule
