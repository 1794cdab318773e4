`include "tmv_macros.svh"

/// Planes of one byte of base-3 weights: five trits, the lowest first, trit = weight + 1. Combinational.
///
/// A table of 256 words of 10 bits. Its words for the illegal bytes 243 and above are don't-care.
/// Open synthesis (Yosys) keeps this module whole, at four levels of LUTs. Without `TMV_WHOLE` it becomes smaller and
/// several levels deeper.
`TMV_WHOLE module tmv_trits
  import tmv_pkg::*;
(
  input  logic [7:0] byte_i,
  /// Weight is not zero; weight is -1.
  output logic [4:0] nz_o,
  output logic [4:0] neg_o
);
  assign {neg_o, nz_o} = Base3[byte_i];
endmodule
