`include "tmv_macros.svh"

/// Dot product of one beat of ternary weights with one word of int8 activations, both in bit planes.
///
/// With weight planes nz, neg and two's complement activation planes x0..x7, because -x = ~x + 1:
///   sum w*x = sum_{b<7} 2^b pop(nz & (x_b ^ neg)) - 2^7 pop(nz & (x_7 ^ neg)) + pop(neg)
/// Activations stay while weights stream: `load_i` replaces them. pop(neg) is the same for all vectors and comes from
/// outside, a cycle after the planes. Throughput one beat a cycle, latency two cycles: counts, then their weighted
/// sum. No multiplier. The sum of `Lanes` products needs
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

  // Counts, two planes a register; then all counts in one sum.
  sum_t weighted[4];

  for (genvar p = 0; p < 4; p++) begin : gen_pair
    logic [SliceLanes-1:0] low[Slices], high[Slices];
    logic [CountBits-1:0] low_count, high_count;
    logic [1:0][CountBits-1:0] count_q;

    for (genvar s = 0; s < int'(Slices); s++) begin : gen_slice
      logic [SliceLanes-1:0] low_q, high_q;

      always_ff @(posedge clk_i) begin
        if (load_i) begin
          low_q  <= x_i[2*p][SliceLanes*s+:SliceLanes];
          high_q <= x_i[2*p+1][SliceLanes*s+:SliceLanes];
        end
      end

      assign low[s]  = nz_i[s] & (low_q ^ neg_i[s]);
      assign high[s] = nz_i[s] & (high_q ^ neg_i[s]);
    end

    tmv_popcount #(
      .Width(Lanes),
      .Slices(Slices)
    ) u_low (
      .bits_i (low),
      .count_o(low_count)
    );

    tmv_popcount #(
      .Width(Lanes),
      .Slices(Slices)
    ) u_high (
      .bits_i (high),
      .count_o(high_count)
    );

    always_ff @(posedge clk_i) if (valid_i) count_q <= {high_count, low_count};

    // Plane 7 weighs -128.
    if (p == 3) begin : gen_sign
      assign weighted[p] = (sum_t'(count_q[0]) << 6) - (sum_t'(count_q[1]) << 7);
    end else begin : gen_positive
      assign weighted[p] = (sum_t'(count_q[0]) << (2 * p)) + (sum_t'(count_q[1]) << (2 * p + 1));
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_q_i) sum_o <= (weighted[0] + weighted[1]) + (weighted[2] + weighted[3]) + sum_t'(neg_count_i);
  end

  `TMV_REQUIRE(lanes, Slices * SliceLanes == Lanes, "tmv_dot: Lanes must be up to 64, or even")
endmodule
