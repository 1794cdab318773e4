`include "tmv_formal.svh"

/// `tmv_decode` and `tmv_weight_check` in base 3 against the codec's definition: byte = sum (w_j + 1) * 3^j over five weights w_j.
///
/// The harness goes from weights to the byte, so it compares no table and no division with itself. All bytes of a beat
/// are free. The module has no state, so one cycle shows everything.
module tmv_decode_fv
  import tmv_pkg::*;
  import tmv_reg_pkg::*;
#(
  /// Bits of a beat: 64 or 128.
  parameter  int unsigned PortBits = 128,
  localparam int unsigned Bytes = PortBits / 8,
  localparam int unsigned Lanes = lanes_of(CodecWeightsBase3, PortBits)
) (
  input logic [PortBits-1:0] beat_i
);
  logic [39:0] nz_slices[Lanes/40], neg_slices[Lanes/40];
  logic [Lanes-1:0] nz, neg;
  logic illegal;
  logic [Bytes-1:0] too_big;

  tmv_decode #(
    .Codec   (CodecWeightsBase3),
    .PortBits(PortBits)
  ) u_decode (
    .beat_i,
    .nz_o (nz_slices),
    .neg_o(neg_slices)
  );

  tmv_weight_check #(
    .Codec   (CodecWeightsBase3),
    .PortBits(PortBits)
  ) u_check (
    .beat_i,
    .illegal_o(illegal)
  );

  for (genvar s = 0; s < int'(Lanes) / 40; s++) begin : gen_slice
    assign nz[40*s+:40]  = nz_slices[s];
    assign neg[40*s+:40] = neg_slices[s];
  end

  for (genvar b = 0; b < int'(Bytes); b++) begin : gen_byte
    logic [7:0] code;
    logic [4:0] is_nz, is_neg;
    logic [8:0] sum;

    assign code       = beat_i[8*b+:8];
    assign is_nz      = nz[5*b+:5];
    assign is_neg     = neg[5*b+:5];
    assign too_big[b] = code > 8'd242;

    // The byte that the decoded weights make. w + 1 is 0 for -1, 1 for 0, 2 for +1.
    always_comb begin
      sum = '0;
      for (int j = 4; j >= 0; j--) sum = 9'(3 * sum) + (is_neg[j] ? 9'd0 : is_nz[j] ? 9'd2 : 9'd1);
    end

    `TMV_ASSERT_COMB(IsDefinition, too_big[b] || sum == 9'(code))
    `TMV_ASSERT_COMB(NegIsNonZero, too_big[b] || (is_neg & ~is_nz) == '0)
  end

  `TMV_ASSERT_COMB(IllegalIsFlagged, illegal == (too_big != '0))

  `TMV_COVER_COMB(AllPlus, nz == '1 && neg == '0 && !illegal)
  `TMV_COVER_COMB(OneIllegal, too_big == Bytes'(1))
endmodule
