`include "tmv_macros.svh"

/// Turns a beat of weights into bit planes: `nz` where a weight is not zero, `neg` where a weight is -1. Combinational.
///
/// 2-bit codec: the low half of the beat is `nz`, the high half `neg`.
///
/// Base 3: each byte is five trits, the lowest first, trit = weight + 1. Two bodies with the same function, one for
/// LUTs (`TMV_LUT_BODIES`).
///
/// The planes of a code that is no weight are don't-care: `tmv_weight_check` has stopped the unit.
module tmv_decode
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Weight codec: `CodecWeights2b` or `CodecWeightsBase3`.
  parameter  int unsigned Codec = CodecWeights2b,
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Lanes, in slices of up to 64: simulators work on machine words.
  localparam int unsigned Lanes = lanes_of(Codec, PortBits),
  localparam int unsigned Slices = slices_of(Lanes),
  localparam int unsigned SliceLanes = Lanes / Slices
) (
  /// One beat of weights.
  input  logic [  PortBits-1:0] beat_i,
  /// Planes, a bit for each lane.
  output logic [SliceLanes-1:0] nz_o  [Slices],
  output logic [SliceLanes-1:0] neg_o [Slices]
);
  if (Codec == CodecWeights2b) begin : gen_weights_2b
    assign nz_o[0]  = beat_i[Lanes-1:0];
    assign neg_o[0] = beat_i[PortBits-1:Lanes];
  end else if (Codec == CodecWeightsBase3) begin : gen_weights_base3
    // A slice has eight bytes.
`ifdef TMV_LUT_BODIES
    for (genvar b = 0; b < int'(PortBits / 8); b++) begin : gen_byte
      tmv_trits u_trits (
        .byte_i(beat_i[8*b+:8]),
        .nz_o  (nz_o[b/8][5*(b%8)+:5]),
        .neg_o (neg_o[b/8][5*(b%8)+:5])
      );
    end
`else
    for (genvar s = 0; s < int'(Slices); s++) begin : gen_bytes
      logic [7:0][7:0] bytes;
      wide_trits_t low, high;

      assign bytes = beat_i[64*s+:64];
      assign low = WideBase3[bytes[0]] | (WideBase3[bytes[1]] << 5)
          | (WideBase3[bytes[2]] << 10) | (WideBase3[bytes[3]] << 15);
      assign high = WideBase3[bytes[4]] | (WideBase3[bytes[5]] << 5)
          | (WideBase3[bytes[6]] << 10) | (WideBase3[bytes[7]] << 15);
      assign nz_o[s]  = {high[19:0], low[19:0]};
      assign neg_o[s] = {high[39:20], low[39:20]};
    end
`endif
  end else begin : gen_unknown
    $error("tmv_decode: this codec is not built yet");
  end

  `TMV_REQUIRE(port, PortBits == 64 || PortBits == 128, "tmv_decode: PortBits must be 64 or 128")
endmodule
