/// Planes of one byte of base-3 weights: five trits, the lowest first, trit = weight + 1. Combinational.
///
/// A table of 256 words of 10 bits. What it gives for the illegal bytes 243 and above means nothing.
/// A module of its own so that synthesis leaves it whole: four levels of LUTs. Together with what is around it, it is
/// made smaller and several levels deeper.
(* keep_hierarchy = "yes" *)
module tmv_trits
  import tmv_pkg::*;
(
  input  logic [7:0] byte_i,
  output logic [4:0] nz_o,
  output logic [4:0] neg_o
);
  assign {neg_o, nz_o} = Base3[byte_i];
endmodule
