/// Turns a beat of weights into bit planes: `nz` where a weight is not zero, `neg` where it is -1.
///
/// Combinational. `illegal_o` reports a code that is no ternary weight; it depends on nothing but the beat, so it can
/// be used where the beat's address is still known. `Weights2b`: the low half of the beat is `nz`, the high half
/// `neg`; `neg` without `nz` is illegal. `WeightsBase3`: each byte is five trits, the lowest first, trit = weight + 1;
/// 243 and above is illegal, and its planes mean nothing: the unit stops.
module tmv_decode
  import tmv_pkg::*;
#(
  /// Weight codec, see `tmv_pkg`.
  parameter  int unsigned Codec = CodecWeights2b,
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  /// Weights of a beat.
  localparam int unsigned Lanes = lanes_of(Codec, PortBits)
) (
  /// One beat of weights.
  input  logic [PortBits-1:0] beat_i,
  /// Planes, one bit a lane.
  output logic [   Lanes-1:0] nz_o,
  output logic [   Lanes-1:0] neg_o,
  /// Some lane holds no ternary weight.
  output logic                illegal_o
);
  if (Codec == CodecWeights2b) begin : gen_weights_2b
    assign nz_o      = beat_i[Lanes-1:0];
    assign neg_o     = beat_i[PortBits-1:Lanes];
    assign illegal_o = |(neg_o & ~nz_o);
  end else if (Codec == CodecWeightsBase3) begin : gen_weights_base3
    localparam int unsigned Bytes = PortBits / 8;

    logic [Bytes-1:0] illegal;

    for (genvar b = 0; b < int'(Bytes); b++) begin : gen_byte
      tmv_trits u_trits (
        .byte_i(beat_i[8*b+:8]),
        .nz_o  (nz_o[5*b+:5]),
        .neg_o (neg_o[5*b+:5])
      );

      assign illegal[b] = beat_i[8*b+:8] >= 8'd243;
    end

    assign illegal_o = |illegal;
  end else begin : gen_unknown
    $error("tmv_decode: this codec is not built yet");
  end
endmodule
