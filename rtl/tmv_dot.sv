/// Dot product of one beat of ternary weights with one word of int8 activations, both in bit planes.
///
/// With weight planes nz, neg and two's complement activation planes x0..x7, because -x = ~x + 1:
///   sum w*x = sum_{b<7} 2^b pop(nz & (x_b ^ neg)) - 2^7 pop(nz & (x_7 ^ neg)) + pop(neg)
/// pop(neg) is the same for all vectors and comes from outside, a cycle after the planes. Throughput one beat a cycle,
/// latency two cycles: counts, then their weighted sum. No multiplier. The sum of `Lanes` products needs
/// clog2(128 * Lanes) + 1 bits. Does not accumulate and does not check weight codes.
module tmv_dot #(
  /// Weights of a beat.
  parameter  int unsigned Lanes = 64,
  /// Bits of a sum.
  localparam int unsigned SumBits = $clog2(128 * Lanes) + 1,
  localparam int unsigned CountBits = $clog2(Lanes + 1)
) (
  input  logic                             clk_i,
  /// The planes are valid, and were valid a cycle ago.
  input  logic                             valid_i,
  input  logic                             valid_q_i,
  input  logic        [    Lanes-1:0]      nz_i,
  input  logic        [    Lanes-1:0]      neg_i,
  input  logic        [7:0][Lanes-1:0]     x_i,
  /// pop(neg) of the planes of the cycle before.
  input  logic        [CountBits-1:0]      neg_count_i,
  /// The sum, two cycles after the planes.
  output logic signed [  SumBits-1:0]      sum_o
);
  typedef logic signed [SumBits-1:0] sum_t;

  sum_t weighted[8];

  // One register a plane: simulators handle scalars better than arrays.
  for (genvar b = 0; b < 8; b++) begin : gen_plane
    logic [CountBits-1:0] count, count_q;

    tmv_popcount #(
      .Width(Lanes)
    ) u_popcount (
      .bits_i (nz_i & (x_i[b] ^ neg_i)),
      .count_o(count)
    );

    always_ff @(posedge clk_i) if (valid_i) count_q <= count;

    assign weighted[b] = sum_t'(count_q) << b;
  end

  always_ff @(posedge clk_i) begin
    if (valid_q_i) begin
      sum_o <= ((weighted[0] + weighted[1]) + (weighted[2] + weighted[3]))
          + ((weighted[4] + weighted[5]) + (weighted[6] - weighted[7])) + sum_t'(neg_count_i);
    end
  end
endmodule
