`include "tmv_macros.svh"

/// Dot product of one beat of ternary weights with the activations of one vector, both in bit planes.
///
/// With weight planes nz, neg and two's complement activation planes x0..x7, because -x = ~x + 1:
///   sum w*x = sum_{b<7} 2^b pop(nz & (x_b ^ neg)) - 2^7 pop(nz & (x_7 ^ neg)) + pop(neg)
/// Throughput one beat a cycle, latency three cycles: counts, three sums of three numbers, their sum. So a cycle has one
/// adder of three numbers, which is one carry chain. Activations stay until the next load. pop(neg) is common to all
/// vectors and comes from outside, a cycle after the planes. No multiplier.
/// A sum has clog2(128 * Lanes) + 2 bits, because -128 times -1 is +128. Does not accumulate, does not check codes.
///
/// Two bodies have the same function: for synthesis (`TMV_LUT_BODIES`), counts by `tmv_plane` and their sums in two steps;
/// for simulators, `$countones`, one machine instruction a slice, and all of it in the first step.
module tmv_dot
  import tmv_pkg::*;
#(
  /// Lanes of a beat: up to 64, or an even number up to 128.
  parameter  int unsigned Lanes = 64,
  /// Planes come in slices of up to 64 lanes: a simulator counts ones of a machine word at a time.
  localparam int unsigned Slices = slices_of(Lanes),
  localparam int unsigned SliceLanes = Lanes / Slices,
  /// Bits of a sum.
  localparam int unsigned SumBits = $clog2(128 * Lanes) + 2,
  localparam int unsigned CountBits = $clog2(Lanes + 1)
) (
  input  logic                             clk_i,
  /// Activations for the beats from the cycle after the next on. They stay on the input for another cycle.
  input  logic                             load_i,
  input  logic        [7:0][Lanes-1:0]     x_i,
  /// The planes are valid; they were valid one cycle, and two cycles, before.
  input  logic                             valid_i,
  input  logic                             valid_q_i,
  input  logic                             valid_qq_i,
  input  logic        [SliceLanes-1:0]     nz_i  [Slices],
  input  logic        [SliceLanes-1:0]     neg_i [Slices],
  /// pop(neg) of the planes of the cycle before.
  input  logic        [CountBits-1:0]      neg_count_i,
  /// Sum, three cycles after the planes.
  output logic signed [  SumBits-1:0]      sum_o
);
  typedef logic signed [SumBits-1:0] sum_t;

  // A register of this vector's own. Without it, one gate would drive the enables of all planes of all vectors.
  (* keep = "true" *) logic load_q;

  always_ff @(posedge clk_i) load_q <= load_i;

`ifdef TMV_LUT_BODIES
  for (genvar p = 0; p < 8; p++) begin : gen_plane
    logic [CountBits-1:0] count;

    tmv_plane #(
      .Lanes(Lanes)
    ) u_plane (
      .clk_i,
      .load_i (load_q),
      .x_i    (x_i[p]),
      .valid_i,
      .nz_i,
      .neg_i,
      .count_o(count)
    );
  end

  // Sums of three planes each, the second one without its factor 8. Plane 7 weighs -128.
  typedef logic [CountBits+2:0] part_t;
  part_t low_q, middle_q;
  sum_t high_q;

  always_ff @(posedge clk_i) begin
    if (valid_qq_i) sum_o <= sum_t'(low_q) + (sum_t'(middle_q) << 3) + high_q;
    if (valid_q_i) begin
      low_q    <= part_t'(gen_plane[0].count) + (part_t'(gen_plane[1].count) << 1) + (part_t'(gen_plane[2].count) << 2);
      middle_q <= part_t'(gen_plane[3].count) + (part_t'(gen_plane[4].count) << 1) + (part_t'(gen_plane[5].count) << 2);
      high_q   <= (sum_t'(gen_plane[6].count) << 6) - (sum_t'(gen_plane[7].count) << 7) + sum_t'(neg_count_i);
    end
  end
`else
  sum_t counts_q, all_q;

  localparam int unsigned LastSlice = Slices - 1;

  // No block above has the names of these: Verilator 5.048 confuses blocks of one name below a module that it does not
  // inline.
  for (genvar p = 0; p < 8; p++) begin : gen_count
    int unsigned count;

    for (genvar s = 0; s < int'(Slices); s++) begin : gen_count_slice
      logic [SliceLanes-1:0] x_q, ones;

      always_ff @(posedge clk_i) if (load_q) x_q <= x_i[p][SliceLanes*s+:SliceLanes];

      assign ones = nz_i[s] & (x_q ^ neg_i[s]);
    end

    assign count = $countones(gen_count_slice[0].ones)
        + ((Slices == 1) ? 0 : $countones(gen_count_slice[LastSlice].ones));
  end

  // One sum of everything: no counts and no parts to keep. Statements stand in the order of use.
  always_ff @(posedge clk_i) begin
    if (valid_qq_i) sum_o <= all_q;
    if (valid_q_i) all_q <= counts_q + sum_t'(neg_count_i);
    if (valid_i) begin
      counts_q <= sum_t'(gen_count[0].count + (gen_count[1].count << 1) + (gen_count[2].count << 2)
          + (gen_count[3].count << 3) + (gen_count[4].count << 4) + (gen_count[5].count << 5)
          + (gen_count[6].count << 6) - (gen_count[7].count << 7));
    end
  end
`endif
endmodule
