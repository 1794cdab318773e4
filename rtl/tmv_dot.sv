`include "tmv_macros.svh"

/// Dot product of one beat of ternary weights with one word of int8 activations, both in bit planes.
///
/// With weight planes nz, neg and two's complement activation planes x0..x7, because -x = ~x + 1:
///   sum w*x = sum_{b<7} 2^b pop(nz & (x_b ^ neg)) - 2^7 pop(nz & (x_7 ^ neg)) + pop(neg)
/// Activations stay while weights stream: `load_i` replaces them. pop(neg) is the same for all vectors and comes from
/// outside, a cycle after the planes. Throughput one beat a cycle, latency two cycles: counts, added in pairs, then
/// their weighted sum. No multiplier. The sum of `Lanes` products needs
/// clog2(128 * Lanes) + 2 bits, because -128 times -1 is +128. Does not accumulate and does not check weight codes.
module tmv_dot
  import tmv_pkg::*;
#(
  /// Weights of a beat: up to 64, or an even number up to 128.
  parameter  int unsigned Lanes = 64,
  /// Planes come in slices of up to 64 lanes: simulators count ones a machine word at a time.
  localparam int unsigned Slices = slices_of(Lanes),
  localparam int unsigned SliceLanes = Lanes / Slices,
  /// Bits of a sum.
  localparam int unsigned SumBits = $clog2(128 * Lanes) + 2,
  localparam int unsigned CountBits = $clog2(Lanes + 1)
) (
  input  logic                             clk_i,
  /// The word of activations for the beats from the next cycle on.
  input  logic                             load_i,
  input  logic        [7:0][Lanes-1:0]     x_i,
  /// The planes are valid, and were valid a cycle ago.
  input  logic                             valid_i,
  input  logic                             valid_q_i,
  input  logic        [SliceLanes-1:0]     nz_i  [Slices],
  input  logic        [SliceLanes-1:0]     neg_i [Slices],
  /// pop(neg) of the planes of the cycle before.
  input  logic        [CountBits-1:0]      neg_count_i,
  /// The sum, two cycles after the planes.
  output logic signed [  SumBits-1:0]      sum_o
);
  typedef logic signed [SumBits-1:0] sum_t;
  /// count[b] + 2 count[b + 1].
  typedef logic [CountBits+1:0] pair_t;

  localparam int unsigned SliceCountBits = $clog2(SliceLanes + 1);

  // Counts, added in pairs: two planes a register.
  for (genvar p = 0; p < 4; p++) begin : gen_pair
    logic [CountBits-1:0] low, high;
    pair_t pair_q;

    for (genvar s = 0; s < int'(Slices); s++) begin : gen_slice
      logic [SliceLanes-1:0] low_q, high_q;
      logic [SliceCountBits-1:0] low_count, high_count;

      always_ff @(posedge clk_i) begin
        if (load_i) begin
          low_q  <= x_i[2*p][SliceLanes*s+:SliceLanes];
          high_q <= x_i[2*p+1][SliceLanes*s+:SliceLanes];
        end
      end

      tmv_popcount #(
        .Width(SliceLanes)
      ) u_low (
        .bits_i (nz_i[s] & (low_q ^ neg_i[s])),
        .count_o(low_count)
      );

      tmv_popcount #(
        .Width(SliceLanes)
      ) u_high (
        .bits_i (nz_i[s] & (high_q ^ neg_i[s])),
        .count_o(high_count)
      );
    end

    if (Slices == 1) begin : gen_whole
      assign low  = gen_slice[0].low_count;
      assign high = gen_slice[0].high_count;
    end else begin : gen_halves
      assign low  = CountBits'(gen_slice[0].low_count) + CountBits'(gen_slice[1].low_count);
      assign high = CountBits'(gen_slice[0].high_count) + CountBits'(gen_slice[1].high_count);
    end

    // Plane 7 weighs -128: the last pair is count[6] - 2 count[7], in two's complement.
    always_ff @(posedge clk_i) begin
      if (valid_i) begin
        pair_q <= (p == 3) ? pair_t'(low) - (pair_t'(high) << 1) : pair_t'(low) + (pair_t'(high) << 1);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_q_i) begin
      sum_o <= (sum_t'(gen_pair[0].pair_q) + (sum_t'(gen_pair[1].pair_q) << 2))
          + ((sum_t'(gen_pair[2].pair_q) << 4) + (sum_t'(signed'(gen_pair[3].pair_q)) << 6)) + sum_t'(neg_count_i);
    end
  end

  `TMV_REQUIRE(lanes, Slices * SliceLanes == Lanes, "tmv_dot: Lanes must be up to 64, or even")
endmodule
