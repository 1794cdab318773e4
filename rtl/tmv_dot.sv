/// Dot product of one beat of ternary weights with one word of int8 activations, both in bit planes.
///
/// With weight planes nz, neg and two's complement activation planes x0..x7, because -x = ~x + 1:
///   sum w*x = sum_{b<7} 2^b pop(nz & (x_b ^ neg)) - 2^7 pop(nz & (x_7 ^ neg)) + pop(neg)
/// Activations stay while weights stream: `load_i` replaces them. pop(neg) is the same for all vectors and comes from
/// outside, a cycle after the planes. Throughput one beat a cycle, latency two cycles: counts, added in pairs, then
/// their weighted sum. No multiplier. The sum of `Lanes` products needs
/// clog2(128 * Lanes) + 2 bits, because -128 times -1 is +128. Does not accumulate and does not check weight codes.
module tmv_dot #(
  /// Weights of a beat.
  parameter  int unsigned Lanes = 64,
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
  input  logic        [    Lanes-1:0]      nz_i,
  input  logic        [    Lanes-1:0]      neg_i,
  /// pop(neg) of the planes of the cycle before.
  input  logic        [CountBits-1:0]      neg_count_i,
  /// The sum, two cycles after the planes.
  output logic signed [  SumBits-1:0]      sum_o
);
  typedef logic signed [SumBits-1:0] sum_t;
  /// count[b] + 2 count[b + 1].
  typedef logic [CountBits+1:0] pair_t;

  // Counts, added in pairs: two planes a register.
  for (genvar p = 0; p < 4; p++) begin : gen_pair
    logic [Lanes-1:0] low_q, high_q;
    logic [CountBits-1:0] low, high;
    pair_t pair_q;

    always_ff @(posedge clk_i) begin
      if (load_i) begin
        low_q  <= x_i[2*p];
        high_q <= x_i[2*p+1];
      end
    end

    tmv_popcount #(
      .Width(Lanes)
    ) u_low (
      .bits_i (nz_i & (low_q ^ neg_i)),
      .count_o(low)
    );

    tmv_popcount #(
      .Width(Lanes)
    ) u_high (
      .bits_i (nz_i & (high_q ^ neg_i)),
      .count_o(high)
    );

    // Plane 7 weighs -128: the last pair is count[6] - 2 count[7], in two's complement.
    always_ff @(posedge clk_i) begin
      if (valid_i) pair_q <= (p == 3) ? pair_t'(low) - (pair_t'(high) << 1) : pair_t'(low) + (pair_t'(high) << 1);
    end
  end

  always_ff @(posedge clk_i) begin
    if (valid_q_i) begin
      sum_o <= (sum_t'(gen_pair[0].pair_q) + (sum_t'(gen_pair[1].pair_q) << 2))
          + ((sum_t'(gen_pair[2].pair_q) << 4) + (sum_t'(signed'(gen_pair[3].pair_q)) << 6)) + sum_t'(neg_count_i);
    end
  end
endmodule
