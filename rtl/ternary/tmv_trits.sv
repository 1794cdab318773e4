/// Planes of one byte of base-3 weights: five trits, the lowest first, trit = weight + 1. Combinational.
///
/// A table of 256 words of 10 bits. Its words for the illegal bytes 243 and above are don't-care.
/// Synthesis keeps this module whole, at four levels of LUTs. Without `keep_hierarchy` it becomes smaller and several
/// levels deeper.
(* keep_hierarchy = "yes" *)
module tmv_trits
  import tmv_pkg::*;
(
  input  logic [7:0] byte_i,
  /// Weight is not zero; weight is -1.
  output logic [4:0] nz_o,
  output logic [4:0] neg_o
);
  assign {neg_o, nz_o} = Base3[byte_i];
endmodule
