/// Dot products of one beat of ternary weights with `Vectors` words of int8 activations, all in bit planes.
///
/// With weight planes nz, neg and two's complement activation planes x0..x7, because -x = ~x + 1:
///   sum w*x = sum_{b<7} 2^b pop(nz & (x_b ^ neg)) - 2^7 pop(nz & (x_7 ^ neg)) + pop(neg)
/// Throughput one beat a cycle, latency two cycles: counts, then their weighted sum. No multiplier. The sum of
/// `Lanes` products needs clog2(128 * Lanes) + 1 bits. Does not accumulate and does not check weight codes.
module tmv_dot #(
  /// Weights of a beat.
  parameter  int unsigned Lanes = 64,
  /// Activation vectors.
  parameter  int unsigned Vectors = 4,
  /// Bits of a sum.
  localparam int unsigned SumBits = $clog2(128 * Lanes) + 1
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  /// Operands are valid.
  input  logic                      valid_i,
  input  logic        [  Lanes-1:0] nz_i,
  input  logic        [  Lanes-1:0] neg_i,
  input  logic        [  Lanes-1:0] x_i    [Vectors][8],
  /// `valid_i` two cycles ago, and the sums.
  output logic                      valid_o,
  output logic signed [SumBits-1:0] sum_o  [Vectors]
);
  localparam int unsigned CountBits = $clog2(Lanes + 1);

  typedef logic signed [SumBits-1:0] sum_t;

  logic [CountBits-1:0] neg_count, neg_count_q;
  logic [CountBits-1:0] count[Vectors][8], count_q[Vectors][8];
  logic valid_q;

  tmv_popcount #(.Width(Lanes)) u_neg (.bits_i(neg_i), .count_o(neg_count));

  for (genvar v = 0; v < int'(Vectors); v++) begin : gen_vector
    for (genvar b = 0; b < 8; b++) begin : gen_plane
      tmv_popcount #(.Width(Lanes)) u_plane (.bits_i(nz_i & (x_i[v][b] ^ neg_i)), .count_o(count[v][b]));
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) {valid_o, valid_q} <= '0;
    else {valid_o, valid_q} <= {valid_q, valid_i};
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      neg_count_q <= neg_count;
      for (int unsigned v = 0; v < Vectors; v++) begin
        for (int unsigned b = 0; b < 8; b++) count_q[v][b] <= count[v][b];
      end
    end
    if (valid_q) begin
      for (int unsigned v = 0; v < Vectors; v++) begin
        sum_o[v] <= sum_t'(neg_count_q) + sum_t'(count_q[v][0]) + (sum_t'(count_q[v][1]) << 1)
            + (sum_t'(count_q[v][2]) << 2) + (sum_t'(count_q[v][3]) << 3) + (sum_t'(count_q[v][4]) << 4)
            + (sum_t'(count_q[v][5]) << 5) + (sum_t'(count_q[v][6]) << 6) - (sum_t'(count_q[v][7]) << 7);
      end
    end
  end
endmodule
