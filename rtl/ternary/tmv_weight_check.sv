`include "tmv_macros.svh"

/// Says whether a beat holds a code that is no ternary weight. Combinational.
///
/// 2-bit codec: `neg` without `nz`. Base 3: a byte of 243 or more. Depends on nothing but the beat, so the check can
/// sit where the address of a beat is still known; `tmv_decode` makes planes of the beat later. Two bodies with the
/// same function, one for LUTs (`TMV_LUT_BODIES`).
module tmv_weight_check
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Weight codec: `CodecWeights2b` or `CodecWeightsBase3`.
  parameter int unsigned Codec = CodecWeights2b,
  /// Bits of a beat: 64 or 128.
  parameter int unsigned PortBits = 128
) (
  /// One beat of weights.
  input  logic [PortBits-1:0] beat_i,
  /// Some lane holds no ternary weight.
  output logic                illegal_o
);
  if (Codec == CodecWeights2b) begin : gen_weights_2b
    assign illegal_o = |(beat_i[PortBits-1:PortBits/2] & ~beat_i[PortBits/2-1:0]);
  end else if (Codec == CodecWeightsBase3) begin : gen_weights_base3
`ifdef TMV_LUT_BODIES
    logic [PortBits/8-1:0] illegal;

    for (genvar b = 0; b < int'(PortBits / 8); b++) begin : gen_byte
      assign illegal[b] = beat_i[8*b+:8] >= 8'd243;
    end

    assign illegal_o = |illegal;
`else
    // Words of 64 bits, which a simulator handles at once. A byte is 243 or more if it has bit 7 and its other bits
    // plus 13 give 128 or more.
    logic [PortBits/64-1:0] illegal;

    for (genvar w = 0; w < int'(PortBits / 64); w++) begin : gen_word
      logic [7:0][7:0] bytes;

      assign bytes = beat_i[64*w+:64];
      assign illegal[w] = |(bytes & ((bytes & {8{8'h7f}}) + {8{8'd13}}) & {8{8'h80}});
    end

    assign illegal_o = |illegal;
`endif
  end else begin : gen_unknown
    $error("tmv_weight_check: this codec is not built yet");
  end

  `TMV_REQUIRE(port, PortBits == 64 || PortBits == 128, "tmv_weight_check: PortBits must be 64 or 128")
endmodule
